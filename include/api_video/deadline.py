"""An end to a request that does not end by itself: its connection is shut down, wherever it stands.

The timeouts of ``requests`` count the silence between two bytes, so that an answer of one byte a minute never ends, be it a
body, headers, or what a proxy says before it lets through. A watchdog of each request shuts its socket down instead: who
reads from it is woken up.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

AGAIN_S = 0.2  # a connection may be opened anew, such as to the next address of a name
_current = threading.local()


class Deadline:
    """Shuts down the connection that this thread sends with, so many seconds after the block began.

    Attributes:
        is_over: whether it did.
    """

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._connection: HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._is_done = threading.Event()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        _current.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *args: object) -> None:
        _current.deadline = None
        self._is_done.set()
        self._timer.cancel()

    def watch(self, connection: HTTPConnection) -> None:
        """Takes note of what is sent with, and of its socket: a connection gives that away before the body is read."""
        self._connection = connection
        self._socket = connection.sock or self._socket

    def _end(self) -> None:
        while not self._is_done.is_set():
            self.is_over = True
            open_socket = getattr(self._connection, "sock", None) or self._socket
            if open_socket is not None:
                # Not SSLSocket's own method, which says good-bye first: nobody may be listening.
                with suppress(OSError):
                    socket.socket.shutdown(open_socket, socket.SHUT_RDWR)
            self._is_done.wait(AGAIN_S)


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
