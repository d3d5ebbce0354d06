"""Queries for the sync of single objects: which to fetch, and which have lost their parent."""

from __future__ import annotations

from datetime import datetime

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import snake
from include.api_video.sync.state import DetailState, KnownRow, Parent
from include.api_video.warehouse.ledger import count_unaccounted, last_sync
from include.api_video.warehouse.mending import mend_if_broken
from include.api_video.warehouse.parents import is_parent, parent_args, remove_without_parent
from include.api_video.warehouse.sql import Query
from include.api_video.warehouse.warehouse import Warehouse


def detail_state(
    warehouse: Warehouse, endpoint: Endpoint, budget: int, missing_since: datetime, *, full_refresh: bool = False
) -> DetailState:
    """State of a detail table, with the objects to fetch: new, changed with their parent, or not final.

    New and changed ones come first, by their parent's last change, then those fetched longest ago. At most ``budget`` are
    returned, so memory does not grow with the library. An object that the API did not have is fetched again if that was
    before ``missing_since``. ``full_refresh`` ignores what is loaded.
    """
    parent = by_name()[endpoint.parent or ""]
    with warehouse.connect() as query:
        if not query.exists(parent.name):
            return DetailState()
        sql, args = DetailSql(query, endpoint, parent, full_refresh=full_refresh), parent_args(endpoint)
        mend_if_broken(query, endpoint, warehouse.parents_of(endpoint), stale="_parent_hash")
        ((parents, active, missing, waiting_total),) = query.rows(sql.counts, missing_since, missing_since, *args)
        rows = query.rows(f"{sql.waiting} LIMIT {int(budget)}", *args, missing_since)
        last = last_sync(query, endpoint.name)
        unaccounted = count_unaccounted(query, endpoint.name, last)
    waiting = tuple(
        Parent(key, wanted, KnownRow(had, None, removed is not None) if seen is not None else None, not changed)
        for key, wanted, seen, had, removed, changed in rows
    )
    return DetailState(
        int(parents), int(active or 0), int(missing or 0), int(waiting_total or 0), waiting, last.base_url, unaccounted
    )


def remove_orphans(warehouse: Warehouse, endpoint: Endpoint, now: datetime) -> None:
    """Soft-deletes objects whose parent is removed or no longer has such an object.

    Also clears ``_parent_hash``, even of objects that the API did not have, so that a restored parent's object is fetched
    again.
    """
    with warehouse.connect() as query:
        only, forget = "_parent_hash IS NOT NULL", ["_parent_hash"]
        remove_without_parent(query, endpoint, snake(endpoint.key), now, only=only, forget=forget)


class DetailSql:
    """SQL over the parents that should have a detail object, joined with the objects.

    Attributes:
        counts: parents, active, missing, waiting. Parameters: ``missing_since`` twice, then the values of ``parent_where``.
        waiting: the objects to fetch, in order. Parameters: the values of ``parent_where``, then ``missing_since``.
    """

    def __init__(self, query: Query, endpoint: Endpoint, parent: Endpoint, *, full_refresh: bool) -> None:
        key, parent_key = snake(endpoint.key), snake(parent.key)
        nothing = " AND 1 = 0" if full_refresh else ""  # joins nothing
        source = (
            f"FROM {query.table(parent.name)} p "
            f"LEFT JOIN {query.table(endpoint.name)} d ON d.{key} = p.{parent_key}{nothing}"
        )
        killed = f"d._dlt_load_id NOT IN {query.complete_loads}"
        changed = f"(d.{key} IS NULL OR d._parent_hash IS NULL OR d._parent_hash <> p._content_hash OR {killed})"
        long_missing = "(d.removed_at IS NOT NULL AND d._read_at < %s)"
        waits = f"({changed} OR NOT d._is_final OR {long_missing})"
        missing = f"(d.removed_at IS NOT NULL AND d._is_final AND NOT {changed} AND NOT {long_missing})"
        loaded = f"(d.{key} IS NOT NULL AND d.removed_at IS NULL)"
        sums = ", ".join(f"sum(CASE WHEN {condition} THEN 1 ELSE 0 END)" for condition in (loaded, missing, waits))
        where = f"WHERE {is_parent(endpoint, 'p.')}"
        self.counts = f"SELECT count(*), {sums} {source} {where}"
        self.waiting = (
            f"SELECT p.{parent_key}, p._content_hash, d.{key}, d._content_hash, d.removed_at, "
            f"CASE WHEN {changed} THEN 1 ELSE 0 END {source} {where} "
            f"AND {waits} ORDER BY CASE WHEN {changed} THEN 0 ELSE 1 END, "
            f"CASE WHEN {changed} THEN p.updated_at ELSE d._read_at END, p.{parent_key}"
        )
