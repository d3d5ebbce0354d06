"""Queries for lists that each row of a parent has: which to request, and which rows have lost their parent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Due, Endpoint
from include.api_video.catalog.naming import snake
from include.api_video.catalog.storable import utc
from include.api_video.sync.state import KnownRow, ListedParent, ParentListState
from include.api_video.warehouse.asked_lists import forget_lost_parents, forget_superseded, last_asked, parent_column
from include.api_video.warehouse.detail_queries import has_detail
from include.api_video.warehouse.ledger import count_unaccounted, last_sync
from include.api_video.warehouse.mending import has_orphans, mend
from include.api_video.warehouse.sql import KEYS_PER_QUERY, Query
from include.api_video.warehouse.warehouse import Warehouse

HOUR_H, DAY_H = 55 / 60, 24.0  # a run may begin some minutes earlier than the last one did in its hour


def parent_list_state(
    warehouse: Warehouse, endpoint: Endpoint, budget: int, now: datetime, *, full_refresh: bool = False
) -> ParentListState:
    """State of the table, with the parents whose lists to request: new, changed, young or overdue, and a few others.

    Also requested is a list of which the table has another number of rows than it had: whatever happened to them, the table
    mends itself.

    New and changed parents come first, then those whose list was requested longest ago. At most ``budget`` are returned, so
    memory does not grow with the library. ``full_refresh`` ignores what is loaded.
    """
    parent = by_name()[endpoint.parent or ""]
    with warehouse.connect() as query:
        if not query.exists(parent.name):
            return ParentListState()
        if full_refresh:
            sql = _Sql(query, endpoint, parent, now, nothing=True)
        else:
            _mend(warehouse, query, endpoint)
            sql = _Sql(query, endpoint, parent, now)
        parents, listed, waiting_total = (int(count or 0) for count in query.rows(sql.counts, *sql.args)[0])
        rows = query.rows(f"{sql.waiting} LIMIT {int(budget)}", *sql.args)
        last = last_sync(query, endpoint.name)
        if not full_refresh and last.finished_at and (few := min(budget - len(rows), sql.share(parents, last.finished_at))):
            rows += query.rows(f"{sql.others} LIMIT {few}", *sql.args)
        waiting = tuple(ListedParent(str(key), parent_hash, int(count or 0)) for key, parent_hash, count in rows)
        active = _count_active(query, endpoint, full_refresh=full_refresh)
        known = {} if full_refresh else _known_rows(query, endpoint, [each.key for each in waiting])
        unaccounted = 0 if full_refresh else count_unaccounted(query, endpoint.name, last)
    return ParentListState(
        parents, active, listed, waiting_total, waiting, known, last.base_url, unaccounted, last.unproven_since
    )


def remove_rows_of_lost_parents(warehouse: Warehouse, endpoint: Endpoint, now: datetime) -> None:
    """Soft-deletes rows whose parent is removed, and forgets that its list was requested."""
    parent, key, column = by_name()[endpoint.parent or ""], snake(endpoint.key), parent_column(endpoint)
    with warehouse.connect() as query:
        listed = f"SELECT {snake(parent.key)} FROM {query.table(parent.name)} WHERE {has_detail(endpoint)}"
        args = tuple(endpoint.parent_where.values())
        lost = f"removed_at IS NULL AND {column} NOT IN ({listed})"
        try:
            ((count,),) = query.rows(f"SELECT count(*) FROM {query.table(endpoint.name)} WHERE {lost}", *args)
            if count:
                query.mark_removed(endpoint.name, key, lost, *args, now=now)
            forget_lost_parents(query, endpoint, listed, *args)
            forget_superseded(query, endpoint)
        except DatabaseUndefinedRelation:
            return


def find_parents(warehouse: Warehouse, endpoint: Endpoint, keys: Sequence[str]) -> set[str]:
    """Which of these keys are of parents that have such a list."""
    parent, found = by_name()[endpoint.parent or ""], set[str]()
    with warehouse.connect() as query:
        for start in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[start : start + KEYS_PER_QUERY]
            column, marks = snake(parent.key), ", ".join(["%s"] * len(some))
            where = f"{column} IN ({marks}) AND {has_detail(endpoint)}"
            rows = query.rows(
                f"SELECT {column} FROM {query.table(parent.name)} WHERE {where}", *some, *endpoint.parent_where.values()
            )
            found.update(str(key) for (key,) in rows)
    return found


def _mend(warehouse: Warehouse, query: Query, endpoint: Endpoint) -> None:
    key, parents = snake(endpoint.key), warehouse.parents_of(endpoint)
    try:
        ((twice,),) = query.rows(f"SELECT count({key}) - count(DISTINCT {key}) FROM {query.table(endpoint.name)}")
    except DatabaseUndefinedRelation:
        return
    if twice or has_orphans(query, parents):
        mend(query, endpoint, parents, stale="_content_hash")


def _count_active(query: Query, endpoint: Endpoint, *, full_refresh: bool) -> int:
    if full_refresh:
        return 0
    try:
        ((active,),) = query.rows(f"SELECT count(*) FROM {query.table(endpoint.name)} WHERE removed_at IS NULL")
    except DatabaseUndefinedRelation:
        return 0
    return int(active)


def _known_rows(query: Query, endpoint: Endpoint, parents: Sequence[str]) -> dict[str, dict[str, KnownRow]]:
    """The loaded rows of these parents' lists, by parent and key; without a hash if their load was killed."""
    column, known = parent_column(endpoint), dict[str, dict[str, KnownRow]]()
    content_hash = f"CASE WHEN _dlt_load_id IN {query.complete_loads} THEN _content_hash END"
    for start in range(0, len(parents), KEYS_PER_QUERY):
        some = parents[start : start + KEYS_PER_QUERY]
        rows = query.rows(
            f"SELECT {column}, {snake(endpoint.key)}, {content_hash}, removed_at FROM {query.table(endpoint.name)} "
            f"WHERE {column} IN ({', '.join(['%s'] * len(some))})",
            *some,
        )
        for parent, key, hashed, removed_at in rows:
            known.setdefault(str(parent), {})[str(key)] = KnownRow(hashed, None, removed_at is not None)
    return known


def _loaded(query: Query, endpoint: Endpoint) -> str:
    """SQL: how many rows of each parent's list are loaded, and how many a killed load left, in parentheses."""
    # A removed row keeps the load that it came with: it needs no repair.
    broken = f"removed_at IS NULL AND (_content_hash = '' OR _dlt_load_id NOT IN {query.complete_loads})"
    return (
        f"(SELECT {parent_column(endpoint)} AS of_parent, sum(CASE WHEN removed_at IS NULL THEN 1 ELSE 0 END) AS loaded, "
        f"sum(CASE WHEN {broken} THEN 1 ELSE 0 END) AS broken FROM {query.table(endpoint.name)} GROUP BY 1)"
    )


class _Sql:
    """SQL over the parents that have a list, joined with what became of it.

    Attributes:
        counts: parents; rows of their lists, as far as they were requested; lists to request.
        waiting: lists to request, in order.
        others: lists that are not due yet, in the order in which they will be.
        args: parameters of each of them.
    """

    def __init__(self, query: Query, endpoint: Endpoint, parent: Endpoint, now: datetime, *, nothing: bool = False) -> None:
        self._due, self._now = endpoint.due or Due("", 0, 0), now
        key = snake(parent.key)
        asked = f"LEFT JOIN {last_asked(query)} a ON a.parent_key = p.{key}{' AND 1 = 0' if nothing else ''}"
        changed = "a.asked_at IS NULL OR a.parent_hash IS NULL OR a.parent_hash <> p._content_hash"
        if not nothing:
            asked += f" LEFT JOIN {_loaded(query, endpoint)} l ON l.of_parent = p.{key}"
            changed += " OR l.broken > 0 OR COALESCE(l.loaded, 0) <> a.listed_rows"
        is_young = f"p.{snake(self._due.born)} > %s AND a.asked_at < %s" if self._due.born else "%s > %s"
        due = f"({changed} OR ({is_young}) OR a.asked_at < %s)"
        source = f"FROM {query.table(parent.name)} p {asked} WHERE {has_detail(endpoint, 'p.')}"
        flags = f"CASE WHEN {changed} THEN 0 ELSE 1 END AS is_known, CASE WHEN {due} THEN 1 ELSE 0 END AS is_due"
        told = f"SELECT p.{key} AS parent_key, p._content_hash AS parent_hash, a.listed_rows, a.asked_at, {flags} {source}"
        self.counts = f"SELECT count(*), sum(listed_rows), sum(is_due) FROM ({told}) t"
        columns = "SELECT parent_key, parent_hash, listed_rows"
        self.waiting = f"{columns} FROM ({told}) t WHERE is_due = 1 ORDER BY is_known, asked_at, parent_key"
        self.others = f"{columns} FROM ({told}) t WHERE is_due = 0 ORDER BY asked_at, parent_key"
        self.args = (*self._times(), endpoint.name, *endpoint.parent_where.values())

    def _times(self) -> tuple[datetime, datetime, datetime]:
        due, now = self._due, self._now
        if not due.born:
            return now, now, _before(now, 24 * 36_500)  # never
        return _before(now, due.young_h), _before(now, HOUR_H), _before(now, 24 * due.every_days)

    def share(self, parents: int, last: datetime) -> int:
        """How many lists to request before they are due, so that they do not all come due at once."""
        if not self._due.every_days:
            return 0
        hours = min((self._now - (utc(last) or self._now)).total_seconds() / 3600, DAY_H)
        return int(parents * hours / (24 * self._due.every_days))


def _before(now: datetime, hours: float) -> datetime:
    return now - timedelta(hours=hours)
