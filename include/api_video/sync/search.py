"""Binary search for the rows that left a sorted list, instead of reading all of it.

The list and the loaded rows are both sorted by ``updatedAt``, newest first. Where the second changes on a page, its
position says how many listed rows are newer, and the warehouse how many loaded rows are: the difference is how many are
gone above that place. One deletion among 100,000 rows takes about ten requests instead of a thousand.

The result is only a guess: the caller asks the API for each row found, and compares the count.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime

from include.api_video.api.answers import Page
from include.api_video.catalog.storable import utc


@dataclass(frozen=True)
class Mark:
    """A place in the list: its page, the ``time`` of the rows below it (Unix seconds), and how many are gone above it."""

    page: int
    time: float
    lost: int


def is_worth_it(lost: int, pages: int) -> bool:
    """Whether a search for ``lost`` rows costs clearly fewer requests than reading all pages."""
    return pages > 3 and lost * (math.ceil(math.log2(pages)) + 2) < pages


class Search:
    """Searches for the ``lost`` rows that are loaded but no longer listed.

    Args:
        read_page: requests a page by number and returns it.
        first: page 1, just read.
        loaded: ``updatedAt`` by key of all rows that should be listed.
        seen: keys of the rows read so far; filled by ``read_page``.
        lost: how many rows to find.
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
        self._without_mark: set[int] = set()  # pages read whose rows all share one second

    def run(self) -> Generator[int, Page, set[str]]:
        """Returns the keys of the lost rows; empty if the search fails."""
        if not self._is_dated:
            return set()
        above = Mark(0, math.inf, 0)
        if top := self._mark(self._first):  # none after a bulk change: the whole page shares one second
            if not (yield from self._narrow(above, top)):
                return set()
            above = top
        else:
            self._without_mark.add(self._first.number)
        end = Mark((self._first.pages_total or 0) + 1, -math.inf, self._lost)
        is_told = yield from self._narrow(above, end)
        return self._found if is_told and len(self._found) == self._lost else set()

    def _mark(self, page: Page) -> Mark | None:
        """Returns the last place on a page where the second changes; None if all its rows share one second."""
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
        """Finds the lost rows between two marks; returns False if the marks contradict, or the list changed meanwhile."""
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
        # All pages from one mark's to the other's were read, so every row listed between the marks was seen.
        start, end = self._count_newer(above.time), self._count_newer(below.time)
        self._found.update(key for _, key in self._order[start:end] if key not in self._seen)
        return True
