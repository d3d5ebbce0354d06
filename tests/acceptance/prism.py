"""Puts Prism between a client and an API: finds what the API's OpenAPI document does not allow, in requests and answers.

    client -> Watch (keeps the findings) -> Prism (validates, in the header sl-violations) -> API

Prism is a program of Node.js, https://github.com/stoplightio/prism. ``npx`` downloads it the first time.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.acceptance.openapi import Document

PRISM = "@stoplight/prism-cli@5.14.2"  # later ones need Node.js 24
HOW_TO_GET_IT = "Prism needs Node.js 18.20.1 or later with npx (apt-get install npm, or brew install node)"
DOWNLOAD_S, START_S = 300, 60
LISTENS = "Prism is listening"
OWN = "/_demo/"  # the demo's own paths, which api.video does not have
UNDOCUMENTED = re.compile("must NOT have additional properties; found '(.*)'")
SUBJECT = re.compile(r"^Re(quest|sponse) \w+ property \S+ ")
HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server")


class NoPrismError(RuntimeError):
    """This machine cannot run Prism, or could not download it."""


def find_prism() -> list[str]:
    """The command that starts Prism.

    Raises:
        NoPrismError: there is no npx, or it failed.
    """
    node, npx = shutil.which("node"), shutil.which("npx")
    if not (node and npx):
        raise NoPrismError(HOW_TO_GET_IT)
    command = [npx, "--yes", "--ignore-scripts", "--package", PRISM, "-c", "command -v prism"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_S, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        raise NoPrismError(f"npx could not download {PRISM}: it needs a network") from error
    return [node, done.stdout.split()[-1]]  # not npx, which would leave Prism running when it is stopped


@dataclass(frozen=True)
class Violation:
    """One thing that the document does not allow.

    Attributes:
        path: as documented, ``/videos/{videoId}``.
        where: ``request.query.pageSize``, ``response.body.data[].title``; the status is ``response``.
        value: what stands there, as JSON.
        says: the rule that it breaks.
    """

    path: str
    where: str
    value: str
    says: str

    def __str__(self) -> str:
        return f"{self.path}: {self.where} is {self.value}: {self.says}"


class Watch:
    """An address that passes requests on to Prism, and keeps what Prism finds. Safe to use from several threads."""

    def __init__(self, document: Document, prism_port: int) -> None:
        self._document, self._prism_port = document, prism_port
        self.found: list[Violation] = []
        self.asked: list[str] = []  # the documented path of each request, or its own
        self.url = ""

    def get(self, target: str, headers: Mapping[str, str]) -> tuple[int, list[tuple[str, str]], bytes]:
        """Sends a GET request through Prism; returns status, headers and body of the answer."""
        with closing(HTTPConnection("127.0.0.1", self._prism_port, timeout=START_S)) as connection:
            connection.request("GET", target, headers=dict(headers))
            answer = connection.getresponse()
            content = answer.read()
        if not target.startswith(OWN):
            self._keep(target, answer.status, answer.headers.get("sl-violations", "[]"), content)
        return answer.status, answer.getheaders(), content

    def _keep(self, target: str, status: int, violations: str, content: bytes) -> None:
        own, _, query = target.partition("?")
        sent = {name.lower(): name for name, _ in parse_qsl(query)}  # Prism reports names in lower case
        path = self._document.path_of(own)
        for name in self._document.undocumented_parameters(path, query) if path else ():
            self.found.append(Violation(path or own, f"request.query.{name}", json.dumps(query), "is not documented"))
        if not violations.startswith("["):  # "Too many violations!" and a truncated list: its first one is enough
            violations = f"[{json.dumps(json.JSONDecoder().raw_decode(violations[violations.index('{') :])[0])}]"
        for each in json.loads(violations):
            where, says = [str(step) for step in each["location"]], each["message"]
            where = [sent.get(step, step) for step in where] if where[0] == "request" else where
            if match := UNDOCUMENTED.search(says):
                where, says = [*where, match[1]], "is not documented"
            value = json.dumps(_value_at(where, query, status, content))
            named = "".join("[]" if step.isdecimal() else f".{step}" for step in where).removeprefix(".")
            self.found.append(Violation(path or own, named, value, SUBJECT.sub("", says)))
        self.asked.append(path or own)


def _value_at(where: list[str], query: str, status: int, content: bytes) -> Any:
    if where[0] == "request":
        return query
    if where[1:2] != ["body"]:
        return status
    value = json.loads(content)
    for step in where[2:]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def _handler(watch: Watch) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, content = watch.get(self.path, dict(self.headers))
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def watching(prism: list[str], document: Document, upstream: str, folder: Path) -> Iterator[Watch]:
    """Watches an API until the block ends; ``url`` is its new address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file, said = folder / "strict.json", folder / "prism.txt"
    document.write_strict(file)
    with said.open("wb") as output:
        command = [*prism, "proxy", str(file), upstream, "--port", str(port), "--host", "127.0.0.1"]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_S
        while LISTENS not in (text := said.read_text(errors="replace")):
            assert process.poll() is None, f"Prism ended: {text[-2000:]}"
            assert time.monotonic() < deadline, f"Prism did not start: {text[-2000:]}"
            time.sleep(0.05)
        watch = Watch(document, port)
        with ThreadingHTTPServer(("127.0.0.1", 0), _handler(watch)) as server:
            watch.url = f"http://127.0.0.1:{server.server_port}"
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield watch
            server.shutdown()
    finally:
        process.kill()
        process.wait()
