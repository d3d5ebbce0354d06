"""Loads dlt's files into DuckDB by the types of the table's columns.

dlt has DuckDB guess types from the file, and what it takes for a time or a UUID, it writes in its own way: the title
``2024-01-01T10:00:00Z`` became ``2024-01-01 10:00:00``. A file whose first 20,480 values look like times could not be
loaded at all, where the next does not; nor one with a row of more than 16 MB.

Uses dlt's ``create_load_job``, and what every job is given before it runs: an open client, ``_job_client``, and where its
file is by then, ``_file_path``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dlt.common.destination.client import LoadJob
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob

from include.api_video.warehouse.destinations.row_files import ARRAY

LONG_ROW_BYTES = 1 << 24  # DuckDB's default limit for a row; it reserves a multiple of the limit


class TypedFileJob(DuckDbCopyJob):
    """Loads one JSON file: a row per line, or one array of rows."""

    def __init__(self, file_path: str, table: Any) -> None:
        super().__init__(file_path)
        self.table = table

    def run(self) -> None:
        client, table, path = self._job_client, self.table, Path(self._file_path)
        sql = client.sql_client
        columns = ", ".join(
            f"{_text(name)}: {_text(client.type_mapper.to_destination_type(column, table))}"
            for name, column in table["columns"].items()
            if column.get("data_type")
        )
        longest, form = _longest_line(path), "array" if _is_array(path) else "newline_delimited"
        limit = f", maximum_object_size={longest}" if longest >= LONG_ROW_BYTES else ""
        sql.execute_sql(
            f"INSERT INTO {sql.make_qualified_table_name(self.load_table_name)} BY NAME SELECT * FROM "
            f"read_json({_text(str(path))}, format='{form}', columns={{{columns}}}{limit})"
        )


class TypedFilesClient(DuckDbClient):
    """dlt's client for DuckDB, with ``TypedFileJob`` for files of JSON."""

    def create_load_job(self, table: Any, file_path: str, load_id: str, restore: bool = False) -> LoadJob:
        job = super().create_load_job(table, file_path, load_id, restore)
        return TypedFileJob(file_path, table) if type(job) is DuckDbCopyJob and ".jsonl" in file_path else job


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _is_array(path: Path) -> bool:
    """Whether the file is one array of rows (``row_files``), not a row per line as dlt writes it."""
    with path.open("rb") as file:
        return file.read(len(ARRAY)) == ARRAY


def _longest_line(path: Path) -> int:
    """Bytes of the longest line, or of the whole file if it is small."""
    size = path.stat().st_size
    if size < LONG_ROW_BYTES:
        return size
    with path.open("rb") as lines:
        return max(map(len, lines))
