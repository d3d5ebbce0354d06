"""Queries for lists that each row of a parent has: which to request, and which rows have lost their parent."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.analytics import ALL_TIME, CLOSED, OPEN, PARTIAL_DAY, SETTLED
from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import MAX_PAGE_SIZE, Due, Endpoint
from include.api_video.catalog.naming import snake
from include.api_video.catalog.storable import utc
from include.api_video.sync.state import KnownRow, ListedParent, ParentListState
from include.api_video.warehouse.asked_lists import forget_lost_parents, forget_superseded, last_asked, parent_column
from include.api_video.warehouse.ledger import count_unaccounted, last_sync
from include.api_video.warehouse.mending import mend_if_broken
from include.api_video.warehouse.parents import is_parent, parent_args, parent_keys, remove_without_parent
from include.api_video.warehouse.sql import KEYS_PER_QUERY, Query
from include.api_video.warehouse.warehouse import Warehouse

DAYS, SPAN = "analytics_days", ("dayStart", "readTo")
MANY_REQUESTS, MANY_H = (
    500,
    6 - 5 / 60,
)  # a list of an open day that costs more is requested every so many hours, and at its close
HOUR_H, DAY_H = 55 / 60, 24.0  # a run may begin some minutes earlier than the last one did in its hour


def parent_list_state(
    warehouse: Warehouse, endpoint: Endpoint, budget: int, now: datetime, *, most: int = 0, full_refresh: bool = False
) -> ParentListState:
    """State of the table, with the parents whose lists to request: new, changed, young or overdue, and a few others.

    Also requested is a list of which the table has another number of rows than it had: whatever happened to them, the table
    mends itself.

    New and changed parents come first, then those whose list was requested longest ago. At most ``budget`` are returned, so
    memory does not grow with the library. ``most`` limits the parents of a day (``Endpoint.most_played``). ``full_refresh``
    ignores what is loaded.
    """
    parent = by_name().get(endpoint.parent or "")
    with warehouse.connect() as query:
        if parent and not query.exists(parent.name):
            return ParentListState()
        if full_refresh:
            sql = _Sql(query, endpoint, parent, now, most, nothing=True)
        else:
            with suppress(DatabaseUndefinedRelation):
                mend_if_broken(query, endpoint, warehouse.parents_of(endpoint))
            sql = _Sql(query, endpoint, parent, now, most)
        parents, listed, waiting_total = (int(count or 0) for count in query.rows(sql.counts, *sql.args)[0])
        rows = query.rows(f"{sql.waiting} LIMIT {int(budget)}", *sql.args)
        last = last_sync(query, endpoint.name)
        if not full_refresh and last.finished_at and (few := min(budget - len(rows), sql.share(parents, last.finished_at))):
            rows += query.rows(f"{sql.others} LIMIT {few}", *sql.args)
        waiting = tuple(
            ListedParent(str(key), parent_hash, int(count or 0), dict(zip(sql.carried, fields, strict=True)))
            for key, parent_hash, count, *fields in rows
        )
        active = _count_active(query, endpoint, full_refresh=full_refresh)
        listed += 0 if full_refresh else _count_outliving(query, endpoint)
        known = {} if full_refresh else _known_rows(query, endpoint, [each.key for each in waiting])
        unaccounted = 0 if full_refresh else count_unaccounted(query, endpoint.name, last)
    return ParentListState(
        parents, active, listed, waiting_total, waiting, known, last.base_url, unaccounted, last.unproven_since
    )


def remove_rows_of_lost_parents(warehouse: Warehouse, endpoint: Endpoint, now: datetime) -> None:
    """Soft-deletes rows whose parent is removed, unless they stay for good, and forgets that its list was requested."""
    if not endpoint.parent:
        return
    with warehouse.connect() as query:
        remove_without_parent(query, endpoint, parent_column(endpoint), now, only=_removable(query, endpoint))
        with suppress(DatabaseUndefinedRelation):
            forget_lost_parents(query, endpoint, parent_keys(query, endpoint), *parent_args(endpoint))
            forget_superseded(query, endpoint)


def find_parents(warehouse: Warehouse, endpoint: Endpoint, keys: Sequence[str]) -> set[str]:
    """Which of these keys are of parents that have such a list."""
    parent, found = by_name()[endpoint.parent or ""], set[str]()
    with warehouse.connect() as query:
        for start in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[start : start + KEYS_PER_QUERY]
            column, marks = snake(parent.key), ", ".join(["%s"] * len(some))
            where = f"{column} IN ({marks}) AND {is_parent(endpoint)}"
            rows = query.rows(
                f"SELECT {column} FROM {query.table(parent.name)} WHERE {where}", *some, *parent_args(endpoint)
            )
            found.update(str(key) for (key,) in rows)
    return found


def stored_rows(warehouse: Warehouse, endpoint: Endpoint, parent: str, *, of_killed: bool = False) -> list[dict[str, Any]]:
    """Rows of a parent's list by field; ``of_killed``: only those whose load was killed."""
    names = [column.path for column in endpoint.columns]
    with warehouse.connect() as query:
        killed = f" AND (_content_hash = '' OR _dlt_load_id NOT IN {query.complete_loads})" if of_killed else ""
        try:
            rows = query.rows(
                f"SELECT {', '.join(map(snake, names))} FROM {query.table(endpoint.name)} "
                f"WHERE {parent_column(endpoint)} = %s AND removed_at IS NULL{killed}",
                parent,
            )
        except DatabaseUndefinedRelation:
            return []
    times = [column.data_type == "timestamp" for column in endpoint.columns]
    return [
        {name: utc(value) if is_time else value for name, value, is_time in zip(names, row, times, strict=True)}
        for row in rows
    ]


def _removable(query: Query, endpoint: Endpoint) -> str:
    """SQL condition on rows that go with their parent. Of those that stay for good, it is what a killed load left: nobody
    can tell any more whether it is all.
    """
    of_killed = f" AND _dlt_load_id NOT IN {query.complete_loads}" if endpoint.keeps_rows else ""
    return f"removed_at IS NULL{of_killed}"


def _count_outliving(query: Query, endpoint: Endpoint) -> int:
    """Counts rows that stay, although their parent is removed."""
    if not endpoint.keeps_rows:
        return 0
    where = f"removed_at IS NULL AND {parent_column(endpoint)} NOT IN ({parent_keys(query, endpoint)})"
    with suppress(DatabaseUndefinedRelation):
        ((rows,),) = query.rows(f"SELECT count(*) FROM {query.table(endpoint.name)} WHERE {where}", *parent_args(endpoint))
        return int(rows)
    return 0


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
    column = parent_column(endpoint) if endpoint.parent else f"'{ALL_TIME}'"
    known = dict[str, dict[str, KnownRow]]()
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


def _parents(query: Query, endpoint: Endpoint, parent: Endpoint, most: int) -> str:
    """SQL: the rows of the parent; of one that belongs to a day, with that day's span, once it is over."""
    if not endpoint.at_close:
        return query.table(parent.name)
    place = "ROW_NUMBER() OVER (PARTITION BY x.day ORDER BY x.plays DESC, " + f"x.{snake(parent.key)})"
    spans = ", ".join(f"d.{snake(name)}" for name in SPAN)
    over = ", ".join(f"'{state}'" for state in (CLOSED, SETTLED, PARTIAL_DAY))
    rows = (
        f"SELECT x.*, {spans}, {place} AS place FROM {query.table(parent.name)} x "
        f"JOIN {query.table(DAYS)} d ON d.day = x.day WHERE x.removed_at IS NULL AND x.plays > 0 AND d.state IN ({over})"
    )
    return f"(SELECT * FROM ({rows}) ranked{f' WHERE place <= {int(most)}' if endpoint.most_played else ''})"


def _loaded(query: Query, endpoint: Endpoint) -> str:
    """SQL: how many rows of each parent's list are loaded, and how many a killed load left, in parentheses."""
    # A removed row keeps the load that it came with: it needs no repair.
    broken = f"removed_at IS NULL AND (_content_hash = '' OR _dlt_load_id NOT IN {query.complete_loads})"
    column = parent_column(endpoint) if endpoint.parent else f"'{ALL_TIME}'"
    return (
        f"(SELECT {column} AS of_parent, sum(CASE WHEN removed_at IS NULL THEN 1 ELSE 0 END) AS loaded, "
        f"sum(CASE WHEN {broken} THEN 1 ELSE 0 END) AS broken FROM {query.table(endpoint.name)} GROUP BY 1)"
    )


def _moved(endpoint: Endpoint, now: datetime) -> tuple[str, tuple[datetime, ...]]:
    """SQL: whether a parent has changed since its list was requested, and the parameters of it.

    A list that costs many requests would be requested at each run of a day with plays.
    """
    moved = "a.parent_hash <> p._content_hash"
    if endpoint.parent != DAYS or not endpoint.asks:
        return moved, ()
    many = MANY_REQUESTS * MAX_PAGE_SIZE // len(endpoint.asks)
    return f"({moved} AND (p.state <> '{OPEN}' OR a.listed_rows <= {many} OR a.asked_at < %s))", (_before(now, MANY_H),)


def _overdue(due: Due | None, now: datetime) -> tuple[str, tuple[datetime, ...]]:
    """SQL: whether to request a list though its parent stands still, and the parameters of it."""
    if not due:
        return "1 = 0", ()
    if not due.born:  # all at once, at the run of that hour
        return "a.asked_at < %s", (_before(now, 24 * due.every_days - 1 + HOUR_H),)
    is_young = f"(p.{snake(due.born)} > %s AND a.asked_at < %s)"
    often = (_before(now, due.young_h), _before(now, HOUR_H))
    return f"({is_young} OR a.asked_at < %s)", (*often, _before(now, 24 * due.every_days))


class _Sql:
    """SQL over the parents that have a list, joined with what became of it.

    Attributes:
        counts: parents; rows of their lists, as far as they were requested; lists to request.
        waiting: lists to request, in order.
        others: lists that are not due yet, in the order in which they will be.
        args: parameters of each of them.
    """

    def __init__(
        self, query: Query, endpoint: Endpoint, parent: Endpoint | None, now: datetime, most: int, *, nothing: bool = False
    ) -> None:
        self._due, self._now = endpoint.due, now
        wanted = [*SPAN, *(ask.only_if for ask in endpoint.asks if ask.only_if)] if parent and endpoint.asks else []
        self.carried = [*wanted, *endpoint.carried]
        key = snake(parent.key) if parent else "parent_key"
        parents = (
            _parents(query, endpoint, parent, most) if parent else f"(SELECT '{ALL_TIME}' AS {key}, '' AS _content_hash)"
        )
        asked = f"LEFT JOIN {last_asked(query)} a ON a.parent_key = p.{key}{' AND 1 = 0' if nothing else ''}"
        moved, often = _moved(endpoint, now)
        changed = f"a.asked_at IS NULL OR a.parent_hash IS NULL OR {moved}"
        if not nothing:
            asked += f" LEFT JOIN {_loaded(query, endpoint)} l ON l.of_parent = p.{key}"
            changed += " OR l.broken > 0 OR COALESCE(l.loaded, 0) <> a.listed_rows"
        is_overdue, when = _overdue(endpoint.due, now)
        due = f"({changed} OR {is_overdue})"
        source = f"FROM {parents} p {asked} WHERE {is_parent(endpoint, 'p.') if parent else '1 = 1'}"
        flags = f"CASE WHEN {changed} THEN 0 ELSE 1 END AS is_known, CASE WHEN {due} THEN 1 ELSE 0 END AS is_due"
        carried = "".join(f", p.{snake(name)}" for name in self.carried)
        names = f"p.{key} AS parent_key, p._content_hash AS parent_hash, a.listed_rows, a.asked_at"
        told = f"SELECT {names}, {flags}{carried} {source}"
        self.counts = f"SELECT count(*), sum(listed_rows), sum(is_due) FROM ({told}) t"
        columns = ", ".join(["SELECT parent_key, parent_hash, listed_rows", *map(snake, self.carried)])
        self.waiting = f"{columns} FROM ({told}) t WHERE is_due = 1 ORDER BY is_known, asked_at, parent_key"
        self.others = f"{columns} FROM ({told}) t WHERE is_due = 0 ORDER BY asked_at, parent_key"
        self.args = (*often, *often, *when, endpoint.name, *parent_args(endpoint))

    def share(self, parents: int, last: datetime) -> int:
        """How many lists to request before they are due, so that they do not all come due at once."""
        if not (self._due and self._due.born):
            return 0
        hours = min((self._now - (utc(last) or self._now)).total_seconds() / 3600, DAY_H)
        return int(parents * hours / (24 * self._due.every_days))


def _before(now: datetime, hours: float) -> datetime:
    return now - timedelta(hours=hours)
