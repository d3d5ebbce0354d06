"""From what runs left in Airflow to what the page says."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from api_video_airflow.state import History, PageState, Run, build_state

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def sync(resource: str, finished_at: datetime, **values: Any) -> dict[str, Any]:
    counts = {"active_rows": 10, "new_rows": 0, "changed_rows": 0, "removed_rows": 0, "drifted_rows": 0, "waiting_rows": 0}
    counts |= {"requests": 1, "expected_requests": 1, "rate_limited": 0, "rate_limit": 500}
    started_at = (finished_at - timedelta(seconds=2)).isoformat()
    row = {"resource": resource, "mode": "changes", "started_at": started_at, "finished_at": finished_at.isoformat()}
    return {**row, **counts, **values}


def check(table: str, name: str = "complete", passed: bool = True, note: str = "") -> dict[str, Any]:
    return {"table": table, "name": name, "passed": passed, "expected": "10 rows", "found": "9 rows", "note": note}


def run(hours_ago: float, syncs: list[dict[str, Any]], checks: list[dict[str, Any]], state: str = "success") -> Run:
    at = NOW - timedelta(hours=hours_ago)
    report = {"checked_at": at.isoformat(), "syncs": syncs, "checks": checks}
    return Run(f"run{hours_ago}", state, at - timedelta(seconds=20), at, report)


def page(*newest_first: Run) -> PageState:
    outcomes = [(r.state, r.started_at, r.ended_at) for r in newest_first]
    return build_state(History(newest_first, outcomes), NOW)


def test_without_a_run_there_is_nothing_to_show() -> None:
    assert page().kind == "empty"


def test_the_first_run_under_way_counts_its_tasks() -> None:
    state = page(Run("r", "running", NOW, None, tasks={"prepare": "success", "videos.videos": "running", "validate": None}))

    assert (state.kind, state.progress, state.newest) == ("running", (1, 3), None)


def test_a_proven_run_says_since_when_all_of_them_were() -> None:
    runs = [run(hour, [sync("videos", NOW)], [check("videos")]) for hour in (0, 1, 2)]

    state = page(*runs, run(3, [], [check("videos", passed=False)], "failed"), run(4, [], [check("videos")]))

    assert (state.kind, state.streak) == ("proven", 3)
    assert state.streak_s == 2 * 3600 + 20
    assert state.resources[0].checks[0].held == [True, False, True, True, True]


def test_a_run_that_is_under_way_does_not_end_the_streak() -> None:
    state = page(Run("now", "running", NOW, None), run(1, [sync("videos", NOW)], [check("videos")]))

    assert (state.kind, state.streak, state.running.run_id if state.running else None) == ("proven", 1, "now")


def test_a_failed_run_says_what_to_do_once_for_all_tables_that_failed_alike() -> None:
    said = "ApiVideoKeyError: api.video refused the API key. Set another."
    checks = [check(name, "synced", passed=False, note=said) for name in ("videos", "players")]
    checks.append(check("summaries", passed=False, note="A full refresh loads it anew."))

    state = page(run(0, [], checks, "failed"))

    assert state.kind == "failed"
    assert state.sentences == [
        "videos, players: api.video refused the API key. Set another.",
        "summaries: complete: expected 10 rows, found 9 rows. A full refresh loads it anew.",
    ]


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ({"prepare": "MissingKeyError: No key."}, ["No key."]),
        ({}, ["The run ended before it could say why: see the logs of its tasks in Airflow, then trigger it again."]),
    ],
)
def test_a_failed_run_without_a_report_says_what_its_tasks_said(errors: dict[str, str], said: list[str]) -> None:
    assert page(Run("r", "failed", NOW, NOW, errors=errors)).sentences == said


def test_a_table_that_was_left_out_shows_what_was_loaded_before() -> None:
    left_out = sync("players", NOW, mode="skipped", active_rows=5)
    before = sync("players", NOW - timedelta(hours=4), active_rows=5, new_rows=5)

    (players,) = page(run(0, [left_out], [check("players")]), run(4, [before], [check("players")])).resources

    assert (players.left_out, players.sync["new_rows"], players.state, players.age_s) == (True, 5, "stale", 4 * 3600)


def test_requests_are_held_against_what_was_expected_and_what_the_api_allows() -> None:
    syncs = [sync("videos", NOW, requests=30, expected_requests=20), sync("players", NOW, requests=20)]

    state = page(run(0, syncs, [check("videos"), check("players")]))

    assert (state.requests, state.expected, state.rate_limit, state.limit_share) == (50, 21, 500, 0.1)


def test_changed_rows_are_drawn_without_those_that_drifted() -> None:
    state = page(run(0, [sync("videos", NOW, changed_rows=7, drifted_rows=2)], [check("videos")]))

    assert (state.chart["changed_rows"], state.chart["drifted_rows"]) == ([5], [2])


def test_nothing_in_the_series_can_end_the_script_that_holds_them() -> None:
    state = page(run(0, [sync("</script><b>&", NOW)], [check("videos")]))

    assert not set("<>&") & set(state.chart_json)
    assert json.loads(state.chart_json)["rows"]["</script><b>&"] == [10]
