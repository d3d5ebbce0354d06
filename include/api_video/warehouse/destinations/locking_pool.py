"""dlt's pool of DuckDB connections, which holds the lock of a file while a connection is lent.

Uses what dlt's clients call: ``borrow_conn``, ``return_conn`` and ``move_conn``. It counts by itself what is lent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from dlt.destinations.impl.duckdb.configuration import DuckDbConnectionPool

from include.api_video.warehouse.locks import duckdb_file as file_lock


class LockingPool(DuckDbConnectionPool):
    """Takes the lock before it lends the first connection, and releases it once dlt has closed the last one."""

    def __init__(self, credentials: Any, *, always_open_connection: bool = False) -> None:
        super().__init__(credentials, always_open_connection=always_open_connection)
        self._turn = threading.RLock()  # threads of dlt's load step share the pool
        self._lent = 0
        self._locked: str | None = None

    def file_to_lock(self) -> str | None:
        """The file that only one process may open at a time; None if several may. For subclasses."""
        raise NotImplementedError

    def lend(self, opened: Callable[[], Any], patience: file_lock.Patience | None = None) -> Any:
        """Lends a connection, opened with the lock held.

        Raises:
            FileBusyError: another process had the file for ``file_lock.timeout_s()``.
            NoLocksError: its file system has no locks.
        """
        with self._turn:
            lent = self._lent
            if not lent and (file := self.file_to_lock()):
                self._locked = file_lock.acquire(file, patience)
            self._lent = lent + 1
            try:
                return opened()
            except BaseException:
                self._lent = lent  # dlt returns some connections that it cannot set up, but not all
                self._unlock_if_free()
                raise

    def return_conn(self, borrowed_conn: Any) -> int:
        """Closes the connection; with the last one, other processes may open the file. Returns how many are lent."""
        try:
            super().return_conn(borrowed_conn)
        finally:
            self._took_back()
        return self._lent

    def _took_back(self) -> None:
        with self._turn:
            self._lent -= 1
            self._unlock_if_free()

    def move_conn(self) -> Any:
        """Gives the connection away for good: the file stays locked as long as the process lives."""
        with self._turn:
            self._locked = None
            return super().move_conn()

    def __del__(self) -> None:
        """Runs for a client that nobody closed: dlt closes its connection here."""
        super().__del__()
        self._lent = 0
        self._unlock_if_free()

    def _unlock_if_free(self) -> None:
        if self._lent == 0 and self._locked:
            file_lock.release(self._locked)
            self._locked = None
