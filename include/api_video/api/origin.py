"""The origin of a table in the ledger: an API's address, or the demo, which marks its answers with a header."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests

from include.api_video.api.deadline import Deadline, WatchedAdapter
from include.api_video.errors import SettingsError
from include.api_video.settings.addresses import is_local

DEMO = "demo"  # not its address, since its port changes with each start
DEMO_HEADER = "X-Api-Video-Demo"
DEMO_PATH = "/_demo/requests"  # only the demo serves it; it needs no key and counts as no request
LOCAL = "local"  # older versions wrote this for any server on this machine: the demo or a proxy
REAL_DOMAIN = ".api.video"
TIMEOUT_S, WHOLE_ANSWER_S = 5.0, 10.0


def may_be_demo(base_url: str) -> bool:
    """Whether the demo could be at this address."""
    return not (urlsplit(base_url).hostname or "").endswith(REAL_DOMAIN)


def is_demo(base_url: str) -> bool:
    """Whether the demo is at this address: it is asked, without a key. True if nothing answers; the load will tell."""
    if not may_be_demo(base_url):
        return False
    with requests.Session() as session, Deadline(WHOLE_ANSWER_S) as deadline:
        session.trust_env = not is_local(base_url)  # no proxy for this machine
        for scheme in ("http://", "https://"):
            session.mount(scheme, WatchedAdapter())
        try:
            answer = session.get(base_url + DEMO_PATH, timeout=TIMEOUT_S, allow_redirects=False)
        except Exception as error:
            # A shutdown of the socket raises many kinds of errors in its reader.
            if not deadline.is_over and not isinstance(error, requests.RequestException):
                raise
            return True
    return DEMO_HEADER in answer.headers


def was_demo_only(loaded_from: str | None, read_from: str) -> bool:
    """Whether demo data was loaded before and something else is read now, so that the demo's rows are dropped."""
    return loaded_from == DEMO and read_from != DEMO


def check_same(resource: str, loaded_from: str | None, read_from: str) -> None:
    """Refuses to mix two origins in one table.

    A table with the older origin "local" accepts any server on this machine, as older versions did.

    Raises:
        SettingsError: the table was loaded from another origin.
    """
    is_here = read_from == DEMO or is_local(read_from)
    if loaded_from in (None, read_from) or (loaded_from == LOCAL and is_here) or was_demo_only(loaded_from, read_from):
        return
    past = "a server on this machine (an older version did not note which)" if loaded_from == LOCAL else loaded_from
    raise SettingsError(
        f"{resource} was loaded from {past}, and this run reads {_named(read_from)}: mixing them would mark every row "
        "removed. Use another dataset or DuckDB file for it (DESTINATION__DUCKDB__CREDENTIALS), or rebuild the tables with "
        "a full refresh (in the trigger form, or --full-refresh)."
    )


def _named(read_from: str) -> str:
    return "the demo" if read_from == DEMO else read_from
