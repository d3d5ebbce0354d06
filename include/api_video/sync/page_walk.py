"""Walks through a sorted list while it changes: decides which page comes next, and whether a row may have been missed.

In a list sorted newest first, a changed row jumps to the top and pushes the rows above its old place down: those come
twice, none is missed. Only a row that leaves the list pulls others up, past the end of a page already read; ``itemsTotal``
then falls by at least as many rows. So the walk tracks how many rows from the top it has covered, subtracts what the total
fell by, and continues at the page where that place is now.

Pages read ahead show the list at slightly different moments. While no row repeats and the total stays the same, nothing
moved between them. Once something moves, they are dropped, and the walk reads one page at a time until the list has been
calm for a while.
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
from include.api_video.catalog.storable import utc
from include.api_video.errors import ApiVideoError, ApiVideoRequestError

MOST_TOPS = 5  # catch-up readings, each of what changed during the one before
CALM_PAGES = 16  # in a row without a move, before the walk reads ahead again
MOST_STEPS_BACK = 2  # pages to go back, per page of the list: a total that jumps must not keep the walk going forever
# Timestamps have no fraction (api.video's openapi.yaml), so the rows of the cursor's own second are read again.
CURSOR_OVERLAP = timedelta(seconds=1)

# Yields the number of the page to read, receives the page. A negative number counts from the other end of the list.
Pages = Generator[int, Page, Page]


class ReadingStopped(Exception):  # noqa: N818  # control flow: it ends a walk
    """The API failed to give page ``number``; thrown into the walk that waits for it."""

    def __init__(self, error: ApiVideoError, number: int) -> None:
        super().__init__(str(error))
        self.error, self.number = error, number


class Walk:
    """A walk through a list: what was seen since ``begin``.

    Args:
        is_dated: whether the list is requested newest first.
        key_of: a row's key.
        on_page: called with each page's keys before its rows count as seen.

    Attributes:
        seen: newest ``updatedAt`` seen, by key.
        top: the latest page 1.
        newest: the page that arrived last.
        has_moved: whether the total changed during the walk.
        may_lack: whether a row may have been missed.
        is_sorted: whether all pages came newest first, as requested.
        ahead_to: the last page that may be read ahead; 0 to read one page at a time.
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
        """Starts over at page ``first``."""
        self.seen, self.has_moved, self.may_lack = {}, False, False
        self.take(first)

    def page(self, number: int) -> Pages:
        """Requests a page and takes it."""
        page = yield number
        self.take(page)
        return page

    def take(self, page: Page) -> int:
        """Takes a page; returns how many of its rows were seen before."""
        # A malformed row's updatedAt says nothing about the order.
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
        """Reads on after ``page`` to the end of the list, or until ``is_enough``; returns the last page.

        Raises:
            ReadingStopped: the API failed to give a page that it had announced.
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
                        return page  # beyond the announced last page: the list has ended
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
                    break  # nothing new beyond the announced last page
        finally:
            self.ahead_to = 0
        return page

    def _once_more(self, page: Page, is_repeat: bool) -> Pages:
        """Requests a page again that is not the last one, yet too short or without a new row.

        Raises:
            ReadingStopped: it is empty again: the list ends before its announced last page.
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
        # Continue after a full last page: rows may exceed the announced pages, or the API may cap its total.
        is_full = len(page.rows) >= size
        return is_full and (len(self.seen) < (page.items_total or 0) or (size >= MAX_PAGE_SIZE and page.number > 1))

    def read_top_again(self, first: Page) -> Generator[int, Page, bool]:
        """Reads what changed since ``first``, which is now at the top of the list; returns whether anything changed.

        Repeats until all changes fit on page 1: one answer is one moment, and ``seen`` then has every row listed at it.
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
        """Whether two answers for a page agree: same total, same rows, none updated."""
        # Ignore the order: rows of the same second may swap. Ignore the content: private videos' URLs carry a new token in
        # each answer (guide, delivery/video-privacy-access-management).
        first, second = ({(self.key_of(row), repr(row.get("updatedAt"))) for row in page.rows} for page in (one, other))
        return first == second and one.items_total == other.items_total

    def read_other_end(self, reached: int) -> Generator[int, Page, None]:
        """Reads from the other end of the list up to what was seen, since the API refuses every page after ``reached``.

        Raises:
            ReadingStopped: the API refused a page from that end, too.
        """
        pages = (self.top.pages_total or 0) if self.top else 0
        for number in range(1, pages - reached + 2):
            page = yield -number
            before = len(self.seen)
            self.take(page)
            if len(self.seen) == before:
                return  # nothing new: the two ends have met


def _newest(page: Page) -> datetime | None:
    return max((at for row in page.rows if (at := utc(row.get("updatedAt")))), default=None)


def reaches(page: Page, until: datetime | None) -> bool:
    """Whether a page has a row at least a second older than ``until``."""
    times = [utc(row.get("updatedAt")) for row in page.rows]
    return until is None or any(at is not None and at <= until - CURSOR_OVERLAP for at in times)
