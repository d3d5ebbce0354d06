"""What is already loaded, asked of the destination itself: it is the only state, so any machine can go on from it.

Plain SQL through dlt's client, so that it works on any SQL destination. No connection stays open longer than a block of
questions: DuckDB's file has one writer, and extraction must never hold it.
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
from include.api_video.catalog.values import now_utc, utc
from include.api_video.warehouse.comments import write_comments
from include.api_video.warehouse.ledger import last_sync
from include.api_video.warehouse.locks.table_lock import TABLES, TableBusyError, table_lock
from include.api_video.warehouse.rejected_rows import forget_all_rejected
from include.api_video.warehouse.schema import schema_of
from include.api_video.warehouse.sql import KEYS_PER_QUERY, Query


@dataclass(frozen=True)
class Growth:
    """The schema as it has grown, and when each undeclared column was first loaded: ``{table: {column: time}}``."""

    schema: dlt.Schema
    first_seen: Mapping[str, Mapping[str, datetime]]


class Warehouse:
    """The dataset of one pipeline."""

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        self._pipeline = pipeline
        self._open: Query | None = None
        self._client_of: Any = None  # for SQL: to make one takes as long as a question
        self._grown: dlt.Schema | None = None

    @contextmanager
    def connect(self) -> Iterator[Query]:
        """A connection, closed at the end of the block; blocks inside of it share it. One costs 20 ms to some seconds."""
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
        """Whether ``declare`` has made the tables of this very schema."""
        with self.connect() as query:
            stored = f"SELECT count(*) FROM {query.table(schema.version_table_name)} WHERE version_hash = %s"
            try:
                return bool(query.rows(stored, schema.stored_version_hash)[0][0])
            except DestinationUndefinedEntity:  # of which DatabaseUndefinedRelation is one
                return False

    @contextmanager
    def declared(self, schema: dlt.Schema) -> Iterator[Query]:
        """A connection as ``connect`` gives it, once the schema's tables are there."""
        with ExitStack() as stack:
            query = stack.enter_context(self.connect())
            if not self.is_declared(schema):
                stack.close()  # tables are made over a connection of dlt's own
                self.declare(schema)
                query = stack.enter_context(self.connect())
            yield query

    def declare(self, schema: dlt.Schema) -> None:
        """Creates all tables of the schema with all their columns and comments; does nothing where it did so before.

        A load creates only tables that get rows: an account without live streams would lack the table, and queries fail.
        dlt's own table in the staging dataset is made, too: of parallel first loads that each make it, some fail.
        """
        if self.is_declared(schema):
            return  # a full refresh takes the stored versions of the schema along: its new tables are described here, too
        client = self._client(schema)
        with table_lock(self._pipeline, TABLES), client:
            client.initialize_storage()
            if client.get_stored_schema_by_hash(schema.stored_version_hash) is None:  # nor did another run do it meanwhile
                client.update_stored_schema()
                if isinstance(client, SqlJobClientWithStagingDataset):
                    with client.with_staging_dataset():
                        client.initialize_storage()
                        client.update_stored_schema(only_tables={schema.version_table_name})
                    write_comments(Query(client.sql_client), schema, schema.data_table_names(include_incomplete=True))

    def rows_from(self, base_url: str) -> dict[str, int]:
        """Tables of all resources whose rows came from there, and how many rows they have."""
        with self.connect() as query:
            if not query.exists(SYNCS):
                return {}
            told = query.rows(f"SELECT DISTINCT resource FROM {query.table(SYNCS)} WHERE base_url = %s", base_url)
            names = [name for (name,) in told if last_sync(query, name).base_url == base_url and query.exists(name)]
            counts = {name: int(query.rows(f"SELECT count(*) FROM {query.table(name)}")[0][0]) for name in names}
        return {name: count for name, count in counts.items() if count}

    def drop_loaded_from(self, base_url: str) -> dict[str, int]:
        """Drops tables of all resources whose rows came from there, and tells how many those were; ``declare`` makes them
        again.
        """
        dropped: dict[str, int] = {}
        for name in self.rows_from(base_url):
            with table_lock(self._pipeline, name):
                # Still: another run may have loaded others meanwhile.
                if count := self.rows_from(base_url).get(name):
                    self._drop(name)
                    dropped[name] = count
        return dropped

    def _drop(self, name: str) -> None:
        """Drops a resource's table and its child tables, also those of undeclared fields."""
        grown = self.read_growth(schema_of([name])).schema
        with self.connect() as query:
            forget_all_rejected(query, name)
        client = self._client(grown)
        with client:
            client.drop_tables(*(str(table["name"]) for table in get_nested_tables(grown.tables, name)))

    def origin_of(self, resource: str | None) -> str | None:
        """Where a resource was last loaded from; None where it was not."""
        with self.connect() as query:
            return last_sync(query, resource or "").base_url

    def _client(self, schema: dlt.Schema) -> Any:
        """What makes and drops tables in the destination: dlt's client, of another type for each of them."""
        of_dlt, dataset = self._pipeline.destination, self._pipeline.dataset_name
        return get_destination_clients(schema, of_dlt, destination_dataset_name=dataset)[0]

    def tidy(self, schema: dlt.Schema) -> None:
        """Joins the small files that loads leave, where the destination is a folder of files."""
        client = self._client(schema)
        if hasattr(client, "tidy"):
            with table_lock(self._pipeline, TABLES):
                client.tidy(self._is_free)

    @contextmanager
    def _is_free(self, table: str) -> Iterator[bool]:
        """Whether nobody loads a table, and has it kept so for the block."""
        with ExitStack() as stack:
            try:
                stack.enter_context(table_lock(self._pipeline, table, wait_s=0))
            except TableBusyError:
                yield False
            else:
                yield True

    def read_growth(self, declared: dlt.Schema) -> Growth:
        """What loads have added to the declared schema for fields that nobody declared, and when.

        Parallel tasks each store their own version of the one schema, and dlt restores the newest: what another task had
        added would be missing there, and in every data frame read through it.
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
                tables = json.loads(text)["tables"]  # plain: to build a schema of each version takes a second
                for name, table in tables.items():
                    if name.startswith("_dlt"):
                        continue
                    known = grown.tables.get(name, {"columns": {}})["columns"]
                    added = {column: hints for column, hints in table["columns"].items() if column not in known}
                    if added and name not in present:
                        present[name] = query.columns(name) if query.exists(name) else []
                    # A full refresh may have dropped what an older version knew.
                    added = {column: hints for column, hints in added.items() if column in present[name]}
                    if added:
                        grown.update_table(cast(TTableSchema, {**table, "columns": added}))
                        seen_at = utc(inserted_at) or now_utc()
                        first_seen.setdefault(name, {}).update(dict.fromkeys(added, seen_at))
        self._grown = grown
        return Growth(grown, first_seen)

    def find_filled(self, endpoint: Endpoint, fields: Mapping[str, str], keys: Iterable[str]) -> list[str]:
        """Those of ``fields`` (documented path by name) that two of these rows have a value for, or the only one.

        A part of many rows is enough to tell what they have in common.
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
        """The parent of each child table, those nearest to the endpoint's first; undeclared ones once growth was read."""
        if self._grown and endpoint.name in self._grown.tables:
            family = get_nested_tables(self._grown.tables, endpoint.name)
            return {str(table["name"]): str(table["parent"]) for table in family if table.get("parent")}
        return dict.fromkeys(tables_of(endpoint)[1:], endpoint.name)

    def mark_removed(self, endpoint: Endpoint, keys: Sequence[str], now: datetime) -> None:
        """Sets ``removed_at`` of these rows; doing it twice changes nothing."""
        with self.connect() as query:
            for start in range(0, len(keys), KEYS_PER_QUERY):
                some = keys[start : start + KEYS_PER_QUERY]
                key, marks = snake(endpoint.key), ", ".join(["%s"] * len(some))
                query.mark_removed(endpoint.name, key, f"{key} IN ({marks})", *some, now=now)

    def count_active(self, table: str) -> int | None:
        """Rows of a table that are not removed; None where there is no such table."""
        with self.connect() as query:
            try:
                ((count,),) = query.rows(f"SELECT count(*) FROM {query.table(table)} WHERE removed_at IS NULL")
            except DatabaseUndefinedRelation:
                return None
        return int(count)
