"""The tables that endpoints come to, and our own: names, columns, what they mean. ``warehouse.schema`` makes dlt's of it."""

from __future__ import annotations

from dataclasses import replace

from dlt.common.normalizers.naming.snake_case import NamingConvention

from include.api_video.catalog.model import Column, Endpoint

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
# fmt: on


def snake(name: str) -> str:
    """A name of the API as the warehouse has it: ``videoId`` becomes ``video_id``."""
    return NamingConvention().normalize_identifier(name)


def table_and_column(table: str, path: str) -> tuple[str, str]:
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
    return list(dict.fromkeys([endpoint.name, *(table_and_column(endpoint.name, c.path)[0] for c in endpoint.columns)]))


def columns_of(endpoint: Endpoint) -> dict[str, dict[str, Column]]:
    """``{table: {column: its declaration}}`` of an endpoint, without dlt's own columns."""
    key = snake(endpoint.key)
    tables: dict[str, dict[str, Column]] = {name: {} for name in tables_of(endpoint)}
    own = OWN_COLUMNS if endpoint.is_list else OWN_COLUMNS + DETAIL_COLUMNS
    for column in endpoint.columns + own:
        table, name = table_and_column(endpoint.name, column.path)
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
    field = next(
        c.path.rpartition("[]")[0] for c in endpoint.columns if table_and_column(endpoint.name, c.path)[0] == table
    )
    return f"The list {field} of each row of {endpoint.name}: one row per item"
