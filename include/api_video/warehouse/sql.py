"""Runs SQL over dlt's client, plain enough for any SQL destination."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.sql_client import SqlClientBase

KEYS_PER_QUERY = 500


class Query:
    """SQL over one open connection. Parameters are ``%s``, as in dlt."""

    def __init__(self, client: SqlClientBase[Any]) -> None:
        self.client = client

    def table(self, name: str) -> str:
        """Quoted name with its dataset."""
        return self.client.make_qualified_table_name(name)

    def column(self, name: str) -> str:
        """Quoted name, for columns that may be a keyword in some dialect; none of our own is."""
        return self.client.escape_column_name(name)

    @property
    def complete_loads(self) -> str:
        """Subquery: ids of the finished loads, so not of a load that was killed."""
        return f"(SELECT load_id FROM {self.table('_dlt_loads')} WHERE status = 0)"

    def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return [tuple(row) for row in self.client.execute_sql(sql, *args) or ()]

    def columns(self, name: str) -> list[str]:
        """Names of a table's columns."""
        with self.client.execute_query(f"SELECT * FROM {self.table(name)} WHERE 1 = 0") as cursor:
            return [str(column[0]) for column in cursor.description or ()]

    def exists(self, name: str) -> bool:
        """Whether there is such a table."""
        try:
            self.rows(f"SELECT 1 FROM {self.table(name)} WHERE 1 = 0")
        except DatabaseUndefinedRelation:
            return False
        return True

    def run(self, sql: str, *args: Any) -> None:
        """Runs a statement without a result."""
        self.client.execute_sql(sql, *args)

    def delete(self, name: str, key: str, keys: Sequence[str]) -> None:
        """Deletes the rows with these keys."""
        if hasattr(self.client, "delete_rows"):  # a destination whose SQL is read-only
            self.client.delete_rows(name, key, keys)
            return
        for start in range(0, len(keys), KEYS_PER_QUERY):
            some = keys[start : start + KEYS_PER_QUERY]
            marks = ", ".join(["%s"] * len(some))
            self.run(f"DELETE FROM {self.table(name)} WHERE {key} IN ({marks})", *some)

    def delete_where(self, name: str, key: str, where: str, *args: Any) -> None:
        """Deletes the rows that a condition is true for, in one statement where the destination has one."""
        if hasattr(self.client, "delete_rows"):
            keys = [str(value) for (value,) in self.rows(f"SELECT {key} FROM {self.table(name)} WHERE {where}", *args)]
            self.delete(name, key, keys)
            return
        self.run(f"DELETE FROM {self.table(name)} WHERE {where}", *args)

    def mark_removed(self, name: str, key: str, where: str, *args: Any, now: datetime, forget: Sequence[str] = ()) -> None:
        """Soft delete: sets ``removed_at`` where it is null, and nulls the columns ``forget``; idempotent."""
        if hasattr(self.client, "mark_removed"):  # a destination whose SQL is read-only
            keys = [str(value) for (value,) in self.rows(f"SELECT {key} FROM {self.table(name)} WHERE {where}", *args)]
            self.client.mark_removed(name, key, keys, now, forget)
            return
        values = ", ".join(["removed_at = COALESCE(removed_at, %s)", *(f"{column} = NULL" for column in forget)])
        self.run(f"UPDATE {self.table(name)} SET {values} WHERE {where}", now, *args)
