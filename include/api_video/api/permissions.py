"""What a key may read: one request to each list, nothing is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from include.api_video.api.analytics import params_of
from include.api_video.api.client import ApiVideoSession
from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Endpoint, Host
from include.api_video.catalog.storable import now_utc
from include.api_video.errors import ApiVideoKeyError, ApiVideoPermissionError
from include.api_video.settings.settings import Settings

ANSWER_WITHIN_S = 30.0  # somebody waits in front of a form
SPAN = timedelta(hours=1)  # of analytics; the sandbox keeps a day


@dataclass
class Permissions:
    """The lists that the keys may read.

    Attributes:
        refused: those that they may not read, with the API's reason; a load of them fails.
        left_out: those that not every key may read: a run leaves them out.
    """

    base_url: str
    environment: str
    readable: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        what = f"{', '.join(self.readable) or 'nothing'} ({self.environment}, {self.base_url})."
        said = (
            f"The key may not read {', '.join(self.refused)}. It reads {what}" if self.refused else f"The key reads {what}"
        )
        if self.left_out:
            said += f" Runs leave out {', '.join(self.left_out)}, which it may not read."
        reasons = dict.fromkeys([*self.refused.values(), *self.left_out.values()])
        return " ".join([said, *reasons])


def find_permissions(settings: Settings) -> Permissions:
    """Requests each list once, analytics by a number of the last hour, a list per row for one row of its parent.

    The Admin API is asked only if its key is set. Single objects are not tried.

    Raises:
        ApiVideoKeyError: the main API does not know the key.
        PassingError: the API cannot be reached; there is no retry.
    """
    found = Permissions(settings.base_url, settings.environment)
    parents: dict[str, Mapping[str, Any]] = {}  # a row of each list
    for endpoint in ENDPOINTS:
        path = _path(endpoint, parents.get(endpoint.parent or ""))
        if path is None or (endpoint.host is Host.ADMIN and not settings.admin_api_key):
            continue
        try:
            row = _ask(endpoint, path, settings)
        except (ApiVideoPermissionError, ApiVideoKeyError) as error:
            is_refusal = isinstance(error, ApiVideoPermissionError)
            if not is_refusal and endpoint.host is Host.MAIN:
                raise
            is_left_out = is_refusal and (endpoint.host is Host.ADMIN or endpoint.sync.has_days)
            (found.left_out if is_left_out else found.refused)[endpoint.name] = str(error)
        else:
            found.readable.append(endpoint.name)
            parents |= {endpoint.name: row} if row else {}
    return found


def _path(endpoint: Endpoint, parent: Mapping[str, Any] | None) -> str | None:
    """What to request; None for what is not tried, such as the list of a parent without rows."""
    if endpoint.is_list:
        return endpoint.listed_path or endpoint.path
    if endpoint.sync.has_days:
        end = now_utc().replace(microsecond=0)
        ask = endpoint.asks[0]
        return f"/data/{ask.path}?{urlencode(params_of(ask, end - SPAN, end))}"
    if endpoint.sync.is_list_per_parent and not endpoint.asks and parent:
        return f"{endpoint.path_of_list(str(parent[endpoint.key_parts[0]]))}?{urlencode(endpoint.params)}"
    return None


def _ask(endpoint: Endpoint, path: str, settings: Settings) -> Mapping[str, Any] | None:
    """Requests a list; returns its first row, if it has one."""
    session = ApiVideoSession(settings, endpoint.host, attempts=1, whole_answer_s=ANSWER_WITHIN_S)
    url = settings.url_of(endpoint.host)
    try:
        if endpoint.per_row_of and session.knows(url + endpoint.per_row_of[0], {}):
            return None
        body = session.get(url + path).json()
        rows = body.get("data", body.get("items"))
        first = rows[0] if isinstance(rows, list) and rows else None
        return first if isinstance(first, Mapping) and endpoint.key in first else None
    finally:
        session.close()
