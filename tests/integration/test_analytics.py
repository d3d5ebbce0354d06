"""Analytics from the demo API into a real DuckDB, at a clock that the tests set."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import duckdb
import pytest

from include.api_video.catalog.analytics import ENDPOINTS, hour_of, without_query
from include.api_video.errors import SettingsError
from include.api_video.load import day_reading
from include.api_video.warehouse import parent_list_queries
from include.demo_api import analytics as demo_analytics
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import running
from include.demo_api.viewing import RETENTION, Viewing
from include.demo_api.world import World
from tests.clocks import replace_clock
from tests.integration.conftest import Run, Warehouse

ANALYTICS = tuple(endpoint.name for endpoint in ENDPOINTS)
DEFAULT = tuple(endpoint.name for endpoint in ENDPOINTS if endpoint.on_by_default)
HOURLY = tuple(name for name in DEFAULT if name != "analytics_totals")
FEW = ("analytics_days", "analytics_hours", "analytics_videos", "analytics_countries")  # for stories of many runs
NOON = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DIMENSIONS = {
    "analytics_videos": ("media_id", "media-id"),
    "analytics_countries": ("country", "country"),
    "analytics_devices": ("device_type", "device-type"),
    "analytics_operating_systems": ("operating_system", "operating-system"),
    "analytics_browsers": ("browser", "browser"),
    "analytics_referrers": ("referrer", "referrer"),
}


class Clock:
    """The time of the package and of the demo's viewing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, viewing: Viewing) -> None:
        self.now = NOON
        viewing.now = lambda: self.now
        replace_clock(lambda: self.now, monkeypatch.setattr)


class Story:
    """A warehouse of analytics, the demo that it is loaded from, and the clock of both."""

    def __init__(self, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
        self.warehouse, self.monkeypatch, self.demo = warehouse, monkeypatch, warehouse.demo
        self.clock = Clock(monkeypatch, warehouse.demo.world.viewing)
        self.viewing = self.demo.world.viewing
        self.viewing.retention = RETENTION
        self.viewing.wake()

    def keep(self, days: int) -> None:
        """Shortens the retention to so few days, which makes the first load short."""
        self.viewing.retention = days * DAY
        self.monkeypatch.setattr(day_reading, "RETENTIONS", (365 * DAY, days * DAY))

    def load(self, *resources: str, after: timedelta = timedelta(0), red: bool = False, **settings: Any) -> Run:
        """A run of these resources (none given: what a fresh install loads) some time after the last one."""
        self.clock.now += after
        self.demo.reset_log()
        run = self.warehouse.load(*(resources or DEFAULT), **settings)
        failed = [str(check) for check in run.report.failed]
        assert red or not failed, failed
        return run

    def asked(self) -> Counter[str]:
        """Requests of the last run by their path."""
        return Counter(request.path for request in self.demo.log if request.path.startswith("/data/"))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.warehouse.rows(sql)

    def states(self) -> Counter[str]:
        return Counter(state for (state,) in self.rows("SELECT state FROM analytics_days"))

    def assert_equal(self, settled_only: bool = False, tables: Sequence[str] = HOURLY) -> None:
        """Each row has the numbers of the viewing in the span of its day, as they were known when it was read."""
        where = "WHERE state = 'settled'" if settled_only else "WHERE state <> 'gap'"
        for day, start, read_to, read_at, *numbers in self.rows(
            "SELECT day, day_start, read_to, _read_at, impressions, plays, starts, ends, views, watch_time_s, "
            f"impression_time_avg_ms, ccv_peak FROM analytics_days {where} ORDER BY day"
        ):
            with self.at(read_at):
                total = lambda m, a: self.viewing.total(m, a, start, read_to, {})  # noqa: B023, E731
                told = [total(m, "count") for m in ("impression", "play", "start", "end", "view")]
                told += [total("watch-time", "sum"), total("impression-time", "average"), total("ccv", "peak")]
                assert numbers == pytest.approx(told), day
                self._assert_breakdowns(tables, day, start, read_to)

    def _assert_breakdowns(self, tables: Sequence[str], day: str, start: datetime, read_to: datetime) -> None:
        for table, (column, dimension) in DIMENSIONS.items():
            if table not in tables:
                continue
            wanted: Counter[str] = Counter()
            for value, number in self.viewing.buckets("play", dimension, start, read_to, {}).items():
                wanted[without_query(value)] += int(number)
            found = self.rows(
                f"SELECT {column}, plays FROM {table} WHERE day = '{day}' AND plays > 0 AND removed_at IS NULL"
            )
            assert dict(found) == dict(wanted), (table, day)
        if "analytics_hours" not in tables:
            return
        hours = {
            hour_of(moment): int(number) for moment, number in self.viewing.series("play", 3600, start, read_to, {}).items()
        }
        found = self.rows(f"SELECT hour_start, plays FROM analytics_hours WHERE day = '{day}' AND plays > 0")
        assert {at.astimezone(timezone.utc).isoformat(): plays for at, plays in found} == hours, day

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        """The viewing as it was known at a moment."""
        now, self.clock.now = self.clock.now, moment
        try:
            yield
        finally:
            self.clock.now = now


@pytest.fixture
def story(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Story:
    return Story(warehouse, monkeypatch)


def test_the_first_load_has_all_that_api_video_still_has(story: Story) -> None:
    story.load()
    assert story.states() == {"partial": 1, "settled": 26, "closed": 3, "open": 1}
    story.assert_equal()
    assert story.rows("SELECT count(*) FROM analytics_videos")[0][0] > 0


# --- what a run costs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("videos", [60, 2_000, 20_000])
def test_an_hour_without_plays_costs_eight_requests(
    videos: int, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(World(videos), Behaviour(rate_limit=100_000)) as demo:
        story = Story(Warehouse(demo, warehouse.file), monkeypatch)
        story.keep(2)
        story.load(*HOURLY)
        demo.world.viewing.quiet()
        story.load(*HOURLY, after=HOUR)  # plays of the last hour's last minute
        story.load(*HOURLY, after=HOUR)
        assert sum(story.asked().values()) == 8
        assert {path.split("/")[2] for path in story.asked()} == {"metrics", "buckets"}
        assert story.load("analytics_days").sync("analytics_days")["requests"] == 8


# The table of docs/analytics.md.
@pytest.mark.parametrize(
    ("videos", "plays_a_day", "lists", "most"),
    [
        (66, 100, 6, 37),
        (5_000, 20_000, 129, 160),
        pytest.param(85_000, 45_000, 0, 27, marks=pytest.mark.slow),  # some 600 pages: read every six hours
    ],
)
def test_an_hour_with_plays_costs_what_the_table_says(
    videos: int, plays_a_day: int, lists: int, most: int, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(World(videos), Behaviour(rate_limit=100_000)) as demo:
        story = Story(Warehouse(demo, warehouse.file), monkeypatch)
        story.viewing.plays_a_day = plays_a_day
        story.keep(1)
        story.load(*HOURLY)
        story.load(*HOURLY, after=HOUR)
        asked, by_kind = story.asked(), Counter[str]()
        for path, count in asked.items():
            by_kind[path.rpartition("/")[2] if "/buckets/" in path else path.split("/")[2]] += count
        assert by_kind.pop("metrics") == 7
        assert by_kind.pop("media-type") == 1
        assert by_kind.pop("timeseries") == 4
        start, end = NOON.replace(hour=0), NOON + HOUR - timedelta(seconds=60)
        pages = 0
        for metric in ("impression", "play", "start", "end", "view", "ccv-peak"):
            pages += max(1, -(-len(story.viewing.buckets(metric, "media-id", start, end, {})) // 100))
        assert lists in (pages, 0)
        assert lists or pages > parent_list_queries.MANY_REQUESTS
        assert by_kind.pop("media-id", 0) == lists
        assert by_kind == dict.fromkeys(("country", "device-type", "operating-system", "browser", "referrer"), 3)
        assert sum(asked.values()) <= most
        story.assert_equal(tables=HOURLY if lists else FEW[:2])


def test_a_list_of_today_that_costs_many_requests_is_read_every_six_hours(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent_list_queries, "MANY_REQUESTS", 1)  # more than 16 videos
    story.keep(2)
    some = ("analytics_days", "analytics_videos", "analytics_countries")
    story.load(*some)
    read = []
    for hour in range(1, 15):
        story.load(*some, after=HOUR)
        read += [hour] if story.asked()["/data/buckets/play/media-id"] else []
        assert story.asked()["/data/buckets/play/country"], "a list of few values is read at each run"
    assert read == [6, 12, 13, 14], "after six hours, when the day closed, and when that was read again"
    sums = "SELECT day, sum(plays) FROM {} GROUP BY day ORDER BY day"
    assert story.rows(sums.format("analytics_videos")) == story.rows(sums.format("analytics_days"))


# --- days -----------------------------------------------------------------------------------------------------------


def test_a_day_is_settled_after_four_readings(story: Story) -> None:
    story.keep(6)
    story.load(*FEW)
    told = []
    for age in (-1, 0.5, 1.5, 2.5, 24.5, 25.5, 72.5, 73.5):
        story.clock.now = datetime(2026, 11, 27, tzinfo=timezone.utc) + age * HOUR
        story.load(*FEW)
        ((state, read_at),) = story.rows("SELECT state, _read_at FROM analytics_days WHERE day = '2026-11-26'")
        told.append((state, read_at == story.clock.now))
    expected = [("open", True), ("closed", True), ("closed", True), ("closed", False), ("closed", True)]
    assert told == [*expected, ("closed", False), ("settled", True), ("settled", False)]
    story.assert_equal(tables=FEW)
    before = story.rows("SELECT * FROM analytics_videos WHERE day = '2026-11-26' ORDER BY 1")
    story.viewing.plays_a_day = 1
    story.load(*FEW, after=HOUR)
    assert story.rows("SELECT * FROM analytics_videos WHERE day = '2026-11-26' ORDER BY 1") == before


def test_a_day_that_closes_during_a_run_is_read_whole_by_the_next(story: Story) -> None:
    story.keep(2)
    story.clock.now = datetime(2026, 11, 26, 23, 58, tzinfo=timezone.utc)

    def go_on() -> None:
        story.clock.now += 5 * timedelta(minutes=1)

    story.demo.behaviour.after(4, "/data/.*", go_on)
    story.load(*HOURLY)
    assert story.clock.now.day == 27
    assert ("2026-11-26", "open") in story.rows("SELECT day, state FROM analytics_days")
    story.load(*HOURLY, after=HOUR)
    ((state, is_whole),) = story.rows("SELECT state, read_to = day_end FROM analytics_days WHERE day = '2026-11-26'")
    assert (state, is_whole) == ("closed", True)
    story.assert_equal()


@pytest.mark.parametrize(("zone", "hours"), [("Europe/Paris", 25), ("Asia/Kolkata", 24)])
def test_days_are_those_of_the_time_zone(story: Story, zone: str, hours: int) -> None:
    story.clock.now = datetime(2026, 10, 27, 11, tzinfo=timezone.utc)
    story.keep(5)
    story.load(*HOURLY, analytics_timezone=zone)
    ((length,),) = story.rows("SELECT date_diff('hour', day_start, day_end) FROM analytics_days WHERE day = '2026-10-25'")
    assert length == hours
    story.load(*HOURLY, after=HOUR, analytics_timezone=zone)
    story.assert_equal()


def test_another_time_zone_is_refused_and_changes_nothing(story: Story) -> None:
    story.keep(2)
    story.load(*HOURLY)
    before = story.rows("SELECT * FROM analytics_days ORDER BY day")
    run = story.load(*HOURLY, after=HOUR, red=True, analytics_timezone="Europe/Paris")
    assert isinstance(run.errors["analytics_days"], SettingsError)
    assert "cut in UTC, and analytics_timezone is Europe/Paris now" in str(run.errors["analytics_days"])
    assert story.rows("SELECT * FROM analytics_days ORDER BY day") == before
    story.load(*HOURLY, after=HOUR)


def test_a_small_budget_spreads_the_first_load(story: Story) -> None:
    story.keep(12)
    waiting = []
    for _ in range(14):
        story.load(*FEW, after=timedelta(minutes=10), max_detail_requests=24)
        waiting.append(13 - sum(story.states().values()))
    assert waiting[:6] == [10, 8, 6, 4, 2, 0]
    story.assert_equal(tables=FEW)


# --- outages and forgetting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "gaps"), [(5, 0), (40, 9)])
def test_an_outage(story: Story, days: int, gaps: int, caplog: pytest.LogCaptureFixture) -> None:
    story.load(*HOURLY)
    before = story.rows("SELECT * EXCLUDE (_dlt_id, _dlt_load_id) FROM analytics_videos ORDER BY 1")
    caplog.clear()
    story.load(*HOURLY, after=days * DAY)
    assert story.states()["gap"] == gaps
    told = [r.message for r in caplog.records if "forgotten" in r.message]
    assert len(told) == (1 if gaps else 0), told
    story.load(*HOURLY, after=HOUR)
    assert sum(story.asked().values()) <= 33
    assert len([r.message for r in caplog.records if "forgotten" in r.message]) == len(told)
    assert "left for the next run" not in caplog.text
    settled = story.rows("SELECT * EXCLUDE (_dlt_id, _dlt_load_id) FROM analytics_videos ORDER BY 1")
    kept = {row[0]: row for row in settled}
    assert all(row[0] in kept for row in before)
    story.assert_equal(settled_only=True)


def test_a_full_refresh_does_not_lose_what_api_video_has_forgotten(story: Story) -> None:
    story.load(*HOURLY)
    story.load(*HOURLY, after=5 * DAY)
    tables = [name for name in HOURLY if name != "analytics_days"]
    before = {name: story.rows(f"SELECT day, count(*) FROM {name} GROUP BY 1 ORDER BY 1") for name in HOURLY}
    story.load(*HOURLY, after=HOUR, full_refresh=True)
    after = {name: story.rows(f"SELECT day, count(*) FROM {name} GROUP BY 1 ORDER BY 1") for name in HOURLY}
    for name in tables:
        assert before[name][:-1] == after[name][:-1], name
    story.assert_equal(settled_only=True)


def test_the_sandbox_keeps_a_day(story: Story) -> None:
    story.viewing.retention = DAY
    for _ in range(12):
        story.load(*FEW, after=5 * HOUR, environment="sandbox")
    assert story.states()["open"] == 1
    assert story.states()["gap"] == 0


# --- failures -------------------------------------------------------------------------------------------------------


def test_a_key_that_may_not_read_analytics_leaves_them_out(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    story.demo.behaviour.analytics_refused = True
    run = story.load(*HOURLY)
    assert not run.errors
    assert sum("left out" in r.message for r in caplog.records) == 1, [r.message for r in caplog.records]
    story.demo.behaviour.analytics_refused = False
    story.load(*HOURLY, after=HOUR)
    before = story.rows("SELECT count(*) FROM analytics_videos")
    story.demo.behaviour.analytics_refused = True
    caplog.clear()
    story.load(*HOURLY, after=HOUR)
    assert story.rows("SELECT count(*) FROM analytics_videos") == before


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_metric_that_is_not_answered_is_null_and_named(
    story: Story, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    story.keep(3)
    story.demo.behaviour.fail("/data/metrics/end/count", times=None, status=status)
    story.demo.behaviour.fail("/data/buckets/view/country", times=None, status=status)
    story.load(*HOURLY)
    assert sum("ends gets no numbers" in r.message for r in caplog.records) == 1
    assert sum("views gets no numbers" in r.message for r in caplog.records) == 1
    assert story.rows("SELECT DISTINCT ends, plays > 0 FROM analytics_days") == [(None, True)]
    assert story.rows("SELECT DISTINCT views FROM analytics_countries") == [(None,)]


def test_an_answer_that_is_not_as_documented_costs_its_column_alone(
    story: Story, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    story.keep(3)
    total, envelope = story.viewing.total, demo_analytics._Asked.envelope
    odd: set[str] = {"end", "country"}
    monkeypatch.setattr(story.viewing, "total", lambda metric, *of: "many" if metric in odd else total(metric, *of))
    monkeypatch.setattr(
        demo_analytics._Asked,
        "envelope",
        lambda asked, context, rows: {
            **envelope(asked, context, rows),
            **({"data": "none"} if context.get("breakdown") in odd and context["metric"] == "view-5" else {}),
        },
    )
    run = story.load(*HOURLY)
    assert story.rows("SELECT DISTINCT ends, plays > 0 FROM analytics_days") == [(None, True)]
    assert story.rows("SELECT DISTINCT views, plays >= 0 FROM analytics_countries") == [(None, True)]
    told = [record.getMessage() for record in caplog.records if "gets no numbers" in record.getMessage()]
    assert [line.split(" gets ")[0] for line in told] == ["analytics_days: ends", "analytics_countries: views"]
    assert all(line.endswith(": its answer is not as documented.") for line in told), told
    assert [check.found for check in run.report.checks if check.name == "rejected" and not check.passed] == ["4"]
    assert story.rows("SELECT DISTINCT resource, reason FROM _rejected") == [
        ("analytics_countries", "The answer is an object, and not as api.video documents it.")
    ]
    odd.clear()
    story.load(*HOURLY, after=HOUR)
    assert story.rows("SELECT count(*) FROM _rejected") == [(0,)], "asked again, and answered"
    assert story.rows("SELECT count(*) FROM analytics_countries WHERE views IS NULL AND removed_at IS NULL") == [(0,)]
    assert story.rows("SELECT ends > 0 FROM analytics_days WHERE state = 'open'") == [(True,)]


def test_refused_lists_are_not_requested_for_ever(story: Story) -> None:
    story.keep(3)
    story.load(*HOURLY)
    before = story.rows("SELECT count(*) FROM analytics_countries WHERE removed_at IS NULL")
    story.demo.behaviour.fail("/data/buckets/.*/country", times=None, status=400)
    story.load(*HOURLY, after=HOUR, red=True)
    assert story.asked()["/data/buckets/play/country"] > 0
    story.viewing.quiet()
    story.load(*HOURLY, after=timedelta(minutes=10), red=True)
    story.load(*HOURLY, after=timedelta(minutes=10))
    assert story.asked()["/data/buckets/play/country"] == 0
    assert story.rows("SELECT count(*) FROM analytics_countries WHERE removed_at IS NULL") == before


def test_a_request_that_always_fails_leaves_its_days_for_the_next_run(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    story.keep(5)
    story.load(*HOURLY)
    story.clock.now += 2 * DAY
    story.demo.behaviour.fail("/data/metrics/ccv/peak", times=None, status=500)
    run = story.load(*HOURLY, red=True)
    assert not run.errors
    assert sum("left for the next run" in r.message for r in caplog.records) >= 1
    story.demo.behaviour.heal()
    story.load(*HOURLY, after=HOUR)
    story.assert_equal()


def test_an_answer_for_a_shortened_span_is_not_taken_for_the_whole_day(story: Story) -> None:
    story.viewing.clamps = True
    story.load(*HOURLY)
    assert story.states() == {"partial": 1, "settled": 26, "closed": 3, "open": 1}
    story.assert_equal()


def test_a_killed_load_is_repaired_by_the_next_run(story: Story) -> None:
    story.keep(5)
    story.load(*HOURLY)
    for resource in ("analytics_days", "analytics_videos"):
        kill(story, resource)
        story.load(*HOURLY, after=timedelta(minutes=10))
        story.assert_equal()


def test_sums_that_are_too_low_fail(story: Story) -> None:
    story.keep(5)
    story.load(*ANALYTICS, analytics_top_videos=1000)
    story.viewing.quiet()
    with duckdb.connect(str(story.warehouse.file)) as connection:
        dataset = story.warehouse.settings.account.dataset
        connection.execute(f"UPDATE {dataset}.analytics_countries SET plays = plays - 1 WHERE country = 'FR'")
        connection.execute(f"UPDATE {dataset}.analytics_totals SET plays_total = 0")
        connection.execute(f"UPDATE {dataset}.analytics_watch_time SET watch_time_s = watch_time_s / 2")
    run = story.load(*ANALYTICS, red=True)
    failed = [str(check) for check in run.report.failed if check.name == "sums"]
    assert [sentence.split(":")[0] for sentence in failed] == [
        "analytics_countries",
        "analytics_watch_time",
        "analytics_totals",
    ]
    assert "plays: 6 of 6 differ, 6 lack in all" in failed[0]
    assert "less in 5 of 5 days" in failed[1]
    assert "fewer in " in failed[2]


def test_rows_that_were_lost_are_loaded_again_by_the_next_run(story: Story) -> None:
    story.keep(3)
    story.load(*HOURLY)
    story.viewing.quiet()
    with duckdb.connect(str(story.warehouse.file)) as connection:
        dataset = story.warehouse.settings.account.dataset
        connection.execute(f"DELETE FROM {dataset}.analytics_countries WHERE country = 'FR'")
    story.load(*HOURLY)
    story.assert_equal()


def test_a_settled_day_that_moves_keeps_its_numbers_and_is_reported(story: Story, caplog: pytest.LogCaptureFixture) -> None:
    story.load("analytics_days")
    numbers = "SELECT * EXCLUDE (audited_plays, _dlt_load_id, _dlt_id) FROM analytics_days WHERE {} ORDER BY day"
    settled = story.rows(numbers.format("state = 'settled'"))
    story.viewing.plays_a_day += 40  # api.video counts more of the past, too
    story.load("analytics_days", after=13 * HOUR)
    moved = story.rows("SELECT day, plays, audited_plays FROM analytics_days WHERE audited_plays IS NOT NULL")
    assert 20 < len(moved) <= len(settled)
    assert all(now > before for _, before, now in moved)
    told = [record.getMessage() for record in caplog.records if "other plays" in record.getMessage()]
    assert len(told) == 1
    assert f"other plays of {len(moved)} days than" in told[0]
    days = ", ".join(f"'{day}'" for day, *_ in settled)
    assert settled == story.rows(numbers.format(f"day IN ({days})"))
    story.load("analytics_days", after=DAY)  # today, three days that are over, and one question for all settled days
    assert sum(story.asked().values()) == 8 * 4 + 1


# --- single tables --------------------------------------------------------------------------------------------------


def test_referrers_lose_their_query_and_are_added_up(story: Story) -> None:
    story.keep(3)
    story.load(*HOURLY)
    assert story.rows("SELECT count(*) FROM analytics_referrers WHERE contains(referrer, '?')") == [(0,)]
    assert len(story.rows("SELECT DISTINCT referrer FROM analytics_referrers")) == 4
    story.assert_equal()


def test_numbers_of_deleted_videos_stay(story: Story) -> None:
    story.load("videos", "live_streams", *HOURLY)
    sql = "FROM analytics_videos a WHERE media_id NOT IN (SELECT video_id FROM videos) AND media_id LIKE 'vi%'"
    assert story.rows(f"SELECT count(*) > 0 {sql}") == [(True,)]


def test_countries_of_videos_add_up(story: Story) -> None:
    story.keep(3)
    story.load(*ANALYTICS)
    sums = "SELECT day, country, sum(plays) FROM {} WHERE day < '2026-11-26' AND plays > 0 GROUP BY 1, 2 ORDER BY 1, 2"
    assert story.rows(sums.format("analytics_video_countries")) == story.rows(sums.format("analytics_countries"))
    assert story.rows("SELECT count(*) FROM analytics_video_countries WHERE day = '2026-11-26'") == [(0,)]


def test_watch_time_is_requested_for_the_most_played_once_the_day_is_over(story: Story) -> None:
    story.keep(3)
    story.load(*ANALYTICS, analytics_top_videos=5)
    rows = story.rows("SELECT day, count(*), min(watch_time_s) > 0 FROM analytics_watch_time GROUP BY 1 ORDER BY 1")
    assert rows == [(f"2026-11-{day}", 5, True) for day in (23, 24, 25)]
    lowest = "SELECT min(v.plays) FROM analytics_videos v JOIN analytics_watch_time w USING (video_day_key)"
    others = "SELECT max(plays) FROM analytics_videos v WHERE day = '2026-11-25' AND NOT EXISTS "
    others += "(SELECT 1 FROM analytics_watch_time w WHERE w.video_day_key = v.video_day_key)"
    assert story.rows(f"{lowest} WHERE v.day = '2026-11-25'") >= story.rows(others)
    for media, day, seconds in story.rows("SELECT media_id, day, watch_time_s FROM analytics_watch_time"):
        ((start, end),) = story.rows(f"SELECT day_start, read_to FROM analytics_days WHERE day = '{day}'")
        assert seconds == story.viewing.total("watch-time", "sum", start, end, {"mediaId": [media]})


def test_plays_of_all_time_are_read_once_a_day(story: Story) -> None:
    story.keep(6)
    story.load()
    assert dict(story.rows("SELECT media_id, plays_total FROM analytics_totals")) == story.viewing.all_time({})
    story.load(after=HOUR)
    assert story.asked()["/data/buckets/play-total/media-id"] == 0
    story.load(after=23 * HOUR)
    assert story.asked()["/data/buckets/play-total/media-id"] > 0
    assert dict(story.rows("SELECT media_id, plays_total FROM analytics_totals")) == story.viewing.all_time({})


# --- any story ------------------------------------------------------------------------------------------------------


def test_a_random_story_ends_with_the_numbers_of_the_viewing(story: Story) -> None:
    """Runs at random times over ten days, some of them killed before their load counts."""
    dice = random.Random(1)
    story.keep(6)
    story.viewing.plays_a_day = dice.choice([20, 120, 400])
    until = story.clock.now + 10 * DAY
    while story.clock.now < until:
        story.load(*FEW, red=True, max_detail_requests=dice.choice([24, 200, 3000]))
        if dice.random() < 0.3:
            kill(story, dice.choice(FEW))
        story.clock.now += timedelta(minutes=dice.choice([7, 60, 300, 1500]))
    for _ in range(4):
        run = story.load(*FEW, after=timedelta(minutes=10), red=True)
    assert not run.report.failed, [str(check) for check in run.report.failed]
    assert story.states()["gap"] == 0
    story.assert_equal(settled_only=True, tables=FEW)


def kill(story: Story, resource: str) -> None:
    """Makes the newest load of a resource look as if it had been killed before its end."""
    dataset = story.warehouse.settings.account.dataset
    with duckdb.connect(str(story.warehouse.file)) as connection:
        connection.execute(
            f"DELETE FROM {dataset}._dlt_loads WHERE load_id IN "
            f"(SELECT max(load_id) FROM {dataset}._syncs WHERE resource = '{resource}')"
        )
