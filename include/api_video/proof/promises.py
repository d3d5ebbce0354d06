"""The properties of api.video that this package relies on, as pure functions from answers to findings.

A finding contains names of lists and fields, and counts. It never contains titles, names, ids, addresses or keys, so a user
can post it in public.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise
from typing import Any

from include.api_video.api.answers import Page, RateLimit
from include.api_video.catalog.model import MAX_PAGE_SIZE, Endpoint, Host
from include.api_video.catalog.secrets import bare, secrets_of
from include.api_video.catalog.storable import utc
from include.api_video.errors import (
    ApiVideoError,
    ApiVideoKeyError,
    ApiVideoLimitError,
    ApiVideoPermissionError,
    ApiVideoRequestError,
)
from include.api_video.load.redaction import Redaction
from include.api_video.sync.lost_fields import FieldWatch

Row = Mapping[str, Any]
ENOUGH_ROWS = 10  # rows without a field before it counts as not sent
CLOCKS_APART = timedelta(minutes=1)
# Field names to show: the API's are plain words. Others may hold an id or a customer's text, and are only counted.
PLAIN_NAME = re.compile(r"[A-Za-z._]{1,40}")
TYPES: Mapping[str, tuple[type, ...]] = {
    "text": (str,),
    "timestamp": (str,),
    "bool": (bool,),
    "bigint": (int,),
    "double": (int, float),
}


class Holds(Enum):
    """Whether a promise holds."""

    YES = "yes"
    NOTE = "note"  # it does not, or could not be seen; the package loads all the same
    NO = "NO"  # it does not, and the package cannot load the resource


@dataclass(frozen=True)
class Finding:
    """A promise about a list: whether it holds, what was found, and what the package does if it does not hold."""

    promise: str
    where: str
    holds: Holds
    found: str
    otherwise: str


def _held(promise: str, where: str, held: bool, found: str, otherwise: str) -> Finding:
    return Finding(promise, where, Holds.YES if held else Holds.NOTE, found, otherwise)


def reason_of(error: ApiVideoError) -> str:
    """What went wrong, without the address that the error's own message contains."""
    if isinstance(error, ApiVideoKeyError):
        return "401: the key is refused"
    if isinstance(error, ApiVideoPermissionError):
        return "403: the key may not read it"
    if isinstance(error, ApiVideoLimitError):
        return "429: the rate limit is used up"
    if isinstance(error, ApiVideoRequestError):
        return f"{error.status}: not accepted"
    return "no usable answer: a server error, a broken connection, or no JSON"


# --- one page ---------------------------------------------------------------------------------------------------------


def judge_counts(endpoint: Endpoint, page: Page, page_size: int | None) -> Iterator[Finding]:
    """Checks what the first page says about the list: page size, number of rows, number of pages."""
    name, rows = endpoint.name, len(page.rows)
    found = f"{rows} rows on page 1, its pageSize says {page_size}"
    fits = page_size == MAX_PAGE_SIZE and (rows == MAX_PAGE_SIZE or not page.has_next)
    yield _held(f"{MAX_PAGE_SIZE} rows a page", name, fits, found, "sends more requests, one per page")
    if page.items_total is None or page.pages_total is None:
        if endpoint.host is Host.MAIN:  # ``read_page`` takes no total from the Admin API
            yield _held("itemsTotal is a number", name, False, "it is none", UNPROVEN)
        return
    pages = -(-page.items_total // (page_size or MAX_PAGE_SIZE))
    found = f"itemsTotal {page.items_total}, pagesTotal {page.pages_total}"
    fits = max(1, page.pages_total) == max(1, pages)
    yield _held("pagesTotal fits itemsTotal", name, fits, found, "reads on until it has as many rows as itemsTotal")
    if not page.has_next:
        found = f"itemsTotal {page.items_total}, {rows} rows"
        yield _held("itemsTotal counts the rows", name, page.items_total == rows, found, UNPROVEN)


FROM_BELOW = "reads from the other end; what neither end reaches stays unproven"
UNPROVEN = "loads the rows, is not proven, asks for a row before it counts as removed"


def judge_keys(endpoint: Endpoint, rows: Sequence[Row]) -> Finding:
    """Whether each row has a key, and no two the same."""
    keys = [row.get(endpoint.sent_key) for row in rows]
    without = sum(not isinstance(key, str) or not key for key in keys)
    found = f"{len(rows)} rows, {without} without {endpoint.sent_key}, {len(set(map(str, keys)))} different"
    otherwise = "puts rows without one into _rejected, loads the others" if without else "loads each once, is not proven"
    return _held("each row has its own key", endpoint.name, not without and len(set(keys)) == len(keys), found, otherwise)


def judge_order(endpoint: Endpoint, rows: Sequence[Row], *, ascending: bool = False) -> Finding:
    """Whether all rows have ``updatedAt`` and are sorted by it."""
    times = [utc(row.get("updatedAt")) for row in rows]
    known = [time for time in times if time]
    turns = sum((a > b) if ascending else (a < b) for a, b in pairwise(known))
    found = f"{len(rows)} rows, {len(times) - len(known)} without updatedAt, {turns} out of order"
    order = "asc" if ascending else "desc"
    held = not turns and len(known) == len(times)
    promise = f"sorted by updatedAt, {order}"
    return _held(promise, endpoint.name, held, found, "reads the whole list to find changes, each time")


def judge_fields(endpoint: Endpoint, rows: Sequence[Row]) -> Finding:
    """Whether rows have exactly the documented fields, with the documented types. The finding has names only."""
    watch = FieldWatch(endpoint)
    for row in rows:
        watch.see(row)
    strange = {path: what for row in rows for path, what in _strange_fields(endpoint, row)}
    # A missing object takes its fields along, such as the assets of a discarded video (null in the OpenAPI examples). And a
    # single row may lack a field that others have, such as a summary its takeaways.
    gone = {path for path in watch.unseen if not any(path.split(".")[0] in row for row in rows)}
    gone = {path for path in gone if "." in path or len(rows) >= ENOUGH_ROWS}
    parts = {
        "not documented": [path for path, what in strange.items() if what == "unknown"],
        "of another type": [path for path, what in strange.items() if what == "type"],
        "in no row": [*watch.unseen],
    }
    found = "; ".join(f"{what}: {_shown(paths)}" for what, paths in parts.items() if paths)
    otherwise = "makes columns of new fields and types, leaves missing ones null"
    words = f"all, in {len(rows)} looked at" if rows else "no row to look at"
    return _held("fields as documented", endpoint.name, not strange and not gone, found or words, otherwise)


def _strange_fields(endpoint: Endpoint, row: Row) -> Iterator[tuple[str, str]]:
    """Paths that are undocumented ("unknown"), or whose value has another type ("type")."""
    documented = {column.sent_path.replace("[]", ""): column.data_type for column in endpoint.columns}
    inner = {path[:at] for path in documented for at in range(len(path)) if path[at] == "."}
    secret = secrets_of(endpoint)

    def walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, list):
            for item in value:
                yield from walk(item, path)
        elif path in inner or not path:
            if not isinstance(value, Mapping):
                yield from [(path, "type")] if value is not None else []
                return
            for name, item in value.items():
                if bare(str(name)) not in secret:
                    yield from walk(item, f"{path}.{name}".lstrip("."))
        elif path not in documented:
            yield path, "unknown"
        elif value is not None and not _is_of(value, documented[path]):
            yield path, "type"

    return walk(row, "")


def _is_of(value: Any, data_type: str) -> bool:
    if isinstance(value, bool) or data_type == "timestamp":
        return data_type == "bool" if isinstance(value, bool) else utc(value) is not None
    # A whole number as text, as /tags has it (OpenAPI's example), becomes a number in its column.
    return isinstance(value, TYPES[data_type]) or (data_type == "bigint" and isinstance(value, str) and value.isdecimal())


def is_plain(name: str) -> bool:
    """Whether a field's name is plain words, which may be shown."""
    return bool(PLAIN_NAME.fullmatch(name.replace("mp4", "mp")))


def _shown(paths: Iterable[str]) -> str:
    """Field names to show; those that are not plain are only counted."""
    names = list(paths)
    plain = sorted(name for name in names if is_plain(name))
    odd = len(names) - len(plain)
    return ", ".join([*plain, *([f"{odd} whose name is not shown"] if odd else [])])


# --- several answers --------------------------------------------------------------------------------------------------


def judge_again(endpoint: Endpoint, first: Page, again: Page) -> Finding:
    """Whether a page requested twice has the same rows in the same order."""
    promise = "the same page twice is the same"
    otherwise = "may miss a row at a page's border until the next reconciliation"
    keys, others = ([str(row.get(endpoint.sent_key)) for row in page.rows] for page in (first, again))
    times = [row.get("updatedAt") for row in first.rows]
    ties = len(times) - len(set(map(str, times)))
    if set(keys) != set(others) or first.items_total != again.items_total:
        return Finding(promise, endpoint.name, Holds.NOTE, MOVED, otherwise)
    moved = sum(a != b for a, b in zip(keys, others, strict=False))
    found = f"{len(keys)} rows, {moved} in another place, {ties} of a second that another row has, too"
    return _held(promise, endpoint.name, not moved, found, otherwise)


MOVED = "the list changed meanwhile: ask again when it is quiet"


def judge_last(endpoint: Endpoint, first: Page, last: Page, page_size: int | None, *, ascending: bool = False) -> Finding:
    """Whether the last page has as many rows as itemsTotal leaves for it, all of them beyond those of the first page."""
    promise, otherwise = f"the last page, {'asc' if ascending else 'desc'}", FROM_BELOW
    if first.items_total != last.items_total:
        return Finding(promise, endpoint.name, Holds.NOTE, MOVED, otherwise)
    left = (first.items_total or 0) - ((first.pages_total or 1) - 1) * (page_size or MAX_PAGE_SIZE)
    ends = [[time for row in page.rows if (time := utc(row.get("updatedAt")))] for page in (first, last)]
    near, far = ends[::-1] if ascending else ends
    apart = not (near and far) or max(far) <= min(near)
    found = f"page {last.number} has {len(last.rows)} rows of {left}, {'' if apart else 'not '}all beyond those of page 1"
    return _held(promise, endpoint.name, len(last.rows) == left and apart, found, otherwise)


def judge_refused(endpoint: Endpoint, number: int, said: str, *, ascending: bool) -> Finding:
    """The finding if the API refused the last page."""
    promise = f"the last page, {'asc' if ascending else 'desc'}"
    return Finding(promise, endpoint.name, Holds.NOTE, f"page {number}: {said}", FROM_BELOW)


def judge_object(endpoint: Endpoint, row: Row, single: Row) -> Finding:
    """Whether a single object equals its row in the list. Private tokens, new in each answer, are left out."""
    promise, otherwise = "a single object is its row of the list", "loads it once more at the next reconciliation"
    if row.get("updatedAt") != single.get("updatedAt"):
        return Finding(promise, endpoint.name, Holds.NOTE, "it changed meanwhile, or its updatedAt differs", otherwise)
    clean = Redaction(endpoint)
    one, other = clean(dict(row)), clean(dict(single))
    differing = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    found = f"differing: {_shown(differing)}" if differing else f"{len(one)} fields alike"
    return _held(promise, endpoint.name, not differing, found, otherwise)


def judge_limit(limits: Sequence[RateLimit | None]) -> Finding:
    """Whether each answer has the rate limit's headers, and ``remaining`` falls from one to the next."""
    told = [limit for limit in limits if limit]
    promise, otherwise = "rate limit in each answer", "sends one request at a time for a while; a 429 says to wait"
    if not told:
        return Finding(promise, "all", Holds.NOTE, f"none of {len(limits)} answers has the headers", otherwise)
    in_window = [(a, b) for a, b in pairwise(told) if b.resets_in_s <= a.resets_in_s]
    risen = sum(b.remaining >= a.remaining for a, b in in_window)
    newest = told[-1]
    found = (
        f"{len(told)} of {len(limits)} answers, {newest.limit} a window, {newest.remaining} left, "
        f"{newest.resets_in_s:g} s to go, {f'{risen} of them not less' if risen else 'less each time'}"
    )
    return _held(promise, "all", len(told) == len(limits) and not risen and newest.limit > 0, found, otherwise)


def judge_clock(differences: Sequence[timedelta], ahead: int) -> Finding:
    """Whether this machine's clock agrees with the API's; ``ahead`` rows are dated in this machine's future."""
    promise, otherwise = "the clocks agree", "reads rows dated in the future again, each time"
    if not differences:
        return Finding(promise, "all", Holds.NOTE, "no answer has a Date", otherwise)
    largest = max(differences, key=abs)
    found = f"this machine's is {largest.total_seconds():+.0f} s from the API's; {ahead} rows are dated in the future"
    return _held(promise, "all", abs(largest) < CLOCKS_APART and not ahead, found, otherwise)


def count_ahead(rows: Iterable[Row], now: datetime) -> int:
    """Number of rows dated after ``now``."""
    return sum(at > now for row in rows if (at := utc(row.get("updatedAt"))))
