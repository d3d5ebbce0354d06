"""Delivery and hosting usage: what api.video bills, by project and day. The API has 30 days; the tables keep all."""

from __future__ import annotations

import logging
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from include.demo_api.world import World
from tests.integration.conftest import Run, Warehouse
from tests.integration.test_analytics import Clock

USAGE = ("delivery_usage", "hosting_usage")
NAMES = ("projects", *USAGE)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MINUTES = {
    "delivery_usage": "video_hls_duration_minutes, video_mp4_duration_minutes, live_stream_hls_duration_minutes",
    "hosting_usage": "video_duration_minutes",
}


class Usage:
    """A warehouse of usage, the demo that it is loaded from, and the clock of both."""

    def __init__(self, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
        self.warehouse, self.world = warehouse, warehouse.demo.world
        self.clock = Clock(monkeypatch, self.world.viewing)

    def load(self, after: timedelta = timedelta(0), **settings: Any) -> Run:
        """A run some time after the last one; it is green."""
        self.clock.now += after
        self.warehouse.demo.reset_log()
        run = self.warehouse.load(*NAMES, **settings)
        assert not run.report.failed, [str(check) for check in run.report.failed]
        assert not run.errors
        return run

    @property
    def asked(self) -> int:
        """The last run's requests for usage."""
        return sum(request.path.endswith("-usage") for request in self.warehouse.demo.log)

    def rows(self, table: str, where: str = "removed_at IS NULL") -> dict[str, tuple[Any, ...]]:
        """The minutes of each row, by key."""
        found = self.warehouse.rows(f"SELECT usage_key, {MINUTES[table]} FROM {table} WHERE {where}")
        keys = [key for key, *_ in found]
        assert len(keys) == len(set(keys))
        return {key: tuple(minutes) for key, *minutes in found}

    def told(self, table: str) -> dict[str, tuple[Any, ...]]:
        """What the API answers now, in the form of ``rows``."""
        return {
            row["usageKey"]: tuple(row[name] for name in MINUTES[table].split(", ")) for row in self.world.listed(table)
        }


@pytest.fixture
def usage(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Usage:
    return Usage(warehouse, monkeypatch)


def test_the_first_load_has_the_last_thirty_days_of_each_project(usage: Usage) -> None:
    usage.load()

    projects = usage.world.ids("projects")
    assert usage.asked == 2 * len(projects), "one request for each project and table"
    for table in USAGE:
        assert len(usage.rows(table)) == 30 * len(projects) > 30
        assert usage.rows(table) == usage.told(table)
    ((project, day),) = usage.warehouse.rows("SELECT project_id, max(collected_on) FROM hosting_usage GROUP BY 1 LIMIT 1")
    assert (project in projects, day) == (True, "2026-11-25"), "yesterday is the last whole day"


def test_usage_is_requested_every_six_hours(usage: Usage) -> None:
    usage.load()
    told = []
    for after in (5 * HOUR, HOUR, 5 * HOUR, HOUR):
        usage.load(after=after)
        told.append(usage.asked)
    assert told == [0, 2 * len(usage.world.ids("projects"))] * 2


def test_days_that_api_video_forgets_stay(usage: Usage) -> None:
    usage.load()
    before = {table: usage.rows(table) for table in USAGE}
    run = usage.load(after=10 * DAY)

    for table in USAGE:
        assert usage.rows(table) == before[table] | usage.told(table)
        days = usage.warehouse.rows(f"SELECT count(DISTINCT collected_on), min(collected_on) FROM {table}")
        assert days == [(40, "2026-10-27")]
        counts = run.sync(table)
        assert counts["removed_rows"] == counts["changed_rows"] == 0
        assert counts["new_rows"] == 10 * len(usage.world.ids("projects"))


def test_corrections_of_a_day_arrive(usage: Usage) -> None:
    usage.load()
    project = usage.world.ids("projects")[0]
    rows = usage.world.inner("delivery_usage", project) or []
    rows[-1]["video_hls_duration_minutes"] += 5
    usage.world.set_inner("delivery_usage", project, rows)

    run = usage.load(after=6 * HOUR)

    assert run.sync("delivery_usage")["changed_rows"] == 1
    assert usage.rows("delivery_usage") == usage.told("delivery_usage")


def test_usage_outlives_its_project(usage: Usage) -> None:
    """It was billed, so sums over the past stay the same."""
    usage.load()
    before = {table: usage.rows(table) for table in USAGE}
    project = usage.world.ids("projects")[0]
    usage.world.delete("projects", project)

    for after in (HOUR, 6 * HOUR):
        usage.load(after=after)
        assert usage.asked == (0 if after == HOUR else 2 * len(usage.world.ids("projects")))
        assert {table: usage.rows(table) for table in USAGE} == before
    usage.load(after=DAY)
    for table in USAGE:
        assert usage.rows(table) == before[table] | usage.told(table)


def test_what_a_killed_load_left_is_loaded_again(usage: Usage) -> None:
    usage.load()
    before = usage.rows("delivery_usage")
    usage.load(after=DAY)
    usage.warehouse.rows("DELETE FROM _dlt_loads WHERE load_id = (SELECT max(_dlt_load_id) FROM delivery_usage)")
    usage.load(after=HOUR)
    assert usage.rows("delivery_usage") == before | usage.told("delivery_usage")

    usage.load(after=DAY)
    usage.warehouse.rows("DELETE FROM _dlt_loads WHERE load_id = (SELECT max(_dlt_load_id) FROM delivery_usage)")
    usage.world.delete("projects", usage.world.ids("projects")[0])
    usage.load(after=HOUR)
    assert before.items() <= usage.rows("delivery_usage").items()


def test_a_project_whose_usage_answers_404_keeps_its_rows(usage: Usage) -> None:
    usage.load()
    before = usage.rows("hosting_usage")
    usage.warehouse.demo.behaviour.fail("/projects/.*/hosting-usage", status=404, times=None)
    usage.load(after=6 * HOUR)
    assert usage.rows("hosting_usage") == before


def test_a_full_refresh_keeps_what_api_video_has_forgotten(usage: Usage) -> None:
    usage.load()
    before = {table: usage.rows(table) for table in USAGE}
    usage.clock.now += 10 * DAY
    usage.load(full_refresh=True)
    for table in USAGE:
        assert usage.rows(table) == before[table] | usage.told(table)
    assert usage.asked == 2 * len(usage.world.ids("projects"))


def test_a_key_that_may_not_read_usage_leaves_it_out(usage: Usage, caplog: pytest.LogCaptureFixture) -> None:
    usage.load()
    before = usage.rows("delivery_usage")
    usage.warehouse.demo.behaviour.fail("/projects/.*/delivery-usage", status=403, times=None)
    caplog.clear()

    run = usage.load(after=6 * HOUR)

    assert run.sync("delivery_usage")["mode"] == "skipped"
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    told = [message for message in warned if "delivery_usage" in message]
    assert len(told) == 1
    assert "left out" in told[0]
    assert usage.rows("delivery_usage") == before
    assert usage.rows("hosting_usage") == usage.told("hosting_usage")


def test_a_failure_leaves_a_project_for_the_next_run(usage: Usage, caplog: pytest.LogCaptureFixture) -> None:
    first, *others = usage.world.ids("projects")
    usage.warehouse.demo.behaviour.fail(f"/projects/{first}/delivery-usage", status=500, times=None)
    run = usage.warehouse.load(*NAMES)
    assert [check.name for check in run.report.failed] == ["complete"]
    assert f"delivery_usage: {first} is left for the next run" in caplog.text
    assert len(usage.rows("delivery_usage")) == 30 * len(others)
    usage.warehouse.demo.behaviour.heal()
    usage.load(after=HOUR)
    assert usage.rows("delivery_usage") == usage.told("delivery_usage")
    assert usage.asked == 1, "all others were asked an hour ago"


def test_the_demo_gives_a_day_the_same_usage_whenever_it_is_requested() -> None:
    def told(today: date) -> dict[str, dict[str, Any]]:
        world = World(30)
        world.viewing.now = lambda: datetime(today.year, today.month, today.day, 12, tzinfo=timezone.utc)
        return {f"{table} {row['usageKey']}": row for table in USAGE for row in world.listed(table)}

    today, tomorrow = told(date(2026, 11, 26)), told(date(2026, 11, 27))
    assert today == told(date(2026, 11, 26))
    assert len(today.keys() & tomorrow.keys()) == len(today) * 29 // 30
    assert all(today[key] == tomorrow[key] for key in today.keys() & tomorrow.keys())
