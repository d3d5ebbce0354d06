"""Syncs a list: decides how far to read, which rows are gone, and whether the table is proven equal. No network, no SQL.

An incremental run reads page 1, newest first, which also gives the total, and continues down to the cursor. If the active
rows then add up to the total, nothing else changed and the run is done. If some rows are gone, it finds them (``removal``).
It reads the whole list (``whole_reading``) at the first load, when a reconciliation is due, or if the count still differs.

Every row that was read is loaded, whatever else happens. Only two things need proof: that a row is gone, and that the
table equals the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from include.api_video.api.answers import Page
from include.api_video.api.client import MISSING, ODD
from include.api_video.catalog.model import MAX_PAGE_SIZE, Endpoint
from include.api_video.catalog.naming import PARTIAL
from include.api_video.catalog.storable import utc
from include.api_video.errors import ApiVideoError, ApiVideoRequestError, ApiVideoServerError, RemovalBrakeError
from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from include.api_video.sync.news import News
from include.api_video.sync.outcome import Outcome
from include.api_video.sync.page_walk import ReadingStopped, Walk, reaches
from include.api_video.sync.removal import FetchSingly, PageRequests, RemovalBrake, SingleFetches, find_gone
from include.api_video.sync.search import is_worth_it
from include.api_video.sync.state import KnownRow, TableState
from include.api_video.sync.whole_reading import WholeReading

DEFAULT_MOST_FETCHED = 1000


class Lookup(Protocol):
    """What a list sync asks of the warehouse (``ListQueries``; a dictionary in tests)."""

    def find_rows(self, keys: Sequence[str]) -> dict[str, KnownRow]: ...

    def all_rows(self) -> dict[str, KnownRow]: ...


class ListSync:
    """One run over a list. Takes pages; gives the number of the next page, the rows to load and the outcome.

    Args:
        fetch: fetches single objects; None if the API has no path for them, or if filters are set, which that path ignores.
        moved: keys of rows that moved to or from the bin (``Endpoint.bin``); they are fetched singly.
        may_have_moved: a list without a cursor may have changed even if page 1 looks the same.
        full_refresh: forget what is loaded.
        full_due: a reconciliation is due: read the whole list.
        most_fetched: most rows to fetch singly in one run to prove them gone.

    Attributes:
        stopped_by: the error that ended the reading early.
    """

    _has_total: ClassVar[bool] = True  # whether the API says how many rows there are

    def __init__(
        self,
        endpoint: Endpoint,
        state: TableState,
        lookup: Lookup,
        *,
        fetch: FetchSingly | None = None,
        moved: Sequence[str] = (),
        may_have_moved: bool = False,
        full_refresh: bool = False,
        full_due: bool = False,
        most_fetched: int = DEFAULT_MOST_FETCHED,
        max_removed_share: float = 1.0,
        brake_variable: str = DEFAULT_ACCOUNT.variable("max_removed_share"),
    ) -> None:
        self._endpoint, self._state, self._lookup, self._fetch = endpoint, state, lookup, fetch
        self._moved, self._may_have_moved, self._most_fetched = moved, may_have_moved, most_fetched
        self._brake = RemovalBrake(endpoint.name, max_removed_share, brake_variable)
        self._first = full_refresh or state.last_full_at is None
        self._whole = self._first or full_due or endpoint.sync.is_always_whole
        self._known: dict[str, KnownRow] = {}
        self._walk = Walk(endpoint.sync.has_cursor, self._key_of, self._on_page)
        self._news = News(endpoint, state.cursor)
        self._off_before = state.total_off
        self._off: int | None = None  # the same, as measured by this run's whole reading
        self._is_offset_new = False
        self._fetched = SingleFetches()
        self._unproven: str | None = state.unproven if self._off_before else None
        self._steps: PageRequests | None = None
        self._number = 1  # of the requested page
        self.stopped_by: ApiVideoError | None = None
        self.is_done = False
        if self._whole and state.exists:
            self._known = lookup.all_rows()

    @property
    def expected_requests(self) -> int:
        """Estimated requests of this run, from the rows already loaded; a first load knows only after page 1."""
        if not self._whole:
            return 1 + len(self._moved)
        rows = self._total if self._first and self._walk.newest else self._state.active
        pages = max(1, -(-(rows or 0) // MAX_PAGE_SIZE))
        is_last_full = (rows or 0) % MAX_PAGE_SIZE == 0  # then read one more: the API may cap its total at a round number
        return pages + (pages > 1) * (self._is_newest_first + is_last_full)

    @property
    def last_wanted(self) -> int:
        """Number of the last page that is certain to be needed, so that pages can be read ahead; 0 if unknown."""
        return self._walk.ahead_to

    @property
    def lists_left(self) -> int | None:
        """How many lists are left to read, where there may be many (``UncountedLists``); else None."""
        return None

    @property
    def compared(self) -> Iterator[str]:
        """Keys of loaded rows that were read again."""
        return (key for key in self._walk.seen if key in self._known)

    @property
    def has_versions(self) -> bool:
        """Whether a row changed during the run, so that two versions of it are in this load."""
        return self._news.has_versions

    @property
    def _is_newest_first(self) -> bool:
        """Whether changed rows move to the top of the list."""
        return self._endpoint.sync.has_cursor and self._state.is_sorted and self._walk.is_sorted

    @property
    def _total(self) -> int | None:
        """``itemsTotal`` of the latest page 1, which is also the page that shows changes."""
        return self._walk.top.items_total if self._walk.top else None

    @property
    def _listed(self) -> int:
        """How many distinct rows this run saw, on pages or fetched singly."""
        return len(self._walk.seen) + sum(key not in self._walk.seen for key in self._fetched.rows)

    # --- reading -----------------------------------------------------------------------------------------------------

    def next_page(self, page: Page) -> int | None:
        """Takes a page; returns the number of the page to read next, or None when done.

        A negative number counts pages from the other end of the list.
        """
        if self._steps is None:
            self._steps = self._read()
            next(self._steps)  # page 1, which is here already
        # Trust the requested number, not the answer's: an API that ignores currentPage would announce more pages forever.
        number, pages = self._number, page.pages_total
        has_next = page.has_next if pages is None else abs(number) < pages
        steps, taken = self._steps, replace(page, number=number, has_next=has_next)
        return self._step(lambda: steps.send(taken))

    def stop(self, error: ApiVideoError) -> int | None:
        """Reports that the API failed to give the requested page; returns the number of the page to read instead."""
        if self._steps is None:
            raise error
        steps = self._steps
        return self._step(lambda: steps.throw(ReadingStopped(error, self._number)))

    def _step(self, go: Callable[[], int]) -> int | None:
        try:
            self._number = go()
        except StopIteration:
            self.is_done = True
            return None
        return self._number

    def _read(self) -> PageRequests:
        page = yield 1
        self._walk.begin(page)
        try:
            yield from self._read_from(page)
        except ReadingStopped as stopped:
            self.stopped_by = stopped.error

    def _read_from(self, first: Page) -> PageRequests:
        if not self._whole and self._is_newest_first and not self._is_undated:
            yield from self._read_changes(first)
        elif self._whole or not first.has_next or self._has_moved() or self._endpoint.sync.has_cursor:
            yield from self._read_whole(first, first)

    @property
    def _is_undated(self) -> bool:
        """Whether rows may change without the cursor showing it."""
        return self._state.undated > 0 or (self._state.cursor is None and self._state.active > 0)

    def _on_page(self, keys: list[str]) -> None:
        if not self._whole:
            self._ask_warehouse(keys)

    def _ask_warehouse(self, keys: Sequence[str]) -> None:
        unknown = [key for key in keys if key not in self._known]
        self._known.update(self._lookup.find_rows(unknown) if unknown else {})

    def _key_of(self, row: Mapping[str, Any]) -> str:
        key = row.get(self._endpoint.key)
        if not isinstance(key, str) or not key:
            raise ApiVideoServerError(
                f"A row of {self._endpoint.path} came without its {self._endpoint.key}; fields: {sorted(row)}."
            )
        return key

    # --- only what changed --------------------------------------------------------------------------------------------

    def _read_changes(self, first: Page) -> PageRequests:
        """Reads down to the cursor; if the count still differs, finds the removed rows or reads the whole list."""
        try:
            yield from self._read_to_cursor(first)
        except ReadingStopped as stopped:
            if not isinstance(stopped.error, ApiVideoRequestError):
                raise
            # A page was refused, empty or a repeat: the whole list may show the rows it should have held.
            first = yield 1
            self._walk.begin(first)
            yield from self._read_whole(first, first)

    def _read_to_cursor(self, first: Page) -> PageRequests:
        walk, cursor = self._walk, self._state.cursor
        top, last = first, (yield from walk.read_on(first, lambda page: reaches(page, cursor)))
        begin_again = False
        if last.number > 1:
            begin_again = yield from walk.read_top_again(first)
            top = walk.top or first
        self._ask_for_moved(top)
        lost = self._count_lost()
        if lost > 0 and self._fetch and is_worth_it(lost, top.pages_total or 0):
            begin_again = True
            self._known = self._lookup.all_rows()
            loaded = {key: row.updated_at for key, row in self._known.items() if not row.removed}
            believed, count = {**loaded, **walk.seen}, self._active_after() + self._off_before
            yield from find_gone(self._endpoint, walk, self._fetched, self._fetch, top, believed, count)
        if self._count_lost() or walk.may_lack or not self._is_newest_first:
            if begin_again or walk.may_lack:
                first = last = yield 1
                walk.begin(first)
            yield from self._read_whole(first, last)

    def _count_news(self) -> int:
        seen = self._walk.seen.items()
        return sum(1 for key, at in seen if key not in self._known or self._known[key].updated_at not in (None, at))

    def _active_after(self) -> int:
        keys = self._walk.seen.keys() | self._fetched.rows.keys()
        fresh = sum(1 for key in keys if key not in self._known or self._known[key].removed)
        return self._state.active + fresh - len(self._fetched.gone & self._known_active())

    def _count_lost(self) -> int:
        """How many more active rows the table would have than the API lists; negative if the API lists more."""
        if self._total is None:
            return 0
        return self._active_after() + self._off_before - (self._total or 0)

    def _ask_for_moved(self, first: Page) -> None:
        """Fetches rows that moved to or from the bin: whether a move changes updatedAt is not documented."""
        keys = [key for key in self._moved if key not in self._walk.seen]
        if not self._fetch or not keys or len(keys) > (first.pages_total or 0) + MAX_PAGE_SIZE:
            return  # the count check catches them
        self._ask_warehouse(keys)
        self._fetched.take(self._fetch(keys), self._endpoint.key)

    def _has_moved(self) -> bool:
        """Whether a list without a cursor may have changed beyond page 1, judging by its total and the rows of page 1."""
        return self._may_have_moved or self._count_lost() != 0 or self._count_news() > 0

    # --- the whole list -----------------------------------------------------------------------------------------------

    def _read_whole(self, first: Page, last: Page) -> PageRequests:
        if not self._whole:
            self._whole, self._known = True, self._lookup.all_rows()
        reading = WholeReading(
            self._endpoint,
            self._walk,
            self._fetched,
            fetch=self._fetch,
            is_newest_first=lambda: self._is_newest_first,
            known_active=self._known_active(),
            emitted=self._news.keys,
            off_before=self._off_before,
            most_fetched=self._most_fetched,
            check_brake=self._check_brake,
        )
        yield from reading.read(first, last)
        self._off, self._unproven, self.stopped_by = reading.off, reading.unproven, reading.brake
        # A long list is read once per run: the next run reads it again, and trusts the offset if it finds the same one.
        self._is_offset_new = bool(reading.off) and reading.off != self._off_before and reading.times == 1

    def _known_active(self) -> set[str]:
        return {key for key, row in self._known.items() if not row.removed}

    def finish_list(self) -> None:
        """Reports that the API does not have this list.

        Raises:
            ApiVideoRequestError: always; of many lists, one may be gone (``UncountedLists``).
        """
        raise ApiVideoRequestError(f"api.video has no {self._endpoint.listed_path or self._endpoint.path} (404).", 404)

    # --- rows to load ---------------------------------------------------------------------------------------------------

    def late_rows(self) -> list[dict[str, Any]]:
        """Rows to emit after the last page: fetched singly, or withdrawn since they were emitted from an earlier page."""
        lost = [] if self._check_brake() else [key for key in self._news.keys if key in self._fetched.gone]
        return [*self._fetched.rows.values(), *({self._endpoint.key: key, MISSING: True} for key in lost)]

    def take(self, row: dict[str, Any], now: datetime, written: bytes | None = None) -> dict[str, Any] | None:
        """Returns the row to load; None if it is loaded already, or older than a version this run has read.

        ``written`` is the row as JSON, if already serialized.
        """
        key = self._key_of(row)
        at, newest = None if ODD in row else utc(row.get("updatedAt")), self._walk.seen.get(key)
        if at and newest and at < newest:
            return None  # stale: from a server that lags behind the one that sent the newer version
        return self._news.take(key, row, self._known.get(key), now, written)

    def outcome(self) -> Outcome:
        """Returns the outcome of the run. Call it once ``is_done``."""
        gone, kinds = self._known_active() & self._fetched.gone, self._news.count()
        if brake := self._check_brake():
            self.stopped_by, gone = brake, set()
        if self.stopped_by:
            total = "an unknown number" if self._walk.newest is None else self._total
            self._unproven = f"api.video says {total}, {self._listed} were read. {self.stopped_by}"
        elif self._total is None and self._has_total:
            said = f"api.video does not say how many {self._endpoint.name} there are"
            self._unproven = f"{said}, {self._state.active if not self._whole else self._listed} are known."
        is_partial = self._is_offset_new or bool(self.stopped_by) or (self._whole and self._walk.may_lack)
        return Outcome(
            mode=PARTIAL if is_partial else "first" if self._first else "full" if self._whole else "changes",
            items_total=self._listed if self._total is None else self._total,
            active=self._state.active + kinds["new"] + kinds["restored"] - len(gone),
            new=kinds["new"],
            changed=kinds["changed"] + kinds["drifted"],
            removed=len(gone) + self._state.unaccounted,
            restored=kinds["restored"],
            drifted=kinds["drifted"],
            gone=sorted(gone.difference(self._news.keys)),
            total_off=self._off_before if self._off is None or (is_partial and not self._is_offset_new) else self._off,
            is_sorted=self._walk.is_sorted and (self._state.is_sorted or (self._whole and not is_partial)),
            unproven=self._unproven,
            stopped_by=self.stopped_by,
        )

    def _check_brake(self, unlisted: int = 0) -> RemovalBrakeError | None:
        active = len(self._known_active()) if self._whole else self._state.active
        return self._brake.find(max(unlisted, len(self._known_active() & self._fetched.gone)), active)


def is_full_due(state: TableState, full_check_hours: float, now: datetime) -> bool:
    """Whether the next reconciliation, a reading of the whole list, is due."""
    if state.last_full_at is None or full_check_hours == 0:
        return True
    return now - state.last_full_at >= timedelta(hours=full_check_hours)
