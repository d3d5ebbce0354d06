"""The ledger's rows (``_syncs``): one per resource and run, as dictionaries by column.

A reading that found news stores its row in the load of its rows: both land, or neither does. One that found nothing starts
no load for its row alone: it hands the row on, to be stored with the run's checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.tables import SKIPPED, SYNCS, SYNCS_COLUMNS
from include.api_video.catalog.values import utc
from include.api_video.warehouse.sql import Query

LedgerRow = dict[str, Any]
COLUMNS = [column.path for column in SYNCS_COLUMNS]
ROUNDED_S = 0.01  # at most, by a destination that keeps milliseconds
RATED_OVER = timedelta(days=30)  # the checks compare with runs of so long
SUMMED = ("active_rows", "new_rows", "changed_rows", "removed_rows", "restored_rows", "drifted_rows", "waiting_rows")


class NothingNewError(Exception):
    """A reading found nothing to load. Ends dlt's extraction, so that no load package is made; ``sync`` is its row."""

    def __init__(self, sync: LedgerRow) -> None:
        super().__init__(f"{sync['resource']}: nothing new")
        self.sync = sync


def read_syncs(query: Query, where: str = "", *args: Any) -> list[LedgerRow]:
    """Rows that are stored, newest first."""
    sql = f"SELECT {', '.join(COLUMNS)} FROM {query.table(SYNCS)} {where} ORDER BY finished_at DESC"
    try:
        return [dict(zip(COLUMNS, row, strict=True)) for row in query.rows(sql, *args)]
    except DatabaseUndefinedRelation:
        return []


def read_run(query: Query, run_id: str) -> dict[str, LedgerRow]:
    """A run's rows by resource, one each: a task that was tried twice has two, and the newest counts."""
    return {sync["resource"]: sync for sync in reversed(read_syncs(query, "WHERE run_id = %s", run_id))}


def skipped(resource: str, run_id: str, active_rows: int | None, now: datetime) -> LedgerRow:
    """The row of a resource that a run left out."""
    row: LedgerRow = dict.fromkeys(COLUMNS)
    row |= dict.fromkeys((*SUMMED, "unread_rows", "requests", "rate_limited"), 0)
    row |= {"run_id": run_id, "resource": resource, "mode": SKIPPED, "started_at": now, "finished_at": now}
    return {**row, "active_rows": active_rows}


def newest(*syncs: LedgerRow | None) -> LedgerRow | None:
    """The row of the reading that ended last."""
    return max((sync for sync in syncs if sync), key=_finished_at, default=None)


def is_newer(sync: LedgerRow, stored: LedgerRow | None) -> bool:
    """Whether a row is of a later reading than one that is stored: some destinations round times."""
    return stored is None or _finished_at(sync) - _finished_at(stored) > ROUNDED_S


def _finished_at(sync: LedgerRow) -> float:
    at = utc(sync["finished_at"])
    return at.timestamp() if at else 0.0


def to_json(sync: LedgerRow) -> LedgerRow:
    """Plain values only; times as ISO 8601."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in sync.items()}


def from_json(sync: Mapping[str, Any]) -> LedgerRow:
    """The row that ``to_json`` was given."""
    times = {column.path for column in SYNCS_COLUMNS if column.data_type == "timestamp"}
    return {name: utc(value) if name in times else value for name, value in sync.items()}
