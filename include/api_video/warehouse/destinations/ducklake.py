"""dlt's DuckLake destination, but if its catalog is a file, a second process waits for it instead of failing.

A catalog in SQLite or DuckDB takes one writer: of six parallel tasks, one to five failed. PostgreSQL's needs no waiting.

To open a lake, a DuckDB loads two or three extensions: 0.6 s of a processor. dlt opens a lake six to ten times in a load,
each time with a new DuckDB; here, one that has detached the lake serves the next time.

Uses dlt's extension points: ``spec``, ``on_resolved``, ``DuckDbConnectionPool``.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import dlt
import duckdb
from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.utils import digest128
from dlt.destinations.exceptions import DatabaseException
from dlt.destinations.impl.ducklake.configuration import DuckLakeClientConfiguration, DuckLakeCredentials

from include.api_video.warehouse.destinations.configured_once import ConfiguredOnce
from include.api_video.warehouse.destinations.locking_pool import LockingPool

FILES = ("sqlite", "duckdb")  # catalogs that are a file
PROBE_TIMEOUT_S = 10
KEPT = 2  # more than one is open only while dlt loads several tables at once


class WaitingLakePool(LockingPool):
    """Holds the catalog's lock while a connection has the lake attached."""

    credentials: DuckLakeCredentials

    def __init__(self, credentials: DuckLakeCredentials) -> None:
        super().__init__(credentials, always_open_connection=True)
        self._idle: list[duckdb.DuckDBPyConnection] = []

    def file_to_lock(self) -> str | None:
        """The catalog, if it is a file."""
        catalog = self.credentials.catalog
        return str(catalog.database) if catalog.drivername in FILES else None

    def borrow_conn(self, *args: Any, **kwargs: Any) -> Any:
        """A connection, once no other process has one.

        Raises:
            FileBusyError: another process had one for ``file_lock.timeout_s()``.
        """
        borrow = super().borrow_conn
        # All clients of a pool use the same settings, so a kept connection has them.
        return self.lend(lambda: self._idle.pop() if self._idle else borrow(*args, **kwargs))

    def return_conn(self, borrowed_conn: Any) -> int:
        """Keeps a connection after it has detached the lake, and closes any other. Then another process may open the lake.

        Of what is kept, dlt's pool thinks that it is still lent.
        """
        if len(self._idle) == KEPT or not empty(borrowed_conn):
            return super().return_conn(borrowed_conn)
        self._idle.append(borrowed_conn)
        self._took_back()
        return self._lent


def empty(connection: duckdb.DuckDBPyConnection) -> bool:
    """Frees memory that queries took: temporary tables of merges, and data read from a bucket.

    False where that fails or something is still attached.
    """
    try:
        for (name,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE temporary").fetchall():
            connection.execute(f"DROP TABLE temp.{name}")
        connection.execute("SET GLOBAL enable_external_file_cache = false; RESET GLOBAL enable_external_file_cache")
        return connection.execute("SELECT count(*) FROM duckdb_databases() WHERE NOT internal").fetchall() == [(1,)]
    except duckdb.Error:
        return False


def check_bucket(pipeline: dlt.Pipeline) -> None:
    """Lists the lake's bucket, if it has one, with little patience: DuckDB and dlt would try for minutes in each load.

    Raises:
        DatabaseException: it cannot be reached, or refuses the key.
    """
    with pipeline.sql_client() as client:
        storage = cast(DuckLakeCredentials, client.credentials).storage
        if storage.is_local_filesystem:
            return
        with suppress(DatabaseException):  # Azure's storage has no such settings
            client.execute_sql(f"SET http_timeout = {PROBE_TIMEOUT_S}; SET http_retries = 1")
        try:
            client.execute_sql(f"SELECT count(*) FROM glob('{storage.bucket_url}/*')")
        finally:
            with suppress(DatabaseException):
                client.execute_sql("RESET http_timeout; RESET http_retries")  # this DuckDB is used again


def identity(configuration: BaseConfiguration) -> str:
    """A digest of a configuration's fields, secrets too."""
    values = {name: value for name, value in configuration.items() if name != "conn_pool"}
    return digest128(str({n: identity(v) if isinstance(v, BaseConfiguration) else v for n, v in values.items()}))


# Only the newest, by configuration: a task makes its destination several times, and Azure's gets a new token each time.
_pools: dict[str, WaitingLakePool] = {}


@configspec(init=False)
class WaitingDuckLakeCredentials(DuckLakeCredentials):
    """DuckLake's credentials with the waiting pool."""

    def on_resolved(self) -> None:
        """Uses our pool instead of dlt's."""
        super().on_resolved()
        name = identity(self)
        self.conn_pool = pool = _pools.get(name) or WaitingLakePool(self)
        if name not in _pools:
            _pools.clear()
            _pools[name] = pool


@configspec(init=False)
class WaitingDuckLakeConfiguration(DuckLakeClientConfiguration):
    """DuckLake's configuration with the waiting credentials."""

    credentials: WaitingDuckLakeCredentials = None  # type: ignore[assignment]  # as dlt's configspecs do


class ducklake_that_waits(ConfiguredOnce, dlt.destinations.ducklake):  # noqa: N801  # dlt takes the destination's name from the class
    """Destination ``ducklake`` for several processes on one host, even if its catalog is a file."""

    spec = WaitingDuckLakeConfiguration

    @property
    def destination_type(self) -> str:
        """The type of dlt's own: pipeline states hold it, and dlt's commands must find the destination that it names."""
        return "dlt.destinations.ducklake"
