"""Analytics in the destinations that can run here: from a first load to a full refresh."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.pipeline.exceptions import PipelineStepFailed

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.naming import snake
from include.api_video.sync.day_spans import LAG
from tests.integration import test_analytics
from tests.integration.test_analytics import DIMENSIONS, HOUR, Story
from tests.integration.test_destinations import AnyWarehouse, anywhere, database, places, postgres

__all__ = ["anywhere", "database", "postgres"]  # fixtures

EVENING = datetime(2026, 11, 26, 22, 30, tzinfo=timezone.utc)
MINUTES = timedelta(minutes=10)
HOURLY = ("analytics_days", "analytics_hours", "analytics_videos", "analytics_countries")  # one of each kind of query
AT_CLOSE = ("analytics_video_countries", "analytics_watch_time")
ALL = (*HOURLY, *AT_CLOSE, "analytics_totals")


@pytest.fixture
def story(anywhere: AnyWarehouse, monkeypatch: pytest.MonkeyPatch) -> Story:
    """At half past ten in the evening, by a contract that keeps three days."""
    monkeypatch.setattr(test_analytics, "DIMENSIONS", {name: DIMENSIONS[name] for name in HOURLY if name in DIMENSIONS})
    story = Story(anywhere, monkeypatch)
    story.keep(3)
    story.clock.now = EVENING
    return story


@places("postgres", "filesystem")
def test_some_days_of_analytics(story: Story) -> None:
    """The check ``sums`` is one of those that each run passes."""
    with story.at(EVENING - LAG):
        story.viewing.quiet()
    story.load(*ALL)
    assert story.states() == {"partial": 1, "closed": 2, "open": 1}
    assert_right(story)
    before = loaded(story)
    story.load(*HOURLY, after=MINUTES)
    assert sum(story.asked().values()) == 8
    assert loaded(story) == before, "an hour without plays writes no row"

    story.viewing.wake()
    kill(story, "analytics_days", after=HOUR)
    kill(story, "analytics_videos")
    story.load(*ALL, after=2 * HOUR)
    assert story.states() == {"partial": 1, "closed": 3, "open": 1}
    assert_right(story)

    story.load(*ALL, after=HOUR, full_refresh=True)
    assert_right(story)


@places("ducklake in sqlite")
def test_a_first_load_and_a_second_one(story: Story) -> None:
    """Shorter, since each load into a DuckLake takes seconds."""
    story.load(*HOURLY)
    kill(story, "analytics_days", after=2 * HOUR)
    story.load(*HOURLY, after=MINUTES)
    assert story.states() == {"partial": 1, "closed": 3, "open": 1}
    story.assert_equal()


def kill(story: Story, resource: str, after: timedelta = timedelta(0)) -> None:
    """A load that ends when all its rows are written, just before it counts."""

    def end(*_: object) -> None:
        raise RuntimeError("killed")

    with pytest.MonkeyPatch.context() as patch:
        for client in (SqlJobClientBase, FilesystemClient):
            patch.setattr(client, "complete_load", end)
        with pytest.raises(PipelineStepFailed, match="killed"):
            story.load(resource, after=after)


def loaded(story: Story) -> dict[str, object]:
    """How many rows each table has, and the newest load that wrote one."""
    return {table: story.rows(f"SELECT count(*), max(_dlt_load_id) FROM {table}") for table in HOURLY}


def assert_right(story: Story) -> None:
    """Each day has the numbers of the viewing, in all tables, and no row is there twice."""
    story.assert_equal()
    for table in ALL:
        key = snake(by_name()[table].key)
        assert story.rows(f"SELECT {key} FROM {table} GROUP BY {key} HAVING count(*) > 1") == [], table
    plays = "SELECT day, country, sum(plays) FROM {} WHERE day < '2026-11-26' AND plays > 0 GROUP BY 1, 2 ORDER BY 1, 2"
    assert story.rows(plays.format("analytics_video_countries")) == story.rows(plays.format("analytics_countries"))
    watched = story.rows(
        "SELECT w.media_id, w.watch_time_s, d.day_start, d.read_to, d._read_at FROM analytics_watch_time w "
        "JOIN analytics_days d ON d.day = w.day"
    )
    for media, seconds, start, end, read_at in watched:
        with story.at(read_at):
            assert seconds == story.viewing.total("watch-time", "sum", start, end, {"mediaId": [media]})
    assert watched
