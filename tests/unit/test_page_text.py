"""The text of the page, rendered from reports without Airflow."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from api_video_airflow.page import TEMPLATES
from api_video_airflow.runs import Run
from api_video_airflow.state import PageState

from tests.unit.test_page_state import NOW, check, page, proven, run, skipped, sync

SAID = "api.video says 351, three readings listed 350 different videos."


def text(state: PageState, **values: Any) -> str:
    """The visible text, on one line."""
    shown = {"base": "", "dag_id": "api_video", "dag_ids": ["api_video"], "run_id": None, "has_demo": False, **values}
    html = TEMPLATES.get_template("page.html").render(state=state, **shown)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.replace("<code>", "").replace("</code>", "")))


def test_a_proven_run_says_equal_and_since_which_proof() -> None:
    said = text(page(*(proven(hour, "videos") for hour in (0, 1, 2))))

    assert "Equal to what api.video lists 1 of 1 checks held just now, as in the 3 runs up to now; " in said
    assert "the first proof of them is 2 h old." in said
    assert "Proven equal for 2 h 3 runs in a row proved what they read" in said


def test_a_run_that_left_tables_out_says_equal_of_what_it_read_only() -> None:
    left = run(0, [sync("videos", NOW), skipped("players")], [check("videos"), check("players")])

    said = text(page(left, proven(4, "videos", "players")))

    assert "What was read equals what api.video lists" in said
    assert "Not checked: players . Left out of this run." in said
    assert "1 / 1 held; 1 table not checked" in said
    assert "in 2 tables, 1 as of an earlier run" in said
    assert "not checked Left out of this run. Last proven 2026-03-01 08:00 UTC." in said
    assert "4 h ago by an earlier run none" in said
    assert "0 / 0" not in said


def test_what_is_not_proven_is_told_with_its_reason_since_when_and_what_follows() -> None:
    since = NOW - timedelta(hours=5)
    row = sync("videos", NOW, unproven=SAID, unproven_since=since.isoformat())

    said = text(page(run(0, [row], [check("videos"), check("videos", "keys", passed=None)])))

    assert f"Loaded, but not all of it is proven videos : {SAID} Not proven since 2026-03-01 07:00 UTC." in said
    assert "a table that is not proven for unproven_hours fails the run" in said
    assert "1 / 2 held, 1 not proven" in said
    assert "not now the last run was not proven" in said


def test_a_failed_run_tells_failures_and_open_proofs_apart() -> None:
    checks = [check("videos", passed=None), check("players", "synced", passed=False, note="ApiVideoKeyError: No key.")]
    row = sync("videos", NOW, unproven=SAID)

    said = text(page(run(0, [row], checks, "failed"), proven(1, "videos", "players")))

    assert "The last run failed players: No key. What an earlier run loaded stays in players." in said
    assert f"Not proven, but no failure videos : {SAID}" in said
    assert "0 / 2 held, 1 not proven, 1 failed" in said


NO_REPORT = "It left no report: whatever it loaded is not checked, and the figures below are those of earlier runs."


@pytest.mark.parametrize(
    ("newest", "said_of_it", "figures"),
    [
        (
            Run("r", "failed", NOW, NOW, errors={"prepare": "MissingKeyError: No key."}),
            f"The last run failed No key. {NO_REPORT}",
            "it left no report",
        ),
        (Run("r", "success", NOW, NOW), "The last run left no report Its task validate did not run", "it left no report"),
        (
            run(0, [skipped("videos")], [check("videos", "synced")]),
            "The last run read nothing So it proved nothing either: the figures below are those of earlier runs.",
            "none are counted: it loaded no table",
        ),
    ],
)
def test_where_nothing_was_read_no_old_figure_passes_for_a_new_one(newest: Run, said_of_it: str, figures: str) -> None:
    said = text(page(newest, proven(1, "videos")))

    assert said_of_it in said
    assert f"Requests of the last run \N{EN DASH} {figures}" in said
    assert "Checks of the last run none" in said
    assert "; 1 table not checked" in said
    assert "1 h ago by an earlier run none" in said
    assert "Equal to what" not in said


def test_a_proof_of_yesterday_is_not_told_in_the_present() -> None:
    said = text(page(proven(30, "videos")))

    assert "Equal to what api.video listed 30 h ago" in said
    assert "Nothing has looked since: unpause the DAG, or trigger it." in said
    assert "out of date" in said
    assert "Proven equal until 30 h ago" in said


def test_demo_data_is_called_so_and_what_to_do_is_said() -> None:
    said = text(page(run(0, [sync("videos", NOW, base_url="local")], [check("videos")])))

    assert "Demo data These tables are the demo API's, none is of your account." in said
    assert "put its API key into an Airflow Connection api_video ( Connections ) and trigger the DAG" in said
    assert "Equal to what the demo API lists" in said


@pytest.mark.parametrize("has_demo", [True, False])
def test_the_empty_page_says_what_a_run_without_a_key_loads(has_demo: bool) -> None:
    assert ("Without a key, a run loads the demo's data." in text(page(), has_demo=has_demo)) is has_demo
