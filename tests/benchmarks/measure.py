"""Runs commands beside a demo API and measures them: seconds, requests, 429s, peak memory of the whole process tree."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

PROJECT = Path(__file__).resolve().parents[2]
SAMPLED_EVERY_S = 0.05
TIMEOUT_S = 1800


@dataclass(frozen=True)
class Measured:
    """One run of one command."""

    seconds: float
    peak_mb: float
    requests: int
    refused: int


class Api:
    """A demo API in a process of its own."""

    def __init__(self, url: str, environment: dict[str, str]) -> None:
        self.url, self.environment = url, environment

    def behave(self, **settings: float) -> None:
        """Changes latency (``latency_s``) or limit (``rate_limit``, ``rate_window_s``)."""
        requests.patch(f"{self.url}/_demo/behaviour", json=settings, timeout=60).raise_for_status()

    def change(self, **change: Any) -> None:
        """Makes a change, as ``include.demo_api.control.apply_change`` has it."""
        requests.post(f"{self.url}/_demo/changes", json=change, timeout=60).raise_for_status()

    def ids(self) -> list[str]:
        """Ids of all videos that are listed."""
        ids: list[str] = requests.get(f"{self.url}/_demo/ids/videos", timeout=600).json()
        return ids

    def titles(self) -> dict[str, str]:
        """Titles by id."""
        rows = requests.get(f"{self.url}/_demo/listed/videos", timeout=600).json()
        return {row["videoId"]: row["title"] for row in rows}

    def take_log(self) -> list[int]:
        """The status of each request since the last call."""
        log = requests.get(f"{self.url}/_demo/requests", timeout=600).json()["requests"]
        requests.delete(f"{self.url}/_demo/requests", timeout=60)
        return [entry["status"] for entry in log]


@contextmanager
def serving(videos: int) -> Iterator[Api]:
    """A demo API with so many videos, and no limit worth mentioning."""
    command = [sys.executable, "-m", "include.demo_api", "serve", "--port", "0", "--limit", "100000000"]
    with subprocess.Popen([*command, "--videos", str(videos)], cwd=PROJECT, stdout=subprocess.PIPE, text=True) as server:
        try:
            environment: dict[str, str] = {}
            for line in server.stdout or ():
                if line.startswith("export "):
                    name, _, value = line.removeprefix("export ").strip().partition("=")
                    environment[name] = value.strip("'")
                if line.startswith("Ctrl-C"):
                    break
            yield Api(environment["SOURCES__API_VIDEO_SOURCE__BASE_URL"], environment)
        finally:
            server.terminate()


def measure(api: Api, command: Sequence[str], environment: dict[str, str], folder: Path) -> Measured:
    """Runs a command in ``folder`` to its end.

    Raises:
        RuntimeError: it failed; the message is what it said.
    """
    api.take_log()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**kept, **environment, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        peak: list[float] = [0.0]
        watcher = threading.Thread(target=_watch, args=(process.pid, peak), daemon=True)
        watcher.start()
        try:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        seconds = time.perf_counter() - started
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{output[-3000:]}")
    statuses = api.take_log()
    return Measured(seconds, peak[0], len(statuses), statuses.count(429))


def _watch(pid: int, peak: list[float]) -> None:
    """Notes the largest sum of the proportional sizes (PSS) of a process and all that it started, in MB."""
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            total = 0.0
            for process in [parent, *parent.children(recursive=True)]:
                with suppress(psutil.Error):
                    total += process.memory_full_info().pss / 1e6
            peak[0] = max(peak[0], total)
            time.sleep(SAMPLED_EVERY_S)
