"""dlt's DuckDB destination, but a second process waits for the file instead of failing.

DuckDB lets one process write a file; parallel Airflow tasks would fail with "Could not set lock on file". dlt opens the
file only while it needs it and does not retry, so a lock beside the file (``<file>.lock``, freed by the kernel when its
holder dies) queues our own processes; another program that has the file open, a shell or a BI tool, is waited for as well.

Works on one host: file locks on network shares cannot be trusted. Uses dlt's extension points (``spec``, ``on_resolved``,
``DuckDbConnectionPool``) and the pool's private ``_conn`` fields; dlt is pinned, and a test with two processes watches it.
"""

from __future__ import annotations

import fcntl
import os
import random
import threading
import time
from copy import copy
from typing import Any

import dlt
import duckdb
from dlt.common.configuration import configspec
from dlt.common.destination import DestinationCapabilitiesContext
from dlt.destinations.impl.duckdb.configuration import (
    DuckDbClientConfiguration,
    DuckDbConnectionPool,
    DuckDbCredentials,
)

from include.api_video.errors import PassingError

TIMEOUT_S = float(os.environ.get("API_VIDEO_DUCKDB_TIMEOUT_S", "600"))
# Enough for tables of any length, since DuckDB then works on disk; it would take most of the machine's memory otherwise.
MEMORY = os.environ.get("API_VIDEO_DUCKDB_MEMORY", "64MB")
_held: dict[str, list[int]] = {}  # file -> [descriptor of its lock, holders in this process]
_guard = threading.RLock()


class DuckDbBusyError(PassingError):
    """Somebody kept the DuckDB file open for longer than we wait."""


def _acquire(path: str, deadline: float) -> str:
    """Takes the lock of a file for this process, waiting for other processes; returns its real path."""
    file = os.path.realpath(path)
    with _guard:
        if file in _held:
            _held[file][1] += 1
            return file
        os.makedirs(os.path.dirname(file), exist_ok=True)
        descriptor = os.open(file + ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise DuckDbBusyError(_busy(file)) from None
                time.sleep(random.uniform(0.02, 0.1))
            else:
                _held[file] = [descriptor, 1]
                return file


def _release(file: str) -> None:
    with _guard:
        _held[file][1] -= 1
        if _held[file][1] == 0:
            os.close(_held.pop(file)[0])


def _busy(file: str) -> str:
    return (
        f"{file} was open in another program for more than {TIMEOUT_S:.0f} s. DuckDB lets one process write: close the "
        "shell or BI tool that holds it (open it read-only and briefly), or set API_VIDEO_DUCKDB_TIMEOUT_S higher."
    )


class WaitingPool(DuckDbConnectionPool):
    """Opens the file only with the lock held, and gives the lock back when dlt closes the file."""

    _file: str | None = None

    def borrow_conn(self, *args: Any, **kwargs: Any) -> Any:
        """A connection, once nobody else has the file open.

        Raises:
            DuckDbBusyError: it stayed open elsewhere for ``TIMEOUT_S``.
        """
        deadline = time.monotonic() + TIMEOUT_S
        with self._conn_lock:
            while True:
                if self._conn is None and self._file is None and self._conn_owner and not self.credentials.read_only:
                    self._file = _acquire(self.credentials.database, deadline)
                try:
                    return super().borrow_conn(*args, **kwargs)
                except BaseException as error:
                    self._give_back()
                    if not (isinstance(error, duckdb.IOException) and "Could not set lock" in str(error)):
                        raise
                    if time.monotonic() > deadline:
                        raise DuckDbBusyError(_busy(self.credentials.database)) from None
                time.sleep(random.uniform(0.1, 0.5))

    def _close_conn(self) -> None:
        super()._close_conn()
        self._give_back()

    def _give_back(self) -> None:
        if self._conn is None and self._file:
            _release(self._file)
            self._file = None


@configspec(init=False)
class WaitingDuckDbCredentials(DuckDbCredentials):
    """DuckDB's credentials with the waiting pool."""

    def on_resolved(self) -> None:
        """Puts our pool in the place of dlt's."""
        super().on_resolved()
        # One thread: each keeps its own buffers, and one is as quick with rows that arrive over a network.
        self.global_config = {
            "memory_limit": MEMORY,
            "threads": 1,
            "preserve_insertion_order": False,
            **(self.global_config or {}),
        }
        self.conn_pool = WaitingPool(self)


@configspec(init=False)
class WaitingDuckDbConfiguration(DuckDbClientConfiguration):
    """DuckDB's configuration with the waiting credentials."""

    credentials: WaitingDuckDbCredentials = None  # type: ignore[assignment]  # as dlt's configspecs do


class duckdb_that_waits(dlt.destinations.duckdb):  # noqa: N801  # dlt takes the destination's name from the class
    """Destination ``duckdb`` for several processes on one host."""

    spec = WaitingDuckDbConfiguration

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._resolved: dict[str, DuckDbClientConfiguration] = {}

    def configuration(
        self, initial_config: DuckDbClientConfiguration, accept_partial: bool = False
    ) -> DuckDbClientConfiguration:
        """The configuration, looked up once for each dataset.

        dlt asks some thirty times per load, and each time searches all places for thirty options: a quarter of the time
        of a load without news. Clients then share one pool, as they do within dlt's load step.
        """
        name = f"{accept_partial} {dict(initial_config or {})}"
        if name not in self._resolved:
            self._resolved[name] = super().configuration(initial_config, accept_partial)
        return copy(self._resolved[name])

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        caps = super()._raw_capabilities()
        caps.max_parallel_load_jobs = 1  # the file has one writer: more at a time only hold more in memory
        return caps

    @property
    def destination_type(self) -> str:
        """That of dlt's own: it is written into pipeline states, and dlt's commands must find what it names."""
        return "dlt.destinations.duckdb"
