"""The table ``_asked``: what became of each parent's list, when it was last requested.

A parent whose list is empty leaves no row in the list's own table, so this table remembers it. Rows are appended; the
newest of a complete load counts. Losing one costs a request and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Column, Endpoint
from include.api_video.catalog.naming import ASKED, snake
from include.api_video.warehouse.sql import Query

# fmt: off
ASKED_COLUMNS = (
    Column("asked_id",     "text",      "Resource, parent_key and asked_at"),
    Column("resource",     "text",      "Resource that has a list per parent, which is the name of its table"),
    Column("parent_key",   "text",      "Key of the parent's row"),
    Column("parent_hash",  "text",      "_content_hash of the parent then; null or different now: asked for again"),
    Column("content_hash", "text",      "Hash of the list"),
    Column("listed_rows",  "bigint",    "Rows of the list that the table can hold", "rows"),
    Column("asked_at",     "timestamp", "When the list was requested"),
    Column("load_id",      "text",      "Load package of dlt", joins="_dlt_loads.load_id"),
)
# fmt: on
LEFT = ("parent_key", "parent_hash", "content_hash", "listed_rows", "asked_at", "asked_id")


def last_asked(query: Query) -> str:
    """SQL: the newest row of each parent whose load is complete, in parentheses. Its parameter is the resource."""
    names = ", ".join(LEFT)
    return (
        f"(SELECT {names} FROM (SELECT {names}, ROW_NUMBER() OVER (PARTITION BY parent_key ORDER BY asked_at DESC) AS nth "
        f"FROM {query.table(ASKED)} WHERE resource = %s AND _dlt_load_id IN {query.complete_loads}) told WHERE nth = 1)"
    )


def forget_superseded(query: Query, endpoint: Endpoint) -> None:
    """Deletes rows that a newer one replaced, once they are as many as those that count."""
    asked = query.table(ASKED)
    ((rows, parents),) = query.rows(
        f"SELECT count(*), count(DISTINCT parent_key) FROM {asked} WHERE resource = %s", endpoint.name
    )
    if int(rows) > 2 * int(parents):
        kept = f"SELECT asked_id FROM {last_asked(query)} kept"
        query.delete_where(ASKED, "asked_id", f"resource = %s AND asked_id NOT IN ({kept})", endpoint.name, endpoint.name)


def forget_lost_parents(query: Query, endpoint: Endpoint, listed: str, *args: str) -> None:
    """Deletes rows of parents that are gone: if one comes back, its list is requested again.

    ``listed`` is a query for the keys of the parents that are there, ``args`` are its parameters.
    """
    query.delete_where(ASKED, "asked_id", f"resource = %s AND parent_key NOT IN ({listed})", endpoint.name, *args)


def forget_all_asked(query: Query, resource: str) -> None:
    """Deletes all rows of a resource."""
    if query.exists(ASKED):
        query.delete(ASKED, "resource", [resource])


def forget_recent_asked(query: Query, endpoint: Endpoint, since: datetime) -> None:
    """Deletes the rows of lists that api.video still has for certain: those of days since then, or of no day at all.

    Each parent of a list of analytics has a column ``day``; other lists have no day of their own.
    """
    if not query.exists(ASKED):
        return
    where, args = "resource = %s", [endpoint.name]
    if endpoint.parent and endpoint.asks:
        parent = by_name()[endpoint.parent]
        if not query.exists(parent.name):
            return
        days = f"SELECT {snake(parent.key)} FROM {query.table(parent.name)} WHERE day >= %s"
        where, args = f"{where} AND parent_key IN ({days})", [*args, since.date().isoformat()]
    query.delete_where(ASKED, "asked_id", where, *args)


def asked_rows(endpoint: Endpoint, lists: Iterable[dict[str, object]], load_id: str) -> list[dict[str, object]]:
    """Rows to append for lists that were requested: ``parent_key``, ``parent_hash``, ``content_hash``, ``listed_rows`` and
    ``asked_at`` of each.
    """
    own = {"resource": endpoint.name, "load_id": load_id}
    return [{**own, "asked_id": f"{endpoint.name} {row['parent_key']} {row['asked_at']}", **row} for row in lists]


def parent_column(endpoint: Endpoint) -> str:
    """The column of the list's table that holds the parent's key."""
    return snake(endpoint.key_parts[0])
