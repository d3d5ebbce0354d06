"""One process at a time opens a file: others wait for its lock, ``<file>.lock``. The kernel frees it when its holder dies.

Works on one host: file locks on network shares cannot be trusted.
"""

from __future__ import annotations

import fcntl
import os
import random
import threading
import time

from include.api_video.errors import PassingError

TIMEOUT_S = float(os.environ.get("API_VIDEO_DUCKDB_TIMEOUT_S", "600"))
_held: dict[str, list[int]] = {}  # file -> [descriptor of its lock, holders in this process]
_guard = threading.RLock()


class FileBusyError(PassingError):
    """Somebody kept the file open for longer than we wait."""

    def __init__(self, file: str) -> None:
        super().__init__(
            f"{file} was open in another program for more than {TIMEOUT_S:.0f} s. DuckDB lets one process write: close the "
            "shell or BI tool that holds it (open it read-only and briefly), or set API_VIDEO_DUCKDB_TIMEOUT_S higher."
        )


def acquire(path: str, deadline: float | None = None) -> str:
    """Takes the lock of a file for this process, waiting for other processes; returns its real path.

    Raises:
        FileBusyError: it was not free until ``deadline`` (of ``time.monotonic()``; None: ``TIMEOUT_S`` from now).
    """
    file = os.path.realpath(path)
    deadline = time.monotonic() + TIMEOUT_S if deadline is None else deadline
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
                    raise FileBusyError(file) from None
                time.sleep(random.uniform(0.02, 0.1))
            else:
                _held[file] = [descriptor, 1]
                return file


def release(path: str) -> None:
    """Gives back what ``acquire`` took; the last holder in this process frees the lock."""
    file = os.path.realpath(path)
    with _guard:
        _held[file][1] -= 1
        if _held[file][1] == 0:
            os.close(_held.pop(file)[0])
