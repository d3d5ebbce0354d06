"""``python -m tests.benchmarks.years``: the cost of an hour without changes after three years, with and without upkeep.

Three years of hourly runs of all resources are written as they would have left them (``tests/years.py``), into a
DuckDB file and a PostgreSQL: at once, to be shed by the first upkeeps, and some days at a time, with an upkeep after each.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from include.api_video.catalog.storable import now_utc
from include.api_video.warehouse.pipelines import short_lived_pipeline
from include.api_video.warehouse.sql import Query
from include.api_video.warehouse.upkeep import forget_old_runs
from include.api_video.warehouse.warehouse import Warehouse as Tables
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import running
from include.demo_api.world import World
from tests.integration.conftest import Warehouse
from tests.services import new_database, postgres_server
from tests.years import count, write_runs

YEARS, HISTORY_DAYS, RUNS = 3, 30, 3
STEP_DAYS = 5


class Place(Warehouse):
    """A destination that can be queried, and knows its size."""

    size_mb: Callable[[], float]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with short_lived_pipeline("ask", self.settings.account) as pipeline, pipeline.sql_client() as client:
            return [tuple(row) for row in client.execute_sql(sql) or ()]


class Questions:
    """Number of queries within a block, and the seconds that they took."""

    def __init__(self) -> None:
        self.number, self.seconds = 0, 0.0


@contextmanager
def timed_questions() -> Iterator[Questions]:
    """Counts and times all queries that go through ``Query.rows``."""
    told, rows = Questions(), Query.rows

    def timed(self: Query, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        begin = time.perf_counter()
        try:
            return rows(self, sql, *args)
        finally:
            told.number, told.seconds = told.number + 1, told.seconds + time.perf_counter() - begin

    Query.rows = timed  # type: ignore[method-assign]
    try:
        yield told
    finally:
        Query.rows = rows  # type: ignore[method-assign]


def measure(place: Place, what: str) -> None:
    """Prints a line of the table: rows, size, and what an idle run costs."""
    seconds, waited, number = [], [], 0
    for _ in range(RUNS):
        begin = time.perf_counter()
        with timed_questions() as told:
            report = place.load(history_days=0).report
        assert not report.failed, report
        seconds.append(time.perf_counter() - begin)
        waited.append(told.seconds)
        number = told.number
    rows = count(place.rows)
    cells = [what, *(f"{n:,}" for n in rows.values()), f"{place.size_mb():.0f}", str(number)]
    cells += [f"{statistics.median(waited):.2f}", f"{statistics.median(seconds):.1f}"]
    print(f"| {' | '.join(cells)} |", flush=True)


def upkeep(place: Place, now: datetime) -> float:
    """Runs the upkeep as the first run of a day does; returns its seconds."""
    with short_lived_pipeline("prepare", place.settings.account) as pipeline:
        begin = time.perf_counter()
        forget_old_runs(Tables(pipeline), HISTORY_DAYS, now)
        return time.perf_counter() - begin


def at_once(place: Place, now: datetime) -> None:
    """Measures an installation that grew for three years and gets the upkeep only then."""
    measure(place, "new")
    write_runs(place.rows, now - timedelta(days=365 * YEARS), now - timedelta(days=1))
    try:
        measure(place, f"{YEARS} years without upkeep")
    except AssertionError as error:
        print(
            f"  {YEARS} years without upkeep, {count(place.rows)}, {place.size_mb():.0f} MB: the run fails\n{error}",
            flush=True,
        )
    seconds = []
    for day in range(1, 15):
        seconds.append(upkeep(place, now + timedelta(days=day)))
    measure(place, "the same after the upkeep of two weeks")
    print(
        f"  upkeep: {seconds[0]:.1f} s the first time, then at most {max(seconds[1:]):.1f} s, {seconds[-1]:.2f} s at last"
    )


def with_upkeep(place: Place, now: datetime) -> None:
    """Measures an installation that had the upkeep from its first day."""
    begin = now - timedelta(days=365 * YEARS)
    measure(place, "new")
    place.rows("UPDATE _checks SET checked_at = '2000-01-01'")  # so that the newest is that of the day written last
    seconds: list[float] = []
    for day in range(0, 365 * YEARS, STEP_DAYS):
        today = begin + timedelta(days=day)
        write_runs(place.rows, today, today + timedelta(days=STEP_DAYS))
        seconds.append(upkeep(place, today + timedelta(days=STEP_DAYS)))
        if (day + STEP_DAYS) % 365 == 0:
            print(f"  {place.size_mb():.0f} MB, {count(place.rows)}, upkeep {statistics.median(seconds[-10:]):.2f} s")
    measure(place, f"{YEARS} years with upkeep")


@contextmanager
def places(folder: Path, name: str) -> Iterator[Callable[[str], Place]]:
    """Makes empty warehouses of a destination, and a demo API to load from."""
    os.environ["API_VIDEO_DESTINATION"] = name
    with running(World(300), Behaviour(rate_limit=1_000_000)) as demo:
        if name == "duckdb":

            def new_file(title: str) -> Place:
                file = folder / f"{title}.duckdb"
                os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = str(file)
                place = Place(demo, file)
                place.size_mb = lambda: os.path.getsize(file) / 1e6
                return place

            yield new_file
            return
        with postgres_server(folder / "postgres") as server:

            def new_base(title: str) -> Place:
                os.environ["DESTINATION__POSTGRES__CREDENTIALS"] = new_database(server, title)
                place = Place(demo, folder)
                place.size_mb = lambda: float(place.rows("SELECT pg_database_size(current_database())")[0][0]) / 1e6
                return place

            yield new_base


def main() -> int:
    """Prints the tables of the named destinations and stories; of all if none is named."""
    os.environ |= {"PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false", "RUNTIME__DLTHUB_TELEMETRY": "false"}
    now = now_utc().replace(hour=0, minute=0, second=0, microsecond=0)
    stories = {"at_once": at_once, "with_upkeep": with_upkeep}
    chosen = [name for name in sys.argv[1:] if name in stories] or [*stories]
    for name in [name for name in sys.argv[1:] if name not in stories] or ["duckdb", "postgres"]:
        with TemporaryDirectory() as folder, places(Path(folder), name) as new:
            os.environ["DLT_DATA_DIR"] = folder
            print(
                f"\n{name}\n| | _checks | _syncs | _dlt_loads | MB | questions | s in questions | s per run |", flush=True
            )
            for story in chosen:
                place = new(story)
                place.load()
                stories[story](place, now)
    return 0


if __name__ == "__main__":
    sys.exit(main())
