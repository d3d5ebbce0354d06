"""Parents: which rows of a table have an object or a list of their own, and which loaded rows have lost their parent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import snake
from include.api_video.warehouse.sql import Query


def is_parent(endpoint: Endpoint, alias: str = "") -> str:
    """SQL condition on a row of the parent's table: the API should have its object or list. Parameters: ``parent_args``."""
    conditions = [f"{alias}removed_at IS NULL"]
    for name, value in endpoint.parent_where.items():
        marks = ", ".join(["%s"] * (1 if isinstance(value, str) else len(value)))
        conditions.append(f"{alias}{snake(name)} IN ({marks})")
    return " AND ".join(conditions)


def parent_args(endpoint: Endpoint) -> tuple[str, ...]:
    """The values of ``parent_where``, in order."""
    values = endpoint.parent_where.values()
    return tuple(each for value in values for each in ((value,) if isinstance(value, str) else value))


def parent_keys(query: Query, endpoint: Endpoint) -> str:
    """SQL: the keys of all parents. Parameters: ``parent_args``."""
    parent = by_name()[endpoint.parent or ""]
    return f"SELECT {snake(parent.key)} FROM {query.table(parent.name)} WHERE {is_parent(endpoint)}"


def remove_without_parent(
    query: Query, endpoint: Endpoint, column: str, now: datetime, *, only: str, forget: Sequence[str] = ()
) -> None:
    """Soft-deletes loaded rows whose parent is removed, or no longer has such an object or list.

    Args:
        query: an open connection.
        endpoint: of the rows.
        column: the column with the parent's key.
        now: when they are marked removed.
        only: SQL condition on the rows to look at.
        forget: columns to empty.
    """
    lost, args = f"{only} AND {column} NOT IN ({parent_keys(query, endpoint)})", parent_args(endpoint)
    try:
        ((count,),) = query.rows(f"SELECT count(*) FROM {query.table(endpoint.name)} WHERE {lost}", *args)
        if count:
            query.mark_removed(endpoint.name, snake(endpoint.key), lost, *args, now=now, forget=list(forget))
    except DatabaseUndefinedRelation:
        return  # nothing is loaded yet
