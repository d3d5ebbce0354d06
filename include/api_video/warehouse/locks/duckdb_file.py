"""Lets one process at a time open a DuckDB file: others wait for the lock ``<file>.lock``. The kernel releases it when its
holder ends, however it ends.

Works on one host only: file locks on network shares are unreliable.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable

from include.api_video.errors import PassingError, SettingsError

VARIABLE = "API_VIDEO_DUCKDB_TIMEOUT_S"
DEFAULT_TIMEOUT_S = 600.0
SAID_AFTER_S, SAID_EVERY_S = 5.0, 60.0
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
OTHERS = "another task or program"
log = logging.getLogger("api_video")
_held: dict[str, list[int]] = {}  # by file: [descriptor of its lock, holders in this process]
_guard = threading.RLock()


class FileBusyError(PassingError):
    """Another process kept the file open for longer than we wait."""


class NoLocksError(SettingsError):
    """The file is on a file system without locks."""


def timeout_s() -> float:
    """How long to wait for a file, in seconds: ``API_VIDEO_DUCKDB_TIMEOUT_S``.

    Raises:
        SettingsError: the variable is not a number of seconds.
    """
    value = os.environ.get(VARIABLE) or DEFAULT_TIMEOUT_S
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise SettingsError(f"{VARIABLE} must be a number of seconds, such as 600, not {value!r}.")
    return seconds


class Patience:
    """Waits for a file that others have open, in small steps, and logs that from time to time."""

    def __init__(
        self, file: str, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._file, self._clock, self._sleep = file, clock, sleep
        self._longest_s = timeout_s()
        self._began = clock()
        self._said_at = self._began + SAID_AFTER_S - SAID_EVERY_S

    def wait(self, shortest_s: float, longest_s: float, holder: str = OTHERS) -> None:
        """Waits between ``shortest_s`` and ``longest_s``.

        Raises:
            FileBusyError: the whole wait has reached its limit.
        """
        now = self._clock()
        waited_s = now - self._began
        if waited_s > self._longest_s:
            raise FileBusyError(
                f"{self._file} was open in {holder} for more than {self._longest_s:.0f} s. DuckDB lets one process write: "
                f"close the shell or BI tool that holds it (open it read-only and briefly), or set {VARIABLE} higher."
            )
        if now - self._said_at >= SAID_EVERY_S:
            self._said_at = now
            left_s = self._longest_s - waited_s
            log.info("%s is open in %s: waiting for it, for %.0f s more at most", self._file, holder, left_s)
        self._sleep(random.uniform(shortest_s, longest_s))


def acquire(path: str, patience: Patience | None = None) -> str:
    """Takes the lock of a file for this process, waiting for other processes; returns the file's real path.

    Raises:
        FileBusyError: the lock was not released in time.
        NoLocksError: its file system has no locks.
    """
    file = os.path.realpath(path)
    patience = patience or Patience(file)
    with _guard:
        if file in _held:
            _held[file][1] += 1
            return file
        os.makedirs(os.path.dirname(file), exist_ok=True)
        descriptor = os.open(file + ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            while not _locked(descriptor, file):
                patience.wait(0.02, 0.1)
        except BaseException:
            os.close(descriptor)
            raise
        _held[file] = [descriptor, 1]
        return file


def _locked(descriptor: int, file: str) -> bool:
    """Tries to take the lock; returns whether it did."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise NoLocksError(
            f"The file system of {os.path.dirname(file)} has no file locks ({error.strerror}), without which two tasks "
            "would ruin the file: put it on a local disk, or choose another destination than a file."
        ) from None
    return True


def release(path: str) -> None:
    """Undoes ``acquire``; the last holder in this process releases the lock."""
    file = os.path.realpath(path)
    with _guard:
        _held[file][1] -= 1
        if _held[file][1] == 0:
            os.close(_held.pop(file)[0])
