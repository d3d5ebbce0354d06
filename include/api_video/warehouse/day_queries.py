"""Queries for the sync of days: which are loaded, and how."""

from __future__ import annotations

from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import SKIPPED, snake
from include.api_video.catalog.storable import utc
from include.api_video.sync.days import DaysState, KnownDay
from include.api_video.warehouse.ledger import last_sync, read_syncs
from include.api_video.warehouse.mending import mend_if_broken
from include.api_video.warehouse.warehouse import Warehouse


def days_state(warehouse: Warehouse, endpoint: Endpoint) -> DaysState:
    """The loaded days, repaired first if one is there twice. A row each: a year has 365."""
    with warehouse.connect() as query:
        table, last = query.table(endpoint.name), last_sync(query, endpoint.name)
        where = f"WHERE resource = %s AND mode <> '{SKIPPED}' AND finished_at >= %s"
        newest = read_syncs(query, where, endpoint.name, last.finished_at) if last.finished_at else []
        waiting = newest[0]["waiting_rows"] if newest else 0
        complete = f"CASE WHEN _dlt_load_id IN {query.complete_loads} AND _content_hash <> '' THEN 1 ELSE 0 END"
        fields = [column.path for column in endpoint.columns]
        columns = ", ".join(snake(name) for name in fields)
        try:
            mend_if_broken(query, endpoint, warehouse.parents_of(endpoint))
            rows = query.rows(
                f"SELECT day, state, _read_at, _content_hash, {complete}, timezone, {columns} FROM {table} ORDER BY day"
            )
        except DatabaseUndefinedRelation:
            rows = []
    days = {
        str(day): KnownDay(
            str(state),
            utc(read_at),
            content_hash,
            bool(is_complete),
            _as_read(endpoint, dict(zip(fields, row, strict=True))),
        )
        for day, state, read_at, content_hash, is_complete, _, *row in rows
    }
    return DaysState(days, rows[-1][5] if rows else None, last.base_url, may_lack=bool(waiting))


def _as_read(endpoint: Endpoint, row: dict[str, Any]) -> dict[str, Any]:
    """A loaded row with its times as the sync has them."""
    return row | {c.path: utc(row[c.path]) for c in endpoint.columns if c.data_type == "timestamp"}
