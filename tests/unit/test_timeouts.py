"""Time limits of the tasks and of the run."""

from __future__ import annotations

import sys
from datetime import timedelta

import pytest

from tests.airflow_home import PROJECT

sys.path += [str(PROJECT / "dags")]
from api_video_timeouts import LEVELS, LIST, load_timeout, run_timeout

from include.api_video.api.work_time import READS_PER_MINUTE, SLACK, spell, time_for
from include.api_video.catalog.endpoints import ENDPOINTS, upstream
from include.api_video.settings.accounts import Account

SOURCE = "SOURCES__API_VIDEO_SOURCE__"


@pytest.mark.parametrize("environment", READS_PER_MINUTE)
def test_a_first_load_of_a_million_videos_has_three_times_what_the_limit_makes_it(environment: str) -> None:
    pages = 10_000
    assert timedelta(minutes=pages / READS_PER_MINUTE[environment]) * 3 < LIST


@pytest.mark.parametrize(("budget", "hours"), [("3000", 7.5), ("25000", 14.8), ("oops", 7.5)])
def test_the_budget_of_details_adds_to_it(monkeypatch: pytest.MonkeyPatch, budget: str, hours: float) -> None:
    monkeypatch.setenv(SOURCE + "MAX_DETAIL_REQUESTS", budget)
    assert load_timeout(Account()) / timedelta(hours=1) == pytest.approx(hours, abs=0.1)


def test_a_run_has_time_for_its_longest_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """So `validate` still runs if the tasks before it use up their time."""

    def level(name: str) -> int:
        return 1 + max((level(parent) for parent in upstream(next(e for e in ENDPOINTS if e.name == name))), default=0)

    assert max(level(endpoint.name) for endpoint in ENDPOINTS) == LEVELS
    assert run_timeout(Account()) > LEVELS * load_timeout(Account()) + timedelta(hours=2)


def test_time_is_spelled_as_people_read_it() -> None:
    times = [3, 60, 3600, time_for(3000, 500), time_for(10_000, 500)]
    assert [spell(seconds) for seconds in times] == ["3 s", "1 min", "1 h", "1 h 30 min", "3 h 50 min"]
    assert SLACK == 10
