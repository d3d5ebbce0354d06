"""Reads what is loaded from the destination, which holds the only state: any machine can continue from it.

Plain SQL over dlt's client, so that it works on any SQL destination. A connection stays open only for a block of queries:
a DuckDB file has one writer, and extraction must not hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, cast

import dlt
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.json import json
from dlt.common.schema.typing import TTableSchema
from dlt.common.schema.utils import get_nested_tables
from dlt.dataset.utils import get_destination_clients
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.job_client_impl import SqlJobClientWithStagingDataset

from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import SYNCS, snake, table_and_column, tables_of
from include.api_video.catalog.storable import now_utc, utc
from include.api_video.warehouse.asked_lists import forget_all_asked
from include.api_video.warehouse.comments import write_comments
from include.api_video.warehouse.ledger import last_sync
from include.api_video.warehouse.locks.table_lock import TABLES, TableBusyError, table_lock
from include.api_video.warehouse.rejected_rows import forget_all_rejected
from include.api_video.warehouse.schema import schema_of
from include.api_video.warehouse.sql import KEYS_PER_QUERY, Query


@dataclass(frozen=True)
class Growth:
    """Schema evolution: the schema with undeclared columns, and when each was first loaded: ``{table: {column: time}}``."""

    schema: dlt.Schema
    first_seen: Mapping[str, Mapping[str, datetime]]


class Warehouse:
    """The dataset of one pipeline."""

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        self._pipeline = pipeline
        self._open: Query | None = None
        self._client_of: Any = None  # dlt's SQL client, kept: making one takes as long as a query
        self._grown: dlt.Schema | None = None

    @contextmanager
    def connect(self) -> Iterator[Query]:
        """A connection, closed after the block and shared by nested blocks: opening one takes 20 ms to some seconds."""
        if self._open:
            yield self._open
            return
        self._client_of = self._client_of or self._pipeline.sql_client()
        with self._client_of as client:
            self._open = Query(client)
            try:
                yield self._open
            finally:
                self._open = None

    def is_declared(self, schema: dlt.Schema) -> bool:
        """Whether ``declare`` has created the tables of exactly this schema."""
        with self.connect() as query:
            stored = f"SELECT count(*) FROM {query.table(schema.version_table_name)} WHERE version_hash = %s"
            try:
                return bool(query.rows(stored, schema.stored_version_hash)[0][0])
            except DestinationUndefinedEntity:  # base class of DatabaseUndefinedRelation
                return False

    @contextmanager
    def declared(self, schema: dlt.Schema) -> Iterator[Query]:
        """Like ``connect``, but creates the schema's tables first if they are missing."""
        with ExitStack() as stack:
            query = stack.enter_context(self.connect())
            if not self.is_declared(schema):
                stack.close()  # dlt creates tables over a connection of its own
                self.declare(schema)
                query = stack.enter_context(self.connect())
            yield query

    def declare(self, schema: dlt.Schema) -> None:
        """Creates all tables of the schema with all columns and comments; does nothing if that is done already.

        A load creates only tables that get rows: an account without live streams would lack that table, and queries would
        fail. Also creates dlt's version table in the staging dataset: parallel first loads that each create it can fail.
        """
        if self.is_declared(schema):
            return  # after a full refresh this is False, as dlt drops the stored versions: the new tables get comments, too
        client = self._client(schema)
        with table_lock(self._pipeline, TABLES), client:
            client.initialize_storage()
            if client.get_stored_schema_by_hash(schema.stored_version_hash) is None:  # no other run did it meanwhile
                client.update_stored_schema()
                if isinstance(client, SqlJobClientWithStagingDataset):
                    with client.with_staging_dataset():
                        client.initialize_storage()
                        client.update_stored_schema(only_tables={schema.version_table_name})
                    write_comments(Query(client.sql_client), schema, schema.data_table_names(include_incomplete=True))

    def rows_from(self, base_url: str) -> dict[str, int]:
        """Row counts by table of the resources that were loaded from ``base_url``."""
        with self.connect() as query:
            if not query.exists(SYNCS):
                return {}
            told = query.rows(f"SELECT DISTINCT resource FROM {query.table(SYNCS)} WHERE base_url = %s", base_url)
            names = [name for (name,) in told if last_sync(query, name).base_url == base_url and query.exists(name)]
            counts = {name: int(query.rows(f"SELECT count(*) FROM {query.table(name)}")[0][0]) for name in names}
        return {name: count for name, count in counts.items() if count}

    def drop_loaded_from(self, base_url: str) -> dict[str, int]:
        """Drops the tables of all resources that were loaded from ``base_url``; returns their row counts.

        ``declare`` creates them again.
        """
        dropped: dict[str, int] = {}
        for name in self.rows_from(base_url):
            with table_lock(self._pipeline, name):
                # Check again: another run may have loaded other rows meanwhile.
                if count := self.rows_from(base_url).get(name):
                    self._drop(name)
                    dropped[name] = count
        return dropped

    def _drop(self, name: str) -> None:
        """Drops a resource's table and its child tables, including those of undeclared fields."""
        grown = self.read_growth(schema_of([name])).schema
        with self.connect() as query:
            forget_all_rejected(query, name)
            forget_all_asked(query, name)
        client = self._client(grown)
        with client:
            client.drop_tables(*(str(table["name"]) for table in get_nested_tables(grown.tables, name)))

    def origin_of(self, resource: str | None) -> str | None:
        """The API that a resource was last loaded from; None if it was never loaded."""
        with self.connect() as query:
            return last_sync(query, resource or "").base_url

    def _client(self, schema: dlt.Schema) -> Any:
        """The job client of dlt, which creates and drops tables; each destination has its own class."""
        of_dlt, dataset = self._pipeline.destination, self._pipeline.dataset_name
        return get_destination_clients(schema, of_dlt, destination_dataset_name=dataset)[0]

    def tidy(self, schema: dlt.Schema) -> None:
        """Compacts the small files that loads leave, if the destination is a folder of files."""
        client = self._client(schema)
        if hasattr(client, "tidy"):
            with table_lock(self._pipeline, TABLES):
                client.tidy(self._is_free)

    @contextmanager
    def _is_free(self, table: str) -> Iterator[bool]:
        """Whether nobody loads a table; if so, holds its lock for the block."""
        with ExitStack() as stack:
            try:
                stack.enter_context(table_lock(self._pipeline, table, wait_s=0))
            except TableBusyError:
                yield False
            else:
                yield True

    def read_growth(self, declared: dlt.Schema) -> Growth:
        """Merges all stored versions of the schema: which columns loads have added for undeclared fields, and when.

        Parallel tasks each store their own version, and dlt restores only the newest: it lacks the columns that other tasks
        added, and so would every data frame read through it.
        """
        with self.connect() as query:
            versions = query.rows(
                f"SELECT {query.column('schema')}, inserted_at FROM {query.table('_dlt_version')} "
                "WHERE schema_name = %s ORDER BY 2",
                declared.name,
            )
            grown, first_seen = declared.clone(), dict[str, dict[str, datetime]]()
            present: dict[str, list[str]] = {}
            for text, inserted_at in versions:
                tables = json.loads(text)["tables"]  # parsed only: building a Schema of each version would take a second
                for name, table in tables.items():
                    if name.startswith("_dlt"):
                        continue
                    known = grown.tables.get(name, {"columns": {}})["columns"]
                    added = {column: hints for column, hints in table["columns"].items() if column not in known}
                    if added and name not in present:
                        present[name] = query.columns(name) if query.exists(name) else []
                    # A full refresh may have dropped columns of an older version.
                    added = {column: hints for column, hints in added.items() if column in present[name]}
                    if added:
                        grown.update_table(cast(TTableSchema, {**table, "columns": added}))
                        seen_at = utc(inserted_at) or now_utc()
                        first_seen.setdefault(name, {}).update(dict.fromkeys(added, seen_at))
        self._grown = grown
        return Growth(grown, first_seen)

    def find_filled(self, endpoint: Endpoint, fields: Mapping[str, str], keys: Iterable[str]) -> list[str]:
        """Names of those ``fields`` (documented path by name) that at least two of these rows fill, or the only row.

        Looks at the first ``KEYS_PER_QUERY`` rows: enough to show what they have in common.
        """
        key, some = snake(endpoint.key), list(islice(keys, KEYS_PER_QUERY))
        if not fields or not some:
            return []
        places = {field: table_and_column(endpoint.name, path) for field, path in fields.items()}
        marks, filled = ", ".join(["%s"] * len(some)), []
        with self.connect() as query:
            for table in dict.fromkeys(table for table, _ in places.values()):
                mine = {field: column for field, (where, column) in places.items() if where == table}
                counts = ", ".join(
                    f"count(DISTINCT CASE WHEN {query.column(column)} IS NOT NULL THEN {key} END)"
                    for column in mine.values()
                )
                (found,) = query.rows(f"SELECT {counts} FROM {query.table(table)} WHERE {key} IN ({marks})", *some)
                filled += [field for field, count in zip(mine, found, strict=True) if int(count) >= min(2, len(some))]
        return filled

    def parents_of(self, endpoint: Endpoint) -> dict[str, str]:
        """The parent of each child table, uppermost first; includes undeclared tables after ``read_growth``."""
        if self._grown and endpoint.name in self._grown.tables:
            family = get_nested_tables(self._grown.tables, endpoint.name)
            return {str(table["name"]): str(table["parent"]) for table in family if table.get("parent")}
        return dict.fromkeys(tables_of(endpoint)[1:], endpoint.name)

    def mark_removed(self, endpoint: Endpoint, keys: Sequence[str], now: datetime) -> None:
        """Soft-deletes these rows by setting ``removed_at``; idempotent."""
        with self.connect() as query:
            for start in range(0, len(keys), KEYS_PER_QUERY):
                some = keys[start : start + KEYS_PER_QUERY]
                key, marks = snake(endpoint.key), ", ".join(["%s"] * len(some))
                query.mark_removed(endpoint.name, key, f"{key} IN ({marks})", *some, now=now)

    def count_active(self, table: str) -> int | None:
        """Counts the rows of a table that are not removed; None if there is no such table."""
        with self.connect() as query:
            try:
                ((count,),) = query.rows(f"SELECT count(*) FROM {query.table(table)} WHERE removed_at IS NULL")
            except DatabaseUndefinedRelation:
                return None
        return int(count)
