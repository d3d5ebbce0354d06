"""The data dictionary as data: every table and column of the dataset, with its meaning and origin.

Built from the table of endpoints and the declared schema. ``write`` renders it; a test compares it with the tables that a
load creates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Column, Endpoint, Host, Sync
from include.api_video.catalog.naming import DETAIL_COLUMNS, OWN_COLUMNS, REJECTED, columns_of, meaning_of, snake
from include.api_video.warehouse.schema import DLT_COLUMNS, OWN_TABLES, build_schema

HOW = {
    Sync.NEWEST_FIRST: "incremental: newest changes first, down to the cursor; the count reveals removals",
    Sync.COUNTED: "whole list if its count or page 1 shows a change, else one request",
    Sync.WHOLE: "whole list, compared row by row",
    Sync.DAYS: "the open day at each run; a day that is over again 1, 24 and 72 hours after its end, then it is settled",
    Sync.PER_PARENT: "one request per new, changed or unfinished row of `{parent}`",
}
DELETES = {
    Sync.NEWEST_FIRST: "`removed_at`: noticed by the API's count, proven by requesting the row or by the whole list",
    Sync.COUNTED: "`removed_at`: missing from the whole list, which is read if the count or page 1 shows a change",
    Sync.WHOLE: "`removed_at`: missing from the whole list",
    Sync.DAYS: "rows stay, also after api.video has forgotten the day",
    Sync.PER_PARENT: "`removed_at`: with the row of `{parent}`, or if the API has none (404)",
}
# dlt's own tables, beside those of the schema.
DLT_TABLES = {
    "_dlt_loads": "One row per load package; `status` 0 means that it is complete",
    "_dlt_version": "One row per version of the schema",
    "_dlt_pipeline_state": "State of dlt's pipelines; this package keeps none there",
}
OURS, OF_DLT = "this package", "dlt"


@dataclass(frozen=True)
class ColumnEntry:
    """A column. ``source`` is the field's path in the API, or who adds it; ``joins`` the ``table.column`` it refers to."""

    name: str
    data_type: str
    unit: str
    meaning: str
    source: str
    nullable: bool
    is_primary: bool = False
    joins: str = ""


@dataclass(frozen=True)
class TableEntry:
    """A table. ``parent`` is set for child tables; ``deletes`` says how to tell removed rows."""

    name: str
    meaning: str
    source: str
    current: str
    deletes: str
    columns: tuple[ColumnEntry, ...]
    parent: str | None = None
    switch: str = ""  # what has to be set for it (``Endpoint.switch``)


def tables() -> Iterator[TableEntry]:
    """All tables except dlt's own, in the order of the table of endpoints; each resource before its child tables."""
    declared = build_schema().tables
    for endpoint in ENDPOINTS:
        for name, columns in columns_of(endpoint).items():
            sources = {column: _source(endpoint, name, declaration) for column, declaration in columns.items()}
            yield TableEntry(
                name,
                meaning_of(endpoint, name),
                source_of(endpoint),
                how_current(endpoint) if name == endpoint.name else f"with its row of `{endpoint.name}`",
                _deletes(endpoint, name),
                tuple(_entries(declared[name]["columns"], columns, sources)),
                parent=None if name == endpoint.name else endpoint.name,
                switch=endpoint.switch,
            )
    for name, (meaning, own) in OWN_TABLES.items():
        columns = {column.path: column for column in own}
        entries = tuple(_entries(declared[name]["columns"], columns, dict.fromkeys(columns, OURS)))
        current = "rows are added by the run that finds them" if name == REJECTED else "rows are added at each run"
        stays = "a row is deleted once it can be loaded or is gone" if name == REJECTED else "rows stay"
        yield TableEntry(name, meaning, OURS, current, stays, entries)


def source_of(endpoint: Endpoint) -> str:
    """The endpoint's path in Markdown."""
    return f"`{endpoint.path}`{' (Admin API)' if endpoint.host is Host.ADMIN else ''}"


def how_current(endpoint: Endpoint) -> str:
    """How a resource's table is kept current."""
    if endpoint.sync.is_list_per_parent:
        return _how_lists_are(endpoint)
    return HOW[endpoint.sync].format(parent=endpoint.parent)


def _how_lists_are(endpoint: Endpoint) -> str:
    """When lists are requested: those that rows of a parent have, or the one that belongs to no row."""
    many, due = max(1, len(endpoint.asks)), endpoint.due
    which = "each of a day's most played rows" if endpoint.most_played else "each new or changed row"
    text = "one request" if many == 1 else f"{many} requests"
    text += f" for {which} of `{endpoint.parent}`" if endpoint.parent else " for the whole list"
    text += " once the day is over" if endpoint.at_close else ""
    if not due:
        return text
    every = f"every {due.every_days * 24:g} hours" if due.every_days <= 1 else f"every {due.every_days:g} days"
    return f"{text}, hourly in its first {due.young_h:g} hours, later {every}" if due.young_h else f"{text}, {every}"


def _how_lists_lose(endpoint: Endpoint) -> str:
    """How to tell rows that are missing from their list."""
    if endpoint.keeps_rows:
        return f"rows stay, also after api.video has forgotten them, or the row of `{endpoint.parent}` is removed"
    if not endpoint.parent:
        return "`removed_at`: missing from the list"
    return f"`removed_at`: missing from the list of its row of `{endpoint.parent}`, or with that row"


def _deletes(endpoint: Endpoint, table: str) -> str:
    if table != endpoint.name:
        return f"none of its own: see `removed_at` of `{endpoint.name}`"
    to_bin = f"; a row that moved to `{endpoint.bin}` is removed here" if endpoint.bin else ""
    if endpoint.sync.is_list_per_parent:
        return _how_lists_lose(endpoint)
    return DELETES[endpoint.sync].format(parent=endpoint.parent) + to_bin


def _source(endpoint: Endpoint, table: str, column: Column) -> str:
    if column in OWN_COLUMNS + DETAIL_COLUMNS:
        return OURS
    if column.made_of:
        return f"made of `{column.made_of}`"
    if endpoint.asks:
        return _source_of_answers(endpoint, column)
    if column.path in endpoint.key_parts[:1]:
        return f"`{column.path}` of the request"
    if column.path == endpoint.key and endpoint.key_parts:
        return OURS
    if column.path != endpoint.key:
        return f"`{column.path}`"
    if table != endpoint.name:
        return f"`{endpoint.key}` of the row"
    return f"`{endpoint.key}` of the request" if endpoint.sync.is_detail else f"`{endpoint.key}`"


def _source_of_answers(endpoint: Endpoint, column: Column) -> str:
    """Where a column comes from in a row that is made of answers of analytics: a number, a value, or the day."""
    for ask in endpoint.asks:
        if ask.column == column.path:
            return f"`/data/{ask.path}`"
    if column.path in endpoint.key_parts[1:]:
        return "`emittedAt`" if endpoint.asks[0].path.startswith("timeseries/") else "`dimensionValue`"
    if column.path in endpoint.carried:
        return f"`{snake(column.path)}` of `{endpoint.parent}`"
    return OURS


def _entries(hints: Mapping[str, Any], columns: Mapping[str, Column], sources: Mapping[str, str]) -> Iterator[ColumnEntry]:
    known = {**{column.path: column for column in DLT_COLUMNS}, **columns}
    for name, hint in hints.items():
        column = known[name]
        yield ColumnEntry(
            name,
            hint["data_type"],
            column.unit,
            column.meaning,
            sources.get(name, OF_DLT),
            bool(hint.get("nullable", True)),
            bool(hint.get("primary_key", False)),
            column.joins,
        )


def references() -> Iterator[tuple[str, ColumnEntry, str]]:
    """Every foreign key as (table, column, table it refers to)."""
    for table in tables():
        for column in table.columns:
            if column.joins:
                yield table.name, column, column.joins.partition(".")[0]
