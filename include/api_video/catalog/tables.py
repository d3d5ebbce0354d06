"""The warehouse's tables, the endpoints' and our own: names, columns, meanings. ``warehouse.schema`` gives them to dlt."""

from __future__ import annotations

from dataclasses import replace

from dlt.common.normalizers.naming.snake_case import NamingConvention

from include.api_video.catalog.model import Column, Endpoint

SYNCS, CHECKS, REJECTED = "_syncs", "_checks", "_rejected"
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
SYNCS_COLUMNS = (
    Column("run_id",        "text",      "Run of the DAG or of the command line"),
    Column("resource",      "text",      "Resource, which is the name of its table"),
    Column("mode",          "text",      "first, changes (incremental, down to the cursor), full (the whole list), partial or skipped"),
    Column("started_at",    "timestamp", "When reading began"),
    Column("finished_at",   "timestamp", "When reading ended"),
    Column("items_total",   "bigint",    "Length of the list, as the API states it (itemsTotal)", "rows"),
    Column("active_rows",   "bigint",    "Not removed after this run", "rows"),
    Column("new_rows",      "bigint",    "Seen for the first time", "rows"),
    Column("changed_rows",  "bigint",    "With changed content", "rows"),
    Column("removed_rows",  "bigint",    "No longer listed by the API", "rows"),
    Column("restored_rows", "bigint",    "Removed before and listed again", "rows"),
    Column("drifted_rows",  "bigint",    "Changed while their updatedAt stayed the same", "rows"),
    Column("waiting_rows",  "bigint",    "Left for the next run, beyond the request budget", "objects"),
    Column("unread_rows",   "bigint",    "That the API failed to return at every attempt; counted in waiting_rows, too", "objects"),
    Column("rejected_rows", "bigint",    "That the table cannot hold, in all; they are in _rejected", "rows"),
    Column("expected_requests", "bigint", "Needed for this run, by the estimate made before it", "requests"),
    Column("requests",      "bigint",    "Sent, including retries", "requests"),
    Column("rate_limited",  "bigint",    "Answered 429", "requests"),
    Column("rate_limit",    "bigint",    "Allowed per minute, by the API's answers", "requests"),
    Column("total_off",     "bigint",    "items_total minus the distinct rows read, for a list that did not change meanwhile", "rows"),
    Column("is_sorted",     "bool",      "Whether the list came in the requested order; if false, every run reads it whole"),
    Column("unproven",      "text",      "Why the table is not proven equal, with both figures; null if it is proven"),
    Column("unproven_since", "timestamp", "Since when it is not proven"),
    Column("stopped_by",    "text",      "Error that ended the reading early; rows read before it are loaded"),
    Column("lost_fields",   "text",      "Fields that these rows had before and that none of the rows read has now"),
    Column("load_id",       "text",      "Load package of dlt", joins="_dlt_loads.load_id"),
    Column("base_url",      "text",      "API that was read: its address, or demo"),
)
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
    REJECTED: ("Listed by the API now, but impossible to store in its table, such as a video without an id", REJECTED_COLUMNS),
}
# fmt: on


def snake(name: str) -> str:
    """The warehouse's spelling of an API name: ``videoId`` becomes ``video_id``."""
    return NamingConvention().normalize_identifier(name)


def locate(table: str, path: str) -> tuple[str, str]:
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
    return list(dict.fromkeys([endpoint.name, *(locate(endpoint.name, c.path)[0] for c in endpoint.columns)]))


def columns_of(endpoint: Endpoint) -> dict[str, dict[str, Column]]:
    """The columns of an endpoint's tables, without dlt's own: ``{table: {column: declaration}}``."""
    key = snake(endpoint.key)
    tables: dict[str, dict[str, Column]] = {name: {} for name in tables_of(endpoint)}
    own = OWN_COLUMNS if endpoint.is_list else OWN_COLUMNS + DETAIL_COLUMNS
    for column in endpoint.columns + own:
        table, name = locate(endpoint.name, column.path)
        tables[table][name] = column
    if endpoint.parent:
        tables[endpoint.name][key] = replace(tables[endpoint.name][key], joins=f"{endpoint.parent}.{key}")
    # dlt's normalizer copies the key into child tables, so that they can be joined.
    carried = Column(endpoint.key, "text", "Row that this item belongs to", joins=f"{endpoint.name}.{key}")
    return {name: columns if name == endpoint.name else {key: carried, **columns} for name, columns in tables.items()}


def meaning_of(endpoint: Endpoint, table: str) -> str:
    """What one of the endpoint's tables holds."""
    if table == endpoint.name:
        return endpoint.meaning
    field = next(c.path.rpartition("[]")[0] for c in endpoint.columns if locate(endpoint.name, c.path)[0] == table)
    return f"Items of the list {field} of {endpoint.name}, one row each"
