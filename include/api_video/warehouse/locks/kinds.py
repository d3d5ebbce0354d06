"""Locks that the kernel or a database frees when their holder ends, however it ends."""

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
APPLICATION = "api_video "  # begins the name that PostgreSQL shows of a session, as long as 63 bytes


class SharedSessionError(Exception):
    """A pooler stands in between: what one statement locks, another session may be left with."""


@dataclass(frozen=True)
class Claim:
    """What is to be locked, and for whom. ``holder`` is nobody else's."""

    dataset: str
    table: str
    run_id: str = ""
    holder: str = field(default_factory=lambda: uuid4().hex)

    @property
    def name(self) -> str:
        """Of the lock, within its destination."""
        return f"{self.dataset}.{self.table}"


@dataclass(frozen=True)
class Holder:
    """Who has a lock, as far as can be told."""

    run_id: str | None = None
    since: datetime | None = None


class TableLock(Protocol):
    """A kind of lock.

    Attributes:
        ask_again_s: how long to wait between two tries.
        renew_s: how often to renew it, 0 where that is not needed.
        lasts_s: how long it is ours without being renewed.
        proof_s: how old the proof that it is ours may be when a load changes the table.
    """

    ask_again_s: float
    renew_s: float
    lasts_s: float

    @property
    def proof_s(self) -> float: ...

    def take(self) -> Holder | None:
        """Takes it, without waiting; says who has it where somebody else does."""

    def renew(self) -> bool:
        """Keeps it; False where it is lost."""

    def release(self) -> None:
        """Gives it back."""


class NoLock:
    """Where nobody else can be."""

    ask_again_s = renew_s = lasts_s = proof_s = 0.0

    def take(self) -> None:
        """Nothing to do."""

    def renew(self) -> bool:
        """It cannot be lost."""
        return True

    def release(self) -> None:
        """Nothing to do."""


class FileLock:
    """The kernel's lock on the file ``<place>.locks/<dataset>.<table>``, which says who has it.

    Works on one host: file locks on network shares cannot be trusted.
    """

    ask_again_s, renew_s, lasts_s, proof_s = 0.2, 0.0, 0.0, 0.0

    def __init__(self, place: Path, claim: Claim) -> None:
        self._file = Path(f"{os.path.realpath(place)}.locks") / claim.name
        self._claim = claim
        self._descriptor: int | None = None

    def take(self) -> Holder | None:
        """As the protocol says.

        Raises:
            SettingsError: the folder cannot be written, or its file system has no locks.
        """
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise SettingsError(
                f"The lock {self._file} cannot be made: {error.strerror}. Give the user who runs this the right to write "
                f"into {self._file.parent}, or remove that folder while nothing is loaded."
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
        with suppress(OSError):  # a full disk: others are not told who has it
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, said.encode(), 0)
        self._descriptor = descriptor
        return None

    def renew(self) -> bool:
        """The kernel keeps it."""
        return True

    def release(self) -> None:
        """As the protocol says. The file stays: another process may have it open."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def utc(moment: datetime | None) -> datetime | None:
    """The same moment in UTC; a time without a zone is in UTC already."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def _read_holder(text: str) -> Holder:
    try:
        said = json.loads(text)
        return Holder(said["run_id"] or None, datetime.fromisoformat(said["since"]))
    except (ValueError, KeyError, TypeError):
        return Holder()  # it is being written


class SessionLock:
    """PostgreSQL's advisory lock, of a session of its own that stays open as long as the load runs."""

    ask_again_s, renew_s, lasts_s = 1.0, SESSION_RENEW_S, 3 * SESSION_RENEW_S
    proof_s = 0.0  # to ask costs a millisecond

    def __init__(self, connect: Callable[[], Any], claim: Claim) -> None:
        self._connect, self._claim = connect, claim
        digest = hashlib.blake2b(f"api_video {claim.name}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest, "big", signed=True)
        self._session: Any = None

    def take(self) -> Holder | None:
        """As the protocol says. Who waits has no session open, so that the age of a session is that of its lock.

        Raises:
            SharedSessionError: a pooler is in between, which tells another process id than the server.
        """
        self._session = self._connect()
        try:
            ((server_pid,),) = self._ask("SELECT pg_backend_pid()")
            if server_pid != self._session.info.backend_pid:
                raise SharedSessionError
            # Named first: who sees the lock sees the name.
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
        # How pg_locks shows the two halves of the key.
        high, low = (self._key >> 32) & 0xFFFFFFFF, self._key & 0xFFFFFFFF
        return f"l.locktype = 'advisory' AND l.classid = {high} AND l.objid = {low} AND l.objsubid = 1 AND l.granted"

    def renew(self) -> bool:
        """Asks whether the session still has it, which also keeps firewalls from closing it."""
        try:
            return bool(self._ask(f"SELECT 1 FROM pg_locks l WHERE {self._granted} AND l.pid = pg_backend_pid()"))
        except Exception:  # a session that broke has no locks
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
