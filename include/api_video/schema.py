"""The declared schema: every documented column of every resource, with its type and meaning, and our own tables.

``Warehouse.declare`` creates from it whatever a payload does not show: a column that has no value yet, a table without
rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any, cast

import dlt
from dlt.common.normalizers.json.relational import DataItemNormalizer
from dlt.common.normalizers.naming.snake_case import NamingConvention
from dlt.common.schema.typing import TColumnSchema, TTableSchema
from dlt.common.schema.utils import get_nested_tables
from dlt.destinations.impl.bigquery.bigquery_adapter import TABLE_DESCRIPTION_HINT

from include.api_video.destination import FOLDER, destination_name
from include.api_video.endpoints import ENDPOINTS, Column, Endpoint

SCHEMA_NAME = "api_video_source"
# dlt's hint that no row of a load is there twice: to look for those in SQL, all rows are sorted in memory.
HANDED_ON_ONCE = "x-stage-data-deduplicated"
SYNCS, CHECKS, REJECTED = "_syncs", "_checks", "_rejected"
MORE_FIELDS = "_more_fields"  # column for what is beyond the columns and child tables that a table may have
SKIPPED = "skipped"  # mode of a resource that a run left out
PARTIAL = "partial"  # mode of a reading that stopped, or through which a row may have slipped

# fmt: off
# Columns of ours in every resource's table.
OWN_COLUMNS = (
    Column("removed_at",    "timestamp", "When a run found that the API no longer lists the row; null while it does"),
    Column("_read_at",      "timestamp", "When the row's present content was read"),
    Column("_content_hash", "text",      "Hash of the row as the API gave it, to find changes"),
)
# Of tables read per parent, too.
DETAIL_COLUMNS = (
    Column("_parent_hash",  "text",      "_content_hash of the parent when this was asked for; differs: ask again"),
    Column("_is_final",     "bool",      "Whether it can only change with its parent; false: ask again at each run"),
)
SYNCS_COLUMNS = (
    Column("run_id",        "text",      "Run of the DAG, or of the plain command"),
    Column("resource",      "text",      "Which table"),
    Column("mode",          "text",      "first, changes (down to the cursor), full (the whole list), partial or skipped"),
    Column("started_at",    "timestamp", "When the task began to read"),
    Column("finished_at",   "timestamp", "When everything was read"),
    Column("items_total",   "bigint",    "What the API says it lists (itemsTotal)", "rows"),
    Column("active_rows",   "bigint",    "Not removed, after this run", "rows"),
    Column("new_rows",      "bigint",    "Seen for the first time", "rows"),
    Column("changed_rows",  "bigint",    "Whose content changed", "rows"),
    Column("removed_rows",  "bigint",    "That the API no longer lists", "rows"),
    Column("restored_rows", "bigint",    "That were removed and are listed again", "rows"),
    Column("drifted_rows",  "bigint",    "That changed although updatedAt did not move", "rows"),
    Column("waiting_rows",  "bigint",    "Left for the next run by the budget of requests", "objects"),
    Column("unread_rows",   "bigint",    "That the API failed to give again and again; they are waiting, too", "objects"),
    Column("rejected_rows", "bigint",    "That cannot be rows of the table, as of now: they are in _rejected", "rows"),
    Column("expected_requests", "bigint", "What the run should need, as known beforehand", "requests"),
    Column("requests",      "bigint",    "Sent, retries included", "requests"),
    Column("rate_limited",  "bigint",    "Answered 429", "requests"),
    Column("rate_limit",    "bigint",    "Allowed in a minute, as the API's answers say", "requests"),
    Column("total_off",     "bigint",    "items_total less the different rows of a list that stands still", "rows"),
    Column("is_sorted",     "bool",      "Whether the list came in the order asked for; false: it is read whole each time"),
    Column("unproven",      "text",      "Why the table is not proven equal, with both figures; null: it is proven"),
    Column("unproven_since", "timestamp", "Since when it has not been proven"),
    Column("stopped_by",    "text",      "Error that ended the reading early; what was read until then is loaded"),
    Column("lost_fields",   "text",      "Fields that the same rows had before, and none of the rows read has any more"),
    Column("load_id",       "text",      "dlt's load package", joins="_dlt_loads.load_id"),
    Column("base_url",      "text",      "Which API was read: its address, or demo"),
)
REJECTED_COLUMNS = (
    Column("rejected_id",   "text",      "Resource and row_key"),
    Column("resource",      "text",      "Table that it should be a row of"),
    Column("row_key",       "text",      "Its key, or that of the request; where there is none, ~ and a hash of it"),
    Column("reason",        "text",      "Why it cannot be a row"),
    Column("payload",       "text",      "What the API sent, as JSON, without secrets"),
    Column("read_at",       "timestamp", "When it was read first, as it is now"),
    Column("run_id",        "text",      "Run that read it then"),
    Column("load_id",       "text",      "dlt's load package of that run", joins="_dlt_loads.load_id"),
    Column("content_hash",  "text",      "Hash of the payload, to find changes"),
)
CHECKS_COLUMNS = (
    Column("run_id",        "text",      "Run that made the check"),
    Column("checked_at",    "timestamp", "When"),
    Column("table_name",    "text",      "Table checked"),
    Column("check_name",    "text",      "What was checked"),
    Column("passed",        "bool",      "Whether it held; null: not proven"),
    Column("outcome",       "text",      "passed, failed or not proven: the rows are loaded, the proof is still to come"),
    Column("expected",      "text",      "What it should be"),
    Column("found",         "text",      "What it is"),
    Column("note",          "text",      "What to make of it"),
)
OWN_TABLES = {
    SYNCS:  ("The ledger: what each run did with each resource, also where nothing changed", SYNCS_COLUMNS),
    CHECKS: ("The proof: each check of each run, with what was expected and what was found", CHECKS_COLUMNS),
    REJECTED: ("What the API lists and no table can hold, such as a video without its id: as it is now", REJECTED_COLUMNS),
}
# dlt's own columns, declared so that a table without rows has them too. The same hints as dlt's normalizer gives.
DLT_ROOT: dict[str, dict[str, Any]] = {
    "_dlt_load_id":   {"data_type": "text",   "nullable": False},
    "_dlt_id":        {"data_type": "text",   "nullable": False, "unique": True, "row_key": True},
}
DLT_CHILD: dict[str, dict[str, Any]] = {
    "_dlt_root_id":   {"data_type": "text",   "nullable": False, "root_key": True},
    "_dlt_parent_id": {"data_type": "text",   "nullable": False, "parent_key": True},
    "_dlt_list_idx":  {"data_type": "bigint", "nullable": False},
    "_dlt_id":        {"data_type": "text",   "nullable": False, "unique": True, "row_key": True},
}
DLT_COLUMNS = (
    Column("_dlt_load_id",   "text",   "Load package of the row's present content", joins="_dlt_loads.load_id"),
    Column("_dlt_id",        "text",   "dlt's id of the row, a new one with each change"),
    Column("_dlt_root_id",   "text",   "_dlt_id of the resource's row"),
    Column("_dlt_parent_id", "text",   "_dlt_id of the row that the list stands in"),
    Column("_dlt_list_idx",  "bigint", "Place in the list, from 0"),
)
# fmt: on


def snake(name: str) -> str:
    """A name of the API as the warehouse has it: ``videoId`` becomes ``video_id``."""
    return NamingConvention().normalize_identifier(name)


def locate(table: str, path: str) -> tuple[str, str]:
    """Table and column in which a documented field lands.

    ``("videos", "metadata[].key")`` gives ``("videos__metadata", "key")``; a list of plain values has them in ``value``.
    """
    naming = NamingConvention()
    *lists, last = path.split("[]")
    parts = [snake(part) for step in lists for part in step.strip(".").split(".")]
    child = naming.make_path(table, *parts) if lists else table
    column = naming.make_path(*(snake(part) for part in last.strip(".").split("."))) if last else "value"
    return child, column


def tables_of(endpoint: Endpoint) -> list[str]:
    """The endpoint's table and its child tables."""
    return list(dict.fromkeys([endpoint.name, *(locate(endpoint.name, c.path)[0] for c in endpoint.columns)]))


def columns_of(endpoint: Endpoint) -> dict[str, dict[str, Column]]:
    """``{table: {column: its declaration}}`` of an endpoint, without dlt's own columns."""
    key = snake(endpoint.key)
    tables: dict[str, dict[str, Column]] = {name: {} for name in tables_of(endpoint)}
    own = OWN_COLUMNS if endpoint.is_list else OWN_COLUMNS + DETAIL_COLUMNS
    for column in endpoint.columns + own:
        table, name = locate(endpoint.name, column.path)
        tables[table][name] = column
    if endpoint.parent:
        tables[endpoint.name][key] = replace(tables[endpoint.name][key], joins=f"{endpoint.parent}.{key}")
    # Carried down to child tables by dlt's normalizer, so that they join on it.
    carried = Column(endpoint.key, "text", "Row that it belongs to", joins=f"{endpoint.name}.{key}")
    return {name: columns if name == endpoint.name else {key: carried, **columns} for name, columns in tables.items()}


def meaning_of(endpoint: Endpoint, table: str) -> str:
    """What one of the endpoint's tables holds."""
    if table == endpoint.name:
        return endpoint.meaning
    field = next(c.path.rpartition("[]")[0] for c in endpoint.columns if locate(endpoint.name, c.path)[0] == table)
    return f"The list {field} of each row of {endpoint.name}: one row per item"


def build_schema(resources: Iterable[Endpoint] = ENDPOINTS) -> dlt.Schema:
    """The schema with the tables of ``resources``, and our own."""
    schema = dlt.Schema(SCHEMA_NAME)
    for endpoint in resources:
        declare_tables(schema, endpoint)
    for name, (meaning, own) in OWN_TABLES.items():
        schema.update_table(_table(name, meaning, ((c.path, c) for c in own), resource=name))
    return dlt.Schema.from_dict(cast(Any, schema.to_dict()))  # numbered and hashed, as dlt wants a schema to be stored


def schema_of(names: Iterable[str]) -> dlt.Schema:
    """The schema with the tables of the resources of these names, in the order of the table of endpoints.

    Built once a process: clone it to change it, as dlt does.
    """
    return _schema_of(frozenset(names), destination_name())


@cache
def _schema_of(names: frozenset[str], _: str) -> dlt.Schema:
    """By destination, too: a lake's tables have hints of their own."""
    return build_schema(endpoint for endpoint in ENDPOINTS if endpoint.name in names)


def declare_tables(schema: dlt.Schema, endpoint: Endpoint) -> None:
    """Adds an endpoint's table and its child tables to a schema."""
    key = snake(endpoint.key)
    # A documented key on every child row; dlt's own _dlt_root_id is random and changes with each merge.
    carried = {"propagation": {"tables": {endpoint.name: {key: key}}}}
    DataItemNormalizer.update_normalizer_config(schema, cast(Any, carried))
    for name, columns in columns_of(endpoint).items():
        is_child = name != endpoint.name
        parent, own_key = (endpoint.name, None) if is_child else (None, key)
        meaning, hints = meaning_of(endpoint, name), columns.items()
        schema.update_table(_table(name, meaning, hints, resource=endpoint.name, parent=parent, key=own_key))


def merge_child_tables(schema: dlt.Schema, grown: dlt.Schema, endpoint: Endpoint) -> None:
    """Has dlt merge every child table of an endpoint, also those of undeclared fields, whatever a load brings.

    dlt leaves out of a merge the tables that it has not seen a row for, as far as it knows: each of our loads begins from
    the declared schema. The tags of a video that has none any more would stay.
    """
    # The root, too: dlt takes a table without data out of the schema, and would leave its children without it.
    for table in get_nested_tables(grown.tables, endpoint.name):
        schema.update_table(cast(TTableSchema, {**table, "x-normalizer": {"seen-data": True}}))


def show_delta_tables(schema: dlt.Schema) -> None:
    """Has dlt's own reader of Delta tables show all of them: it leaves out those that the last load brought no row for."""
    for table in schema.data_tables(include_incomplete=True):
        if table.get("table_format") == "delta":
            schema.update_table(cast(TTableSchema, {**table, "x-normalizer": {"seen-data": True}}))


def keep_newest(schema: dlt.Schema, endpoint: Endpoint) -> None:
    """Has dlt keep the newest version of each row of this load; without it, each is taken to come once.

    To look for doubles dlt sorts all rows of a load in the destination's memory.
    """
    table = cast("dict[str, Any]", schema.tables[endpoint.name])
    table.pop(HANDED_ON_ONCE, None)
    table["columns"]["_read_at"]["dedup_sort"] = "desc"


def add_only(schema: dlt.Schema, endpoint: Endpoint) -> None:
    """Has dlt write the rows of a load straight into the endpoint's tables, which have none.

    To merge them, dlt would write them twice, and look for each in an empty table.
    """
    schema.tables[endpoint.name]["write_disposition"] = "append"


def _table(
    name: str,
    meaning: str,
    columns: Iterable[tuple[str, Column]],
    *,
    resource: str,
    parent: str | None = None,
    key: str | None = None,
) -> TTableSchema:
    meanings = {column.path: column.description for column in DLT_COLUMNS}
    of_dlt = {
        n: {"name": n, "description": meanings[n], **hints} for n, hints in (DLT_CHILD if parent else DLT_ROOT).items()
    }
    documented = {n: _column(n, c, is_key=n == key) for n, c in columns}
    table: dict[str, Any] = {"name": name, "description": meaning, "columns": {**documented, **of_dlt}}
    table[TABLE_DESCRIPTION_HINT] = meaning  # BigQuery's own name for it
    if parent:
        table["parent"] = parent
    else:
        table["resource"] = resource
        table["write_disposition"] = "merge" if key else "append"
        if key:
            table[HANDED_ON_ONCE] = True
    if destination_name() == FOLDER:
        table["table_format"] = "delta"  # so that dlt's own readers take the files for what they are
    return cast(TTableSchema, table)


def _column(name: str, column: Column, *, is_key: bool) -> TColumnSchema:
    hints: dict[str, Any] = {"name": name, "data_type": column.data_type, "description": column.description}
    hints["nullable"] = not is_key
    if is_key:
        hints["primary_key"] = True
    if column.data_type == "timestamp":
        hints["timezone"] = True
    return cast(TColumnSchema, hints)
