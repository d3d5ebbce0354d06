"""dlt's DuckDB destination, but a second process waits for the file instead of failing.

DuckDB lets one process write a file; parallel Airflow tasks would fail with "Could not set lock on file". dlt opens the
file only while it needs it and does not retry, so a lock beside the file (``file_lock``) queues our own processes; another
program that has the file open, a shell or a BI tool, is waited for as well.

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
LEAST_MEMORY_MB = 128  # a merge of a table with 130 columns more than documented does not do with 64
FILE_SHARE = 8  # a million videos (a file of 368 MB) need more than 64 MB and pass with 110; three millions with 200
# One thread: each keeps its own buffers, and one is as quick with rows that arrive over a network.
LIMITS = {"threads": 1, "preserve_insertion_order": False}


def memory_limit(file: str) -> str:
    """How much memory DuckDB may take for a file: ``API_VIDEO_DUCKDB_MEMORY``, else 128 MB and an eighth of its size."""
    size = os.path.getsize(file) if os.path.exists(file) else 0
    return os.environ.get(MEMORY) or f"{LEAST_MEMORY_MB + size // FILE_SHARE // 1_000_000}MB"


def check_limits() -> None:
    """Checks what the environment says of memory and waiting.

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
    """Who has the file open, as DuckDB tells it: a program and its process id."""
    told = re.search(r"held in (.+? \(PID \d+\))", str(error))
    return told[1] if told else file_lock.OTHERS


class WaitingPool(LockingPool):
    """Opens the file only with the lock held, and waits where another program has it open, which knows no lock of ours."""

    def file_to_lock(self) -> str | None:
        """The database, unless it is only read."""
        return None if self.credentials.read_only else str(self.credentials.database)

    def borrow_conn(self, global_config: dict[str, Any] | None = None, *args: Any, **kwargs: Any) -> Any:
        """A connection with our limits, or the user's own, once nobody else has the file open.

        Raises:
            FileBusyError: it stayed open elsewhere for ``file_lock.timeout_s()``.
            NoLocksError: its file system has no locks.
        """
        patience, borrow = file_lock.Patience(self.credentials.database), super().borrow_conn

        def opened() -> Any:
            # Anew each time: the file has grown since it was last opened.
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
        """Takes a path as it is: dlt would import SQLAlchemy, only to see that it is no URL."""
        if isinstance(native_value, str) and "://" not in native_value:
            self.database = native_value
        else:
            super().parse_native_representation(native_value)

    def __str__(self) -> str:
        """As dlt's own, which imports SQLAlchemy for it, too."""
        return f"{self.drivername}:///{self.database}"

    def on_resolved(self) -> None:
        """Puts our pool in the place of dlt's."""
        super().on_resolved()
        self.conn_pool = WaitingPool(self)


@configspec(init=False)
class WaitingDuckDbConfiguration(DuckDbClientConfiguration):
    """DuckDB's configuration with the waiting credentials."""

    credentials: WaitingDuckDbCredentials = None  # type: ignore[assignment]  # as dlt's configspecs do


class duckdb_that_waits(ConfiguredOnce, dlt.destinations.duckdb):  # noqa: N801  # dlt takes the destination's name from the class
    """Destination ``duckdb`` for several processes on one host."""

    spec = WaitingDuckDbConfiguration
    takes_row_files = True  # its client loads what ``row_files`` writes

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        caps = super()._raw_capabilities()
        caps.max_parallel_load_jobs = 1  # the file has one writer: more at a time only hold more in memory
        return caps

    @property
    def client_class(self) -> type[DuckDbClient]:
        """Dlt's client, which loads values as they are."""
        from include.api_video.warehouse.destinations.duckdb_row_files import TypedFilesClient

        return TypedFilesClient

    @property
    def destination_type(self) -> str:
        """That of dlt's own: it is written into pipeline states, and dlt's commands must find what it names."""
        return "dlt.destinations.duckdb"
