"""When a row counts as removed.

A row of a list is gone if the API answers 404 for it. It is also gone if a proven reading of the whole list lacks it:
one that has as many rows as the API counts, and during which nothing moved (``WholeReading``). A single object is gone if
the API answers 404 (``DetailSync``), or when its parent is removed (``warehouse.detail_queries``). A row of a parent's list
is gone if a whole reading of that list lacks it (``ParentLists``), or when its parent is removed
(``warehouse.parent_list_queries``), unless the endpoint ``keeps_rows``. If a run would remove more rows than the brake
allows, it removes none.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from include.api_video.api.answers import Page
from include.api_video.catalog.model import MAX_PAGE_SIZE, Endpoint
from include.api_video.errors import RemovalBrakeError
from include.api_video.sync.page_walk import Pages, Walk
from include.api_video.sync.search import Search

FEW_ROWS = 20  # that seem to be gone
PageRequests = Generator[int, Page, None]
# Fetches single objects by key. None: the API has none (404). Missing from the result: the API did not answer.
FetchSingly = Callable[[Sequence[str]], Mapping[str, dict[str, Any] | None]]


@dataclass
class SingleFetches:
    """The results of single fetches: rows that the API has, and keys it does not know."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)

    def take(self, answers: Mapping[str, dict[str, Any] | None], key_field: str) -> None:
        """Adds the answers for some keys."""
        for key, row in answers.items():
            if row is None:
                self.gone.add(key)
            else:
                self.rows[key] = {**row, key_field: key}

    def clear(self) -> None:
        """Forgets all results."""
        self.rows.clear()
        self.gone.clear()


def tells_removals(top: Page | None, unlisted: int, *, can_fetch: bool, has_offset: bool) -> bool:
    """Whether an exact reading of the whole list proves by itself that the rows it lacks are gone.

    Exact means: the list stood still, and the reading has as many rows as the API counts. The counts can match by chance:
    one row removed, another missed. So few missing rows are requested one by one; many are taken as gone.

    Args:
        top: page 1.
        unlisted: how many loaded rows the reading lacks.
        can_fetch: whether the API can be asked for single rows.
        has_offset: whether its count was off before.
    """
    if top is not None and not top.has_next and len(top.rows) < MAX_PAGE_SIZE:
        return True  # the whole list is one answer, of one moment
    if not can_fetch:
        return not has_offset
    return unlisted > max(FEW_ROWS, (top.pages_total or 0) if top else 0)


def find_gone(
    endpoint: Endpoint,
    walk: Walk,
    fetched: SingleFetches,
    fetch: FetchSingly,
    first: Page,
    believed: Mapping[str, datetime | None],
    count: int,
) -> PageRequests:
    """Finds rows that left the list, without reading all of it.

    ``first`` is page 1, just read; ``believed`` has ``updatedAt`` by key of the rows that should be listed, ``count`` says
    how many should be.
    """
    order = {key: at for key, at in believed.items() if key not in fetched.gone}
    # A row seen earlier may be gone by now: only the pages of this search prove it listed.
    listed = Walk(False, walk.key_of)
    listed.begin(first)

    def read_page(number: int) -> Pages:
        page = yield from listed.page(number)
        walk.take(page)
        return page

    lost = count - (first.items_total or 0)
    keys = yield from Search(read_page, first, order, listed.seen, lost).run()
    if keys:
        fetched.take(fetch(sorted(keys)), endpoint.key)


BRAKE_FROM_ROWS = 20  # fewer removals than this never stop a run


@dataclass(frozen=True)
class RemovalBrake:
    """Stops a run that would mark too large a share of a table removed.

    ``most_share`` is the largest share that one run may mark; ``variable`` names the setting.
    """

    resource: str
    most_share: float
    variable: str

    def find(self, gone: int, active: int) -> RemovalBrakeError | None:
        """Returns the error if ``gone`` of ``active`` rows are too many to mark removed, else None."""
        if gone < BRAKE_FROM_ROWS or gone <= self.most_share * active:
            return None
        return RemovalBrakeError(
            f"{self.resource}: {gone} of {active} rows are no longer listed by the API, more than the share "
            f"of {self.most_share:g} that one run may mark removed. Nothing was removed. If the rows are really gone, "
            'trigger one run with "Allow a mass removal in this run" (without Airflow: '
            f"{self.variable}=1); if not, check the key, the environment and the filters."
        )
