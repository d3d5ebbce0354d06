"""Queries for the sync of days: which are loaded, and how."""

from __future__ import annotations

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.storable import utc
from include.api_video.sync.days import DaysState, KnownDay
from include.api_video.warehouse.ledger import last_sync
from include.api_video.warehouse.mending import mend
from include.api_video.warehouse.warehouse import Warehouse


def days_state(warehouse: Warehouse, endpoint: Endpoint) -> DaysState:
    """The loaded days, repaired first if one is there twice. A row each: a year has 365."""
    with warehouse.connect() as query:
        table, base_url = query.table(endpoint.name), last_sync(query, endpoint.name).base_url
        complete = f"CASE WHEN _dlt_load_id IN {query.complete_loads} AND _content_hash <> '' THEN 1 ELSE 0 END"
        sql = f"SELECT day, state, _read_at, _content_hash, {complete}, timezone FROM {table} ORDER BY day"
        try:
            rows = query.rows(sql)
            if len({row[0] for row in rows}) < len(rows):
                mend(query, endpoint, warehouse.parents_of(endpoint), stale="_content_hash")
                rows = query.rows(sql)
        except DatabaseUndefinedRelation:
            rows = []
    days = {
        str(day): KnownDay(str(state), utc(read_at), content_hash, bool(is_complete))
        for day, state, read_at, content_hash, is_complete, _ in rows
    }
    return DaysState(days, rows[-1][5] if rows else None, base_url)
