"""The state of the page, from what runs left in Airflow."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from api_video_airflow.runs import History, Run, proof_of
from api_video_airflow.state import PageState, build_state
from api_video_airflow.tables import ResourceState

from include.api_video.proof.checks import Check
from include.api_video.proof.report import Report

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def sync(resource: str, finished_at: datetime, **values: Any) -> dict[str, Any]:
    counts = {"active_rows": 10, "new_rows": 0, "changed_rows": 0, "removed_rows": 0, "drifted_rows": 0, "waiting_rows": 0}
    counts |= {"requests": 1, "expected_requests": 1, "rate_limited": 0, "rate_limit": 500}
    started_at = (finished_at - timedelta(seconds=2)).isoformat()
    row = {"resource": resource, "mode": "changes", "started_at": started_at, "finished_at": finished_at.isoformat()}
    return {**row, **counts, "base_url": "https://ws.api.video", **values}


def skipped(resource: str, **values: Any) -> dict[str, Any]:
    return sync(resource, NOW, mode="skipped", base_url=None, requests=0, **values)


def check(table: str, name: str = "complete", passed: bool | None = True, note: str = "") -> dict[str, Any]:
    return {"table": table, "name": name, "passed": passed, "expected": "10 rows", "found": "9 rows", "note": note}


def run(hours_ago: float, syncs: list[dict[str, Any]], checks: list[dict[str, Any]], state: str = "success") -> Run:
    at = NOW - timedelta(hours=hours_ago)
    report = {"checked_at": at.isoformat(), "syncs": syncs, "checks": checks}
    return Run(f"run{hours_ago}", state, at - timedelta(minutes=30), at, report)


def proven(hours_ago: float, *names: str) -> Run:
    """A run that read and proved its tables."""
    at = NOW - timedelta(hours=hours_ago)
    return run(hours_ago, [sync(name, at) for name in names], [check(name) for name in names])


def page(*newest_first: Run) -> PageState:
    proofs = [proof_of(run.state, run.report) for run in newest_first]
    return build_state(History(newest_first, proofs), NOW)


def table(state: PageState, name: str) -> ResourceState:
    return next(resource for resource in state.resources if resource.name == name)


def test_without_a_run_there_is_nothing_to_show() -> None:
    assert page().kind == "empty"


def test_the_first_run_under_way_counts_its_tasks() -> None:
    state = page(Run("r", "running", NOW, None, tasks={"prepare": "success", "videos.videos": "running", "validate": None}))

    assert (state.kind, state.progress, state.newest) == ("running", (1, 3), None)


def test_a_run_that_is_under_way_does_not_end_the_streak() -> None:
    state = page(Run("now", "running", NOW, None), proven(1, "videos"))

    assert (state.kind, state.streak, state.running.run_id if state.running else None) == ("proven", 1, "now")


# --- proven, not proven, not checked -----------------------------------------------------------------------------------


def test_equality_counts_from_the_first_proof_and_not_from_the_start_of_its_run() -> None:
    """Each run takes half an hour; its proof counts from its end."""
    runs = [proven(hour, "videos") for hour in (0, 1, 2)]

    state = page(*runs, run(3, [], [check("videos", passed=False)], "failed"), proven(4, "videos"))

    assert (state.kind, state.streak, state.streak_s) == ("proven", 3, 2 * 3600)
    assert state.resources[0].checks[0].marks == ["held", "broke", "held", "held", "held"]
    assert state.resources[0].checks[0].history == "held in 4 of 5 runs, did not hold in 1"


def test_a_run_that_is_not_proven_is_no_failure_and_ends_the_row_of_proven_ones() -> None:
    said = "api.video says 351, three readings listed 350 different videos."
    since = NOW - timedelta(hours=5)
    open_sync = sync("videos", NOW, unproven=said, unproven_since=since.isoformat())
    opened = run(1, [open_sync], [check("videos", passed=None, note=said), check("videos", "keys")])

    now, later = page(opened, proven(2, "videos")), page(proven(0, "videos"), opened, proven(2, "videos"))

    videos = table(now, "videos")
    assert (now.kind, now.sentences, now.streak) == ("unproven", [], 0)
    assert (videos.state, videos.verdict, videos.reason, videos.since) == ("unproven", "not proven", said, since)
    assert (now.held, now.open, now.made) == (1, 1, 2)
    assert videos.checks[0].marks == ["held", "open"]
    assert videos.checks[0].history == "held in 1 of 2 runs, not proven in 1"
    assert (later.kind, later.streak, later.streak_s) == ("proven", 1, 0)


def test_a_proof_that_is_missing_for_too_long_fails_with_its_reason_and_since_when() -> None:
    said, since = "api.video says 351, three readings listed 350.", NOW - timedelta(hours=25)
    row = sync("videos", NOW, unproven=said, unproven_since=since.isoformat())

    state = page(run(0, [row], [check("videos", passed=False, note=said)], "failed"))

    videos = table(state, "videos")
    assert (state.kind, videos.state, videos.reason) == ("failed", "failed", f"Not proven for too long: {said}")
    assert videos.since == since


def test_without_a_word_of_the_ledger_a_table_is_not_proven_since_the_first_run_that_could_not() -> None:
    opened = [run(hour, [sync("videos", NOW)], [check("videos", passed=None, note="Why.")]) for hour in (0, 1, 2)]

    videos = table(page(*opened, proven(3, "videos")), "videos")

    assert (videos.reason, videos.since, videos.proven_at) == (
        "Why.",
        NOW - timedelta(hours=2),
        NOW - timedelta(hours=3),
    )


def test_a_table_that_the_newest_run_does_not_check_is_not_checked() -> None:
    """Such a table was shown as equal, with 0 of 0 checks."""
    state = page(proven(0, "videos"), proven(1, "videos", "players"))

    players = table(state, "players")
    assert (players.state, players.reason) == ("unchecked", "This run has no task for it.")
    assert (players.proven_at, players.current) == (NOW - timedelta(hours=1), [])
    assert (state.kind, state.held, state.made) == ("proven", 1, 1)


def test_a_table_that_was_left_out_keeps_the_figures_of_the_run_that_read_it_under_its_name() -> None:
    read = run(4, [sync("players", NOW - timedelta(hours=4), active_rows=5, new_rows=5)], [check("players")])
    now = run(0, [sync("videos", NOW), skipped("players", active_rows=5)], [check("videos"), check("players")])

    players = table(page(now, read), "players")

    assert (players.state, players.verdict, players.reason) == ("unchecked", "not checked", "Left out of this run.")
    assert (players.is_current, players.run, players.sync["new_rows"], players.age_s) == (False, read, 5, 4 * 3600)
    assert [check.mark for check in players.checks] == ["earlier"], "over what an earlier run read"
    assert players.checks[0].marks == ["held", "none"]


def test_a_table_that_the_api_refused_says_so() -> None:
    said = "The admin key may not read this (403)."
    report = {"checked_at": NOW.isoformat(), "syncs": [skipped("keys")], "checks": [check("keys", "synced")]}

    refused = Run("r", "success", NOW, NOW, report, refused={"account.keys": said})

    assert (table(page(refused), "keys").state, table(page(refused), "keys").reason) == ("unchecked", said)


def test_a_run_that_read_nothing_proves_nothing_and_breaks_nothing() -> None:
    state = page(run(0, [skipped("videos")], [check("videos"), check("videos", "synced")]), proven(1, "videos"))

    assert (state.kind, state.held, state.made, state.requests) == ("unchecked", 0, 0, None)
    assert (state.streak, state.streak_s) == (1, 3600)


def test_a_run_whose_validation_did_not_run_says_why_each_table_is_not_checked() -> None:
    ended = Run("r", "failed", NOW, NOW, errors={"players.players": "ApiVideoServerError: It answered 500."})

    state = page(ended, proven(1, "videos", "players"))

    assert {resource.name: (resource.state, resource.reason) for resource in state.resources} == {
        "videos": ("unchecked", "validate did not run, or failed itself."),
        "players": ("unchecked", "Its task failed: It answered 500."),
    }
    assert (state.kind, state.held, state.made, state.requests, len(state.earlier)) == ("failed", 0, 0, None, 2)
    assert {check.mark for resource in state.resources for check in resource.checks} == {"earlier"}


def test_a_run_that_succeeded_without_a_report_proved_nothing() -> None:
    """Somebody marked the run as success."""
    state = page(Run("r", "success", NOW, NOW), proven(1, "videos"))

    assert (state.kind, state.streak, table(state, "videos").state) == ("unchecked", 0, "unchecked")


def test_old_data_is_not_sold_as_what_a_failed_run_proved() -> None:
    """The table's check "complete" passed, but on rows of an earlier run."""
    checks = [
        check("videos", "synced", passed=False, note="ApiVideoKeyError: No."),
        check("videos"),
        check("videos", "keys"),
    ]

    state = page(run(0, [], checks, "failed"), proven(1, "videos"))

    videos = table(state, "videos")
    assert (videos.state, videos.reason) == ("failed", "Not loaded: its task failed or did not run.")
    assert (state.held, state.made, state.requests, state.expected) == (0, 1, None, None)
    assert [(check.name, check.mark) for check in videos.checks] == [
        ("synced", "broke"),
        ("complete", "earlier"),
        ("keys", "earlier"),
    ]
    assert videos.checks[1].marks == ["held", "none"]
    assert (state.rows, [resource.name for resource in state.earlier]) == (10, ["videos"])


def test_what_is_wrong_in_old_data_is_wrong_now() -> None:
    left = run(0, [skipped("videos")], [check("videos", "synced"), check("videos", "loads", passed=False)], "failed")

    state = page(left, proven(1, "videos"))

    assert (state.kind, table(state, "videos").state, table(state, "videos").reason) == (
        "failed",
        "failed",
        "Does not hold: loads.",
    )


def test_a_proof_that_nothing_renewed_is_out_of_date() -> None:
    state = page(proven(4, "videos"))

    assert (state.kind, table(state, "videos").state, state.age_s) == ("stale", "stale", 4 * 3600)


@pytest.mark.parametrize(("fresh_for_s", "kind"), [(1800, "stale"), (86_400, "proven"), (None, "proven")])
def test_out_of_date_is_what_the_schedule_of_the_newest_report_says(fresh_for_s: float | None, kind: str) -> None:
    newest = proven(4, "videos")
    newest = replace(newest, report={**(newest.report or {}), "fresh_for_s": fresh_for_s})

    state = page(newest, proven(5, "videos"))

    assert (state.kind, table(state, "videos").state) == (kind, kind)
    assert (state.proof_age_s is None) == (kind == "proven")


def test_tables_are_counted_by_state_for_those_who_look_for_one() -> None:
    left = run(0, [sync("videos", NOW), skipped("players")], [check("videos"), check("players")])
    assert page(left).counts == {"unchecked": ("not checked", 1), "proven": ("equal", 1)}


# --- the demo ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base_url", ["demo", "local"])
def test_demo_data_is_called_so_also_after_a_run_that_failed(base_url: str) -> None:
    demo = run(1, [sync("videos", NOW, base_url=base_url)], [check("videos")])
    failed = run(0, [], [check("videos", "synced", passed=False, note="No.")], "failed")

    assert (page(demo).is_demo, page(failed, demo).is_demo, page(proven(0, "videos")).is_demo) == (True, True, False)


def test_the_tables_and_proofs_of_the_demo_are_none_of_the_account_that_came_after_it() -> None:
    """The demo's rows were dropped when the account was first read."""
    demo = run(1, [sync("videos", NOW, base_url="demo"), sync("video", NOW, base_url="demo")], [check("video")])

    state = page(proven(0, "videos"), demo)

    assert (state.is_demo, [resource.name for resource in state.resources], state.streak) == (False, ["videos"], 1)


# --- short proofs, for runs of which the page reads nothing else ---------------------------------------------------------


def test_the_short_of_a_report_proves_what_the_report_does() -> None:
    checks = [Check("videos", "synced", True, "a sync of this run", "changes")]
    opened = [Check("videos", "complete", None, "351 rows", "350 rows", "Why.")]
    syncs = [sync("videos", NOW), skipped("players")]

    for report in (
        Report("r", NOW, syncs, checks),
        Report("r", NOW, syncs, checks + opened),
        Report("r", NOW, syncs[1:], checks),
    ):
        assert proof_of("success", report.proof()) == proof_of("success", report.to_json())
    assert proof_of("success", Report("r", NOW, syncs, checks).proof()).proven is True
    assert proof_of("success", Report("r", NOW, syncs, checks + opened).proof()).proven is False
    assert proof_of("success", Report("r", NOW, syncs[1:], checks).proof()).proven is None


# --- what went wrong, figures, charts ------------------------------------------------------------------------------------


def test_a_failed_run_says_what_to_do_once_for_all_tables_that_failed_alike() -> None:
    said = "ApiVideoKeyError: api.video refused the API key. Set another."
    checks = [check(name, "synced", passed=False, note=said) for name in ("videos", "players")]
    checks.append(check("summaries", passed=False, note="A full refresh reloads it."))

    state = page(run(0, [], checks, "failed"))

    assert state.kind == "failed"
    assert state.sentences == [
        "videos, players: api.video refused the API key. Set another.",
        "summaries: complete: expected 10 rows, found 9 rows. A full refresh reloads it.",
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


def test_requests_are_held_against_what_was_expected_and_what_the_api_allows() -> None:
    syncs = [sync("videos", NOW, requests=900, expected_requests=20), sync("players", NOW, requests=600)]

    state = page(run(0, syncs, [check("videos"), check("players")]))

    # In half an hour, the rate limit allows 15,000.
    assert (state.requests, state.expected, state.rate_limit, state.limit_share) == (1500, 21, 500, 0.1)


def test_changed_rows_are_drawn_without_those_that_drifted() -> None:
    state = page(run(0, [sync("videos", NOW, changed_rows=7, drifted_rows=2)], [check("videos")]))

    assert (state.chart["changed_rows"], state.chart["drifted_rows"]) == ([5], [2])


def test_nothing_in_the_series_can_end_the_script_that_holds_them() -> None:
    state = page(run(0, [sync("</script><b>&", NOW)], [check("videos")]))

    assert not set("<>&") & set(state.chart_json)
    assert json.loads(state.chart_json)["rows"]["</script><b>&"] == [10]
