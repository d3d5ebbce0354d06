"""A limit on the whole time of a request: when it is over, the connection is shut down, whatever it waits for.

The timeouts of ``requests`` limit only the silence between two bytes. An answer of one byte a minute would never end, be it
in the body, the headers or a proxy's greeting. A watchdog shuts the socket down instead, which wakes its reader up.
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

ENDS_AFTER = 20  # idle rounds before the watchdog's thread ends, so that short pauses do not restart it
LOOKED_EVERY_S = 0.1  # one round; an overdue connection is shut down in each, since it may be reopened
_current = threading.local()


class Deadline:
    """Shuts down this thread's connection once the block has taken ``seconds``.

    Attributes:
        is_over: whether the time ran out.
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
        """Notes the connection, and its socket too: a connection hands its socket over before the body is read."""
        self._connection = connection
        self._socket = connection.sock or self._socket

    def end_if_due(self) -> None:
        """Shuts the connection down if the time is over. Repeated, as it may be opened anew to the host's next address."""
        if time.monotonic() < self._ends_at:
            return
        self.is_over = True
        open_socket = getattr(self._connection, "sock", None) or self._socket
        if open_socket is not None:
            # Not SSLSocket's own method: it sends a TLS goodbye first, and the other side may not answer.
            with suppress(OSError):
                socket.socket.shutdown(open_socket, socket.SHUT_RDWR)


class _Watchdog:
    """One thread for all deadlines of a process, as long as there are any.

    A thread for each would cost more than a request to a fast API.
    """

    def __init__(self) -> None:
        self._deadlines: set[Deadline] = set()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def watch(self, deadline: Deadline) -> None:
        with self._lock:
            self._deadlines.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()

    def leave(self, deadline: Deadline) -> None:
        with self._lock:  # no shutdown after this: another request may use the connection by then
            self._deadlines.discard(deadline)

    def _run(self) -> None:
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
os.register_at_fork(after_in_child=_watchdog.__init__)  # type: ignore[misc]  # the lock may be held at the fork


class _Watched:
    """A connection that makes itself known to the deadline of its thread."""

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
    """The adapter of ``requests``, with connections that a ``Deadline`` can shut down.

    It uses ``pool_classes_by_scheme`` and ``ConnectionCls``, urllib3's hooks for this. SOCKS proxies bring their own
    connections, which have only the timeouts of ``requests``.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = POOLS
        return manager
