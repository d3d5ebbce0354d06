"""Detects a wrong API key with one request, before anything else is requested, dropped or loaded.

Sent only if nothing was loaded from this address yet, or the last run's key was refused. After a good run it costs nothing.
"""

from __future__ import annotations

import logging
from contextlib import closing

from include.api_video.api.answers import KEY_REFUSED
from include.api_video.api.client import ApiVideoSession
from include.api_video.api.origin import DEMO, may_be_demo
from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Host
from include.api_video.catalog.naming import CHECKS, SKIPPED, SYNCS
from include.api_video.errors import ApiVideoError, ApiVideoKeyError
from include.api_video.settings.settings import Settings
from include.api_video.warehouse.warehouse import Warehouse

log = logging.getLogger("api_video")
WHOLE_ANSWER_S = 20.0
# OpenAPI's parameter pageSize allows 1 to 100, its 400 of GET /videos says 10 to 100.
FEW = 10


def check_key(warehouse: Warehouse, settings: Settings) -> None:
    """Requests a few rows of a list, unless the key is known to be good.

    Raises:
        ApiVideoKeyError: api.video refuses the key. Any other error is left to the task that meets it.
    """
    chosen = [by_name()[name] for name in settings.resources]
    lists = [endpoint for endpoint in chosen if endpoint.is_list and endpoint.host is Host.MAIN]
    if not lists or is_proven(warehouse, settings.base_url):
        return
    path = lists[-1].path  # the last list is a short one
    with closing(ApiVideoSession(settings, Host.MAIN, attempts=1, whole_answer_s=WHOLE_ANSWER_S)) as session:
        try:
            session.get(settings.url_of(Host.MAIN) + path, params={"currentPage": 1, "pageSize": FEW})
        except ApiVideoKeyError:
            raise
        except ApiVideoError as error:
            log.debug("the API key could not be checked: %s", error)


def is_proven(warehouse: Warehouse, base_url: str) -> bool:
    """Whether something was loaded from this address, and the latest checked run had no key refused."""
    addresses = (base_url, DEMO if may_be_demo(base_url) else base_url)
    with warehouse.connect() as query:
        if not (query.exists(SYNCS) and query.exists(CHECKS)):
            return False
        syncs, checks = query.table(SYNCS), query.table(CHECKS)
        ((loaded,),) = query.rows(
            f"SELECT count(*) FROM {syncs} WHERE mode <> '{SKIPPED}' AND base_url IN (%s, %s)", *addresses
        )
        newest = f"checked_at = (SELECT max(checked_at) FROM {checks})"
        ((refused,),) = query.rows(f"SELECT count(*) FROM {checks} WHERE {newest} AND note LIKE %s", f"%{KEY_REFUSED}%")
    return bool(loaded) and not refused
