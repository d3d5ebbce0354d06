"""Finds which rows of a sorted list are gone without reading it: by halves, as one finds a page in a book.

The list is sorted by updatedAt, newest first, and so is what is loaded. Where a page's rows pass from one second to the
next, the page's place says how many listed rows are newer, and the warehouse how many loaded ones: the difference is how
many are gone above that place. One deletion among 100,000 rows is found with about ten requests in place of a thousand.

Nothing is believed on this alone: the caller asks the API for each row that is found, and for the count.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime

from include.api_video.api.answers import Page
from include.api_video.catalog.values import utc


@dataclass(frozen=True)
class Mark:
    """A place in the list: on which page, ``time`` of the rows below it (seconds), and how many are gone above it."""

    page: int
    time: float
    lost: int


def is_worth_it(lost: int, pages: int) -> bool:
    """Whether looking for so many rows costs clearly fewer requests than reading all pages."""
    return pages > 3 and lost * (math.ceil(math.log2(pages)) + 2) < pages


class Search:
    """For the ``lost`` rows that are loaded and no longer listed.

    Args:
        read_page: yields a page's number and returns the page.
        first: page 1 as it was just read.
        loaded: updatedAt by key, of all rows that should be listed.
        seen: keys of the rows read so far; filled by ``read_page``.
        lost: how many rows are sought.
    """

    def __init__(
        self,
        read_page: Callable[[int], Generator[int, Page, Page]],
        first: Page,
        loaded: Mapping[str, datetime | None],
        seen: Mapping[str, object],
        lost: int,
    ) -> None:
        self._read_page, self._first, self._seen, self._lost = read_page, first, seen, lost
        self._order = sorted((-at.timestamp(), key) for key, at in loaded.items() if at)
        self._is_dated = len(self._order) == len(loaded)
        self._found: set[str] = set()
        self._without_mark: set[int] = set()  # pages that were read and are of one second

    def run(self) -> Generator[int, Page, set[str]]:
        """The keys of the rows; empty where they cannot be told."""
        if not self._is_dated:
            return set()
        above = Mark(0, math.inf, 0)
        if top := self._mark(self._first):  # none where the page is of one second, as after a change of many rows at once
            if not (yield from self._narrow(above, top)):
                return set()
            above = top
        else:
            self._without_mark.add(self._first.number)
        end = Mark((self._first.pages_total or 0) + 1, -math.inf, self._lost)
        is_told = yield from self._narrow(above, end)
        return self._found if is_told and len(self._found) == self._lost else set()

    def _mark(self, page: Page) -> Mark | None:
        """The last place on a page where the second changes; None on a page of one second."""
        times = [utc(row.get("updatedAt")) for row in page.rows]
        for index in range(len(times) - 1, 0, -1):
            at = times[index]
            if at and at != times[index - 1]:
                listed = (page.number - 1) * len(self._first.rows) + index
                return Mark(page.number, at.timestamp(), self._count_newer(at.timestamp()) - listed)
        return None

    def _count_newer(self, time: float) -> int:
        return bisect_left(self._order, (-time, ""))

    def _narrow(self, above: Mark, below: Mark) -> Generator[int, Page, bool]:
        """Finds what is gone between two marks; False where they cannot be right, or the list changed meanwhile."""
        if below.lost <= above.lost:
            return below.lost == above.lost
        middle = (above.page + below.page) // 2
        for number in sorted(range(above.page + 1, below.page), key=lambda number: abs(number - middle)):
            if number in self._without_mark:
                continue
            page = yield from self._read_page(number)
            if page.items_total != self._first.items_total:
                return False
            if between := self._mark(page):
                return (yield from self._narrow(above, between)) and (yield from self._narrow(between, below))
            self._without_mark.add(number)
        # All pages between the two were read, and both of theirs: every row that is listed between the marks was seen.
        start, end = self._count_newer(above.time), self._count_newer(below.time)
        self._found.update(key for _, key in self._order[start:end] if key not in self._seen)
        return True
