"""What the tests of this folder share: a process that starts others, demo APIs, and warehouses that are already loaded."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest

from include.demo_api.clock import FileClock
from tests.acceptance.api import Api
from tests.acceptance.connector import RESOURCES, Connector
from tests.conftest import OURS
from tests.forker import Forker

VIDEOS = 130  # two pages
T = TypeVar("T")
# Modules that runs and demo APIs import; the forker imports them once, for all processes that it starts.
MODULES = ("proof.report", "load.runner", "load.source", "settings.settings", "warehouse.destinations.duckdb")
IMPORTED: tuple[str, ...] = ("dlt", "duckdb", "dlt.destinations.impl.duckdb.duck", "uvicorn")
IMPORTED += tuple(f"include.api_video.{name}" for name in MODULES)
IMPORTED += tuple(f"include.demo_api.{name}" for name in ("server", "world"))
IMPORTED += ("tests.clocks",)


class Begin(NamedTuple):
    """When a story of viewing begins, and the time zone of its days."""

    now: datetime
    zone: str = "UTC"


# The evening before a day of 25 hours, and before one of 23.
CLOCKS_GO_BACK = Begin(datetime(2026, 10, 24, 20, 17, tzinfo=timezone.utc), "Europe/Paris")
CLOCKS_GO_FORWARD = Begin(datetime(2026, 10, 3, 10, 17, tzinfo=timezone.utc), "Australia/Sydney")


class Stage:
    """Starts demo APIs and makes connectors for them; ``strike`` stops the APIs."""

    def __init__(self, forker: Forker, folder: Path, environment: dict[str, str]) -> None:
        self._forker, self._folder, self._environment = forker, folder, environment
        self._numbers, self._apis = count(1), list[Api]()
        self._lock = threading.Lock()
        self._loaded: dict[Any, Connector] = {}

    def empty(self, resources: Sequence[str] = RESOURCES, videos: int = VIDEOS, begin: Begin | None = None) -> Connector:
        """A connector with an empty warehouse, and a new API."""
        return self._connector(resources, videos, begin, None)

    def loaded(self, resources: Sequence[str] = RESOURCES, videos: int = VIDEOS, begin: Begin | None = None) -> Connector:
        """A connector that has loaded all that a new API lists. All APIs start alike, so this first load is made once."""
        name = (videos, tuple(resources), begin)
        with self._lock:
            if name not in self._loaded:
                first = self._connector(resources, videos, begin, None)
                first.run()
                first.assert_equal()
                self._loaded[name] = first
        return self._connector(resources, videos, begin, self._loaded[name])

    def _connector(self, resources: Sequence[str], videos: int, begin: Begin | None, loaded: Connector | None) -> Connector:
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        clock = FileClock(folder / "clock") if begin else None
        if begin and clock:
            clock.set(begin.now)
        api = Api(self._forker, folder, videos, self._environment, clock)
        self._apis.append(api)
        zone = begin.zone if begin else "UTC"
        return Connector(self._forker, api, folder, self._environment, resources, loaded, clock, zone)

    @contextmanager
    def side_by_side(self, cases: Mapping[Any, Callable[[], T]], at_once: int) -> Iterator[dict[Any, Future[T]]]:
        """Runs cases a few at a time. At the end of the block, cases that have not begun are dropped and all APIs stop."""
        with ThreadPoolExecutor(at_once) as pool:
            yield {name: pool.submit(case) for name, case in cases.items()}
            pool.shutdown(cancel_futures=True)
        self.strike()

    @contextmanager
    def act(self) -> Iterator[Stage]:
        """A stage whose APIs stop at the end of the block; those of other stages go on."""
        stage = Stage(self._forker, self._folder, self._environment)
        stage._numbers, stage._lock, stage._loaded = self._numbers, self._lock, self._loaded
        try:
            yield stage
        finally:
            stage.strike()

    def strike(self) -> None:
        """Stops all APIs."""
        while self._apis:
            self._apis.pop().stop()


@pytest.fixture(scope="session")
def whole_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for all tests of the session."""
    folder = tmp_path_factory.mktemp("acceptance")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
        "DLT_DATA_DIR": str(folder / "data"),
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONUNBUFFERED": "1",
    }
    forker = Forker(environment, IMPORTED)
    stage = Stage(forker, folder, environment)
    try:
        yield stage
    finally:
        stage.strike()
        forker.close()


@pytest.fixture
def stage(whole_stage: Stage) -> Iterator[Stage]:
    """A stage for one test: its APIs stop after it."""
    with whole_stage.act() as stage:
        yield stage
