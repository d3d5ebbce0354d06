"""Queries for the sync of a list: the state of its table, its loaded rows, and what moved to or from its bin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import SKIPPED, SYNCS, snake
from include.api_video.catalog.storable import now_utc, utc
from include.api_video.sync.state import KnownRow, TableState
from include.api_video.warehouse.ledger import count_unaccounted, last_sync
from include.api_video.warehouse.mending import mend_if_broken
from include.api_video.warehouse.sql import KEYS_PER_QUERY, Query
from include.api_video.warehouse.warehouse import Warehouse


class ListQueries:
    """Queries about the table of one list."""

    def __init__(self, warehouse: Warehouse, endpoint: Endpoint) -> None:
        self._warehouse, self._endpoint = warehouse, endpoint

    def state(self) -> TableState:
        """State of the list's table, repaired first if it needs to be; an empty state if nothing is loaded yet."""
        with self._warehouse.connect() as query:
            table = query.table(self._endpoint.name)
            last = last_sync(query, self._endpoint.name)
            undated = "updated_at" if self._has_cursor else "_dlt_id"  # without a cursor, no row counts as undated
            # Rows of a killed load, and repaired rows, are loaded again.
            loaded = f"removed_at IS NULL AND _content_hash <> '' AND _dlt_load_id IN {query.complete_loads}"
            counts = (
                f"SELECT count(*), count(*) - count(removed_at), sum(CASE WHEN {loaded} THEN 1 ELSE 0 END), "
                f"sum(CASE WHEN removed_at IS NULL AND {undated} IS NULL THEN 1 ELSE 0 END) FROM {table}"
            )
            try:
                mend_if_broken(query, self._endpoint, self._warehouse.parents_of(self._endpoint))
                ((rows, active, complete, undated_rows),) = query.rows(counts)
                cursor = self._find_cursor(query, last.partial_loads)
                unaccounted = count_unaccounted(query, self._endpoint.name, last)
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

    def _find_cursor(self, query: Query, partial_loads: Sequence[str]) -> datetime | None:
        """The cursor, or watermark: the newest ``updatedAt`` down to which the list was read."""
        if not self._has_cursor:
            return None
        # Leave out rows dated in the future, which would hide all changes until then, and rows of partial readings, which
        # did not reach the older changes.
        others = f" AND _dlt_load_id NOT IN ({', '.join(['%s'] * len(partial_loads))})" if partial_loads else ""
        ((cursor,),) = query.rows(
            f"SELECT max(updated_at) FROM {query.table(self._endpoint.name)} "
            f"WHERE _dlt_load_id IN {query.complete_loads} AND updated_at <= %s{others}",
            now_utc(),
            *partial_loads,
        )
        return utc(cursor)

    def moved(self) -> list[str]:
        """Keys of rows that may have moved to or from the bin since the list was last loaded."""
        if self._endpoint.bin is None:
            return []
        bin_name, key = self._endpoint.bin, snake(self._endpoint.key)
        with self._warehouse.connect() as query:
            if not query.exists(bin_name) or not query.exists(self._endpoint.name):
                return []
            last = f"SELECT max(finished_at) FROM {query.table(SYNCS)} WHERE resource = %s AND mode <> '{SKIPPED}'"
            rows = query.rows(
                f"SELECT b.{key} FROM {query.table(bin_name)} b LEFT JOIN {query.table(self._endpoint.name)} l "
                f"ON l.{key} = b.{key} AND l.removed_at IS NULL "
                f"WHERE (b.removed_at IS NULL AND l.{key} IS NOT NULL) OR (l.{key} IS NULL AND b.removed_at >= "
                f"({last} AND load_id IN {query.complete_loads})) ORDER BY b.{key}",
                self._endpoint.name,
            )
        return [key for (key,) in rows]

    def has_exchanged(self, since: datetime | None) -> bool:
        """For a bin: whether rows left its list, or came back to it, after ``since``.

        Rows that left are counted in the table, not in the ledger: a killed run marks rows removed but leaves no row there.
        """
        lists = [other.name for other in by_name().values() if other.bin == self._endpoint.name]
        if since is None:
            return False
        with self._warehouse.connect() as query:
            for name in lists:
                restored = "resource = %s AND restored_rows > 0 AND started_at > %s"
                came_back = f"SELECT count(*) FROM {query.table(SYNCS)} WHERE {restored}"
                left = f"SELECT count(*) FROM {query.table(name)} WHERE removed_at > %s"
                if query.exists(name) and (query.rows(came_back, name, since)[0][0] or query.rows(left, since)[0][0]):
                    return True
        return False

    def find_rows(self, keys: Sequence[str]) -> dict[str, KnownRow]:
        """The loaded rows with these keys."""
        found: dict[str, KnownRow] = {}
        with self._warehouse.connect() as query:
            for start in range(0, len(keys), KEYS_PER_QUERY):
                some = keys[start : start + KEYS_PER_QUERY]
                marks = ", ".join(["%s"] * len(some))
                found.update(self._known(query, f"WHERE {snake(self._endpoint.key)} IN ({marks})", some))
        return found

    def all_rows(self) -> dict[str, KnownRow]:
        """All loaded rows, by key."""
        with self._warehouse.connect() as query:
            return dict(self._known(query, "", ()))

    def _known(self, query: Query, where: str, args: Sequence[str]) -> Iterator[tuple[str, KnownRow]]:
        updated = "updated_at" if self._has_cursor else "NULL"
        # No hash for rows of a killed load, so that they are loaded again.
        kept_hash = f"CASE WHEN _dlt_load_id IN {query.complete_loads} THEN _content_hash END"
        columns, table = (
            f"{snake(self._endpoint.key)}, {kept_hash}, {updated}, removed_at",
            query.table(self._endpoint.name),
        )
        for key, content_hash, updated_at, removed_at in query.rows(f"SELECT {columns} FROM {table} {where}", *args):
            yield key, KnownRow(content_hash, utc(updated_at), removed_at is not None)

    @property
    def _has_cursor(self) -> bool:
        return any(column.path == "updatedAt" for column in self._endpoint.columns)
