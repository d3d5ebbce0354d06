"""Reconciliation: reads a whole list, decides which rows are gone, and whether that is proven. No network, no SQL.

If the list changes during the reading, the reading is repaired, not discarded (``page_walk``). If the rows do not add up to
the total, a short list is read again, a long one by the next run. A row that the reading lacks is gone if the list stood
still and its rows add up to the total; otherwise only if the API answers 404 for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from itertools import chain

from include.api_video.api.answers import Page
from include.api_video.catalog.model import Endpoint
from include.api_video.errors import ApiVideoError, ApiVideoRequestError
from include.api_video.sync.page_walk import ReadingStopped, Walk
from include.api_video.sync.removal import FetchSingly, PageRequests, SingleFetches, find_gone, tells_removals
from include.api_video.sync.search import is_worth_it

READINGS = 3  # of a short list whose rows do not add up to its total
FEW_PAGES = 10  # of a short list; a longer one is read again by the next run instead


class WholeReading:
    """One run over a whole list, in one reading or a few.

    Args:
        is_newest_first: whether changed rows move to the top; asked again, since the pages may prove it wrong.
        known_active: keys of loaded rows that are not removed.
        emitted: keys of rows that this run has emitted so far.
        off_before: by how much the total exceeded the rows listed in an earlier run.
        most_fetched: most rows to fetch singly to prove them gone.
        check_brake: returns the error if so many rows must not be marked removed, else None.

    Attributes:
        off: ``off_before`` as measured by this run; None if the list was not read to its end.
        unproven: why the table may differ from the list, with both figures.
        brake: why nothing was marked removed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        walk: Walk,
        fetched: SingleFetches,
        *,
        fetch: FetchSingly | None,
        is_newest_first: Callable[[], bool],
        known_active: Collection[str],
        emitted: Collection[str],
        off_before: int,
        most_fetched: int,
        check_brake: Callable[[int], ApiVideoError | None],
    ) -> None:
        self._endpoint, self._walk, self._fetched, self._fetch = endpoint, walk, fetched, fetch
        self._is_newest_first, self._known_active, self._emitted = is_newest_first, known_active, emitted
        self._off_before, self._most_fetched, self._check_brake = off_before, most_fetched, check_brake
        self._readings = 0
        self.off: int | None = None
        self.unproven: str | None = None
        self.brake: ApiVideoError | None = None

    @property
    def _total(self) -> int | None:
        return self._walk.top.items_total if self._walk.top else None

    def _count_listed(self) -> int:
        """How many distinct rows this run saw, on pages or fetched singly, without those found gone since."""
        seen, fetched = self._walk.seen, self._fetched
        return len(seen) + sum(key not in seen for key in fetched.rows) - sum(key in seen for key in fetched.gone)

    @property
    def times(self) -> int:
        """How often the list was read."""
        return self._readings

    def read(self, first: Page, last: Page) -> PageRequests:
        """Reads every page after ``last``; reads a short list again if its rows do not add up to its total.

        Raises:
            ReadingStopped: the first reading did not reach the end.
        """
        before: set[str] = set()
        few = (first.pages_total or 0) <= FEW_PAGES
        while True:
            self._readings += 1
            self._fetched.clear()
            try:
                stood_still = yield from self._read_once(first, last, before)
            except ReadingStopped as stopped:
                if self._readings == 1:
                    raise
                self.unproven = self._in_words(f"Another reading stopped: {stopped.error}")
                return
            most = READINGS if few else 1 if self._is_newest_first() else 2
            if self._is_enough(stood_still) or self._readings >= most:
                break
            before = set(self._walk.seen)
            first = last = yield 1
            self._walk.begin(first)
        if self._is_newest_first() and not stood_still:
            yield from self._find_withdrawn()
        self._decide(stood_still)

    def _read_once(self, first: Page, last: Page, before: set[str]) -> Generator[int, Page, bool]:
        """Reads all pages after ``last``, then the top again; returns whether the list stood still.

        A list not sorted newest first shows an added row only to a second reading. It counts as still if it has the same
        rows as the reading before, or as the table.
        """
        walk, refused = self._walk, False
        try:
            yield from walk.read_on(last, lambda _: False, ahead=True)
        except ReadingStopped as stopped:
            # Permanent, not transient: this list refuses every page from some number on.
            if not isinstance(stopped.error, ApiVideoRequestError) or self._endpoint.sort_by is None:
                raise
            refused = True
            yield from self._read_other_end(stopped.number, stopped.error)
        if first.has_next and self._is_newest_first():
            if not (yield from walk.read_top_again(first)):
                return not walk.has_moved
            walk.may_lack |= refused  # rows moved, and reading from the other end does not correct for it
            return False
        keys = walk.seen.keys()
        is_as_before = not first.has_next or keys == before or keys == set(self._known_active)
        return is_as_before and not walk.has_moved

    def _read_other_end(self, refused: int, error: ApiVideoRequestError) -> PageRequests:
        """Reads the pages that the API refuses from the other end of the list."""
        try:
            yield from self._walk.read_other_end(refused - 1)
        except ReadingStopped as stopped:
            if not isinstance(stopped.error, ApiVideoRequestError):
                raise
        missing = (self._total or 0) - len(self._walk.seen)
        if missing > 0:
            rows = f"{missing} of {self._total} rows are reached from neither end"
            self.unproven = f"api.video gives no page from number {refused} on, and {rows}. {error}"

    def _is_enough(self, stood_still: bool) -> bool:
        """Whether another reading would add nothing."""
        fits = self._total is None or self._count_listed() == self._total
        if self._is_newest_first():
            return (fits and not self._walk.may_lack) or (stood_still and self._is_known_offset())
        return stood_still and (fits or self._readings > 1 or self._is_known_offset())

    def _is_known_offset(self) -> bool:
        return bool(self._off_before) and (self._total or 0) - self._count_listed() == self._off_before

    def _find_withdrawn(self) -> PageRequests:
        """Finds rows that were withdrawn from the list after they were read."""
        top, lost = self._walk.top, self._count_listed() - (self._total or 0)
        if self._fetch and top and lost > 0 and is_worth_it(lost, top.pages_total or 0):
            first = yield from self._walk.page(1)
            yield from find_gone(
                self._endpoint, self._walk, self._fetched, self._fetch, first, self._walk.seen, self._count_listed()
            )

    def _decide(self, stood_still: bool) -> None:
        """Decides which rows are gone, and whether the table is proven equal to the list."""
        walk, gone = self._walk, self._fetched.gone
        total = self._count_listed() if self._total is None else self._total
        unlisted = {key for key in chain(self._known_active, self._emitted) if key not in walk.seen and key not in gone}
        is_exact = stood_still and self._count_listed() == total
        can_fetch, has_offset = self._fetch is not None, bool(self._off_before)
        if is_exact and tells_removals(walk.top, len(unlisted), can_fetch=can_fetch, has_offset=has_offset):
            gone |= unlisted
        else:
            self._fetch_unlisted(unlisted)
        unlisted -= gone | self._fetched.rows.keys()
        off = total - self._count_listed()
        self.off = off if stood_still else self._off_before
        if unlisted:
            self.unproven = self._in_words(f"{len(unlisted)} more are loaded and could not be checked one by one")
        elif off or walk.may_lack:
            self.unproven = self.unproven or self._in_words("" if stood_still else "The list changed while it was read")
        else:
            self.unproven = None

    def _fetch_unlisted(self, unlisted: Collection[str]) -> None:
        """Fetches unlisted rows singly: those with a 404 are gone."""
        unreached = max(0, (self._total or 0) - self._count_listed())
        self.brake = self._check_brake(sum(key in unlisted for key in self._known_active) - unreached)
        if self._fetch and unlisted and not self.brake:
            self._fetched.take(self._fetch(sorted(unlisted)[: self._most_fetched]), self._endpoint.key)

    def _in_words(self, reason: str) -> str:
        times = {1: "one reading", 2: "two readings", 3: "three readings"}[self._readings]
        said = f"api.video says {self._total}, {times} listed {self._count_listed()} different {self._endpoint.name}"
        return f"{said}. {reason}." if reason else f"{said}."
