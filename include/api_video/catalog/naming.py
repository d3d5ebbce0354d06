"""The warehouse's tables, the endpoints' and our own: names, columns, meanings. ``warehouse.schema`` gives them to dlt."""

from __future__ import annotations

from dataclasses import replace

from dlt.common.normalizers.naming.snake_case import NamingConvention

from include.api_video.catalog.model import Column, Endpoint

SYNCS, CHECKS, REJECTED, ASKED = "_syncs", "_checks", "_rejected", "_asked"
MORE_FIELDS = "_more_fields"  # JSON column for fields beyond the limit of columns and child tables
SKIPPED = "skipped"  # mode of a resource that the run left out
PARTIAL = "partial"  # mode of a reading that stopped early or may have missed a row

# fmt: off
# Our own columns in the table of each resource.
OWN_COLUMNS = (
    Column("removed_at",    "timestamp", "Soft delete: when a run found that the API no longer lists the row; null while it does"),
    Column("_read_at",      "timestamp", "When the row's current content was read"),
    Column("_content_hash", "text",      "Hash of the row as the API sent it, to find changes"),
)
# And in tables read per parent.
DETAIL_COLUMNS = (
    Column("_parent_hash",  "text",      "_content_hash of the parent when this was requested; if it differs now, it is requested again"),
    Column("_is_final",     "bool",      "Whether it only changes with its parent; if false, it is requested again at each run"),
)
# fmt: on


def snake(name: str) -> str:
    """The warehouse's spelling of an API name: ``videoId`` becomes ``video_id``."""
    return NamingConvention().normalize_identifier(name)


def table_and_column(table: str, path: str) -> tuple[str, str]:
    """Table and column in which a documented field lands.

    ``("videos", "metadata[].key")`` gives ``("videos__metadata", "key")``; plain values of a list land in ``value``.
    """
    naming = NamingConvention()
    *lists, last = path.split("[]")
    parts = [snake(part) for step in lists for part in step.strip(".").split(".")]
    child = naming.make_path(table, *parts) if lists else table
    column = naming.make_path(*(snake(part) for part in last.strip(".").split("."))) if last else "value"
    return child, column


def tables_of(endpoint: Endpoint) -> list[str]:
    """The endpoint's table and its child tables."""
    return list(dict.fromkeys([endpoint.name, *(table_and_column(endpoint.name, c.path)[0] for c in endpoint.columns)]))


def columns_of(endpoint: Endpoint) -> dict[str, dict[str, Column]]:
    """The columns of an endpoint's tables, without dlt's own: ``{table: {column: declaration}}``."""
    key = snake(endpoint.key)
    tables: dict[str, dict[str, Column]] = {name: {} for name in tables_of(endpoint)}
    own = OWN_COLUMNS + DETAIL_COLUMNS if endpoint.sync.is_detail else OWN_COLUMNS
    for column in endpoint.columns + own:
        table, name = table_and_column(endpoint.name, column.path)
        tables[table][name] = column
    if endpoint.sync.is_detail:
        tables[endpoint.name][key] = replace(tables[endpoint.name][key], joins=f"{endpoint.parent}.{key}")
    # dlt's normalizer copies the key into child tables, so that they can be joined.
    carried = Column(endpoint.key, "text", "Row that this item belongs to", joins=f"{endpoint.name}.{key}")
    return {name: columns if name == endpoint.name else {key: carried, **columns} for name, columns in tables.items()}


def meaning_of(endpoint: Endpoint, table: str) -> str:
    """What one of the endpoint's tables holds."""
    if table == endpoint.name:
        return endpoint.meaning
    field = next(
        c.path.rpartition("[]")[0] for c in endpoint.columns if table_and_column(endpoint.name, c.path)[0] == table
    )
    return f"Items of the list {field} of {endpoint.name}, one row each"
