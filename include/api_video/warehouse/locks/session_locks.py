"""Locks that the kernel or the database releases when their holder ends, however it ends."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from include.api_video.errors import SettingsError
from include.api_video.warehouse.locks.duckdb_file import NoLocksError

SESSION_RENEW_S = 30.0
APPLICATION = "api_video "  # prefix of application_name, which PostgreSQL cuts at 63 bytes


class SharedSessionError(Exception):
    """A pooler shares sessions: the session that took the lock may serve somebody else next."""


@dataclass(frozen=True)
class Claim:
    """What to lock, and for whom. ``holder`` is unique."""

    dataset: str
    table: str
    run_id: str = ""
    holder: str = field(default_factory=lambda: uuid4().hex)

    @property
    def name(self) -> str:
        """Name of the lock within its destination."""
        return f"{self.dataset}.{self.table}"


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as far as known."""

    run_id: str | None = None
    since: datetime | None = None


class TableLock(Protocol):
    """A kind of lock.

    Attributes:
        ask_again_s: seconds between two attempts to take it.
        renew_s: seconds between renewals; 0 if it needs none.
        lasts_s: seconds that it stays ours without a renewal.
        proof_s: seconds that the last proof of holding it stays good enough for a load to change the table.
    """

    ask_again_s: float
    renew_s: float
    lasts_s: float

    @property
    def proof_s(self) -> float: ...

    def take(self) -> Holder | None:
        """Takes the lock without waiting; returns the holder if somebody else has it."""

    def renew(self) -> bool:
        """Renews the lock; False if it is lost."""

    def release(self) -> None:
        """Releases the lock."""


class NoLock:
    """For a destination that no other process can see."""

    ask_again_s = renew_s = lasts_s = proof_s = 0.0

    def take(self) -> None:
        """Nothing to do."""

    def renew(self) -> bool:
        """Always True: it cannot be lost."""
        return True

    def release(self) -> None:
        """Nothing to do."""


class FileLock:
    """A kernel lock on the file ``<place>.locks/<dataset>.<table>``, which also names its holder.

    Works on one host only: file locks on network shares are unreliable.
    """

    ask_again_s, renew_s, lasts_s, proof_s = 0.2, 0.0, 0.0, 0.0

    def __init__(self, place: Path, claim: Claim) -> None:
        self._file = Path(f"{os.path.realpath(place)}.locks") / claim.name
        self._claim = claim
        self._descriptor: int | None = None

    def take(self) -> Holder | None:
        """Takes the lock without waiting; returns the holder if somebody else has it.

        Raises:
            SettingsError: the folder cannot be written, or its file system has no locks.
        """
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise SettingsError(
                f"The lock {self._file} cannot be created: {error.strerror}. Give the user who runs this the right to "
                f"write into {self._file.parent}, or remove that folder while nothing is loaded."
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
                return _read_holder(file.read())
        except OSError as error:
            os.close(descriptor)
            raise NoLocksError(
                f"{self._file} cannot be locked: {error.strerror}. The package needs a file system with locks: put the "
                "warehouse on a disk of this machine."
            ) from None
        since = datetime.now(timezone.utc).isoformat()
        said = json.dumps({"run_id": self._claim.run_id, "since": since, "pid": os.getpid()})
        with suppress(OSError):  # a full disk: only the holder's name is missing
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, said.encode(), 0)
        self._descriptor = descriptor
        return None

    def renew(self) -> bool:
        """Always True: the kernel keeps it."""
        return True

    def release(self) -> None:
        """Releases the lock. The file stays: another process may have it open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def utc(moment: datetime | None) -> datetime | None:
    """Converts a time to UTC; a time without a zone is UTC already."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def _read_holder(text: str) -> Holder:
    try:
        said = json.loads(text)
        return Holder(said["run_id"] or None, datetime.fromisoformat(said["since"]))
    except (ValueError, KeyError, TypeError):
        return Holder()  # its holder is writing it right now


class SessionLock:
    """A PostgreSQL advisory lock, in its own session, which stays open while the load runs."""

    ask_again_s, renew_s, lasts_s = 1.0, SESSION_RENEW_S, 3 * SESSION_RENEW_S
    proof_s = 0.0  # always ask: it takes a millisecond

    def __init__(self, connect: Callable[[], Any], claim: Claim) -> None:
        self._connect, self._claim = connect, claim
        digest = hashlib.blake2b(f"api_video {claim.name}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest, "big", signed=True)
        self._session: Any = None

    def take(self) -> Holder | None:
        """Takes the lock without waiting; returns the holder if somebody else has it.

        Closes the session if it does not get the lock, so that a session's age is the age of its lock.

        Raises:
            SharedSessionError: a pooler is in between: it reports another process id than the server does.
        """
        self._session = self._connect()
        try:
            ((server_pid,),) = self._ask("SELECT pg_backend_pid()")
            if server_pid != self._session.info.backend_pid:
                raise SharedSessionError
            # Set the name first, so that whoever sees the lock sees its holder.
            name = f"{APPLICATION}{self._claim.run_id}"[:63]
            locking = "SELECT set_config('application_name', %s, false), pg_try_advisory_lock(%s)"
            if self._ask(locking, name, self._key)[0][1]:
                return None
            holder = self._find_holder()
        except BaseException:
            self.release()
            raise
        self.release()
        return holder

    def _find_holder(self) -> Holder:
        holders = self._ask(
            "SELECT a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
            f"WHERE {self._granted}"
        )
        name, since = holders[0] if holders else (None, None)
        is_told = bool(name) and str(name).startswith(APPLICATION)
        return Holder(str(name).removeprefix(APPLICATION) or None if is_told else None, utc(since))

    @property
    def _granted(self) -> str:
        # pg_locks shows a 64-bit key as two halves (PostgreSQL documentation, pg_locks).
        high, low = (self._key >> 32) & 0xFFFFFFFF, self._key & 0xFFFFFFFF
        return f"l.locktype = 'advisory' AND l.classid = {high} AND l.objid = {low} AND l.objsubid = 1 AND l.granted"

    def renew(self) -> bool:
        """Asks whether the session still holds the lock; the traffic also keeps firewalls from closing it."""
        try:
            return bool(self._ask(f"SELECT 1 FROM pg_locks l WHERE {self._granted} AND l.pid = pg_backend_pid()"))
        except Exception:  # a broken session holds no lock
            return False

    def release(self) -> None:
        """Ends the session, and the lock with it."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _ask(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        with self._session.cursor() as cursor:
            cursor.execute(sql, args or None)
            return list(cursor.fetchall())
