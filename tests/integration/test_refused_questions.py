"""Questions about viewing that api.video refuses, or answers in another way once: no number is lost, none is invented."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from include.api_video.errors import ApiVideoServerError, find_cause
from include.demo_api import analytics as demo_analytics
from tests.integration.conftest import Warehouse
from tests.integration.test_analytics import DAY, FEW, HOUR, NOON, Story

PLAYS = "/data/metrics/play/count"


@pytest.fixture
def story(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Story:
    return Story(warehouse, monkeypatch)


# --- one question of several ------------------------------------------------------------------------------------------


def test_a_question_that_is_refused_once_leaves_its_numbers_and_is_asked_again(story: Story) -> None:
    story.keep(2)
    story.load(*FEW)
    before = dict(story.rows("SELECT country_day_key, impressions FROM analytics_countries"))
    story.demo.behaviour.fail("/data/buckets/impression/(country|media-id)", times=None, status=400)
    story.load(*FEW, after=HOUR, red=True)

    refused = dict(story.rows("SELECT country_day_key, impressions FROM analytics_countries WHERE removed_at IS NULL"))
    assert before.items() <= refused.items()
    assert story.rows("SELECT count(*) FROM analytics_videos WHERE removed_at IS NOT NULL") == [(0,)]

    story.demo.behaviour.heal()
    story.viewing.quiet()
    story.load(*FEW, after=timedelta(minutes=1))
    assert story.rows("SELECT count(*) FROM analytics_countries WHERE impressions IS NULL") == [(0,)]
    ((days, countries),) = story.rows(
        "SELECT (SELECT sum(impressions) FROM analytics_days), "
        "(SELECT sum(impressions) FROM analytics_countries WHERE removed_at IS NULL)"
    )
    assert days == countries


def test_a_list_that_is_forbidden_is_requested_again(story: Story) -> None:
    """Unlike a 400, by which api.video says that it has forgotten a day."""
    story.keep(2)
    story.demo.behaviour.fail("/data/buckets/play/media-id", "status", times=None, status=404)
    story.demo.behaviour.fail("/data/buckets/.*/country", "status", times=None, status=404)
    story.load("analytics_days", "analytics_countries", red=True)
    assert story.rows("SELECT count(*) FROM analytics_countries") == [(0,)]
    story.demo.behaviour.heal()
    story.viewing.quiet()
    story.load("analytics_days", "analytics_countries", after=timedelta(minutes=1))
    story.assert_equal(tables=("analytics_countries",))


# --- pages -----------------------------------------------------------------------------------------------------------


def test_pages_of_an_answer_do_not_repeat_each_other(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a sort order, rows with the same number may come in another order with each page."""
    monkeypatch.setattr(demo_analytics, "MAX_PAGE_SIZE", 100)
    envelope = demo_analytics._Asked.envelope

    def small(asked: Any, context: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
        asked.size = 5
        return envelope(asked, context, rows)

    monkeypatch.setattr(demo_analytics._Asked, "envelope", small)
    story.keep(1)
    story.load(*FEW)
    assert any("currentPage=3" in request.query for request in story.demo.log)
    story.assert_equal(tables=FEW)


def test_a_page_that_repeats_a_row_is_read_again_by_the_next_run(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    envelope = demo_analytics._Asked.envelope

    def moved(asked: Any, context: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
        body = envelope(asked, context, rows)
        if context.get("breakdown") == "country" and len(body["data"]) > 1:
            body["data"][-1] = body["data"][0]
        return body

    story.keep(1)
    with monkeypatch.context() as patch:
        patch.setattr(demo_analytics._Asked, "envelope", moved)
        run = story.load(*FEW, red=True)
    ((check,),) = [[c for c in run.report.checks if (c.table, c.name) == ("analytics_countries", "complete")]]
    assert check.passed is None
    story.viewing.quiet()
    story.load(*FEW, after=timedelta(minutes=1))
    story.assert_equal(tables=FEW)


# --- how far back api.video goes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["status", "null"])
def test_one_odd_answer_to_how_far_back_api_video_goes_costs_no_day(
    story: Story, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """The third question is the one for 30 days."""
    asked: list[datetime] = []
    total = story.viewing.total

    def odd(metric: str, aggregation: str, start: datetime, *more: Any) -> Any:
        if metric == "play" and start < NOON - 29 * DAY and not asked:
            asked.append(start)
            return "many"
        return total(metric, aggregation, start, *more)

    if answer == "null":
        monkeypatch.setattr(story.viewing, "total", odd)
    else:
        story.demo.behaviour.fail(PLAYS, times=3, status=400)
    run = story.load("analytics_days", red=True)
    assert isinstance(find_cause(run.errors["analytics_days"], ApiVideoServerError), ApiVideoServerError)

    story.demo.behaviour.heal()
    story.load("analytics_days", after=timedelta(minutes=1))
    assert len(story.rows("SELECT day FROM analytics_days")) == 31
    story.assert_equal(tables=())


def test_an_api_that_tells_0_of_what_it_has_forgotten_is_not_believed(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    total = story.viewing.total
    story.viewing.retention = 400 * DAY

    def forgetful(metric: str, aggregation: str, start: datetime, *more: Any) -> float:
        return 0.0 if start < NOON - 30 * DAY else total(metric, aggregation, start, *more)

    monkeypatch.setattr(story.viewing, "total", forgetful)
    story.load("analytics_days")
    assert len(story.rows("SELECT day FROM analytics_days")) == 31


# --- days without viewing -----------------------------------------------------------------------------------------------


def test_a_day_without_viewing_costs_its_totals_alone(story: Story) -> None:
    story.keep(3)
    story.viewing.plays_a_day = 0
    story.viewing.quiet()
    story.clock.now += 3 * DAY
    run = story.load(*FEW)
    days = len(story.rows("SELECT day FROM analytics_days"))
    assert days == 4
    assert [run.sync(name)["requests"] for name in FEW[1:]] == [0, 0, 0]
    assert not run.report.failed


def test_hours_that_api_video_fills_with_0_have_no_row(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    series = story.viewing.series

    def filled(metric: str, step_s: int, start: datetime, end: datetime, where: Any) -> dict[str, float]:
        hours = {(start + n * HOUR).isoformat(): 0.0 for n in range(int((end - start) / HOUR))}
        return {**hours, **series(metric, step_s, start, end, where)}

    story.keep(1)
    monkeypatch.setattr(story.viewing, "series", filled)
    story.load(*FEW)
    story.assert_equal(tables=FEW)
    assert story.rows("SELECT count(*) FROM analytics_hours WHERE impressions = 0 AND plays = 0") == [(0,)]
