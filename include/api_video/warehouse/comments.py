"""Descriptions of tables and columns in the destination itself, where its own tools and BI tools show them.

dlt writes them for BigQuery, Databricks and (columns) Snowflake from the schema's ``description`` hints. It does not for
DuckDB and PostgreSQL, which both have the standard's COMMENT ON: there this module does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import dlt
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.sql_client import SqlClientBase

from include.api_video.messages.masking import sentence_of
from include.api_video.warehouse.sql import Query

log = logging.getLogger("api_video")
DIALECTS = ("duckdb", "postgres")


def write_comments(query: Query, schema: dlt.Schema, tables: Sequence[str]) -> None:
    """Comments on these tables and their columns; nothing in a destination that dlt serves or that has none.

    A load is no less right without them: a destination that refuses (PostgreSQL wants the owner) is only logged.
    """
    if query.client.capabilities.sqlglot_dialect not in DIALECTS:
        return
    try:
        with query.client.begin_transaction():
            query.client.execute_many(list(comment_statements(query.client, schema, tables)))
    except DatabaseException as error:
        log.warning("The descriptions of tables and columns could not be written as comments: %s", sentence_of(error))


def comment_statements(client: SqlClientBase[Any], schema: dlt.Schema, tables: Sequence[str]) -> Iterator[str]:
    """One statement per description; dlt quotes names and texts as the destination wants them."""
    quoted = client.capabilities.escape_literal
    for name in tables:
        table, qualified = schema.tables[name], client.make_qualified_table_name(name)
        yield f"COMMENT ON TABLE {qualified} IS {quoted(table.get('description'))}"
        for column, hints in table["columns"].items():
            yield f"COMMENT ON COLUMN {qualified}.{client.escape_column_name(column)} IS {quoted(hints.get('description'))}"
