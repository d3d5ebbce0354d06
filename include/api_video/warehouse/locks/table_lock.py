"""Only one load of a table at a time, whoever runs it: Airflow, the command line, another machine.

A load first reads what the table holds, then decides what to insert: two loads at once would insert the same rows twice.
So each takes the table's lock before it reads, and releases it after it has loaded. The lock is held by the destination:

- a file or folder on this machine (DuckDB, a lake's catalog, Delta tables): a kernel lock on a file beside it;
- PostgreSQL, also as a lake's catalog: an advisory lock in its own session;
- anything else, and PostgreSQL behind a pooler that shares sessions: a lease, renewed while the load runs.

The first two are released as soon as their holder ends, however it ends; a lease expires after five minutes
(``leases.Lease``).

No deadlock: a process holds at most one table's lock and ``TABLES``, and the holder of ``TABLES`` waits for no other lock.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dlt
from dlt.common.configuration.specs import ConnectionStringCredentials

from include.api_video.errors import PassingError, SettingsError
from include.api_video.settings.destination import FOLDER, destination_name, duckdb_file
from include.api_video.warehouse.locks.leases import DeltaLease, SqlLease
from include.api_video.warehouse.locks.session_locks import (
    Claim,
    FileLock,
    Holder,
    NoLock,
    SessionLock,
    SharedSessionError,
    TableLock,
)

TABLES = "_tables"  # the lock for creating and dropping tables
TIMEOUT_VARIABLE = "API_VIDEO_LOCK_TIMEOUT_S"
TIMEOUT_S = 600.0
SAID_AGAIN_S = 60
log = logging.getLogger("api_video")
_held: dict[str, Held] = {}  # this process's locks, by dataset and table


class TableBusyError(PassingError):
    """Another run held the table's lock for longer than we wait."""

    def __init__(self, claim: Claim, holder: Holder, waited_s: float) -> None:
        super().__init__(
            f"{_busy(claim, holder)}, and this run has waited {waited_s:.0f} s for it. The next try starts over; end that "
            f"run if it hangs, or set {TIMEOUT_VARIABLE} higher if it may take so long."
        )


class LockLostError(PassingError):
    """The lock was lost while the table was read."""

    def __init__(self, claim: Claim) -> None:
        super().__init__(
            f"The connection to {destination_name()} that kept other runs from loading {claim.table} broke while it was "
            "read. Nothing was loaded, since another run may have begun; the next try starts over."
        )


@contextmanager
def table_lock(pipeline: dlt.Pipeline, table: str, run_id: str = "", *, wait_s: float | None = None) -> Iterator[None]:
    """Holds a table's lock for the block. No file of the destination is open while it waits.

    Args:
        pipeline: any pipeline into the dataset.
        table: a resource, for its table with child tables and staging tables, or ``TABLES``.
        run_id: shown to runs that wait.
        wait_s: longest wait in seconds; None for the setting.

    Raises:
        TableBusyError: another run still held it after ``wait_s``.
        SettingsError: the setting is not a number of seconds.
    """
    claim = Claim(pipeline.dataset_name, table, run_id)
    lock = _take(_locks(pipeline, claim), claim, timeout_s() if wait_s is None else wait_s)
    held = Held(lock, claim)
    _held[claim.name] = held
    try:
        yield
    finally:
        _held.pop(claim.name, None)
        held.give_back()


def check_held(dataset: str, table: str) -> None:
    """Verifies, before a load changes a table, that this process still holds its lock, if it took one.

    Raises:
        LockLostError: the lock was lost.
    """
    held = _held.get(Claim(dataset, table).name)
    if held and not held.is_proven:
        raise LockLostError(held.claim)


def timeout_s() -> float:
    """How long to wait for a table, in seconds: ``API_VIDEO_LOCK_TIMEOUT_S``.

    Raises:
        SettingsError: the variable is not a number of seconds.
    """
    text = os.environ.get(TIMEOUT_VARIABLE) or str(TIMEOUT_S)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise SettingsError(f"{TIMEOUT_VARIABLE} must be a number of seconds, such as 600; it is {text!r}.")
    return seconds


class Held:
    """A lock that this process holds; a thread renews it if it needs to be."""

    def __init__(self, lock: TableLock, claim: Claim) -> None:
        self.claim = claim
        self._lock, self._is_lost = lock, False
        self._proven_at = time.monotonic()
        self._over, self._guard = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._keep, name=f"lock of {claim.table}", daemon=True)
        if lock.renew_s:
            self._thread.start()

    def _keep(self) -> None:
        while not self._over.wait(self._lock.renew_s):
            self._renew()

    def _renew(self) -> None:
        with self._guard:
            if self._is_lost or self._over.is_set():
                return
            begun_at = time.monotonic()
            try:
                if self._lock.renew():
                    self._proven_at = begun_at
                else:
                    self._is_lost = True
            except Exception as error:  # tried again later; it counts as lost after lasts_s without an answer
                log.warning("the lock of %s could not be renewed: %s", self.claim.table, type(error).__name__)

    @property
    def is_proven(self) -> bool:
        """Whether the lock is still ours; asks the destination if the last proof is too old, as after the machine slept."""
        if self._lock.renew_s and time.monotonic() - self._proven_at > self._lock.proof_s:
            self._renew()
        in_time = not self._lock.renew_s or time.monotonic() - self._proven_at <= self._lock.lasts_s
        return in_time and not self._is_lost

    def give_back(self) -> None:
        """Releases the lock. If that fails, it expires by itself."""
        self._over.set()
        with self._guard:
            try:
                self._lock.release()
            except Exception as error:
                log.warning("the lock of %s could not be released: %s", self.claim.table, type(error).__name__)


def _take(locks: Iterator[TableLock], claim: Claim, wait_s: float) -> TableLock:
    """Waits for the lock; uses the first kind that works here."""
    lock, begun_at, said_at = next(locks), time.monotonic(), -float(SAID_AGAIN_S)
    while True:
        try:
            holder = lock.take()
        except SharedSessionError:
            lock = next(locks)
            continue
        if holder is None:
            return lock
        waited_s = time.monotonic() - begun_at
        if waited_s >= wait_s:
            raise TableBusyError(claim, holder, waited_s)
        if waited_s - said_at >= SAID_AGAIN_S:
            log.info("%s; waiting, for at most %.0f s", _busy(claim, holder), wait_s)
            said_at = waited_s
        time.sleep(min(random.uniform(0.5, 1.5) * lock.ask_again_s, max(wait_s - waited_s, 0.01)))


def _busy(claim: Claim, holder: Holder) -> str:
    what = f"The tables of {claim.dataset} are" if claim.table == TABLES else f"{claim.table} is"
    doing = "created" if claim.table == TABLES else "loaded"
    since = f" since {holder.since:%Y-%m-%d %H:%M:%S} UTC" if holder.since else ""
    return f"{what} being {doing} by {f'run {holder.run_id}' if holder.run_id else 'another run'}{since}"


def _locks(pipeline: dlt.Pipeline, claim: Claim) -> Iterator[TableLock]:
    """Yields the kinds of locks that the destination supports, best first."""
    client = pipeline.destination_client()
    if place := _local_place(client):
        yield FileLock(place, claim)
    elif destination_name() == "duckdb":
        yield NoLock()  # in memory: nobody else can see it
    elif destination_name() == FOLDER:
        yield DeltaLease(client, claim)
    else:
        if destination_name() == "postgres":
            yield SessionLock(lambda: pipeline.sql_client().open_connection(), claim)
        elif connect := _catalog_session(client):
            yield SessionLock(connect, claim)
        yield SqlLease(pipeline.sql_client(), claim)


def _local_place(client: Any) -> Path | None:
    """The file or folder on this machine that holds the whole destination; None if there is none."""
    if destination_name() == FOLDER:
        return Path(client.dataset_path) if client.is_local_filesystem else None
    if file := duckdb_file():
        return file
    catalog = _catalog(client)
    return Path(str(catalog.database)) if catalog and catalog.drivername in ("sqlite", "duckdb") else None


def _catalog(client: Any) -> ConnectionStringCredentials | None:
    """The credentials of a lake's catalog; None for other destinations."""
    return getattr(client.config.credentials, "catalog", None) if destination_name() == "ducklake" else None


def _catalog_session(client: Any) -> Any:
    """Returns a function that connects to a lake's catalog in PostgreSQL; None if the catalog is elsewhere."""
    catalog = _catalog(client)
    if catalog is None or not catalog.drivername.startswith("postgres"):
        return None
    with suppress(ModuleNotFoundError):  # optional: DuckDB has its own driver
        import psycopg2  # type: ignore[import-untyped]

        def connect() -> Any:
            connection = psycopg2.connect(catalog.to_native_representation())
            connection.autocommit = True
            return connection

        return connect
    return None
