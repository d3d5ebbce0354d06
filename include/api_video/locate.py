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

from include.api_video.answers import Page
from include.api_video.warehouse import utc


@dataclass(frozen=True)
class Mark:
    """A place in the list: on which page, ``time`` of the rows below it (seconds), and how many are gone above it."""

    page: int
    time: float
    lost: int


def is_worth_it(lost: int, pages: int) -> bool:
    """Whether looking for so many rows costs clearly fewer requests than reading all pages."""
    return pages > 3 and lost * (math.ceil(math.log2(pages)) + 2) < pages


def locate_lost(
    read_page: Callable[[int], Generator[int, Page, Page]],
    first: Page,
    loaded: Mapping[str, datetime | None],
    seen: Mapping[str, object],
    lost: int,
) -> Generator[int, Page, set[str] | None]:
    """The keys of the ``lost`` rows that are loaded and no longer listed; None where they cannot be told.

    Args:
        read_page: yields a page's number and returns the page.
        first: page 1 as it was just read.
        loaded: updatedAt by key, of all rows that should be listed.
        seen: keys of the rows read so far; filled by ``read_page``.
        lost: how many are sought.
    """
    if any(at is None for at in loaded.values()):
        return None
    order = sorted((-at.timestamp(), key) for key, at in loaded.items() if at)
    size, pages, total = len(first.rows), first.pages_total or 0, first.items_total
    found: set[str] = set()

    def mark(page: Page) -> Mark | None:
        times = [utc(row.get("updatedAt")) for row in page.rows]
        for index in range(len(times) - 1, 0, -1):
            at, newer = times[index], times[index - 1]
            if at is None or newer is None or page.items_total != total:
                return None
            if at != newer:
                listed = (page.number - 1) * size + index
                return Mark(page.number, at.timestamp(), bisect_left(order, (-at.timestamp(), "")) - listed)
        return None  # a whole page of one second

    def narrow(above: Mark, below: Mark) -> Generator[int, Page, bool]:
        if below.lost <= above.lost:
            return below.lost == above.lost
        if below.page - above.page > 1:
            middle = mark((yield from read_page((above.page + below.page) // 2)))
            return middle is not None and (yield from narrow(above, middle)) and (yield from narrow(middle, below))
        # Both pages were read, and every row that is listed between the two marks stands on them.
        start, end = (bisect_left(order, (-place.time, "")) for place in (above, below))
        found.update(key for _, key in order[start:end] if key not in seen)
        return True

    top = mark(first)
    if top is None or not (yield from narrow(Mark(0, math.inf, 0), top)):
        return None
    told = yield from narrow(top, Mark(pages + 1, -math.inf, lost))
    return found if told and len(found) == lost else None
