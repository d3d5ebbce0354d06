"""Writes rows into files of dlt's load package, as its load step takes them: one JSON file per table.

dlt has a way for such files (``FileImportNormalizer``): they go past its normalizer, and load with all else of the package,
or not at all. Uses the package in which dlt extracts (``LoadPackageStateInjectableContext``), which is not public; dlt is
pinned, and every load of a test shows whether it holds.
"""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.configuration.container import Container
from dlt.common.json import json
from dlt.common.storages.load_package import (
    LoadPackageStateInjectableContext,
    PackageStorage,
    ParsedLoadJobFileName,
)

ARRAY = b"["  # first byte of our files; dlt's have a row per line
ROWS_AT_ONCE = 500


def takes_row_files(pipeline: dlt.Pipeline) -> bool:
    """Whether the destination can load such files: only our own class can."""
    return bool(getattr(pipeline.destination, "takes_row_files", False))


class RowFiles:
    """The files of one resource in the current load package, one per table that gets rows.

    Attributes:
        load_id: of that package.
    """

    def __init__(self) -> None:
        package = Container()[LoadPackageStateInjectableContext]
        self._storage: PackageStorage = package.storage
        self.load_id: str = package.load_id
        self._files: dict[str, _RowFile] = {}

    def write(self, table: str, row: dict[str, Any]) -> None:
        """Adds a row of a table; all values have the types of their columns."""
        file = self._files.get(table) or self._open(table)
        file.rows.append(row)
        if len(file.rows) == ROWS_AT_ONCE:
            file.flush()

    def _open(self, table: str) -> _RowFile:
        name = PackageStorage.build_job_file_name(table, ParsedLoadJobFileName.new_file_id(), loader_file_format="jsonl")
        path = self._storage.get_job_file_path(self.load_id, PackageStorage.NEW_JOBS_FOLDER, name)
        self._files[table] = file = _RowFile(self._storage.storage.make_full_path(path))
        return file

    def close(self) -> None:
        """Closes the files, after the last row."""
        for file in self._files.values():
            file.close()
        self._files.clear()


class _RowFile:
    """One JSON array, with some hundred rows per line: writing them together takes a tenth of the time."""

    def __init__(self, path: str) -> None:
        self.rows: list[dict[str, Any]] = []
        self._file = open(path, "wb")  # noqa: SIM115  # until close()
        self._before = ARRAY

    def flush(self) -> None:
        if self.rows:
            self._file.write(self._before)
            self._file.write(memoryview(json.dumpb(self.rows))[1:-1])  # without the brackets of the chunk
            self._before = b",\n"
            self.rows.clear()

    def close(self) -> None:
        self.flush()
        self._file.write(b"]\n")
        self._file.close()
