"""The declared schema: every documented column of every resource, with its type and meaning, and our own tables.

A column's type and meaning stand in the ``catalog``, in the file of its family; here they become dlt's hints.
``Warehouse.declare`` creates from it whatever a payload does not show: a column that has no value yet, a table without
rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, cast

import dlt
from dlt.common.normalizers.json.relational import DataItemNormalizer
from dlt.common.schema.typing import TColumnSchema, TTableSchema
from dlt.common.schema.utils import get_nested_tables
from dlt.destinations.impl.bigquery.bigquery_adapter import TABLE_DESCRIPTION_HINT

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Column, Endpoint
from include.api_video.catalog.naming import ASKED, CHECKS, REJECTED, SYNCS, columns_of, meaning_of, snake
from include.api_video.settings.destination import FOLDER, destination_name
from include.api_video.warehouse.asked_lists import ASKED_COLUMNS
from include.api_video.warehouse.ledger import SYNCS_COLUMNS
from include.api_video.warehouse.rejected_rows import REJECTED_COLUMNS

SCHEMA_NAME = "api_video_source"
# dlt's own columns, declared so that a table without rows has them too. The same hints as dlt's normalizer gives.
DLT_ROOT: dict[str, dict[str, Any]] = {
    "_dlt_load_id": {"data_type": "text", "nullable": False},
    "_dlt_id": {"data_type": "text", "nullable": False, "unique": True, "row_key": True},
}
DLT_CHILD: dict[str, dict[str, Any]] = {
    "_dlt_root_id": {"data_type": "text", "nullable": False, "root_key": True},
    "_dlt_parent_id": {"data_type": "text", "nullable": False, "parent_key": True},
    "_dlt_list_idx": {"data_type": "bigint", "nullable": False},
    "_dlt_id": {"data_type": "text", "nullable": False, "unique": True, "row_key": True},
}
DLT_COLUMNS = (
    Column("_dlt_load_id", "text", "Load package of the row's present content", joins="_dlt_loads.load_id"),
    Column("_dlt_id", "text", "dlt's id of the row, a new one with each change"),
    Column("_dlt_root_id", "text", "_dlt_id of the resource's row"),
    Column("_dlt_parent_id", "text", "_dlt_id of the row that the list stands in"),
    Column("_dlt_list_idx", "bigint", "Place in the list, from 0"),
)


# fmt: off
CHECKS_COLUMNS = (
    Column("run_id",        "text",      "Run that made the check"),
    Column("checked_at",    "timestamp", "When the check was made"),
    Column("table_name",    "text",      "Table checked"),
    Column("check_name",    "text",      "What was checked"),
    Column("passed",        "bool",      "Whether it passed; null if not proven"),
    Column("outcome",       "text",      "passed, failed or not proven: the rows are loaded, the proof is still to come"),
    Column("expected",      "text",      "Expected value"),
    Column("found",         "text",      "Value found"),
    Column("note",          "text",      "What the result means, and what to do"),
)
OWN_TABLES = {
    SYNCS:  ("The ledger: what each run did with each resource, even if nothing changed", SYNCS_COLUMNS),
    CHECKS: ("The proof: each check of each run, with what was expected and what was found", CHECKS_COLUMNS),
    ASKED: ("When the list of each parent's row was last requested, and what came of it", ASKED_COLUMNS),
    REJECTED: ("Listed by the API now, but impossible to store in its table, such as a video without an id", REJECTED_COLUMNS),
}
# fmt: on


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
    """Has dlt merge every child table of an endpoint, also those of undeclared fields, even if a load has no row for it.

    Otherwise the tags of a video that has none any more would stay: dlt leaves tables out of a merge for which its schema
    has seen no row, and each of our loads starts from the declared schema.
    """
    # The root, too: dlt drops a table without data from the schema, and would leave its children without a parent.
    for table in get_nested_tables(grown.tables, endpoint.name):
        schema.update_table(cast(TTableSchema, {**table, "x-normalizer": {"seen-data": True}}))


def show_delta_tables(schema: dlt.Schema) -> None:
    """Has dlt's own reader of Delta tables show all of them: it leaves out those without a row in the last load."""
    for table in schema.data_tables(include_incomplete=True):
        if table.get("table_format") == "delta":
            schema.update_table(cast(TTableSchema, {**table, "x-normalizer": {"seen-data": True}}))


def keep_newest(schema: dlt.Schema, endpoint: Endpoint) -> None:
    """Has dlt keep the newest version of each row of this load, which has two versions of some.

    By default it skips its sort for duplicate keys, which takes all rows of a load into the destination's memory.
    """
    table = cast("dict[str, Any]", schema.tables[endpoint.name])
    for hint in _merge_hints(deduplicated=True).keys() - _merge_hints(deduplicated=False).keys():
        table.pop(hint, None)
    table["columns"]["_read_at"]["dedup_sort"] = "desc"


def is_deduplicated(table: Mapping[str, Any]) -> bool:
    """Whether dlt expects no duplicate keys in a load, and skips its sort for them."""
    return all(table.get(name) == hint for name, hint in _merge_hints(deduplicated=True).items())


@cache
def _merge_hints(*, deduplicated: bool) -> Mapping[str, Any]:
    """The hints of a table whose rows dlt merges, as it makes them for a resource with this write disposition."""
    disposition: Any = {"disposition": "merge", "deduplicated": True} if deduplicated else "merge"
    hints = dlt.resource([], name="merged", write_disposition=disposition).compute_table_schema()
    return {name: hint for name, hint in hints.items() if name not in ("name", "resource", "columns")}


def add_only(schema: dlt.Schema, endpoint: Endpoint) -> None:
    """Has dlt append the rows of a load to the endpoint's tables, which are empty.

    A merge would write each row twice, and look for it in an empty table.
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
        table |= _merge_hints(deduplicated=True) if key else {"write_disposition": "append"}
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
