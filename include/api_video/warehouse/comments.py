"""Writes the descriptions of tables and columns into the destination, where SQL and BI tools show them.

From the schema's ``description`` hints dlt writes them for BigQuery, Databricks and (columns only) Snowflake. For DuckDB
and PostgreSQL, which both have COMMENT ON, this module does.
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
    """Comments on these tables and their columns; does nothing except on DuckDB and PostgreSQL.

    A refusal is only logged, since the load is right without comments: PostgreSQL lets only the owner write them.
    """
    if query.client.capabilities.sqlglot_dialect not in DIALECTS:
        return
    try:
        with query.client.begin_transaction():
            query.client.execute_many(list(comment_statements(query.client, schema, tables)))
    except DatabaseException as error:
        log.warning("The descriptions of tables and columns could not be written as comments: %s", sentence_of(error))


def comment_statements(client: SqlClientBase[Any], schema: dlt.Schema, tables: Sequence[str]) -> Iterator[str]:
    """Yields one statement per table and column; dlt quotes names and texts for the destination."""
    quoted = client.capabilities.escape_literal
    for name in tables:
        table, qualified = schema.tables[name], client.make_qualified_table_name(name)
        yield f"COMMENT ON TABLE {qualified} IS {quoted(table.get('description'))}"
        for column, hints in table["columns"].items():
            yield f"COMMENT ON COLUMN {qualified}.{client.escape_column_name(column)} IS {quoted(hints.get('description'))}"
