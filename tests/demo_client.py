"""Controls a demo API in another process, over HTTP (``/_demo``): its rows, its faults, its log of requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import requests

Row = dict[str, Any]
LISTENS = "Ctrl-C stops it."  # the last line that ``python -m include.demo_api serve`` prints when it starts
TIMEOUT_S = 600  # listing 100,000 rows takes a while


def read_settings(printed: str) -> dict[str, str]:
    """Environment variables that point the package at a demo API, read from its output at the start."""
    return dict(re.findall(r"export (\w+)='(.*)'", printed))


class DemoClient:
    """A running demo API.

    Attributes:
        settings: environment variables that point the package at it.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = dict(settings)
        self.url = self.settings["SOURCES__API_VIDEO_SOURCE__BASE_URL"]
        self._session = requests.Session()
        self._session.trust_env = False

    def _call(self, method: str, path: str, **words: Any) -> Any:
        answer = self._session.request(method, f"{self.url}/_demo/{path}", timeout=TIMEOUT_S, **words)
        assert answer.ok, answer.text
        return answer.json()

    def change(self, change: str, resource: str = "videos", key: str = "", **words: Any) -> str | None:
        """Adds, updates (also ``silently``), deletes, discards or restores a row; returns the key of an added one."""
        key_of_new: str | None = self._call("POST", "changes", json=_change(change, resource, key, words))["key"]
        return key_of_new

    def change_after(
        self, answers: int, path: str, change: str, resource: str = "videos", key: str = "", **words: Any
    ) -> None:
        """Makes a change after so many answers on a matching path."""
        hook = {"path": path, "requests": answers, "change": _change(change, resource, key, words)}
        self._call("POST", "hooks", json=hook)

    def fail(self, path: str, kind: str, times: int = 1, **words: Any) -> None:
        """Fails the next requests on a matching path."""
        self._call("POST", "faults", json={"path": path, "kind": kind, "times": times, **words})

    def heal(self) -> None:
        """Ends all faults."""
        self._call("DELETE", "faults")

    def behave(self, **settings: float) -> None:
        """Changes the latency (``latency_s``) or the limit (``rate_limit``, ``rate_window_s``)."""
        self._call("PATCH", "behaviour", json=settings)

    def be_odd(self, **oddities: float) -> None:
        """Makes the lists odd (``include.demo_api.oddities.Oddities``)."""
        self._call("PATCH", "oddities", json=oddities)

    def begin_traffic(self, **traffic: Any) -> None:
        """Starts constant changes to a list (``include.demo_api.oddities.Traffic``)."""
        self._call("POST", "traffic", json=traffic)

    def stop_traffic(self) -> int:
        """Stops the changes; returns how many were made."""
        made: int = self._call("DELETE", "traffic")["made"]
        return made

    def ids(self, resource: str) -> list[str]:
        """Keys of all rows of a list, or of all details that exist."""
        keys: list[str] = self._call("GET", f"ids/{resource}")
        return keys

    def listed(self, resource: str) -> list[Row]:
        """All rows as the demo would return them now."""
        rows: list[Row] = self._call("GET", f"listed/{resource}")
        return rows

    def requests(self, path_prefix: str = "") -> list[Row]:
        """The log since ``forget_requests``: method, path, query, status."""
        log: list[Row] = self._call("GET", "requests", params={"path_prefix": path_prefix})["requests"]
        return log

    def forget_requests(self) -> None:
        """Starts a new log."""
        self._call("DELETE", "requests")

    def close(self) -> None:
        """Closes all connections."""
        self._session.close()


def _change(change: str, resource: str, key: str, words: Row) -> Row:
    silently = bool(words.pop("silently", False))
    return {"change": change, "resource": resource, "key": key, "fields": words, "silently": silently}
