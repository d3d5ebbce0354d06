"""Delta tables in a folder or a bucket: dlt's ``filesystem`` destination, with merges that keep the tables equal.

dlt's own merge of Delta tables works on each table alone: rows of child tables whose parent has fewer of them now would
stay, and its SQL client only reads. Here one job loads a table with its child tables. Each gets one commit that takes out
the rows of all loaded keys and puts the new ones in; the table itself comes last, so that whatever a killed load left is
read again. DuckDB reads, of the files that a table's log names, so that it needs no extension for Delta tables.

Uses dlt's extension points (``client_class``, ``batch_table_chain``, ``get_reference_followup_job_class``,
``create_views_for_tables``); dlt is pinned, and tests load, change, kill and reload real tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timezone
from functools import cached_property
from typing import Any, cast

import dlt
import duckdb
import pyarrow as pa
import pyarrow.dataset
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import TableNotFoundError
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.common.json import json
from dlt.common.libs.deltalake import deltalake_storage_options, evolve_delta_table_schema
from dlt.common.libs.pyarrow import columns_to_arrow
from dlt.common.schema.utils import get_nested_tables, get_root_table
from dlt.common.storages.load_package import ParsedLoadJobFileName
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient, ReferenceFollowupJob
from dlt.destinations.impl.filesystem.sql_client import FilesystemSqlClient

from include.api_video.warehouse.destinations.configured_once import ConfiguredOnce
from include.api_video.warehouse.schema import is_deduplicated

REPLACED = "_replaced"  # column that marks rows which only name a key to replace
BATCH_ROWS = 10_000
# Each load leaves a small file in _dlt_loads, and two or three in each table that it touched.
MANY_FILES = 20
JOINED, KEPT = "__until_", "__kept_"  # in the names of joined files, and of files rewritten without old lines
# Opening a table reads all commits since its last checkpoint, one file each.
PROPERTIES = {"delta.checkpointInterval": "10"}
UTC_MICROSECONDS = "arrow_cast('{}', 'Timestamp(Microsecond, Some(\"UTC\"))')"


class DeltaJob(ReferenceFollowupJob):
    """Loads a table and its child tables from the files of one load."""

    _job_client: DeltaClient

    def run(self) -> None:
        """Merges child tables first, the table itself last."""
        files: dict[str, list[str]] = {}
        for path in self.file_paths:
            files.setdefault(ParsedLoadJobFileName.parse(path).table_name, []).append(path)
        client, tables = self._job_client, self._job_client.schema.tables
        root = self.load_table_name
        while parent := tables[root].get("parent"):
            root = parent
        if tables[root].get("write_disposition") != "merge":
            client.append(root, _rows(files[root]))
            return
        key = next(name for name, hints in tables[root]["columns"].items() if hints.get("primary_key"))
        ids = None if is_deduplicated(tables[root]) else _newest_ids(files[root], key)
        keys = _column(files[root], key)
        for table in reversed([str(table["name"]) for table in get_nested_tables(tables, root)]):
            id_column = "_dlt_id" if table == root else "_dlt_root_id"
            rows = _rows(files[table], id_column, ids) if table in files else None
            client.replace(table, key, keys, rows)


class DeltaSqlClient(FilesystemSqlClient):
    """Reads the current version of the Delta tables with DuckDB, all columns included."""

    remote_client: DeltaClient

    def open_connection(self) -> Any:
        """DuckDB in memory, with dlt's settings to open a bucket."""
        self._shown: set[str] = set()  # while it is open, nobody else changes a table
        return super().open_connection()

    def create_views_for_tables(self, tables: Mapping[str, str]) -> None:
        """Makes the tables that a query names known to DuckDB, if they exist."""
        duck = self.native_connection
        for name in tables.keys() - self._shown:
            view = self.make_qualified_table_name(name)
            if name in (self.schema.loads_table_name, self.schema.version_table_name):
                duck.register(f"_{name}", self.remote_client.read_files(name))
                duck.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {_quoted(f'_{name}')}")
            elif delta := self.remote_client.delta_table(name):
                duck.execute(f"CREATE OR REPLACE VIEW {view} AS {_select(duck, delta)}")
            else:
                continue
            self._shown.add(name)

    def mark_removed(self, table: str, key: str, keys: Sequence[str], now: datetime, forget: Sequence[str]) -> None:
        """As ``Query.mark_removed``, for these keys: DuckDB cannot write Delta tables."""
        self._shown.discard(table)
        self.remote_client.mark_removed(table, key, keys, now, forget)

    def delete_rows(self, table: str, key: str, keys: Sequence[str]) -> None:
        """As ``Query.delete``."""
        self._shown.discard(table)
        self.remote_client.delete_rows(table, key, keys)

    def rewrite(self, table: str, key: str, keys: str, kept: str) -> None:
        """Replaces all rows whose keys one query gives by the rows of another, in one commit."""
        with self.execute_query(keys) as cursor:
            replaced = [str(value) for (value,) in cursor.fetchall() if value is not None]
        with self.execute_query(kept) as cursor:
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        delta = self.remote_client.delta_table(table)
        if delta is not None and replaced:
            types = pa.schema(delta.schema())
            kept_rows = pa.Table.from_pylist(rows, schema=pa.schema([types.field(name) for name in names]))
            self.remote_client.replace(table, key, replaced, kept_rows.to_reader())
        self._shown.discard(table)


class DeltaClient(FilesystemClient):
    """Creates, merges and updates Delta tables."""

    batch_table_chain = True  # one job for a table and its child tables
    opened: dict[str, tuple[dict[str, str], DeltaTable]]  # shared by all clients of the destination

    @property
    def sql_client_class(self) -> Any:
        """The client that reads."""
        return DeltaSqlClient

    @property
    def sql_client(self) -> Any:
        """The one that reads."""
        if self._sql_client is None:
            self._sql_client = DeltaSqlClient(self, self.dataset_name)
        return self._sql_client

    @sql_client.setter
    def sql_client(self, client: Any) -> None:
        self._sql_client = client

    @staticmethod
    def get_reference_followup_job_class(table: Any) -> Any:
        """Uses our job for every Delta table."""
        return DeltaJob if table.get("table_format") == "delta" else None

    # --- tables --------------------------------------------------------------------------------------------------------

    def delta_table(self, name: str) -> DeltaTable | None:
        """The current version of a table; None if it does not exist."""
        where, options = self.get_open_table_location("delta", name), self.storage_options
        known_options, delta = self.opened.get(where, ({}, None))
        if (
            delta and known_options == options
        ):  # a table opened with other options keeps their credentials, which may have expired
            delta.update_incremental()  # one request; opening it anew would read all its newest commits
            return delta
        try:
            delta = DeltaTable(where, storage_options=options)
        except TableNotFoundError:
            return None
        self.opened[where] = (options, delta)
        return delta

    @property
    def storage_options(self) -> dict[str, str]:
        """Options to open a Delta table with."""
        return deltalake_storage_options(self.config.credentials, self.config.deltalake_storage_options)

    def update_stored_schema(self, *args: Any, **kwargs: Any) -> Any:
        """As dlt does; also creates missing tables with all their columns."""
        is_new = self.get_stored_schema_by_hash(self.schema.stored_version_hash) is None
        for name in self.schema.data_table_names(include_incomplete=True) if is_new else ():
            self._create(name)
        return super().update_stored_schema(*args, **kwargs)

    def _create(self, name: str) -> None:
        """Creates a table if it does not exist."""
        table = self.schema.tables[name]
        DeltaTable.create(
            self.get_open_table_location("delta", name),
            schema=columns_to_arrow(table["columns"], self.capabilities, "UTC"),
            mode="ignore",
            description=table.get("description"),
            configuration=PROPERTIES,
            storage_options=self.storage_options,
        )

    def drop_tables(self, *tables: str, delete_schema: bool = True) -> None:
        """Empties tables, each in one commit: deleting files one by one would leave a broken table in between."""
        for name in tables:
            if delta := self.delta_table(name):
                known = self.schema.tables.get(name)
                columns = known["columns"] if known else {}
                schema = columns_to_arrow(columns, self.capabilities, "UTC") if columns else pa.schema(delta.schema())
                write_deltalake(delta, schema.empty_table(), mode="overwrite", schema_mode="overwrite")
        super().drop_tables(delete_schema=delete_schema)

    # --- rows ----------------------------------------------------------------------------------------------------------

    def append(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Appends rows in one commit."""
        delta = self.delta_table(name)
        where = self.get_open_table_location("delta", name) if delta is None else delta
        write_deltalake(
            where,
            rows,
            mode="append",
            schema_mode="merge",
            configuration=PROPERTIES if delta is None else None,
            storage_options=self.storage_options,
        )

    def replace(self, name: str, key: str, keys: Sequence[str], rows: pa.RecordBatchReader | None) -> None:
        """Replaces all rows with these keys by ``rows``, in one commit.

        A merge matches a row of the table with the one row of the source that names its key as replaced; no other row of
        the source matches anything, so all of those are inserted. (A list of keys as a condition is slow from some
        thousand keys on, and ends the process at a hundred thousand.)
        """
        delta = self.delta_table(name)
        if delta is None or not delta.file_uris():
            if rows is not None:
                self.append(name, rows)
            return
        if rows is not None:
            evolve_delta_table_schema(delta, rows.schema)
        schema = rows.schema if rows is not None else pa.schema([pa.field(key, pa.string())])
        source = pa.schema([*(field.with_nullable(True) for field in schema), pa.field(REPLACED, pa.string())])
        merge = delta.merge(
            source=pa.RecordBatchReader.from_batches(source, _marked(source, keys, rows)),
            predicate=f"target.{key} = source.{REPLACED}",
            source_alias="source",
            target_alias="target",
            streamed_exec=True,
        ).when_matched_delete()
        if rows is not None:
            columns = {_quoted(name): f"source.{_quoted(name)}" for name in schema.names}
            merge = merge.when_not_matched_insert(columns, predicate=f"source.{REPLACED} IS NULL")
        merge.execute()

    def mark_removed(self, name: str, key: str, keys: Sequence[str], now: datetime, forget: Sequence[str]) -> None:
        """Sets ``removed_at`` where it is null, and nulls the columns ``forget``, of the rows with these keys."""
        delta = self.delta_table(name)
        if delta is None or not keys:
            return
        at = UTC_MICROSECONDS.format(now.astimezone(timezone.utc).isoformat())
        values = {"removed_at": f"COALESCE(target.removed_at, {at})", **dict.fromkeys(forget, "NULL")}
        delta.merge(
            source=pa.table({key: list(keys)}),
            predicate=f"target.{key} = source.{key}",
            source_alias="source",
            target_alias="target",
        ).when_matched_update(values).execute()

    def delete_rows(self, name: str, key: str, keys: Sequence[str]) -> None:
        """Deletes the rows with these keys."""
        if not keys:
            return
        if name == self.schema.loads_table_name:
            self._join_loads(self.list_table_files(name), KEPT, without=frozenset(keys))
        elif delta := self.delta_table(name):
            delta.merge(
                source=pa.table({key: list(keys)}),
                predicate=f"target.{key} = source.{key}",
                source_alias="source",
                target_alias="target",
                streamed_exec=True,
            ).when_matched_delete().execute()

    # --- files ---------------------------------------------------------------------------------------------------------

    def read_files(self, name: str) -> pa.Table:
        """Reads one of dlt's own tables, which are files of JSON lines."""
        columns = self.schema.tables[name]["columns"]
        rows = [row for path in self.list_table_files(name) for row in self._read_lines(path)]
        for row in rows:
            row["inserted_at"] = datetime.fromisoformat(str(row["inserted_at"]).replace("Z", "+00:00"))
        return pa.Table.from_pylist(rows, schema=columns_to_arrow(columns, self.capabilities, "UTC"))

    def _read_lines(self, path: str) -> Iterator[dict[str, Any]]:
        """The lines of a file, without one that a killed run wrote only in part: its load counts as unfinished."""
        for line in self.fs_client.read_text(path, encoding="utf-8").splitlines():
            with suppress(ValueError):
                yield json.loads(line)

    def tidy(self, is_free: Callable[[str], AbstractContextManager[bool]]) -> None:
        """Compacts the small files that loads leave: those of ``_dlt_loads`` soon, those of the tables once a day.

        Older versions of a table can be read for a week, as long as its files are kept. A table that is being loaded is
        left as it is (``is_free`` says so, for a block): its load would fail.
        """
        loads, now = self.schema.loads_table_name, datetime.now(timezone.utc)
        files = self.list_table_files(loads)
        if len(files) < MANY_FILES:
            return
        self._join_loads(files, JOINED)
        if any(f"{JOINED}{now:%Y%m%d}" in path for path in files):
            return
        for name in self.schema.data_table_names(include_incomplete=True):
            with is_free(str(get_root_table(self.schema.tables, name)["name"])) as ours:
                if ours and (delta := self.delta_table(name)):
                    delta.optimize.compact()
                    delta.vacuum(dry_run=False)
                    delta.create_checkpoint()
                    delta.cleanup_metadata()

    def _join_loads(self, files: Sequence[str], name: str, without: frozenset[str] = frozenset()) -> None:
        """Joins these files of ``_dlt_loads`` into one, without the lines of some loads."""
        rows = (row for path in files for row in self._read_lines(path))
        lines = [json.dumps(row) for row in rows if row.get("load_id") not in without]
        # Written under another name, then moved: a killed run leaves the old files or the new one, never a part.
        written = self.pathlib.join(self.dataset_path, "loads_being_joined.jsonl")
        self.fs_client.write_text(written, "\n".join(lines), encoding="utf-8")
        joined = f"{self.schema.name}{name}{datetime.now(timezone.utc):%Y%m%d_%H%M%S_%f}.jsonl"
        self.fs_client.mv(written, self.pathlib.join(self.dataset_path, self.schema.loads_table_name, joined))
        for path in files:
            self.fs_client.rm_file(path)


class delta_lake(ConfiguredOnce, dlt.destinations.filesystem):  # noqa: N801  # as dlt names destinations
    """Destination ``filesystem`` with Delta tables."""

    @cached_property
    def opened(self) -> dict[str, tuple[dict[str, str], DeltaTable]]:
        """Tables that its clients have opened, with their options, by location."""
        return {}

    def client(self, *args: Any, **kwargs: Any) -> Any:
        """A client that shares the tables which others have opened."""
        client = cast(DeltaClient, super().client(*args, **kwargs))
        client.opened = self.opened
        return client

    @property
    def client_class(self) -> type[DeltaClient]:
        """Our client."""
        return DeltaClient

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        caps = super()._raw_capabilities()
        caps.supported_merge_strategies = ["delete-insert"]
        caps.merge_strategies_selector = None  # type: ignore[assignment]  # as dlt's own default
        return caps

    @property
    def destination_type(self) -> str:
        """The type of dlt's own: pipeline states hold it, and dlt's commands must find the destination that it names."""
        return "dlt.destinations.filesystem"


def _quoted(name: str) -> str:
    return f'"{name}"'


def _select(connection: duckdb.DuckDBPyConnection, delta: DeltaTable) -> str:
    """All rows of the current version of a table, with all its columns, even those that no file has yet."""
    schema = pa.schema(delta.schema())
    described = connection.from_arrow(schema.empty_table())  # their types by DuckDB's names
    typed = zip(described.columns, described.types, strict=True)
    columns = [f"CAST(NULL AS {kind}) AS {_quoted(name)}" for name, kind in typed]
    empty = f"SELECT {', '.join(columns)} WHERE false"
    files = ", ".join(f"'{uri}'" for uri in delta.file_uris())
    return f"{empty} UNION ALL BY NAME SELECT * FROM read_parquet([{files}], union_by_name = true)" if files else empty


def _rows(paths: Sequence[str], id_column: str = "", ids: set[str] | None = None) -> pa.RecordBatchReader:
    """Rows of a load's files, a few at a time; only those with these ``ids``, if given."""
    chosen = None if ids is None else pa.dataset.field(id_column).isin(pa.array(sorted(ids), pa.string()))
    files = pa.dataset.dataset(paths)
    return files.scanner(filter=chosen, batch_size=BATCH_ROWS, batch_readahead=2, fragment_readahead=1).to_reader()


def _column(paths: Sequence[str], name: str) -> list[str]:
    """The distinct values of a column."""
    return cast("list[str]", pa.dataset.dataset(paths).to_table([name])[name].unique().to_pylist())


def _newest_ids(paths: Sequence[str], key: str) -> set[str]:
    """``_dlt_id`` of the newest version of each row, where a load has more than one."""
    newest: dict[str, tuple[datetime, str]] = {}
    for row in pa.dataset.dataset(paths).to_table([key, "_read_at", "_dlt_id"]).to_pylist():
        if row[key] not in newest or row["_read_at"] >= newest[row[key]][0]:
            newest[row[key]] = (row["_read_at"], row["_dlt_id"])
    return {row_id for _, row_id in newest.values()}


def _marked(schema: pa.Schema, keys: Sequence[str], rows: Iterable[pa.RecordBatch] | None) -> Iterator[pa.RecordBatch]:
    """The new rows, and one row for each key that is replaced."""
    for batch in rows or ():
        yield pa.RecordBatch.from_arrays([*batch.columns, pa.nulls(len(batch), pa.string())], schema=schema)
    for start in range(0, len(keys), BATCH_ROWS):
        some = pa.array(keys[start : start + BATCH_ROWS], pa.string())
        values = [some if field.name == REPLACED else pa.nulls(len(some), field.type) for field in schema]
        yield pa.RecordBatch.from_arrays(values, schema=schema)
