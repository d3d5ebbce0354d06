"""The ledger ``_syncs``: one row per resource and run, a dictionary by column.

A reading with news stores its ledger row in the same load as its rows: both land, or neither does. One without news starts
no load: its ledger row is passed on and stored with the run's checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.model import Column
from include.api_video.catalog.naming import PARTIAL, SKIPPED, SYNCS
from include.api_video.catalog.storable import utc
from include.api_video.sync.outcome import Outcome
from include.api_video.warehouse.sql import Query

NEWEST_SYNCS = 50  # rows to read per resource: only a longer series of partial readings would need more
LedgerRow = dict[str, Any]
# Filled in by ``Reading.conclude``, the columns of a sync's outcome by ``outcome_columns``, a skipped resource by ``skipped``.
# fmt: off
SYNCS_COLUMNS = (
    Column("run_id",        "text",      "Run of the DAG or of the command line"),
    Column("resource",      "text",      "Resource, which is the name of its table"),
    Column("mode",          "text",      "first, changes (incremental, down to the cursor), full (the whole list), partial or skipped"),
    Column("started_at",    "timestamp", "When reading began"),
    Column("finished_at",   "timestamp", "When reading ended"),
    Column("items_total",   "bigint",    "Length of the list, as the API states it (itemsTotal)", "rows"),
    Column("active_rows",   "bigint",    "Rows of the table that are not marked removed, after this run", "rows"),
    Column("new_rows",      "bigint",    "Rows loaded for the first time", "rows"),
    Column("changed_rows",  "bigint",    "Rows whose content changed", "rows"),
    Column("removed_rows",  "bigint",    "Rows marked removed (soft delete), since the API no longer lists them", "rows"),
    Column("restored_rows", "bigint",    "Rows that were marked removed and are listed again", "rows"),
    Column("drifted_rows",  "bigint",    "Rows whose content changed while updatedAt stayed the same", "rows"),
    Column("waiting_rows",  "bigint",    "Objects left for the next run, such as those beyond the request budget", "objects"),
    Column("unread_rows",   "bigint",    "Objects that the API failed to return, at every attempt; also counted in waiting_rows", "objects"),
    Column("rejected_rows", "bigint",    "Rows in _rejected, since the table cannot hold them; all, not only this run's", "rows"),
    Column("expected_requests", "bigint", "Requests that this run should need, estimated before it began", "requests"),
    Column("requests",      "bigint",    "Requests sent, including retries", "requests"),
    Column("rate_limited",  "bigint",    "Requests that the API answered with 429", "requests"),
    Column("rate_limit",    "bigint",    "Requests per minute that the API allows, by its answers", "requests"),
    Column("total_off",     "bigint",    "items_total minus the distinct rows read, for a list that did not change meanwhile", "rows"),
    Column("is_sorted",     "bool",      "Whether the list came in the requested order; if false, every run reads it whole"),
    Column("unproven",      "text",      "Why the table is not proven equal, with both figures; null if it is proven"),
    Column("unproven_since", "timestamp", "When the table was first not proven; null if it is proven"),
    Column("stopped_by",    "text",      "Error that ended the reading early; the rows read before it are loaded"),
    Column("lost_fields",   "text",      "Fields that these rows had before, and that none of the rows read has any more"),
    Column("load_id",       "text",      "Load package of dlt", joins="_dlt_loads.load_id"),
    Column("base_url",      "text",      "API that was read: its address, or demo"),
)
# fmt: on

COLUMNS = [column.path for column in SYNCS_COLUMNS]
ROUNDED_S = 0.01  # tolerance: some destinations store milliseconds
RATED_OVER = timedelta(days=30)  # the checks compare a run with those of this period
SUMMED = ("active_rows", "new_rows", "changed_rows", "removed_rows", "restored_rows", "drifted_rows", "waiting_rows")


class NothingNewError(Exception):
    """A reading found nothing to load. Ends dlt's extraction, so that no load package is made; ``sync`` is the ledger row."""

    def __init__(self, sync: LedgerRow) -> None:
        super().__init__(f"{sync['resource']}: nothing new")
        self.sync = sync


def read_syncs(query: Query, where: str = "", *args: Any) -> list[LedgerRow]:
    """Reads stored rows, newest first; an empty list if there is no ledger yet."""
    sql = f"SELECT {', '.join(COLUMNS)} FROM {query.table(SYNCS)} {where} ORDER BY finished_at DESC"
    try:
        return [dict(zip(COLUMNS, row, strict=True)) for row in query.rows(sql, *args)]
    except DatabaseUndefinedRelation:
        return []


def read_run(query: Query, run_id: str) -> dict[str, LedgerRow]:
    """A run's rows by resource: the newest, if a retried task left several."""
    return {sync["resource"]: sync for sync in reversed(read_syncs(query, "WHERE run_id = %s", run_id))}


def outcome_columns(outcome: Outcome) -> LedgerRow:
    """The columns that store a sync's outcome."""
    return {
        "mode": outcome.mode,
        "items_total": outcome.items_total,
        "active_rows": outcome.active,
        "new_rows": outcome.new,
        "changed_rows": outcome.changed,
        "removed_rows": outcome.removed,
        "restored_rows": outcome.restored,
        "drifted_rows": outcome.drifted,
        "waiting_rows": outcome.waiting,
        "unread_rows": outcome.unread,
        "total_off": outcome.total_off,
        "is_sorted": outcome.is_sorted,
        "unproven": outcome.unproven,
    }


def skipped(resource: str, run_id: str, active_rows: int | None, now: datetime) -> LedgerRow:
    """The row of a resource that a run skipped."""
    row: LedgerRow = dict.fromkeys(COLUMNS)
    row |= dict.fromkeys((*SUMMED, "unread_rows", "requests", "rate_limited"), 0)
    row |= {"run_id": run_id, "resource": resource, "mode": SKIPPED, "started_at": now, "finished_at": now}
    return {**row, "active_rows": active_rows}


def newest(*syncs: LedgerRow | None) -> LedgerRow | None:
    """The row of the reading that finished last."""
    return max((sync for sync in syncs if sync), key=_finished_at, default=None)


def is_newer(sync: LedgerRow, stored: LedgerRow | None) -> bool:
    """Whether a row is of a later reading than the stored one. Tolerates rounding: some destinations store milliseconds."""
    return stored is None or _finished_at(sync) - _finished_at(stored) > ROUNDED_S


def _finished_at(sync: LedgerRow) -> float:
    at = utc(sync["finished_at"])
    return at.timestamp() if at else 0.0


def to_json(sync: LedgerRow) -> LedgerRow:
    """Makes a row plain JSON values; times become ISO 8601."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in sync.items()}


def from_json(sync: Mapping[str, Any]) -> LedgerRow:
    """The inverse of ``to_json``."""
    times = {column.path for column in SYNCS_COLUMNS if column.data_type == "timestamp"}
    return {name: utc(value) if name in times else value for name, value in sync.items()}


@dataclass(frozen=True)
class LastSync:
    """What the ledger says about a resource, from its newest row with a complete load unless stated otherwise.

    Attributes:
        full_at: when the whole list was last read.
        base_url: API read by the newest load, complete or not.
        partial_loads: ids of the partial loads since the last reading that was not partial.
        may_lack: one of these read to the end of the list, but may have missed a row.
    """

    full_at: datetime | None
    base_url: str | None
    finished_at: datetime | None
    partial_loads: tuple[str, ...]
    may_lack: bool
    total_off: int
    is_sorted: bool
    unproven: str | None
    unproven_since: datetime | None


def last_sync(query: Query, resource: str) -> LastSync:
    """Reads what the ledger says about a resource."""
    syncs = query.table(SYNCS)
    ((full_at,),) = query.rows(
        f"SELECT max(finished_at) FROM {syncs} WHERE resource = %s AND mode IN ('first', 'full') "
        f"AND load_id IN {query.complete_loads}",
        resource,
    )
    names = ("base_url", "mode", "load_id", "finished_at", "total_off", "is_sorted", "unproven", "unproven_since")
    rows = query.rows(
        f"SELECT {', '.join((*names, 'stopped_by'))}, CASE WHEN load_id IN {query.complete_loads} THEN 1 ELSE 0 END "
        f"FROM {syncs} WHERE resource = %s AND mode <> '{SKIPPED}' ORDER BY finished_at DESC LIMIT {NEWEST_SYNCS}",
        resource,
    )
    newest = [dict(zip((*names, "stopped_by", "is_complete"), row, strict=True)) for row in rows]
    complete = [row for row in newest if row["is_complete"]]
    last = complete[0] if complete else dict.fromkeys(names)
    partial = list(takewhile(lambda row: row["mode"] == PARTIAL, complete))
    return LastSync(
        full_at=utc(full_at),
        base_url=newest[0]["base_url"] if newest else None,
        finished_at=utc(last["finished_at"]),
        partial_loads=tuple(row["load_id"] for row in partial),
        may_lack=any(not row["stopped_by"] for row in partial),
        total_off=int(last["total_off"] or 0),
        is_sorted=last["is_sorted"] is None or bool(last["is_sorted"]),
        unproven=last["unproven"],
        unproven_since=utc(last["unproven_since"]),
    )


def count_unaccounted(query: Query, table: str, last: LastSync) -> int:
    """Counts rows marked removed by a run whose load failed afterwards, so that it has no row in the ledger."""
    if last.finished_at is None:
        return 0
    ((count,),) = query.rows(f"SELECT count(*) FROM {query.table(table)} WHERE removed_at > %s", last.finished_at)
    return int(count)
