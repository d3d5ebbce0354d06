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

import psutil

from tests.demo_client import LISTENS, DemoClient, read_settings

PROJECT = Path(__file__).resolve().parents[2]
SAMPLED_EVERY_S = 0.05
TIMEOUT_S = 7200  # a million videos take long where a core is slow


@dataclass(frozen=True)
class Measured:
    """The measured run of a command."""

    seconds: float
    peak_mb: float
    requests: int
    refused: int


@contextmanager
def serving(videos: int) -> Iterator[DemoClient]:
    """A demo API with so many videos, in a process of its own, with a rate limit that no test reaches."""
    command = [sys.executable, "-m", "include.demo_api", "serve", "--port", "0", "--limit", "100000000"]
    with subprocess.Popen([*command, "--videos", str(videos)], cwd=PROJECT, stdout=subprocess.PIPE, text=True) as server:
        try:
            printed = ""
            for line in server.stdout or ():
                printed += line
                if LISTENS in line:
                    break
            yield DemoClient(read_settings(printed))
        finally:
            server.terminate()


def measure(api: DemoClient, command: Sequence[str], environment: dict[str, str], folder: Path) -> Measured:
    """Runs a command in ``folder`` to its end.

    Raises:
        RuntimeError: it failed; the message is what it said.
    """
    api.forget_requests()
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
    statuses = [request["status"] for request in api.requests()]
    return Measured(seconds, peak[0], len(statuses), statuses.count(429))


def _watch(pid: int, peak: list[float]) -> None:
    """Records the peak memory of a process and all that it started: the sum of their proportional sizes (PSS), in MB."""
    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            total = 0.0
            for process in [parent, *parent.children(recursive=True)]:
                with suppress(psutil.Error):
                    total += process.memory_full_info().pss / 1e6
            peak[0] = max(peak[0], total)
            time.sleep(SAMPLED_EVERY_S)
