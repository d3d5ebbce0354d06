"""What is already loaded, asked of the destination itself: it is the only state, so any machine can go on from it.

Plain SQL through dlt's client, so that it works on any SQL destination. No connection stays open longer than a block of
questions: DuckDB's file has one writer, and extraction must never hold it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import Any, cast

import dlt
from dlt.common.json import json
from dlt.common.schema.typing import TTableSchema
from dlt.common.schema.utils import get_nested_tables
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from dlt.destinations.job_client_impl import SqlJobClientWithStagingDataset

from include.api_video.comments import write_comments
from include.api_video.endpoints import Endpoint, by_name
from include.api_video.schema import REJECTED, SKIPPED, SYNCS, locate, schema_of, snake
from include.api_video.sql import DetailSql, Query, served
from include.api_video.values import read_timestamp

KEYS_PER_QUERY = 500


@dataclass(frozen=True, slots=True)  # one per row of a table
class KnownRow:
    """A row of a table as loaded: hash of its content, ``updatedAt``, and whether it is marked removed."""

    content_hash: str | None
    updated_at: datetime | None
    removed: bool


@dataclass(frozen=True)
class TableState:
    """What a list's table holds before a run.

    ``cursor`` is the newest ``updated_at`` of rows whose load is complete, ``last_full_at`` when the whole list was last
    read, ``base_url`` where from. ``is_whole`` is False where a load was killed halfway.
    """

    exists: bool = False
    active: int = 0
    cursor: datetime | None = None
    last_full_at: datetime | None = None
    base_url: str | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Parent:
    """An object to ask for: its key, the hash of the parent's row, and how it is already loaded (None: not at all)."""

    key: str
    content_hash: str | None
    loaded: KnownRow | None


@dataclass(frozen=True)
class DetailState:
    """What a detail table holds before a run, and which objects are to be asked for, longest waiting first.

    ``parents`` counts the parents that have such an object, ``missing`` those for which the API said there is none,
    ``waiting_total`` all that wait, of which ``waiting`` are those within the budget.
    """

    parents: int = 0
    active: int = 0
    missing: int = 0
    waiting_total: int = 0
    waiting: tuple[Parent, ...] = ()
    base_url: str | None = None


@dataclass(frozen=True)
class Growth:
    """The schema as it has grown, and when each undeclared column was first loaded: ``{table: {column: time}}``."""

    schema: dlt.Schema
    first_seen: Mapping[str, Mapping[str, datetime]]


def now_utc() -> datetime:
    """The present, as all our time stamps have it."""
    return datetime.now(timezone.utc)


def utc(value: Any) -> datetime | None:
    """A time stamp from the destination or the API as an aware datetime in UTC; None where it is none."""
    if isinstance(value, str):
        return read_timestamp(value)
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


class Warehouse:
    """The dataset of one pipeline."""

    def __init__(self, pipeline: dlt.Pipeline) -> None:
        self._pipeline = pipeline
        self._open: Query | None = None

    @contextmanager
    def connect(self) -> Iterator[Query]:
        """A connection, closed at the end of the block; blocks inside of it share it. One costs 20 ms to some seconds."""
        if self._open:
            yield self._open
            return
        with self._pipeline.sql_client() as client:
            self._open = Query(client)
            try:
                yield self._open
            finally:
                self._open = None

    def declare(self, schema: dlt.Schema) -> None:
        """Creates all tables of the schema with all their columns and comments; does nothing where it did so before.

        A load creates only tables that get rows: an account without live streams would lack the table, and queries fail.
        dlt's own table in the staging dataset is made, too: of parallel first loads that each make it, some fail.
        """
        client = self._client(schema)
        with client:
            client.initialize_storage()
            # A full refresh takes the stored versions of the schema along: its new tables are described here, too.
            if client.get_stored_schema_by_hash(schema.stored_version_hash) is None:
                client.update_stored_schema()
                if isinstance(client, SqlJobClientWithStagingDataset):
                    with client.with_staging_dataset():
                        client.initialize_storage()
                        client.update_stored_schema(only_tables={schema.version_table_name})
                    write_comments(Query(client.sql_client), schema, schema.data_table_names(include_incomplete=True))

    def drop_loaded_from(self, base_url: str) -> None:
        """Drops tables of all resources whose rows came from there; ``declare`` makes them again."""
        with self.connect() as query:
            if not query.exists(SYNCS):
                return
            told = query.rows(f"SELECT DISTINCT resource FROM {query.table(SYNCS)} WHERE base_url = %s", base_url)
            names = [name for (name,) in told if self._last_sync(query, name)[1] == base_url and query.exists(name)]
            names = [name for name in names if query.rows(f"SELECT count(*) FROM {query.table(name)}")[0][0]]
            if not names:
                return
            grown = self.read_growth(schema_of(names)).schema
        client = self._client(grown)
        with client:
            client.drop_tables(*(str(table["name"]) for name in names for table in get_nested_tables(grown.tables, name)))

    def _client(self, schema: dlt.Schema) -> Any:
        """What makes and drops tables in the destination: dlt's client, of another type for each of them."""
        return self._pipeline._get_destination_clients(schema)[0]

    def tidy(self, schema: dlt.Schema) -> None:
        """Joins the small files that loads leave, where the destination is a folder of files."""
        client = self._client(schema)
        if hasattr(client, "tidy"):
            client.tidy()

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
        """State of a list's table; an empty one where nothing is loaded yet."""
        with self.connect() as query:
            table = query.table(endpoint.name)
            newest = "max(updated_at)" if _has_cursor(endpoint) else "max(NULL)"
            try:
                ((active, complete),) = query.rows(
                    f"SELECT count(*), sum(CASE WHEN _dlt_load_id IN {query.complete_loads} THEN 1 ELSE 0 END) "
                    f"FROM {table} WHERE removed_at IS NULL"
                )
                # A row dated in the future would hide all changes until then.
                past = "AND updated_at <= %s" if _has_cursor(endpoint) else ""
                ((cursor,),) = query.rows(
                    f"SELECT {newest} FROM {table} WHERE _dlt_load_id IN {query.complete_loads} {past}",
                    *([now_utc()] if past else []),
                )
            except DatabaseUndefinedRelation:
                return TableState()
            last_full_at, base_url = self._last_sync(query, endpoint.name)
        is_whole = int(complete or 0) == int(active)
        return TableState(True, int(active), utc(cursor), last_full_at, base_url, is_whole)

    @staticmethod
    def _last_sync(query: Query, resource: str) -> tuple[datetime | None, str | None]:
        syncs = query.table(SYNCS)
        ((last_full_at,),) = query.rows(
            f"SELECT max(finished_at) FROM {syncs} WHERE resource = %s AND mode IN ('first', 'full') "
            f"AND load_id IN {query.complete_loads}",
            resource,
        )
        newest = query.rows(
            f"SELECT base_url FROM {syncs} WHERE resource = %s AND mode <> '{SKIPPED}' ORDER BY finished_at DESC LIMIT 1",
            resource,
        )
        return utc(last_full_at), newest[0][0] if newest else None

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
        """Hash of the content by key, of what is in ``_rejected``; None where its load was killed halfway."""
        with self.connect() as query:
            kept_hash = f"CASE WHEN _dlt_load_id IN {query.complete_loads} THEN content_hash END"
            try:
                rows = query.rows(
                    f"SELECT row_key, {kept_hash} FROM {query.table(REJECTED)} WHERE resource = %s", endpoint.name
                )
            except DatabaseUndefinedRelation:
                return {}
        return {str(key): content_hash for key, content_hash in rows}

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
            ((parents, active, missing, waiting_total),) = counts
            rows = query.rows(f"{sql.waiting} LIMIT {int(budget)}", *args, missing_since)
            base_url = self._last_sync(query, endpoint.name)[1]
        waiting = tuple(
            Parent(key, wanted, KnownRow(had, None, removed is not None) if seen is not None else None)
            for key, wanted, seen, had, removed in rows
        )
        return DetailState(int(parents), int(active or 0), int(missing or 0), int(waiting_total or 0), waiting, base_url)

    def mark_removed(self, endpoint: Endpoint, keys: Sequence[str], now: datetime) -> None:
        """Sets ``removed_at`` of these rows; doing it twice changes nothing."""
        with self.connect() as query:
            for start in range(0, len(keys), KEYS_PER_QUERY):
                some = keys[start : start + KEYS_PER_QUERY]
                key, marks = snake(endpoint.key), ", ".join(["%s"] * len(some))
                query.mark_removed(endpoint.name, key, f"{key} IN ({marks})", *some, now=now)

    def remove_orphans(self, endpoint: Endpoint, now: datetime) -> int:
        """Marks details removed whose parent is no longer listed, or no longer has one; returns how many.

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
                ((count, active),) = query.rows(
                    f"SELECT count(*), count(*) - count(removed_at) FROM {table} WHERE {lost}", *args
                )
                if count:
                    key = snake(endpoint.key)
                    query.mark_removed(endpoint.name, key, lost, *args, now=now, forget=["_parent_hash"])
            except DatabaseUndefinedRelation:
                return 0
        return int(active)

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
