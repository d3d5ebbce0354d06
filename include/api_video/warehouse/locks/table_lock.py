"""One load of a table at a time, whoever runs it: Airflow, a plain run, another machine.

A load decides by what is loaded, and only then loads: two at once would each insert the same news. So each takes the
table's lock before it decides and gives it back when it has loaded. The destination holds the lock:

- a file of this machine (DuckDB, a lake's catalog, a folder of Delta tables): the kernel's lock on a file beside it;
- PostgreSQL, also as a lake's catalog: an advisory lock of a session of its own;
- anything else, and PostgreSQL behind a pooler that shares sessions: a lease that is renewed while the load runs.

The first two are free as soon as their holder ends, however it ends; a lease after five minutes (``lock_leases.Lease``).

A process holds the lock of one table, and at most ``TABLES`` beside it, whose holder waits for no other: no deadlock.
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
from include.api_video.warehouse.locks.kinds import (
    Claim,
    FileLock,
    Holder,
    NoLock,
    SessionLock,
    SharedSessionError,
    TableLock,
)
from include.api_video.warehouse.locks.leases import DeltaLease, SqlLease

TABLES = "_tables"  # the lock of who creates and drops tables
TIMEOUT_VARIABLE = "API_VIDEO_LOCK_TIMEOUT_S"
TIMEOUT_S = 600.0
SAID_AGAIN_S = 60
log = logging.getLogger("api_video")
_held: dict[str, Held] = {}  # of this process, by dataset and table


class TableBusyError(PassingError):
    """Another run had the table for longer than we wait."""

    def __init__(self, claim: Claim, holder: Holder, waited_s: float) -> None:
        super().__init__(
            f"{_busy(claim, holder)}, and this run has waited {waited_s:.0f} s for it. The next try begins anew; end that "
            f"run if it hangs, or set {TIMEOUT_VARIABLE} higher if it may take so long."
        )


class LockLostError(PassingError):
    """The lock was lost while the table was read."""

    def __init__(self, claim: Claim) -> None:
        super().__init__(
            f"The connection to {destination_name()} that kept other runs from loading {claim.table} broke while it was "
            "read. Nothing was loaded, since another run may have begun; the next try begins anew."
        )


@contextmanager
def table_lock(pipeline: dlt.Pipeline, table: str, run_id: str = "", *, wait_s: float | None = None) -> Iterator[None]:
    """Has a table to itself for the block. No file of the destination is open while it waits.

    Args:
        pipeline: that loads, or any other into the same dataset.
        table: a resource, whose child tables and staging tables go with it, or ``TABLES``.
        run_id: what others are told that wait.
        wait_s: seconds; None: as set.

    Raises:
        TableBusyError: another run had it until the end of ``wait_s``.
        SettingsError: the time to wait is no number.
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
    """Before a load changes a table: is it still ours alone? Nothing happens where no lock was taken.

    Raises:
        LockLostError: it is not.
    """
    held = _held.get(Claim(dataset, table).name)
    if held and not held.is_proven:
        raise LockLostError(held.claim)


def timeout_s() -> float:
    """How long to wait for a table, seconds: ``API_VIDEO_LOCK_TIMEOUT_S``.

    Raises:
        SettingsError: it is no number of seconds.
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
    """A lock that we have: a thread renews it, where it has to be."""

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
            except Exception as error:  # tried again; without an answer for too long it is lost
                log.warning("the lock of %s could not be renewed: %s", self.claim.table, type(error).__name__)

    @property
    def is_proven(self) -> bool:
        """Whether it is still ours; asks where that was not told lately, as after the machine slept."""
        if self._lock.renew_s and time.monotonic() - self._proven_at > self._lock.proof_s:
            self._renew()
        in_time = not self._lock.renew_s or time.monotonic() - self._proven_at <= self._lock.lasts_s
        return in_time and not self._is_lost

    def give_back(self) -> None:
        """Lets others have it. Where that fails, it ends by itself."""
        self._over.set()
        with self._guard:
            try:
                self._lock.release()
            except Exception as error:
                log.warning("the lock of %s could not be given back: %s", self.claim.table, type(error).__name__)


def _take(locks: Iterator[TableLock], claim: Claim, wait_s: float) -> TableLock:
    """Waits for the first of these locks that works here."""
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
    """The kinds of locks that the destination can hold, the best one first."""
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
    """The file or folder of this machine that everything is in."""
    if destination_name() == FOLDER:
        return Path(client.dataset_path) if client.is_local_filesystem else None
    if file := duckdb_file():
        return file
    catalog = _catalog(client)
    return Path(str(catalog.database)) if catalog and catalog.drivername in ("sqlite", "duckdb") else None


def _catalog(client: Any) -> ConnectionStringCredentials | None:
    """What opens a lake's catalog."""
    return getattr(client.config.credentials, "catalog", None) if destination_name() == "ducklake" else None


def _catalog_session(client: Any) -> Any:
    """What connects to the PostgreSQL that holds a lake's catalog; None where another thing does."""
    catalog = _catalog(client)
    if catalog is None or not catalog.drivername.startswith("postgres"):
        return None
    with suppress(ModuleNotFoundError):  # DuckDB brings its own driver
        import psycopg2  # type: ignore[import-untyped]

        def connect() -> Any:
            connection = psycopg2.connect(catalog.to_native_representation())
            connection.autocommit = True
            return connection

        return connect
    return None
