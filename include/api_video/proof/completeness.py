"""How many rows a table should have after a run: one rule per kind of sync."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from include.api_video.catalog.model import Sync
from include.api_video.warehouse.ledger import LedgerRow

BUDGET = "(budget MAX_DETAIL_REQUESTS)"


@dataclass(frozen=True)
class Expected:
    """Fewest and most active rows; ``note`` says why fewer may do."""

    least: int
    most: int
    note: str = ""

    def __str__(self) -> str:
        return f"{self.most} rows" if self.least == self.most else f"{self.least} to {self.most} rows"

    def __contains__(self, rows: int) -> bool:
        return self.least <= rows <= self.most


def _of_list(sync: LedgerRow) -> Expected:
    """As many as the API lists, without those that the table cannot hold."""
    rows = int(sync["items_total"] or 0) - int(sync["rejected_rows"] or 0)
    return Expected(rows, rows)


def _one_by_one(sync: LedgerRow) -> Expected:
    """One for each parent or day, but for those that wait; an object that the table cannot hold waits, too."""
    rows, waiting = int(sync["items_total"] or 0), int(sync["waiting_rows"] or 0)
    return Expected(rows - waiting, rows, f"{waiting} of {rows} wait for the next run {BUDGET}." if waiting else "")


def _of_lists(sync: LedgerRow) -> Expected:
    """As many as the lists had when each was last requested."""
    rows, waiting = int(sync["items_total"] or 0), int(sync["waiting_rows"] or 0)
    return Expected(
        rows,
        rows,
        f"{waiting} {'list waits' if waiting == 1 else 'lists wait'} for the next run {BUDGET}." if waiting else "",
    )


EXPECTED: Mapping[Sync, Callable[[LedgerRow], Expected]] = {
    Sync.NEWEST_FIRST: _of_list,
    Sync.COUNTED: _of_list,
    Sync.WHOLE: _of_list,
    Sync.PER_PARENT: _one_by_one,
    Sync.DAYS: _one_by_one,
    Sync.LIST_PER_PARENT: _of_lists,
}
