"""dlt's DuckDB destination, but a second process waits for the file instead of failing.

DuckDB lets one process write a file; parallel Airflow tasks would fail with "Could not set lock on file". dlt opens the
file only while it needs it and does not retry, so a lock beside the file (``locks.duckdb_file``) queues our own processes;
another program that has the file open, a shell or a BI tool, is waited for as well.

Uses dlt's extension points: ``spec``, ``on_resolved``, ``DuckDbConnectionPool``.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
from dlt.common.configuration import configspec
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.destinations.impl.duckdb.configuration import (
    DuckDbClientConfiguration,
    DuckDbCredentials,
)

from include.api_video.errors import SettingsError
from include.api_video.warehouse.destinations.configured_once import ConfiguredOnce
from include.api_video.warehouse.destinations.locking_pool import LockingPool
from include.api_video.warehouse.locks import duckdb_file as file_lock

if TYPE_CHECKING:
    from dlt.destinations.impl.duckdb.duck import DuckDbClient

# DuckDB would take most of the machine's memory. It works on disk beyond a limit, but keeps a merge's keys in memory.
MEMORY = "API_VIDEO_DUCKDB_MEMORY"
LEAST_MEMORY_MB = 128  # 64 are too few to merge a table with 130 undocumented columns
FILE_SHARE = 8  # a million videos (a file of 368 MB) need more than 64 MB and pass with 110; three millions with 200
# One thread: each has its own buffers, and rows that arrive over a network need no more.
LIMITS = {"threads": 1, "preserve_insertion_order": False}


def memory_limit(file: str) -> str:
    """How much memory DuckDB may take for a file: ``API_VIDEO_DUCKDB_MEMORY``, else 128 MB and an eighth of its size."""
    size = os.path.getsize(file) if os.path.exists(file) else 0
    return os.environ.get(MEMORY) or f"{LEAST_MEMORY_MB + size // FILE_SHARE // 1_000_000}MB"


def check_limits() -> None:
    """Checks the settings of memory and waiting time.

    Raises:
        SettingsError: it is no amount of memory, or no number of seconds.
    """
    file_lock.timeout_s()
    if memory := os.environ.get(MEMORY):
        try:
            duckdb.connect(config={"memory_limit": memory}).close()
        except duckdb.Error:
            raise SettingsError(f"{MEMORY} must be an amount of memory, such as 500MB or 2GB, not {memory!r}.") from None


def holder_of(error: duckdb.IOException) -> str:
    """The program and process that have the file open, from DuckDB's message."""
    told = re.search(r"held in (.+? \(PID \d+\))", str(error))
    return told[1] if told else file_lock.OTHERS


class WaitingPool(LockingPool):
    """Opens the file with the lock held; also waits for other programs, which do not use our lock."""

    def file_to_lock(self) -> str | None:
        """The database file, unless it is opened read-only."""
        return None if self.credentials.read_only else str(self.credentials.database)

    def borrow_conn(self, global_config: dict[str, Any] | None = None, *args: Any, **kwargs: Any) -> Any:
        """A connection with our limits, or the user's own, once nobody else has the file open.

        Raises:
            FileBusyError: it stayed open elsewhere for ``file_lock.timeout_s()``.
            NoLocksError: its file system has no locks.
        """
        patience, borrow = file_lock.Patience(self.credentials.database), super().borrow_conn

        def opened() -> Any:
            # Computed each time: the file may have grown.
            limits = {"memory_limit": memory_limit(self.credentials.database), **LIMITS}
            config = {**limits, **(self.credentials.global_config or {}), **(global_config or {})}
            return borrow(config, *args, **kwargs)

        while True:
            try:
                return self.lend(opened, patience)
            except duckdb.IOException as error:
                if "Could not set lock" not in str(error):
                    raise
                holder = holder_of(error)
            patience.wait(0.1, 0.5, holder)


@configspec(init=False)
class WaitingDuckDbCredentials(DuckDbCredentials):
    """DuckDB's credentials with the waiting pool."""

    def parse_native_representation(self, native_value: Any) -> None:
        """Takes a path unchanged: dlt would import SQLAlchemy only to find that it is no URL."""
        if isinstance(native_value, str) and "://" not in native_value:
            self.database = native_value
        else:
            super().parse_native_representation(native_value)

    def __str__(self) -> str:
        """As dlt's own, without importing SQLAlchemy."""
        return f"{self.drivername}:///{self.database}"

    def on_resolved(self) -> None:
        """Uses our pool instead of dlt's."""
        super().on_resolved()
        self.conn_pool = WaitingPool(self)


@configspec(init=False)
class WaitingDuckDbConfiguration(DuckDbClientConfiguration):
    """DuckDB's configuration with the waiting credentials."""

    credentials: WaitingDuckDbCredentials = None  # type: ignore[assignment]  # as dlt's configspecs do


class duckdb_that_waits(ConfiguredOnce, dlt.destinations.duckdb):  # noqa: N801  # dlt takes the destination's name from the class
    """Destination ``duckdb`` for several processes on one host."""

    spec = WaitingDuckDbConfiguration
    takes_row_files = True  # its client can load the files of ``row_files``

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        caps = super()._raw_capabilities()
        caps.max_parallel_load_jobs = 1  # the file has one writer, so parallel jobs would only take more memory
        return caps

    @property
    def client_class(self) -> type[DuckDbClient]:
        """The client of dlt, with files loaded by the types of the columns."""
        from include.api_video.warehouse.destinations.duckdb_row_files import TypedFilesClient

        return TypedFilesClient

    @property
    def destination_type(self) -> str:
        """The type of dlt's own: pipeline states hold it, and dlt's commands must find the destination that it names."""
        return "dlt.destinations.duckdb"
