"""Decides: how far to read a list, which rows are news, what is gone. No network, no SQL of its own.

A list task goes like this. Page 1, newest first, says how many rows there are. Read on while rows are not older than the
cursor. If the rows that would then be active are as many as the API lists, nothing was removed, and that was all. If not,
or at the first load, or when a full look is due, read the whole list until it is consistent with itself: as many
different ids as every one of its pages says there are. What such a listing lacks is gone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from dlt.common.json import json

from include.api_video.answers import Page
from include.api_video.client import MISSING
from include.api_video.endpoints import Endpoint, Sync
from include.api_video.errors import ApiVideoServerError, ListShiftedError, RemovalBrakeError
from include.api_video.settings import ENV_PREFIX
from include.api_video.warehouse import DetailState, KnownRow, Parent, TableState, utc

READINGS = 4  # of a whole list that keeps shifting, before giving up
BRAKE_FROM_ROWS = 20  # fewer removals than this never stop a run
REFETCHED = timedelta(seconds=1)  # time stamps have no fraction: rows of the cursor's own second are read again


class Lookup(Protocol):
    """What a list sync asks the warehouse (``Warehouse``, or a dictionary in a test)."""

    def find_rows(self, endpoint: Endpoint, keys: Sequence[str]) -> dict[str, KnownRow]: ...

    def all_rows(self, endpoint: Endpoint) -> dict[str, KnownRow]: ...


@dataclass
class Outcome:
    """What a sync did, as the ledger tells it. ``gone`` are keys still to be marked removed; ``removed`` counts them."""

    mode: str
    items_total: int | None = None
    active: int | None = None
    new: int = 0
    changed: int = 0
    removed: int = 0
    restored: int = 0
    drifted: int = 0
    waiting: int = 0
    gone: Sequence[str] = ()


def hash_row(row: Mapping[str, Any]) -> str:
    """Hash of a cleaned row, the same whatever the order of its fields."""
    return hashlib.blake2b(json.dumpb(row, sort_keys=True), digest_size=12).hexdigest()


class ListSync:
    """One reading of a list: fed with pages, asked for the next page, the news and the outcome."""

    def __init__(
        self,
        endpoint: Endpoint,
        state: TableState,
        lookup: Lookup,
        *,
        anew: bool = False,
        full_due: bool = False,
        max_removed_share: float = 1.0,
    ) -> None:
        self._endpoint, self._state, self._lookup = endpoint, state, lookup
        self._max_removed_share = max_removed_share
        self._first = anew or state.last_full_at is None
        self._whole = self._first or full_due or endpoint.sync is Sync.WHOLE
        self._known: dict[str, KnownRow] = {}
        self._seen: set[str] = set()  # keys of the present reading
        self._totals: set[int | None] = set()  # itemsTotal, as each page of the present reading gave it
        self._taken: dict[str, str] = {}  # news by key: hash of the content handed on
        self._kinds: dict[str, str] = {}  # news by key: new, changed, restored or drifted
        self._missing: set[str] = set()  # keys that the reading before this one lacked
        self._readings = 1
        self._open_lists = 1
        self.is_done = False
        if self._whole and state.exists:
            self._known = lookup.all_rows(endpoint)

    def next_page(self, page: Page) -> int | None:
        """Takes a page; returns the number of the page to read next, or None when enough was read.

        Raises:
            ListShiftedError: the list changed during each of ``READINGS`` readings.
        """
        keys = [self._key_of(row) for row in page.rows]
        if not self._whole:
            self._known.update(self._lookup.find_rows(self._endpoint, keys))
        self._seen.update(keys)
        self._totals.add(page.items_total)
        following = page.number + 1 if page.has_next else None
        if not self._whole:
            if following and not self._reached_cursor(page):
                return following
            if self._active_after() == page.items_total and len(self._totals) == 1:
                self.finish_list()
                return None
            self._read_whole()
        if following:
            return following
        if self._is_consistent(page) and self._is_proven(page):
            self.finish_list()
            return None
        return self._read_again()

    def _key_of(self, row: Mapping[str, Any]) -> str:
        key = row.get(self._endpoint.key)
        if not isinstance(key, str) or not key:
            raise ApiVideoServerError(
                f"A row of {self._endpoint.path} came without its {self._endpoint.key}; fields: {sorted(row)}."
            )
        return key

    def _reached_cursor(self, page: Page) -> bool:
        cursor = self._state.cursor
        times = [utc(row.get("updatedAt")) for row in page.rows]
        return cursor is None or any(at is not None and at <= cursor - REFETCHED for at in times)

    def _active_after(self) -> int:
        fresh = sum(1 for key in self._seen if key not in self._known or self._known[key].removed)
        return self._state.active + fresh

    def _read_whole(self) -> None:
        """The count does not fit: go on through the list, and compare it with all that is loaded."""
        self._whole = True
        self._known = self._lookup.all_rows(self._endpoint)

    def _is_consistent(self, page: Page) -> bool:
        total = len(self._seen) if page.items_total is None else page.items_total
        return len(self._totals) == 1 and len(self._seen) == total

    def _is_proven(self, page: Page) -> bool:
        """Whether what is gone was missing in two readings in a row, where a list has several pages.

        A row that goes while another comes leaves the count as it is, yet moves the rows between the two across a page's
        border: one reading can lack a row that is listed all the time.
        """
        gone = self._known_active() - self._seen
        proven = page.number == 1 or gone <= self._missing
        self._missing = gone
        return proven

    def _known_active(self) -> set[str]:
        return {key for key, row in self._known.items() if not row.removed}

    def _read_again(self) -> int:
        self._readings += 1
        if self._readings > READINGS:
            raise ListShiftedError(
                f"{self._endpoint.path} kept changing while it was read, {READINGS} times in a row: the last reading "
                f"gave {len(self._seen)} different rows, its pages said {sorted(map(str, self._totals))}. Nothing was "
                "marked removed; the next run tries again."
            )
        self._seen.clear()
        self._totals.clear()
        return 1

    def expect_lists(self, count: int) -> None:
        """Tells of ``count`` more lists to come: one per row of the endpoint's ``via``."""
        self._open_lists += count

    def finish_list(self) -> None:
        """Tells that a list has been read to its end."""
        self._open_lists -= 1
        self.is_done = self._open_lists == 0

    def corrections(self) -> list[dict[str, Any]]:
        """Rows handed on in an earlier reading of a list that shifted, and deleted since: to be taken as gone."""
        return [{self._endpoint.key: key, MISSING: True} for key in self._taken if key not in self._seen]

    def take(self, row: dict[str, Any], now: datetime) -> dict[str, Any] | None:
        """The row to load, if it is news; None where it is loaded already."""
        key, content_hash = self._key_of(row), hash_row(row)
        if row.get(MISSING):
            self._kinds.pop(key)
            return {self._endpoint.key: key, "removed_at": now, "_read_at": now}
        known = self._known.get(key)
        if self._taken.get(key) == content_hash:
            return None
        if key not in self._taken and known and not known.removed and known.content_hash == content_hash:
            return None
        self._taken[key] = content_hash
        self._kinds[key] = self._kind(known, row)
        return {**row, "_content_hash": content_hash, "_read_at": now}

    def _kind(self, known: KnownRow | None, row: Mapping[str, Any]) -> str:
        if known is None:
            return "new"
        if known.removed:
            return "restored"
        cursor, at = self._state.cursor, utc(row.get("updatedAt"))
        unmoved = at is not None and cursor is not None and at == known.updated_at and at <= cursor - REFETCHED
        return "drifted" if unmoved and self._endpoint.sync is Sync.NEWEST_FIRST else "changed"

    def conclude(self) -> Outcome:
        """What the reading came to, once ``is_done``.

        Raises:
            RemovalBrakeError: more rows are gone than the settings let one run remove.
        """
        active = self._known_active() if self._whole else set()
        gone = active - self._seen
        self._check_brake(len(gone), len(active))
        kinds = Counter(self._kinds.values())
        total = next(iter(self._totals), None)
        return Outcome(
            mode="first" if self._first else "full" if self._whole else "changes",
            items_total=len(self._seen) if total is None else total,
            active=self._state.active + kinds["new"] + kinds["restored"] - len(gone),
            new=kinds["new"],
            changed=kinds["changed"] + kinds["drifted"],
            removed=len(gone),
            restored=kinds["restored"],
            drifted=kinds["drifted"],
            gone=sorted(gone - self._taken.keys()),
        )

    def _check_brake(self, gone: int, active: int) -> None:
        if gone >= BRAKE_FROM_ROWS and gone > self._max_removed_share * active:
            raise RemovalBrakeError(
                f"{self._endpoint.name}: {gone} of {active} rows are no longer listed by the API, more than the share "
                f"of {self._max_removed_share:g} that one run may mark removed. Nothing was removed. If this is right, "
                f"run once with {ENV_PREFIX}MAX_REMOVED_SHARE=1; if not, check the key, the environment and the filters."
            )


class DetailSync:
    """One round of single objects: which to ask for, and what became of them."""

    def __init__(self, endpoint: Endpoint, state: DetailState, *, first: bool) -> None:
        self._endpoint, self._state, self._first = endpoint, state, first
        self.parents = {parent.key: parent for parent in state.waiting}
        self._kinds: dict[str, str] = {}
        self._gone: list[str] = []

    @property
    def is_done(self) -> bool:
        """Whether every object that was asked for has been answered."""
        return len(self._kinds) == len(self.parents)

    def take(self, row: dict[str, Any], now: datetime) -> dict[str, Any] | None:
        """The row to load. A 404 becomes a row that is removed from the start: it remembers that there is none.

        None where a loaded object turned out deleted: that row keeps its content and is marked removed.
        """
        parent = self.parents[row[self._endpoint.key]]
        gone = bool(row.get(MISSING))
        content = {} if gone else row
        content_hash = hash_row(content)
        self._kinds[parent.key] = kind = self._kind(parent, content_hash, gone)
        if kind == "removed":
            self._gone.append(parent.key)
            return None
        return {
            **content,
            self._endpoint.key: parent.key,
            "_content_hash": content_hash,
            "_parent_hash": parent.content_hash,
            "_is_final": gone or self._endpoint.is_final(content),
            "_read_at": now,
            "removed_at": now if gone else None,
        }

    @staticmethod
    def _kind(parent: Parent, content_hash: str, gone: bool) -> str:
        was_active = parent.loaded is not None and not parent.loaded.removed
        if gone:
            return "removed" if was_active else "missing"
        if parent.loaded is None:
            return "new"
        if not was_active:
            return "restored"
        return "same" if parent.loaded.content_hash == content_hash else "changed"

    def conclude(self, orphans: int) -> Outcome:
        """What the round came to; ``orphans`` are details whose parents are gone, marked removed already."""
        kinds, state = Counter(self._kinds.values()), self._state
        missing = state.missing + kinds["removed"] + kinds["missing"]
        return Outcome(
            mode="first" if self._first else "changes",
            items_total=state.parents - missing,
            active=state.active + kinds["new"] + kinds["restored"] - kinds["removed"],
            new=kinds["new"],
            changed=kinds["changed"],
            removed=kinds["removed"] + orphans,
            restored=kinds["restored"],
            waiting=state.waiting_total - len(self.parents),
            gone=self._gone,
        )


def is_full_due(state: TableState, full_check_hours: float, now: datetime) -> bool:
    """Whether the whole list was last compared long enough ago."""
    if state.last_full_at is None or full_check_hours == 0:
        return True
    return now - state.last_full_at >= timedelta(hours=full_check_hours)
