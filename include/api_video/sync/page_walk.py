"""Walks through a sorted list while it changes: which page comes next, and whether a row can have slipped through.

What changes goes to the top of a list that is sorted newest first, and moves the rows above its old place down: such rows
come twice, none is missed. Only a row that goes moves others up, past the end of a page that was read; ``itemsTotal`` falls
then, by as many rows at least as moved. So it is enough to know how far from the top everything has been seen, to take off
what the total fell by, and to go on at the page where that place is now.

Pages that are asked for ahead arrive as they were at slightly different moments, in any order. As long as no row comes
twice and the total stands still, nothing moved between them. Where something did, they are dropped and the walk goes on one
page at a time, until the list has been calm for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from include.api_video.api.answers import Page
from include.api_video.api.client import ODD
from include.api_video.catalog.model import MAX_PAGE_SIZE
from include.api_video.catalog.values import utc
from include.api_video.errors import ApiVideoError, ApiVideoRequestError

MOST_TOPS = 5  # readings of what changed during the reading before
CALM_PAGES = 16  # in a row without a move, before pages are asked for ahead again
MOST_STEPS_BACK = 2  # pages, of a walk, for each page of the list: a total that jumps must not keep it for ever
REFETCHED = timedelta(seconds=1)  # time stamps have no fraction: rows of the cursor's own second are read again

# Pages are asked for by number, and come in as they arrive. A negative number counts from the other end of the list.
Pages = Generator[int, Page, Page]


class ReadingStopped(Exception):  # noqa: N818  # no fault of the code: it ends a walk
    """The API did not give the page of this ``number``; thrown into the walk that waits for it."""

    def __init__(self, error: ApiVideoError, number: int) -> None:
        super().__init__(str(error))
        self.error, self.number = error, number


class Walk:
    """What was seen of a list since ``begin``.

    Args:
        is_dated: whether the list is asked for newest first.
        key_of: a row's key.
        on_page: called with the keys of each page before its rows are taken.

    Attributes:
        seen: updatedAt by key of the rows that were listed, the newest that was seen.
        top: page 1, as it was read last.
        newest: the page that came last.
        has_moved: whether the total changed meanwhile.
        may_lack: whether a row may have slipped through.
        is_sorted: whether all pages came newest first, as they were asked for.
        ahead_to: the last page that may be asked for ahead; 0: one page at a time.
    """

    def __init__(
        self,
        is_dated: bool,
        key_of: Callable[[Mapping[str, Any]], str],
        on_page: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        self._is_dated, self.key_of, self._on_page = is_dated, key_of, on_page
        self.seen: dict[str, datetime | None] = {}
        self.has_moved = self.may_lack = False
        self.is_sorted = True
        self.ahead_to = 0
        self.top: Page | None = None
        self.newest: Page | None = None

    def begin(self, first: Page) -> None:
        """Forgets what was seen; ``first`` is the first page of what follows."""
        self.seen, self.has_moved, self.may_lack = {}, False, False
        self.take(first)

    def page(self, number: int) -> Pages:
        """Asks for a page, and takes it."""
        page = yield number
        self.take(page)
        return page

    def take(self, page: Page) -> int:
        """Takes a page; returns how many of its rows had been seen."""
        # What a row says of itself that cannot be one, is no word about the order.
        times = {self.key_of(row): None if ODD in row else utc(row.get("updatedAt")) for row in page.rows}
        self._on_page(list(times))
        again = sum(key in self.seen for key in times)
        for key, at in times.items():
            before = self.seen.get(key)
            self.seen[key] = before if at and before and at < before else at
        if page.number == 1:
            self.top = page
        if self._is_dated and page.number > 0:
            dated = [at for at in times.values() if at]
            self.is_sorted &= all(later <= earlier for earlier, later in pairwise(dated))
        self.newest = page
        return again

    def read_on(self, page: Page, is_enough: Callable[[Page], bool], *, ahead: bool = False) -> Pages:
        """Reads on after ``page``, to the end of the list or to a page that is enough; returns the last one.

        Raises:
            ReadingStopped: the API did not give a page that it had announced.
        """
        size = (len(self.top.rows) if self.top else 0) or MAX_PAGE_SIZE
        covered, total, calm, steps_back = page.number * size, page.items_total or 0, CALM_PAGES, 0
        furthest = page.number
        try:
            while not is_enough(page) and self._goes_on(page, size):
                self.ahead_to = (page.pages_total or 0) if ahead and calm >= CALM_PAGES else 0
                number = covered // size + 1
                try:
                    following = yield number
                except ReadingStopped:
                    if number > (page.pages_total or 0):
                        return page  # there was nothing to come, by its own word
                    raise
                again, is_first_time = self.take(following), number > furthest
                furthest = max(furthest, number)
                is_repeat = again == len(following.rows)
                if is_first_time and following.has_next and (is_repeat or len(following.rows) < size):
                    following, again, calm = (yield from self._once_more(following, is_repeat)), 0, 0
                fell, total = total - (following.items_total or 0), following.items_total or 0
                covered = max(0, covered - max(0, fell))
                self.has_moved |= fell != 0
                calm = calm + 1 if fell == 0 and not (again and is_first_time) else 0
                if (number - 1) * size > covered:  # rows moved up between the two pages
                    steps_back += max(1, number - covered // size - 1)
                    if steps_back <= MOST_STEPS_BACK * max(1, page.pages_total or 0):
                        continue
                    self.may_lack = True
                covered, page = max(covered, number * size), following
                if again == len(following.rows) and number > (following.pages_total or 0):
                    break  # nothing new beyond the last page
        finally:
            self.ahead_to = 0
        return page

    def _once_more(self, page: Page, is_repeat: bool) -> Pages:
        """Asks again for a page that is shorter than it should be, or has nothing new, and yet is not the last one.

        Raises:
            ReadingStopped: it is empty the second time, too: the list ends before its end.
        """
        self.ahead_to, before = 0, len(self.seen)
        again = yield from self.page(page.number)
        if again.has_next and not again.rows:
            what = f"Page {page.number} of {page.pages_total} is empty."
            raise ReadingStopped(ApiVideoRequestError(what), page.number)
        self.may_lack |= is_repeat and again.has_next and len(self.seen) == before
        return again

    def _goes_on(self, page: Page, size: int) -> bool:
        if page.has_next:
            return bool(page.rows) or page.number == 1
        # More rows than fit on the pages that were announced; or a total that stops at some number.
        is_full = len(page.rows) >= size
        return is_full and (len(self.seen) < (page.items_total or 0) or (size >= MAX_PAGE_SIZE and page.number > 1))

    def read_top_again(self, first: Page) -> Generator[int, Page, bool]:
        """Reads what changed since ``first`` was read, which is on top of the list now; returns whether anything did.

        Until that is on page 1 alone: one answer is one moment, and ``seen`` has all that was listed at it.
        """
        again = yield from self.page(1)
        if self._looks_alike(first, again):
            return False
        for _ in range(MOST_TOPS):
            if (yield from self.read_on(again, partial(reaches, until=_newest(first)))) is again:
                return True
            first, again = self.top or again, (yield from self.page(1))
            if self._looks_alike(first, again):
                return True
        self.may_lack = True
        return True

    def _looks_alike(self, one: Page, other: Page) -> bool:
        """Whether two answers for a page say the same: as many rows in all, the same rows here, none of them updated."""
        # In any order, since rows of one second may come in another one each time; not by content: URLs carry new tokens.
        first, second = ({(self.key_of(row), repr(row.get("updatedAt"))) for row in page.rows} for page in (one, other))
        return first == second and one.items_total == other.items_total

    def read_other_end(self, reached: int) -> Generator[int, Page, None]:
        """Reads from the other end of the list up to what was seen, where no page after ``reached`` is given.

        Raises:
            ReadingStopped: there, too, a page was not given.
        """
        pages = (self.top.pages_total or 0) if self.top else 0
        for number in range(1, pages - reached + 2):
            page = yield -number
            before = len(self.seen)
            self.take(page)
            if len(self.seen) == before:
                return  # nothing of this page is new: the two ends have met


def _newest(page: Page) -> datetime | None:
    return max((at for row in page.rows if (at := utc(row.get("updatedAt")))), default=None)


def reaches(page: Page, until: datetime | None) -> bool:
    """Whether a page has a row that is older than the second of ``until``."""
    times = [utc(row.get("updatedAt")) for row in page.rows]
    return until is None or any(at is not None and at <= until - REFETCHED for at in times)
