"""dlt's DuckLake destination, but where its catalog is a file, a second process waits for it instead of failing.

A catalog in SQLite or DuckDB takes one writer: of six parallel tasks, one to five failed. PostgreSQL's needs no waiting.
"""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.configuration import configspec
from dlt.destinations.impl.duckdb.configuration import DuckDbConnectionPool
from dlt.destinations.impl.ducklake.configuration import DuckLakeClientConfiguration, DuckLakeCredentials

from include.api_video import file_lock

FILES = ("sqlite", "duckdb")  # catalogs that are a file


class WaitingLakePool(DuckDbConnectionPool):
    """Has the catalog's lock as long as a connection is open."""

    credentials: DuckLakeCredentials

    def borrow_conn(self, *args: Any, **kwargs: Any) -> Any:
        """A connection, once no other process has one.

        Raises:
            FileBusyError: another process had one for ``file_lock.TIMEOUT_S``.
        """
        file = self._catalog()
        if file is None:
            return super().borrow_conn(*args, **kwargs)
        file_lock.acquire(file)
        try:
            return super().borrow_conn(*args, **kwargs)
        except BaseException:
            file_lock.release(file)
            raise

    def return_conn(self, borrowed_conn: Any) -> int:
        """Closes it, and lets others have theirs."""
        try:
            return super().return_conn(borrowed_conn)
        finally:
            if file := self._catalog():
                file_lock.release(file)

    def _catalog(self) -> str | None:
        catalog = self.credentials.catalog
        return str(catalog.database) if catalog.drivername in FILES else None


@configspec(init=False)
class WaitingDuckLakeCredentials(DuckLakeCredentials):
    """DuckLake's credentials with the waiting pool."""

    def on_resolved(self) -> None:
        """Puts our pool in the place of dlt's."""
        super().on_resolved()
        self.conn_pool = WaitingLakePool(self, always_open_connection=True)


@configspec(init=False)
class WaitingDuckLakeConfiguration(DuckLakeClientConfiguration):
    """DuckLake's configuration with the waiting credentials."""

    credentials: WaitingDuckLakeCredentials = None  # type: ignore[assignment]  # as dlt's configspecs do


class ducklake_that_waits(dlt.destinations.ducklake):  # noqa: N801  # dlt takes the destination's name from the class
    """Destination ``ducklake`` for several processes on one host, also where its catalog is a file."""

    spec = WaitingDuckLakeConfiguration

    @property
    def destination_type(self) -> str:
        """That of dlt's own: it is written into pipeline states, and dlt's commands must find what it names."""
        return "dlt.destinations.ducklake"
