"""A demo API, a DuckDB file and the source between them: the real parts, in this process."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.api_video.api import client
from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.catalog.model import Ask, Endpoint
from include.api_video.catalog.naming import snake
from include.api_video.errors import LeftOutError
from include.api_video.load.runner import load_all
from include.api_video.proof.report import Report, check_run
from include.api_video.settings.settings import Settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World

ALL = tuple(endpoint.name for endpoint in ENDPOINTS)
LISTS = tuple(endpoint.name for endpoint in ENDPOINTS if endpoint.is_list)
BEGUN = datetime.now(timezone.utc)  # of these tests


@dataclass
class Run:
    """The result of a run: its report, and the error of each resource that failed."""

    report: Report
    errors: dict[str, BaseException]

    def sync(self, resource: str) -> dict[str, Any]:
        """The ledger's row for a resource."""
        return next(sync for sync in self.report.syncs if sync["resource"] == resource)


@dataclass
class FirstLoads:
    """DuckDB files after a first load of some resources, cached for other tests."""

    folder: Path
    files: dict[Any, Path] = field(default_factory=dict)

    def keep(self, name: Any, file: Path) -> None:
        self.files[name] = Path(shutil.copyfile(file, self.folder / f"{len(self.files)}.duckdb"))


class Warehouse:
    """Loads the demo into one DuckDB file, and queries it."""

    def __init__(self, demo: Demo, file: Path, first_loads: FirstLoads | None = None) -> None:
        self.demo, self.file, self._first_loads = demo, file, first_loads
        self.settings = Settings(
            api_key=demo.api_key,
            base_url=demo.url,
            admin_api_key=demo.admin_api_key,
            admin_base_url=demo.url,
            resources=ALL,
        )
        self._runs = count(1)

    def load(self, *resources: str, full_refresh: bool = False, **settings: Any) -> Run:
        """One run of these resources (none given: all), with these settings."""
        chosen = replace(self.settings, resources=resources or ALL, **settings)
        run_id = f"run{next(self._runs)}"
        results = dict(load_all(chosen, run_id, full_refresh=full_refresh))
        left_out = [name for name, result in results.items() if isinstance(result, LeftOutError)]
        errors = {name: r for name, r in results.items() if isinstance(r, BaseException) and name not in left_out}
        said = {name: str(error) for name, error in errors.items()}
        facts = said, left_out, [result for result in results.values() if isinstance(result, dict)]
        return Run(
            check_run(chosen.account, run_id, chosen.resources, *facts, unproven_hours=chosen.unproven_hours), errors
        )

    def begin(self, *resources: str) -> None:
        """Puts the file into its state after a first load of these resources (none given: all), cached across tests.

        Only the file is restored; there is no local state of dlt, as on another machine.
        """
        assert self._first_loads
        assert not self.file.exists()
        name = resources, *(tuple(self.demo.world.ids(resource)) for resource in ALL)
        if name in self._first_loads.files:
            shutil.copyfile(self._first_loads.files[name], self.file)
            next(self._runs)
        else:
            assert not self.load(*resources).report.failed
            self._first_loads.keep(name, self.file)
        self.demo.reset_log()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query; tables need no dataset in front."""
        with duckdb.connect(str(self.file)) as connection:
            connection.execute(f"SET schema '{self.settings.account.dataset}'; SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def active(self, resource: str) -> list[str]:
        """Sorted keys of the active rows; a key that occurs twice is listed twice."""
        key = snake(by_name()[resource].key)
        return [row[0] for row in self.rows(f"SELECT {key} FROM {resource} WHERE removed_at IS NULL ORDER BY 1")]

    def assert_equal(self, *resources: str) -> None:
        """Every table holds exactly what the API lists, each row once."""
        for resource in resources or ALL:
            assert self.active(resource) == self._listed_keys(by_name()[resource]), resource

    def _listed_keys(self, entry: Endpoint) -> list[str]:
        """Sorted keys of what the API lists; of analytics, of all that was seen in each loaded day until it was read."""
        if not entry.asks:
            return listed_keys(self.demo.world, entry.name)
        days = self.rows("SELECT day, day_start, read_to, state <> 'open' FROM analytics_days ORDER BY day")
        if entry.sync.has_days:
            first, last = datetime.fromisoformat(days[0][0]), max(days[-1][0], BEGUN.date().isoformat())
            wanted = {(first + timedelta(days=number)).date().isoformat() for number in range(len(days))}
            assert max(wanted) == last, "a day is missing"
        elif not entry.parent:
            wanted = set(self.demo.world.viewing.all_time({}))
        else:
            over = [day[:3] for day in days if day[3] or not entry.at_close]
            wanted = {key for day in over for ask in entry.asks for key in self._seen(entry, ask, *day)}
        return sorted(wanted)

    def _seen(self, entry: Endpoint, ask: Ask, day: str, start: datetime, end: datetime) -> Iterator[str]:
        """Keys of the rows that a question about a day is answered with."""
        viewing, (kind, metric, *of) = self.demo.world.viewing, ask.path.split("/")
        if kind == "timeseries":
            yield from (f"{day}/{entry.value_of(hour)}" for hour in viewing.series(metric, 3600, start, end, {}))
        elif kind == "metrics":  # a number for each video that was played
            yield from (f"{day}/{video}" for video in viewing.buckets("play", "media-id", start, end, {}))
        elif not ask.only_of:
            yield from (f"{day}/{entry.value_of(value)}" for value in viewing.buckets(metric, *of, start, end, {}))
        else:  # a list for each country
            for value in viewing.buckets("play", ask.only_of[1], start, end, {}):
                narrowed = viewing.buckets(metric, *of, start, end, {ask.only_of[0]: [value]})
                yield from (f"{day}/{value}/{key}" for key in narrowed)


def listed_keys(world: World, resource: str) -> list[str]:
    """Sorted keys of what the API lists, as the warehouse has them: a key that is a secret is there as its SHA-256."""
    entry, keys = by_name()[resource], world.ids(resource)
    if entry.sent_key != entry.key:
        keys = [hashlib.sha256(key.encode()).hexdigest() for key in keys]
    return sorted(keys)


def rest(world: World) -> World:
    """A day of viewing, and nobody watches any more since these tests began: so that runs without other changes find none.

    ``test_analytics.py`` has more than a day, and viewers that come and go.
    """
    viewing = world.viewing
    now, viewing.now = viewing.now, lambda: BEGUN
    viewing.quiet()
    viewing.now, viewing.retention = now, timedelta(days=1)
    return world


def change(world: World) -> None:
    """Makes changes of every kind: new, changed, deleted, discarded, restored rows, a parent deleted with its details."""
    first, second, third = world.ids("videos")[:3]
    world.update_video(first, title="changed", tags=["a"])
    world.delete_video(second)
    world.discard_video(third)
    world.add_video(title="new")
    world.restore_video(world.ids("discarded_videos")[0])


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the pauses between attempts; ``tests/unit/test_client.py`` tests their real length."""
    wait_s = client._wait_s
    monkeypatch.setattr(client, "_wait_s", lambda state: wait_s(state) / 100)


@pytest.fixture
def demo() -> Iterator[Demo]:
    """A demo API with 30 videos, and a rate limit so high that no test waits."""
    with running(rest(World(30)), Behaviour(rate_limit=100_000)) as demo:
        yield demo


@pytest.fixture(scope="session")
def first_loads(tmp_path_factory: pytest.TempPathFactory) -> FirstLoads:
    """The cache of ``Warehouse.begin``."""
    return FirstLoads(tmp_path_factory.mktemp("first_loads"))


@pytest.fixture
def warehouse(demo: Demo, first_loads: FirstLoads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """An empty DuckDB file for the demo's data."""
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(file))
    return Warehouse(demo, file, first_loads)
