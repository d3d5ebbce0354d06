"""A real webhook and a mail server on 127.0.0.1, which keep what they receive."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "T0SECRET/B0SECRET/who-knows-this-can-post"


@dataclass
class Webhook:
    """The posts received, in order; ``status`` is the answer to the next ones."""

    url: str = ""
    status: int = 200
    posts: list[Any] = field(default_factory=list)


@contextmanager
def running_webhook() -> Iterator[Webhook]:
    webhook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            webhook.posts.append(json.loads(body))
            self.send_response(webhook.status)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Prints nothing."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        webhook.url = f"http://127.0.0.1:{port}/services/{SECRET}?token={SECRET}"
        yield webhook


@contextmanager
def running_mail_server() -> Iterator[tuple[int, list[str]]]:
    """The port of an SMTP server, and the mails that it receives."""
    mails: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def answer(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.answer("220 here")
            while line := self.rfile.readline().decode():
                verb = line[:4].upper().strip()
                if verb == "DATA":
                    self.answer("354 go on")
                    mails.append("".join(iter(lambda: self.rfile.readline().decode(), ".\r\n")))
                self.answer("221 bye" if verb == "QUIT" else "250 fine")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        yield port, mails


@contextmanager
def _serving(server: Any) -> Iterator[int]:
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
