"""An end to a request that does not end by itself: its connection is shut down, wherever it stands.

The timeouts of ``requests`` count the silence between two bytes, so that an answer of one byte a minute never ends, be it a
body, headers, or what a proxy says before it lets through. A watchdog shuts its socket down instead: who reads from it is
woken up.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

ENDS_AFTER = 20  # looks without a deadline: a thread more or less is no matter between two requests
LOOKED_EVERY_S = 0.1  # also: how often an overdue connection is shut down, since it may be opened anew
_current = threading.local()


class Deadline:
    """Shuts down the connection that this thread sends with, so many seconds after the block began.

    Attributes:
        is_over: whether it did.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._seconds, self._ends_at = seconds, 0.0
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Deadline:
        _current.deadline = self
        self._ends_at = time.monotonic() + self._seconds
        _watchdog.watch(self)
        return self

    def __exit__(self, *args: object) -> None:
        _current.deadline = None
        _watchdog.leave(self)

    def watch(self, connection: HTTPConnection) -> None:
        """Takes note of what is sent with, and of its socket: a connection gives that away before the body is read."""
        self._connection = connection
        self._socket = connection.sock or self._socket

    def end_if_due(self) -> None:
        """Shuts the connection down once the time is over, each time anew, such as to the next address of a name."""
        if time.monotonic() < self._ends_at:
            return
        self.is_over = True
        open_socket = getattr(self._connection, "sock", None) or self._socket
        if open_socket is not None:
            # Not SSLSocket's own method, which says good-bye first: nobody may be listening.
            with suppress(OSError):
                socket.socket.shutdown(open_socket, socket.SHUT_RDWR)


class _Watchdog:
    """One thread that looks after all deadlines of a process, as long as there are any: one for each costs more than a
    request of a quick API.
    """

    def __init__(self) -> None:
        self._deadlines: set[Deadline] = set()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def watch(self, deadline: Deadline) -> None:
        with self._lock:
            self._deadlines.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="deadlines", daemon=True)
                self._thread.start()

    def leave(self, deadline: Deadline) -> None:
        with self._lock:  # whoever has left is not shut down: its connection may be another's by now
            self._deadlines.discard(deadline)

    def _look(self) -> None:
        idle = 0
        while idle < ENDS_AFTER:
            time.sleep(LOOKED_EVERY_S)
            with self._lock:
                idle = 0 if self._deadlines else idle + 1
                for deadline in self._deadlines:
                    deadline.end_if_due()
                if idle == ENDS_AFTER:
                    self._thread = None


_watchdog = _Watchdog()
os.register_at_fork(after_in_child=_watchdog.__init__)  # type: ignore[misc]  # another thread may have held the lock


class _Watched:
    """Tells the deadline of this thread which connection it sends with."""

    def connect(self) -> None:
        self._tell()
        super().connect()  # type: ignore[misc]

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._tell()
        super().request(*args, **kwargs)  # type: ignore[misc]

    def getresponse(self) -> Any:
        self._tell()
        return super().getresponse()  # type: ignore[misc]

    def _tell(self) -> None:
        deadline: Deadline | None = getattr(_current, "deadline", None)
        if deadline:
            deadline.watch(self)  # type: ignore[arg-type]


class _WatchedHTTP(_Watched, HTTPConnection):
    pass


class _WatchedHTTPS(_Watched, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _WatchedHTTP


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPS


POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class WatchedAdapter(HTTPAdapter):
    """Sends as ``requests`` does, with connections that a ``Deadline`` can end.

    Through ``pool_classes_by_scheme`` and ``ConnectionCls``, which urllib3 has for such changes. SOCKS proxies bring
    connections of their own: these keep the timeouts of ``requests`` alone.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = POOLS
        return manager
