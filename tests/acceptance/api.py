"""The demo API in a process of its own, steered over HTTP (``/_demo``): what it lists, how it fails, what it was asked."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import requests

from tests.acceptance.forker import Forker

Row = dict[str, Any]
STARTED = "Ctrl-C stops it."


class Api:
    """A running demo API.

    Attributes:
        settings: environment variables that point the connector at it.
    """

    def __init__(self, forker: Forker, folder: Path, videos: int, environment: dict[str, str]) -> None:
        output = folder / "api.txt"
        output.touch()
        arguments = ["serve", "--port", "0", "--limit", "1000000", "--videos", str(videos)]
        self._forker, self._pid = forker, forker.start("include.demo_api", arguments, environment, output)
        deadline = time.monotonic() + 30
        while STARTED not in (said := output.read_text()):
            assert time.monotonic() < deadline, f"the demo API did not start: {said}"
            time.sleep(0.01)
        self.settings = dict(re.findall(r"export (\w+)='(.*)'", said))
        self._url = self.settings["SOURCES__API_VIDEO_SOURCE__BASE_URL"] + "/_demo/"
        self._session = requests.Session()
        self._session.trust_env = False

    def _call(self, method: str, path: str, **words: Any) -> Any:
        answer = self._session.request(method, self._url + path, timeout=30, **words)
        assert answer.ok, answer.text
        return answer.json()

    def change(self, change: str, resource: str = "videos", key: str = "", **words: Any) -> str | None:
        """Adds, updates (also ``silently``), deletes, discards or restores a row; returns the key of an added one."""
        key_of_new: str | None = self._call("POST", "changes", json=_change(change, resource, key, words))["key"]
        return key_of_new

    def change_after(
        self, answers: int, path: str, change: str, resource: str = "videos", key: str = "", **words: Any
    ) -> None:
        """The same, when so many answers were given on a path that matches."""
        hook = {"path": path, "requests": answers, "change": _change(change, resource, key, words)}
        self._call("POST", "hooks", json=hook)

    def fail(self, path: str, kind: str, times: int = 1, **words: Any) -> None:
        """Fails the next requests on a path that matches."""
        self._call("POST", "faults", json={"path": path, "kind": kind, "times": times, **words})

    def heal(self) -> None:
        """No more faults."""
        self._call("DELETE", "faults")

    def slow_down(self, latency_s: float) -> None:
        """Waits before each answer."""
        self._call("PATCH", "behaviour", json={"latency_s": latency_s})

    def ids(self, resource: str) -> list[str]:
        """Keys of all rows of a list; of details, of all that exist."""
        keys: list[str] = self._call("GET", f"ids/{resource}")
        return keys

    def listed(self, resource: str) -> list[Row]:
        """All rows as they would be served now."""
        rows: list[Row] = self._call("GET", f"listed/{resource}")
        return rows

    def requests(self, path_prefix: str = "") -> list[Row]:
        """The log since it was last forgotten: method, path, query, status."""
        log: list[Row] = self._call("GET", "requests", params={"path_prefix": path_prefix})["requests"]
        return log

    def forget_requests(self) -> None:
        """Begins a new log."""
        self._call("DELETE", "requests")

    def stop(self) -> None:
        """Ends the process."""
        self._session.close()
        os.kill(self._pid, signal.SIGKILL)
        self._forker.wait(self._pid, 10)


def _change(change: str, resource: str, key: str, words: Row) -> Row:
    silently = bool(words.pop("silently", False))
    return {"change": change, "resource": resource, "key": key, "fields": words, "silently": silently}
