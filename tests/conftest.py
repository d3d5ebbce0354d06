"""Isolates every test: it sees no setting, key or file of the developer, and cannot reach other machines."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from tests.lacking import closing_lines

# In parallel, slow folders begin first, so that no core waits for them in the end. Within a file, the order is random.
LONGEST_FIRST = ("e2e", "integration", "acceptance", "benchmarks", "unit")
TESTS = Path(__file__).parent
TOGETHER = "tests/e2e/test_dags_test.py tests/e2e/test_page.py"  # they share the same runs
settings.register_profile("few", max_examples=20)  # of `make test`
OURS = ("SOURCES__", "DESTINATION__", "API_VIDEO_", "DLT_")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts slow folders first, after the order was made random."""
    items.sort(key=lambda item: LONGEST_FIRST.index(item.path.relative_to(TESTS).parts[0]))


class ByFile(LoadFileScheduling):
    """Keeps the tests of a file together on one core, since they share fixtures of their module."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return TOGETHER if file in TOGETHER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Uses ``ByFile``, whatever ``--dist`` says."""
    return ByFile(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints at the end what the machine lacks, and the seed that repeats the order."""
    for line in closing_lines(terminalreporter.getreports("skipped")):
        terminalreporter.write_line(line)
    if terminalreporter.getreports("failed") or terminalreporter.getreports("error"):
        seed = str(terminalreporter.config.getoption("random_order_seed")).rpartition(":")[2]
        terminalreporter.write_line(f"The same order again: SEED={seed}")


class NetworkBlockedError(RuntimeError):
    """A test tried to reach another machine. Not an ``OSError``, so that no retry swallows it."""


def is_local(address: Any) -> bool:
    """Whether a socket's address stays on this machine; a path is a Unix socket."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    try:
        return host in ("localhost", "") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def _local_network_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets sockets reach only 127.0.0.1, and looks up no names."""

    def guard(call: Callable[..., Any], address_of: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            address = address_of(*args)
            if not is_local(address):
                raise NetworkBlockedError(f"This test tried to reach {address}; tests stay on 127.0.0.1.")
            return call(*args, **kwargs)

        return guarded

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, guard(getattr(socket.socket, name), lambda _socket, address: address))
    monkeypatch.setattr(socket, "getaddrinfo", guard(socket.getaddrinfo, lambda host, *_: (host or "",)))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Removes all settings but the defaults; returns the empty folder in which dlt looks for ``.dlt``."""
    folder = tmp_path_factory.mktemp("project")
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(folder / "data"))
    monkeypatch.setenv("DLT_PROJECT_DIR", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    context = Container()[PluggableRunContext]
    monkeypatch.setattr(context.context, "_global_dir", str(folder / "home"), raising=False)
    context.reload_providers()
    return folder
