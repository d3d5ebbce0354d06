"""What is already loaded, asked of the destination itself: it is the only state, so any machine can go on from it.

Plain SQL through dlt's client, so that it works on any SQL destination. No connection stays open longer than a block of
questions: DuckDB's file has one writer, and extraction must never hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
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
from include.api_video.catalog.table import by_name
from include.api_video.catalog.tables import PARTIAL, REJECTED, SKIPPED, SYNCS, locate, snake, tables_of
from include.api_video.catalog.values import now_utc, utc
from include.api_video.sync.state import DetailState, KnownRow, Parent, TableState
from include.api_video.warehouse.comments import write_comments
from include.api_video.warehouse.locks.table_lock import TABLES, TableBusyError, table_lock
from include.api_video.warehouse.mending import has_lost_children, mend
from include.api_video.warehouse.schema import schema_of
from include.api_video.warehouse.sql import KEYS_PER_QUERY, DetailSql, Query, served

NEWEST_SYNCS = 50  # lines of the ledger that say how a table is: more would be readings that stopped, one after another


@dataclass(frozen=True)
class LastSync:
    """What the ledger says of a resource: its newest line whose load is complete, and some that need older ones.

    ``full_at`` is when the whole list was last read, ``base_url`` what the newest load read, complete or not,
    ``partial_loads`` are those since the last reading that came to its end; ``may_lack`` says that one of them read to the
    end, and yet a row may have slipped through.
    """

    full_at: datetime | None
    base_url: str | None
    finished_at: datetime | None
    partial_loads: tuple[str, ...]
    may_lack: bool
    total_off: int
    is_sorted: bool
    unproven: str | None
    unproven_since: datetime | None


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
            names = [name for (name,) in told if self._last_sync(query, name).base_url == base_url and query.exists(name)]
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
        self.forget_all_rejected(name)
        client = self._client(grown)
        with client:
            client.drop_tables(*(str(table["name"]) for table in get_nested_tables(grown.tables, name)))

    def origin_of(self, resource: str | None) -> str | None:
        """Where a resource was last loaded from; None where it was not."""
        with self.connect() as query:
            return self._last_sync(query, resource or "").base_url

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
        places = {field: locate(endpoint.name, path) for field, path in fields.items()}
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

    def list_state(self, endpoint: Endpoint) -> TableState:
        """State of a list's table; an empty one where nothing is loaded yet. Mends it before, where that is due."""
        with self.connect() as query:
            table, parents = query.table(endpoint.name), self._parents_of(endpoint)
            last = self._last_sync(query, endpoint.name)
            undated = "updated_at" if _has_cursor(endpoint) else "_dlt_id"  # without a cursor, no row counts as undated
            # A row of a load that was killed halfway, or that was mended, is loaded again.
            loaded = f"removed_at IS NULL AND _content_hash <> '' AND _dlt_load_id IN {query.complete_loads}"
            counts = (
                f"SELECT count(*), count(*) - count(removed_at), sum(CASE WHEN {loaded} THEN 1 ELSE 0 END), "
                f"count(*) - count(DISTINCT {snake(endpoint.key)}), "
                f"sum(CASE WHEN removed_at IS NULL AND {undated} IS NULL THEN 1 ELSE 0 END) FROM {table}"
            )
            try:
                ((rows, active, complete, twice, undated_rows),) = query.rows(counts)
                if twice or has_lost_children(query, parents):
                    mend(query, endpoint, parents, stale="_content_hash")
                    ((rows, active, complete, twice, undated_rows),) = query.rows(counts)
                cursor = self._find_cursor(query, endpoint, last.partial_loads)
                unaccounted = self._count_unaccounted(query, endpoint.name, last)
            except DatabaseUndefinedRelation:
                return TableState()
        return TableState(
            exists=True,
            active=int(active),
            cursor=cursor,
            last_full_at=last.full_at,
            base_url=last.base_url,
            is_whole=int(complete or 0) == int(active) and not last.may_lack,
            undated=int(undated_rows or 0),
            unaccounted=unaccounted,
            total_off=last.total_off,
            is_sorted=last.is_sorted,
            unproven=last.unproven,
            unproven_since=last.unproven_since,
            rows=int(rows),
        )

    def _parents_of(self, endpoint: Endpoint) -> dict[str, str]:
        """The parent of each child table, those nearest to the endpoint's first; undeclared ones once growth was read."""
        if self._grown and endpoint.name in self._grown.tables:
            family = get_nested_tables(self._grown.tables, endpoint.name)
            return {str(table["name"]): str(table["parent"]) for table in family if table.get("parent")}
        return dict.fromkeys(tables_of(endpoint)[1:], endpoint.name)

    @staticmethod
    def _find_cursor(query: Query, endpoint: Endpoint, partial_loads: Sequence[str]) -> datetime | None:
        """The newest updatedAt down to which a list has been read."""
        if not _has_cursor(endpoint):
            return None
        # A row dated in the future would hide all changes until then; so would the newest rows of a reading that stopped.
        others = f" AND _dlt_load_id NOT IN ({', '.join(['%s'] * len(partial_loads))})" if partial_loads else ""
        ((cursor,),) = query.rows(
            f"SELECT max(updated_at) FROM {query.table(endpoint.name)} "
            f"WHERE _dlt_load_id IN {query.complete_loads} AND updated_at <= %s{others}",
            now_utc(),
            *partial_loads,
        )
        return utc(cursor)

    @staticmethod
    def _count_unaccounted(query: Query, table: str, last: LastSync) -> int:
        """Rows that a run marked removed whose load, and so its line in the ledger, never came."""
        if last.finished_at is None:
            return 0
        ((count,),) = query.rows(f"SELECT count(*) FROM {query.table(table)} WHERE removed_at > %s", last.finished_at)
        return int(count)

    @staticmethod
    def _last_sync(query: Query, resource: str) -> LastSync:
        """What the ledger says of a resource."""
        syncs = query.table(SYNCS)
        ((full_at,),) = query.rows(
            f"SELECT max(finished_at) FROM {syncs} WHERE resource = %s AND mode IN ('first', 'full') "
            f"AND load_id IN {query.complete_loads}",
            resource,
        )
        names = ("base_url", "mode", "load_id", "finished_at", "total_off", "is_sorted", "unproven", "unproven_since")
        rows = query.rows(
            f"SELECT {', '.join((*names, 'stopped_by'))}, CASE WHEN load_id IN {query.complete_loads} THEN 1 ELSE 0 END "
            f"FROM {syncs} WHERE resource = %s AND mode <> '{SKIPPED}' ORDER BY finished_at DESC LIMIT {NEWEST_SYNCS}",
            resource,
        )
        newest = [dict(zip((*names, "stopped_by", "is_complete"), row, strict=True)) for row in rows]
        complete = [row for row in newest if row["is_complete"]]
        last = complete[0] if complete else dict.fromkeys(names)
        partial = list(takewhile(lambda row: row["mode"] == PARTIAL, complete))
        return LastSync(
            full_at=utc(full_at),
            base_url=newest[0]["base_url"] if newest else None,
            finished_at=utc(last["finished_at"]),
            partial_loads=tuple(row["load_id"] for row in partial),
            may_lack=any(not row["stopped_by"] for row in partial),
            total_off=int(last["total_off"] or 0),
            is_sorted=last["is_sorted"] is None or bool(last["is_sorted"]),
            unproven=last["unproven"],
            unproven_since=utc(last["unproven_since"]),
        )

    def find_moved(self, endpoint: Endpoint) -> list[str]:
        """Keys of a list's rows that may have gone to its bin, or come back from there, since it was last loaded."""
        if endpoint.bin is None:
            return []
        bin_name, key = endpoint.bin, snake(endpoint.key)
        with self.connect() as query:
            if not query.exists(bin_name) or not query.exists(endpoint.name):
                return []
            last = f"SELECT max(finished_at) FROM {query.table(SYNCS)} WHERE resource = %s AND mode <> '{SKIPPED}'"
            rows = query.rows(
                f"SELECT b.{key} FROM {query.table(bin_name)} b LEFT JOIN {query.table(endpoint.name)} l "
                f"ON l.{key} = b.{key} AND l.removed_at IS NULL "
                f"WHERE (b.removed_at IS NULL AND l.{key} IS NOT NULL) OR (l.{key} IS NULL AND b.removed_at >= "
                f"({last} AND load_id IN {query.complete_loads})) ORDER BY b.{key}",
                endpoint.name,
            )
        return [key for (key,) in rows]

    def has_exchanged(self, endpoint: Endpoint, since: datetime | None) -> bool:
        """Whether rows left or came back to the list that has this one as its bin, after ``since``.

        Leaving is seen in the table, not in the ledger: a run that was killed marked rows and left no line there.
        """
        lists = [other.name for other in by_name().values() if other.bin == endpoint.name]
        if since is None:
            return False
        with self.connect() as query:
            for name in lists:
                restored = "resource = %s AND restored_rows > 0 AND started_at > %s"
                came_back = f"SELECT count(*) FROM {query.table(SYNCS)} WHERE {restored}"
                left = f"SELECT count(*) FROM {query.table(name)} WHERE removed_at > %s"
                if query.exists(name) and (query.rows(came_back, name, since)[0][0] or query.rows(left, since)[0][0]):
                    return True
        return False

    def rejected(self, endpoint: Endpoint) -> dict[str, str | None]:
        """Hash of the content by key, of what is in ``_rejected``; None where its load was killed, or it stands twice."""
        with self.connect() as query:
            kept_hash = f"CASE WHEN _dlt_load_id IN {query.complete_loads} THEN content_hash END"
            try:
                rows = query.rows(
                    f"SELECT row_key, {kept_hash} FROM {query.table(REJECTED)} WHERE resource = %s", endpoint.name
                )
            except DatabaseUndefinedRelation:
                return {}
        found: dict[str, str | None] = {}
        for key, content_hash in rows:
            found[str(key)] = None if key in found else content_hash
        return found

    def forget_rejected(self, ids: Sequence[str]) -> None:
        """Takes rows out of ``_rejected``, by ``rejected_id``; doing it twice changes nothing."""
        if ids:
            with self.connect() as query:
                query.delete(REJECTED, "rejected_id", ids)

    def forget_all_rejected(self, resource: str) -> None:
        """Takes all rows of a resource out of ``_rejected``."""
        with self.connect() as query:
            if query.exists(REJECTED):
                query.delete(REJECTED, "resource", [resource])

    def find_rows(self, endpoint: Endpoint, keys: Sequence[str]) -> dict[str, KnownRow]:
        """The rows of a table with these keys."""
        found: dict[str, KnownRow] = {}
        with self.connect() as query:
            for start in range(0, len(keys), KEYS_PER_QUERY):
                some = keys[start : start + KEYS_PER_QUERY]
                marks = ", ".join(["%s"] * len(some))
                found.update(self._known(query, endpoint, f"WHERE {snake(endpoint.key)} IN ({marks})", some))
        return found

    def all_rows(self, endpoint: Endpoint) -> dict[str, KnownRow]:
        """Every row of a table, by key."""
        with self.connect() as query:
            return dict(self._known(query, endpoint, "", ()))

    @staticmethod
    def _known(query: Query, endpoint: Endpoint, where: str, args: Sequence[str]) -> Iterator[tuple[str, KnownRow]]:
        updated = "updated_at" if _has_cursor(endpoint) else "NULL"
        # A row of a load that was killed halfway is loaded again: its hash does not count.
        kept_hash = f"CASE WHEN _dlt_load_id IN {query.complete_loads} THEN _content_hash END"
        for key, content_hash, updated_at, removed_at in query.rows(
            f"SELECT {snake(endpoint.key)}, {kept_hash}, {updated}, removed_at FROM {query.table(endpoint.name)} {where}",
            *args,
        ):
            yield key, KnownRow(content_hash, utc(updated_at), removed_at is not None)

    def detail_state(self, endpoint: Endpoint, budget: int, missing_since: datetime, *, anew: bool = False) -> DetailState:
        """Which objects of a detail resource are to be asked for: new, changed with their parent, or not final.

        New and changed ones come first, in the order of their parents' last change, then those asked longest ago.
        At most ``budget`` are fetched, so memory does not grow with the library. What the API did not have is asked for
        again where that was before ``missing_since``. ``anew`` forgets what is loaded.
        """
        parent = by_name()[endpoint.parent or ""]
        with self.connect() as query:
            if not query.exists(parent.name):
                return DetailState()
            sql, args = DetailSql(query, endpoint, parent, anew=anew), tuple(endpoint.parent_where.values())
            counts = query.rows(sql.counts, missing_since, missing_since, *args)
            if counts[0][-1] or has_lost_children(query, self._parents_of(endpoint)):
                mend(query, endpoint, self._parents_of(endpoint), stale="_parent_hash")
                counts = query.rows(sql.counts, missing_since, missing_since, *args)
            ((parents, active, missing, waiting_total, _),) = counts
            rows = query.rows(f"{sql.waiting} LIMIT {int(budget)}", *args, missing_since)
            last = self._last_sync(query, endpoint.name)
            unaccounted = self._count_unaccounted(query, endpoint.name, last)
        waiting = tuple(
            Parent(key, wanted, KnownRow(had, None, removed is not None) if seen is not None else None, not changed)
            for key, wanted, seen, had, removed, changed in rows
        )
        return DetailState(
            int(parents), int(active or 0), int(missing or 0), int(waiting_total or 0), waiting, last.base_url, unaccounted
        )

    def mark_removed(self, endpoint: Endpoint, keys: Sequence[str], now: datetime) -> None:
        """Sets ``removed_at`` of these rows; doing it twice changes nothing."""
        with self.connect() as query:
            for start in range(0, len(keys), KEYS_PER_QUERY):
                some = keys[start : start + KEYS_PER_QUERY]
                key, marks = snake(endpoint.key), ", ".join(["%s"] * len(some))
                query.mark_removed(endpoint.name, key, f"{key} IN ({marks})", *some, now=now)

    def remove_orphans(self, endpoint: Endpoint, now: datetime) -> None:
        """Marks details removed whose parent is no longer listed, or no longer has one.

        ``_parent_hash`` is emptied, also of what the API did not have, so that a parent that comes back is asked for again.
        """
        parent = by_name()[endpoint.parent or ""]
        with self.connect() as query:
            lost = (
                f"_parent_hash IS NOT NULL AND {snake(endpoint.key)} NOT IN (SELECT {snake(parent.key)} "
                f"FROM {query.table(parent.name)} WHERE {served(endpoint)})"
            )
            table, args = query.table(endpoint.name), tuple(endpoint.parent_where.values())
            try:
                ((count,),) = query.rows(f"SELECT count(*) FROM {table} WHERE {lost}", *args)
                if count:
                    key = snake(endpoint.key)
                    query.mark_removed(endpoint.name, key, lost, *args, now=now, forget=["_parent_hash"])
            except DatabaseUndefinedRelation:
                return

    def count_active(self, table: str) -> int | None:
        """Rows of a table that are not removed; None where there is no such table."""
        with self.connect() as query:
            try:
                ((count,),) = query.rows(f"SELECT count(*) FROM {query.table(table)} WHERE removed_at IS NULL")
            except DatabaseUndefinedRelation:
                return None
        return int(count)


def _has_cursor(endpoint: Endpoint) -> bool:
    return any(column.path == "updatedAt" for column in endpoint.columns)
