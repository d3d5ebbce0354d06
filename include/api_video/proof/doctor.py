"""Examines whether an account's API has the properties this package relies on: read-only, at most ``MOST_REQUESTS``.

This module sends the requests. ``promises`` judges the answers, ``diagnosis`` prints the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, cast
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from include.api_video.api.answers import Page, RateLimit, read_page
from include.api_video.api.client import ApiVideoSession
from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import MAX_PAGE_SIZE, Endpoint, Host
from include.api_video.catalog.storable import now_utc
from include.api_video.errors import ApiVideoError, ApiVideoPermissionError, ApiVideoRequestError, ApiVideoServerError
from include.api_video.proof.doctor_analytics import ask_one, questions
from include.api_video.proof.promises import (
    Finding,
    Holds,
    count_ahead,
    judge_again,
    judge_clock,
    judge_counts,
    judge_fields,
    judge_keys,
    judge_last,
    judge_limit,
    judge_object,
    judge_order,
    judge_refused,
    reason_of,
)
from include.api_video.settings.settings import Settings

MOST_REQUESTS = 35
ATTEMPTS = 2
READ = "the key may read it"


class SpentError(Exception):
    """The doctor's own budget of requests is spent. Not an ``ApiVideoError``: the API did nothing wrong."""


class CountingAdapter(HTTPAdapter):
    """Limits the number of requests, whoever sends them; one more raises SpentError."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.sent = most, 0

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Sends the request, if the budget allows one more."""
        if self.sent >= self.most:
            raise SpentError
        self.sent += 1
        return super().send(request, *args, **kwargs)


@dataclass
class Examination:
    """An examination in progress: answers so far, and findings from them."""

    settings: Settings
    clock: Callable[[], datetime]
    adapter: CountingAdapter
    findings: list[Finding] = field(default_factory=list)
    pages: dict[str, tuple[Page, int | None]] = field(default_factory=dict)
    limits: list[RateLimit | None] = field(default_factory=list)
    differences: list[timedelta] = field(default_factory=list)
    sessions: dict[Host, ApiVideoSession] = field(default_factory=dict)

    def get(self, host: Host, path: str, params: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """The body of an answer. Notes the rate limit and the date in its headers.

        Raises:
            ApiVideoError: the package could not use the answer.
        """
        if host not in self.sessions:
            self.sessions[host] = session = ApiVideoSession(self.settings, host, attempts=ATTEMPTS)
            for scheme in ("https://", "http://"):
                session.mount(scheme, self.adapter)
        response = self.sessions[host].get(self.settings.url_of(host) + path, params=dict(params or {}))
        if host is Host.MAIN:
            self.limits.append(RateLimit.from_headers(response.headers))
        if "Date" in response.headers:
            self.differences.append(self.clock() - parsedate_to_datetime(response.headers["Date"]))
        return cast("Mapping[str, Any]", response.json())

    def page(self, endpoint: Endpoint, number: int = 1, order: str = "") -> tuple[Page, int | None]:
        """A page of a list, requested as a load would, and the page size that it reports.

        Raises:
            ApiVideoError: as ``get``, or the answer is not a page.
        """
        params: dict[str, Any] = {"pageSize": MAX_PAGE_SIZE, "currentPage": number}
        if endpoint.host is Host.ADMIN:
            params = {"page_size": MAX_PAGE_SIZE, "page": number}
        if endpoint.sort_by:
            first = "desc" if endpoint.sync.has_cursor else "asc"
            params |= {"sortBy": endpoint.sort_by, "sortOrder": order or first}
        return _read(self.get(endpoint.host, endpoint.listed_path or endpoint.path, params))

    def close(self) -> None:
        """Closes all connections."""
        for session in self.sessions.values():
            session.close()


def _read(body: Mapping[str, Any]) -> tuple[Page, int | None]:
    try:
        page, pagination = read_page(body), body["pagination"]
        size = pagination.get("pageSize", pagination.get("page_size"))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ApiVideoServerError("An answer that should be a page of a list is not one.") from None
    if not all(isinstance(row, dict) for row in page.rows):
        raise ApiVideoServerError("A row of a list is not an object.")
    return page, int(size) if str(size).isdecimal() else None


def examine(settings: Settings, *, clock: Callable[[], datetime] = now_utc, most: int = MOST_REQUESTS) -> Examination:
    """Examines from the most to the least important. A finding says so if ``most`` requests were not enough."""
    seen = Examination(settings, clock, CountingAdapter(most))
    try:
        for step in (_lists, _analytics, _ends, _objects, _other_ends):
            for finding in step(seen):
                seen.findings.append(finding)
    except SpentError:
        said = f"the {most} requests are used up, by attempts that failed"
        seen.findings.append(
            Finding("everything was asked", "all", Holds.NOTE, said, "loads as usual; run the doctor again later")
        )
    finally:
        seen.close()
    if seen.pages:
        rows = [row for page, _ in seen.pages.values() for row in page.rows]
        seen.findings += [judge_limit(seen.limits), judge_clock(seen.differences, count_ahead(rows, clock()))]
    return seen


def _lists(seen: Examination) -> Iterator[Finding]:
    """The first page of each list."""
    for endpoint in ENDPOINTS:
        if not endpoint.is_list or (endpoint.host is Host.ADMIN and not seen.settings.admin_api_key):
            continue
        try:
            page, size = _via(seen, endpoint) if endpoint.per_row_of else seen.page(endpoint)
        except ApiVideoError as error:
            yield _unreadable(seen, endpoint, error)
            if not seen.pages and not isinstance(error, (ApiVideoPermissionError, ApiVideoRequestError)):
                return  # the key is refused or nothing answers: the other lists will fail, too
            continue
        seen.pages[endpoint.name] = page, size
        yield Finding(READ, endpoint.name, Holds.YES, "200", "")
        yield from judge_counts(endpoint, page, size)
        yield judge_keys(endpoint, page.rows)
        if endpoint.sync.has_cursor:
            yield judge_order(endpoint, page.rows)
        yield judge_fields(endpoint, page.rows)


def _via(seen: Examination, endpoint: Endpoint) -> tuple[Page, int | None]:
    """The first page of an endpoint with ``per_row_of``: for the first row of that list, else at ``listed_path``."""
    path, key = cast("tuple[str, str]", endpoint.per_row_of)
    params = {"page_size": MAX_PAGE_SIZE, "page": 1}
    try:
        leading = _read(seen.get(endpoint.host, path, params))
    except ApiVideoRequestError as error:
        if error.status != 404:
            raise
        return seen.page(endpoint)
    if not leading[0].rows:
        return leading
    first = quote(str(leading[0].rows[0].get(key)), safe="")
    return _read(seen.get(endpoint.host, endpoint.path.replace("{" + key + "}", first), params))


def _unreadable(seen: Examination, endpoint: Endpoint, error: ApiVideoError) -> Finding:
    wanted = endpoint.name in seen.settings.resources
    # Without the permission for the Admin API or for analytics, a run skips the task: not fatal.
    is_left_out = isinstance(error, ApiVideoPermissionError) and (endpoint.host is Host.ADMIN or bool(endpoint.asks))
    fatal = wanted and not is_left_out
    otherwise = "fails in its task" if fatal else "leaves it out" if wanted else "does not load it by its settings"
    return Finding(READ, endpoint.name, Holds.NO if fatal else Holds.NOTE, reason_of(error), otherwise)


def _analytics(seen: Examination) -> Iterator[Finding]:
    """A question of each kind; of a key that may not read analytics, one."""
    for endpoint, ask in questions() if seen.pages else ():
        try:
            found = ask_one(partial(seen.get, endpoint.host), endpoint, ask, seen.clock())
        except ApiVideoError as error:
            yield _unreadable(seen, endpoint, error)
            if isinstance(error, ApiVideoPermissionError):
                return
            continue
        yield Finding(READ, endpoint.name, Holds.YES, "200", "")
        yield found


def _longest_first(seen: Examination) -> list[Endpoint]:
    newest_first = [e for e in ENDPOINTS if e.name in seen.pages and e.sync.has_cursor]
    return sorted(newest_first, key=lambda endpoint: -(seen.pages[endpoint.name][0].items_total or 0))


def _ends(seen: Examination) -> Iterator[Finding]:
    """The longest list: its first page again, and its last page, in both orders."""
    for endpoint in _longest_first(seen)[:1]:
        first, size = seen.pages[endpoint.name]
        try:
            yield judge_again(endpoint, first, seen.page(endpoint)[0])
            upwards, _ = seen.page(endpoint, order="asc")
        except ApiVideoError as error:
            yield Finding(
                "page 1 again, in both orders", endpoint.name, Holds.NOTE, reason_of(error), "asks again in its next run"
            )
            continue
        yield judge_order(endpoint, upwards.rows, ascending=True)
        if first.has_next:
            yield _last(seen, endpoint, first, size)
            yield _last(seen, endpoint, upwards, size, order="asc")


def _other_ends(seen: Examination) -> Iterator[Finding]:
    """The last page of the other lists sorted by ``updatedAt``."""
    for endpoint in _longest_first(seen)[1:]:
        first, size = seen.pages[endpoint.name]
        if first.has_next:
            yield _last(seen, endpoint, first, size)


def _last(seen: Examination, endpoint: Endpoint, first: Page, size: int | None, order: str = "") -> Finding:
    number, ascending = first.pages_total or 1, order == "asc"
    try:
        return judge_last(endpoint, first, seen.page(endpoint, number, order)[0], size, ascending=ascending)
    except ApiVideoError as error:
        return judge_refused(endpoint, number, reason_of(error), ascending=ascending)


def _inner_list(endpoint: Endpoint, body: Mapping[str, Any]) -> Iterator[Finding]:
    """The list of one parent's row."""
    has_pages = endpoint.host is Host.MAIN  # the Admin API's lists of a project have none (admin-api.yaml)
    try:
        page, size = _read(body if has_pages else {**body, "pagination": {}})
    except ApiVideoError as error:
        yield Finding("one object", endpoint.name, Holds.NOTE, reason_of(error), "leaves it for the next run and says so")
        return
    if has_pages:
        yield from judge_counts(endpoint, page, size)
    yield judge_fields(endpoint, page.rows)


def _objects(seen: Examination) -> Iterator[Finding]:
    """One single object of each kind: a list's row by its own path, each kind of detail, each list of a parent's row."""
    for endpoint in (endpoint for endpoint in ENDPOINTS if not endpoint.asks):
        parent = endpoint if endpoint.is_list else next(e for e in ENDPOINTS if e.name == endpoint.parent)
        path = endpoint.one_path if endpoint.is_list else endpoint.path
        if path is None or parent.name not in seen.pages or (not endpoint.is_list and path == parent.one_path):
            continue  # the same path was already examined as the list's own
        wanted = endpoint.parent_where.items()
        rows = [row for row in seen.pages[parent.name][0].rows if all(row.get(name) == value for name, value in wanted)]
        row = next((row for row in rows if row.get(parent.key)), None)
        if row is None:
            yield Finding("one object", endpoint.name, Holds.NOTE, "no row to ask for", "loads none")
            continue
        try:
            is_paged = endpoint.sync.is_list_per_parent and endpoint.host is Host.MAIN
            params = {"pageSize": MAX_PAGE_SIZE} if is_paged else endpoint.params
            of_row = path.replace("{" + parent.key + "}", quote(str(row[parent.key]), safe=""))
            single = seen.get(endpoint.host, of_row, params)
        except ApiVideoError as error:
            otherwise = "leaves it for the next run and says so"
            yield Finding("one object", endpoint.name, Holds.NOTE, reason_of(error), otherwise)
            continue
        if endpoint.sync.is_list_per_parent:
            yield from _inner_list(endpoint, single)
            continue
        # A detail's answer may lack the key, which is in its path.
        yield (
            judge_object(endpoint, row, single)
            if endpoint.is_list
            else judge_fields(endpoint, [{endpoint.key: row[parent.key], **single}])
        )
