"""A small HTTP server on this machine that returns a list of prepared answers, and logs the requests."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PAGE = {"data": [], "pagination": {"currentPage": 1, "pagesTotal": 1, "itemsTotal": 0}}
Answer = tuple[int, Any, dict[str, str]]


def limit(remaining: int, resets_in_s: int, of: int = 500) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(of),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Retry-After": str(resets_in_s),
    }


def answer(status: int = 200, body: Any = PAGE, **headers: str) -> Answer:
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


def limited(seconds: int) -> Answer:
    return 429, {"title": "Too many requests.", "status": 429}, limit(0, seconds)


class Api:
    """Returns the prepared answers, one per request, then the last one again and again. Logs the requests."""

    def __init__(self) -> None:
        self.answers: list[Any] = [answer()]
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                api.paths.append(self.path)
                api.headers.append(dict(self.headers))
                api.give(self, api.answers.pop(0) if len(api.answers) > 1 else api.answers[0])

            def log_message(self, *args: Any) -> None:
                """Prints nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @staticmethod
    def give(handler: BaseHTTPRequestHandler, given: Any) -> None:
        if given == "drop":
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        status, body, headers = given
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(sent)), "Content-Type": "application/json", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(sent)
        handler.close_connection = "Content-Length" in headers
