"""Repairs duplicate keys, and orphaned rows of child tables, whatever caused them.

Of a duplicate key one row stays, marked as not loaded: the run that finds it reloads it with its child rows. Orphaned child
rows are deleted: no merge would ever reach them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import snake
from include.api_video.warehouse.sql import Query

KEPT = "_mended_"  # prefix of the temporary table
log = logging.getLogger("api_video")


def mend_if_broken(query: Query, endpoint: Endpoint, parents: Mapping[str, str], stale: str = "_content_hash") -> None:
    """Repairs the tables of an endpoint if they have duplicate keys or orphaned rows; two queries if they have none.

    Args:
        query: an open connection.
        endpoint: whose tables to repair.
        parents: the parent of each child table, uppermost first.
        stale: the hash column to empty where a key was duplicate, so that its row counts as not loaded.

    Raises:
        DatabaseUndefinedRelation: the endpoint has no table yet.
    """
    key = snake(endpoint.key)
    ((twice,),) = query.rows(f"SELECT count({key}) - count(DISTINCT {key}) FROM {query.table(endpoint.name)}")
    if twice or _has_orphans(query, parents):
        _mend(query, endpoint, parents, stale)


def _has_orphans(query: Query, parents: Mapping[str, str]) -> bool:
    """Whether a child table has orphaned rows; one query. ``parents`` gives the parent of each child table."""
    if not parents:
        return False
    counts = ", ".join(f"(SELECT count(*) FROM {_orphans(query, *pair)})" for pair in parents.items())
    try:
        return any(query.rows(f"SELECT {counts}")[0])
    except DatabaseUndefinedRelation:  # a table was dropped: a check reports it, and the load creates it again
        present = {child: parent for child, parent in parents.items() if query.exists(child) and query.exists(parent)}
        return len(present) < len(parents) and _has_orphans(query, present)


def _mend(query: Query, endpoint: Endpoint, parents: Mapping[str, str], stale: str) -> None:
    """Removes duplicate keys from an endpoint's table, and orphaned rows from its child tables."""
    key = snake(endpoint.key)
    twice = _keep_one(
        query, endpoint.name, key, key, "CASE WHEN removed_at IS NULL THEN 0 ELSE 1 END, _read_at DESC", stale
    )
    if twice:
        log.warning("%s: %d keys were stored twice; their rows are loaded again", endpoint.name, twice)
    for child, parent in parents.items():
        if query.exists(child) and query.exists(parent):
            if twice:
                _keep_one(query, child, key, "_dlt_id", "_dlt_id")
            if orphans := _delete_orphans(query, child, parent, key):
                log.warning("%s: deleted %d rows whose parent row in %s is gone", child, orphans, parent)


def _orphans(query: Query, child: str, parent: str) -> str:
    """SQL: the orphaned rows of a child table, as ``c``."""
    return (
        f"{query.table(child)} c LEFT JOIN {query.table(parent)} p ON p._dlt_id = c._dlt_parent_id WHERE p._dlt_id IS NULL"
    )


def _delete_orphans(query: Query, child: str, parent: str, key: str) -> int:
    ((count,),) = query.rows(f"SELECT count(*) FROM {_orphans(query, child, parent)}")
    if count and hasattr(query.client, "rewrite"):  # a destination whose SQL is read-only
        has_parent = f"_dlt_parent_id IN (SELECT _dlt_id FROM {query.table(parent)})"
        orphans = f"SELECT DISTINCT c.{key} FROM {_orphans(query, child, parent)}"
        kept = f"SELECT * FROM {query.table(child)} WHERE {key} IN ({orphans}) AND {has_parent}"
        query.client.rewrite(child, key, orphans, kept)
    elif count:
        orphans = f"SELECT c._dlt_id FROM {_orphans(query, child, parent)}"
        query.run(f"DELETE FROM {query.table(child)} WHERE _dlt_id IN ({orphans})")
    return int(count)


def _keep_one(query: Query, name: str, key: str, unique: str, order: str, stale: str = "") -> int:
    """Keeps the first row in ``order`` for each value of ``unique``; returns how many values were duplicate.

    Duplicates may be equal in every column, so all are deleted and one is inserted again, in a transaction if the
    destination has them.
    """
    table, columns = query.table(name), query.columns(name)
    twice = f"SELECT {unique} FROM {table} GROUP BY {unique} HAVING count(*) > 1"
    ((count,),) = query.rows(f"SELECT count(*) FROM ({twice}) t")
    if not count:
        return 0
    names = ", ".join(query.column(column) for column in columns)
    values = ", ".join(f"'' AS {query.column(c)}" if c.lower() == stale else query.column(c) for c in columns)
    ranked = f"SELECT {names}, row_number() OVER (PARTITION BY {unique} ORDER BY {order}) AS place_ FROM {table}"
    if hasattr(query.client, "rewrite"):
        keys = f"SELECT DISTINCT {key} FROM {table} WHERE {unique} IN ({twice})"
        kept = f"SELECT {values} FROM ({ranked} WHERE {key} IN ({keys})) r WHERE place_ = 1"
        query.client.rewrite(name, key, keys, kept)
        return int(count)
    kept_table = query.table(KEPT + name)
    with _transaction(query):
        query.run(f"DROP TABLE IF EXISTS {kept_table}")
        first = f"SELECT {values} FROM ({ranked} WHERE {unique} IN ({twice})) r WHERE place_ = 1"
        query.run(f"CREATE TABLE {kept_table} AS {first}")
        query.run(f"DELETE FROM {table} WHERE {unique} IN (SELECT {unique} FROM {kept_table})")
        query.run(f"INSERT INTO {table} ({names}) SELECT {names} FROM {kept_table}")
        query.run(f"DROP TABLE {kept_table}")
    return int(count)


def _transaction(query: Query) -> Any:
    able = query.client.capabilities
    return (
        query.client.begin_transaction() if able.supports_transactions and able.supports_ddl_transactions else nullcontext()
    )
