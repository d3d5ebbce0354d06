"""The table ``_rejected``: what the API lists but no table can hold."""

from __future__ import annotations

from collections.abc import Sequence

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.model import Column, Endpoint
from include.api_video.catalog.naming import REJECTED
from include.api_video.warehouse.sql import Query

# fmt: off
REJECTED_COLUMNS = (
    Column("rejected_id",   "text",      "Resource and row_key"),
    Column("resource",      "text",      "Table that it was meant for"),
    Column("row_key",       "text",      "Its key, or the key requested; without either, ~ and a hash of the payload"),
    Column("reason",        "text",      "Why it cannot be a row"),
    Column("payload",       "text",      "What the API sent, as JSON, without secrets"),
    Column("read_at",       "timestamp", "When this payload was first read"),
    Column("run_id",        "text",      "Run that first read it"),
    Column("load_id",       "text",      "Load package of that run", joins="_dlt_loads.load_id"),
    Column("content_hash",  "text",      "Hash of the payload, to find changes"),
)
# fmt: on


def rejected(query: Query, endpoint: Endpoint) -> dict[str, str | None]:
    """Content hash by key of an endpoint's rejected rows; None if its load was killed, or the key is stored twice."""
    kept_hash = f"CASE WHEN _dlt_load_id IN {query.complete_loads} THEN content_hash END"
    try:
        rows = query.rows(f"SELECT row_key, {kept_hash} FROM {query.table(REJECTED)} WHERE resource = %s", endpoint.name)
    except DatabaseUndefinedRelation:
        return {}
    found: dict[str, str | None] = {}
    for key, content_hash in rows:
        found[str(key)] = None if key in found else content_hash
    return found


def forget_rejected(query: Query, ids: Sequence[str]) -> None:
    """Deletes rows by ``rejected_id``; idempotent."""
    if ids:
        query.delete(REJECTED, "rejected_id", ids)


def forget_all_rejected(query: Query, resource: str) -> None:
    """Deletes all rows of a resource."""
    if query.exists(REJECTED):
        query.delete(REJECTED, "resource", [resource])
