"""The DAG in a running Airflow: scheduler, dag processor, API server, LocalExecutor.

Four runs, which several tests look at: the schedule's, one by the form in the browser, a late one, and one that fails.

The project is a folder inside a DAG bundle here, so that nothing of ``dags/`` can be imported by accident.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from include.api_video.catalog.endpoints import ENDPOINTS, group_names
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from tests.airflow_home import IS_3_3, Server, own_home, running_airflow, wait_until
from tests.browser import cells, log_in, open_page
from tests.documents import document
from tests.e2e.conftest import world_of
from tests.webhook import Webhook, running_webhook

pytestmark = pytest.mark.slow
DOCUMENT = document("docs/airflow.md")
CHOSEN = ("players", "live_streams")
needs_deadlines = pytest.mark.skipif(not IS_3_3, reason="Airflow's scheduler watches them from 3.3 on")
Run = dict[str, Any]


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with running(world_of(60), Behaviour(rate_limit=100_000)) as demo:
        yield demo


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with running_webhook() as webhook:
        yield webhook


@pytest.fixture(scope="module")
def server(migrated_home: Path, tmp_path_factory: pytest.TempPathFactory, demo: Demo, webhook: Webhook) -> Iterator[Server]:
    airflow = own_home(migrated_home, tmp_path_factory.mktemp("running") / "home")
    (airflow.home / ".airflowignore").write_text("/include/\n/plugins/\n/logs/\n/tmp/\n", encoding="utf-8")
    bundle = {
        "name": "projects",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(airflow.home)},
    }
    (downstream,) = DOCUMENT.blocks("python")
    # The document's example, on a table that each of these runs loads.
    downstream = downstream.replace("api_video.videos", "api_video.players")
    (airflow.home / "dags" / "video_report.py").write_text(downstream, encoding="utf-8")
    environment = {
        **demo_settings(demo),
        "API_VIDEO__ALERTS__WEBHOOK_URL": webhook.url,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",  # HTTP libraries then log their requests
    }
    with running_airflow(airflow, environment) as server:
        yield server


# --- four runs ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scheduled(server: Server) -> Run:
    """The scheduled run that starts once the DAG is unpaused."""
    wait_until("video_report", lambda: server.call("PATCH", "", "video_report", json={"is_paused": False}))
    server.call("PATCH", "", json={"is_paused": False})
    runs = wait_until("a scheduled run", lambda: (server.call("GET", "/dagRuns") or {}).get("dag_runs"))
    run = server.finish(runs[0]["dag_run_id"])
    assert run["state"] == "success", {name: task["state"] for name, task in run["tasks"].items()}
    return run


@pytest.fixture(scope="module")
def page(browser: Browser, server: Server) -> Page:
    return log_in(browser, server)


@pytest.fixture(scope="module")
def by_form(page: Page, server: Server, scheduled: Run, demo: Demo) -> Run:
    """A run of two resources, triggered by the form in a browser: all others are removed from its list."""
    demo.world.update("players", demo.world.ids("players")[0], name="<img src=x onerror=alert(1)>")
    before = {run["dag_run_id"] for run in server.call("GET", "/dagRuns")["dag_runs"]}
    page.goto(f"{server.url}/dags/api_video")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    for endpoint in ENDPOINTS:
        if endpoint.name not in CHOSEN:
            dialog.locator(f"[aria-label='Remove {endpoint.name}'] [role=button]").click()
    dialog.get_by_role("button", name="Trigger").last.click()
    dialog.wait_for(state="hidden")

    def started() -> Any:
        runs = server.call("GET", "/dagRuns")["dag_runs"]
        return [run["dag_run_id"] for run in runs if run["dag_run_id"] not in before and run["run_type"] == "manual"]

    (run_id,) = wait_until("the form's run", started)
    return server.finish(run_id)


@dataclass(frozen=True)
class Late:
    """A run that was held until its deadline had passed; the alerts until then, and all alerts."""

    run: Run
    state_when_told: str
    posts: list[Any]


@pytest.fixture(scope="module")
def late(server: Server, scheduled: Run, demo: Demo, webhook: Webhook) -> Late:
    """A run of players with a full refresh, triggered by the REST API."""
    assert webhook.posts == [], "a good run is not told"
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        release.wait()

    demo.world.add("players", name="Added")
    if IS_3_3:
        demo.behaviour.after(1, "/players", hold)
    run_id, state = start(server, resources=["players"], full_refresh=True), ""
    try:
        if IS_3_3:
            wait_until("the run to ask for players", held.is_set)
            pass_the_deadline(server, run_id)
            wait_until("the alert", lambda: webhook.posts)
            state = server.call("GET", f"/dagRuns/{run_id}")["state"]
    finally:
        release.set()
    run = server.finish(run_id)
    return Late(run, state, list(webhook.posts))


@pytest.fixture(scope="module")
def failed(
    request: pytest.FixtureRequest, server: Server, late: Late, demo: Demo, webhook: Webhook
) -> tuple[Run, list[Any]]:
    """A failed run, and its alerts."""
    with suppress(pytest.skip.Exception):  # no browser on this machine
        request.getfixturevalue("by_form")
    webhook.posts.clear()
    demo.behaviour.fail("/players", status=403, times=None)
    run = server.finish(start(server, resources=["players"]))
    wait_until("the alert", lambda: webhook.posts)
    demo.behaviour.heal()
    if IS_3_3:
        pass_the_deadline(server, run["dag_run_id"])
        wait_until("Airflow to call for it", lambda: callbacks(server, run["dag_run_id"]) == ["success"])
    return run, list(webhook.posts)


def start(server: Server, **conf: Any) -> str:
    """Triggers the DAG; returns the run's id."""
    return str(server.call("POST", "/dagRuns", json={"logical_date": None, "conf": conf})["dag_run_id"])


def metadata(server: Server, sql: str, *args: str) -> list[Any]:
    with sqlite3.connect(server.airflow.home / "airflow.db", timeout=60) as database:
        return database.execute(sql, args).fetchall()


def pass_the_deadline(server: Server, run_id: str) -> None:
    """Moves the run's deadline back to its creation, so that the test need not wait an hour."""
    of_run = "dagrun_id = (SELECT id FROM dag_run WHERE run_id = ?)"
    ((count,),) = metadata(server, f"SELECT count(*) FROM deadline WHERE {of_run} AND NOT missed", run_id)
    assert count == 1
    metadata(server, f"UPDATE deadline SET deadline_time = created_at WHERE {of_run}", run_id)


def callbacks(server: Server, run_id: str) -> list[str]:
    """States of the callbacks for the run's deadline."""
    rows = metadata(
        server,
        "SELECT c.state FROM deadline d JOIN callback c ON c.id = d.callback_id JOIN dag_run r ON r.id = d.dagrun_id "
        "WHERE r.run_id = ? AND d.missed",
        run_id,
    )
    return [row[0] for row in rows]


# --- what was loaded ----------------------------------------------------------------------------------------------------


def test_the_schedule_runs_the_dag_with_its_groups_side_by_side(server: Server, scheduled: Run) -> None:
    assert scheduled["run_type"] == "scheduled"
    spans = {}
    for group, names in group_names().items():
        tasks = [scheduled["tasks"][f"{group}.{name}"] for name in names]
        spans[group] = (min(t["start_date"] for t in tasks), max(t["end_date"] for t in tasks))
    latest_start, first_end = max(start for start, _ in spans.values()), min(end for _, end in spans.values())
    assert datetime.fromisoformat(latest_start[:19]) <= datetime.fromisoformat(first_end[:19]), spans


def test_tables_equal_the_api(server: Server, late: Late, demo: Demo) -> None:
    for endpoint in ENDPOINTS:
        ((count,),) = server.airflow.rows(f"SELECT count(*) FROM api_video_data.{endpoint.name} WHERE removed_at IS NULL")
        if endpoint.asks:
            assert count, f"{endpoint.name}: the check sums compares its numbers"
        else:
            assert count == len(demo.world.ids(endpoint.name)), endpoint.name
    ((added,),) = server.airflow.rows("SELECT count(*) FROM api_video_data.players WHERE name = 'Added'")
    assert added == 1


def test_the_chosen_resources_are_loaded_and_the_others_skipped(server: Server, late: Late) -> None:
    states = {name: task["state"] for name, task in late.run["tasks"].items()}
    assert late.run["state"] == "success", states
    assert {name for name, state in states.items() if state == "success"} == {"prepare", "players.players", "validate"}
    others = [name for name in states if "." in name and name != "players.players"]
    assert {states[name] for name in others} == {"skipped"}
    assert {late.run["tasks"][name]["pid"] for name in others} == {None}, "each of them would be a process"
    run_id = late.run["dag_run_id"]
    modes = server.airflow.rows(f"SELECT mode, count(*) FROM api_video_data._syncs WHERE run_id = '{run_id}' GROUP BY 1")
    assert dict(modes) == {"first": 1, "skipped": len(ENDPOINTS) - 1}, "a full refresh of players alone"
    report = server.call("GET", f"/dagRuns/{run_id}/taskInstances/validate/xcomEntries/report")
    assert '"passed": true' in json.dumps(report) or "'passed': True" in str(report)


def test_the_ledger_has_a_row_per_task_and_run(server: Server, scheduled: Run, late: Late) -> None:
    rows = dict(server.airflow.rows("SELECT run_id, count(DISTINCT resource) FROM api_video_data._syncs GROUP BY 1"))

    assert [rows[run["dag_run_id"]] for run in (scheduled, late.run)] == [len(ENDPOINTS)] * 2


# --- the page -----------------------------------------------------------------------------------------------------------


def test_a_run_by_the_form_shows_on_the_page_as_it_is_in_the_tables(page: Page, server: Server, by_form: Run) -> None:
    run_id = by_form["dag_run_id"]
    assert by_form["state"] == "success"

    frame = open_page(page, server, f"/dags/api_video/runs/{run_id}/plugin/api_video_run")

    expect(frame.get_by_role("heading", name="This run was proven")).to_be_visible()
    for resource in CHOSEN:
        ((new, sent),) = server.airflow.rows(
            f"SELECT new_rows, requests FROM api_video_data._syncs WHERE resource = '{resource}' AND run_id = '{run_id}'"
        )
        row = cells(frame, resource)
        assert (row["State"], row["New"], row["Requests"]) == ("equal", str(new), str(sent))
    left_out = cells(frame, "videos")
    assert "not checked" in left_out["State"]
    assert "Left out of this run." in left_out["State"]
    assert (left_out["New"], left_out["Checks"]) == ("\N{EN DASH}", "none")
    assert frame.locator("img").count() == 0


def test_after_a_failed_run_the_page_says_what_to_do(page: Page, server: Server, failed: tuple[Run, list[Any]]) -> None:
    assert failed[0]["state"] == "failed"

    frame = open_page(page, server)

    expect(frame.get_by_role("heading", name="The last run failed")).to_be_visible()
    expect(frame.get_by_text("players: The API key may not read this (403")).to_be_visible()
    row = cells(frame, "players")
    assert row["State"].startswith("failed")
    assert (row["New"], row["Requests"], row["Checks"]) == ("\N{EN DASH}", "\N{EN DASH}", "0 / 1")
    assert "by an earlier run" in row["Read"], "whose rows are shown"
    frame.get_by_role("button", name="failed 1").click()
    expect(frame.locator(".figures-table tbody tr:visible")).to_have_count(1)
    frame.get_by_role("button", name="Rows", exact=True).click()
    expect(frame.locator("th[aria-sort=descending]")).to_have_text("Rows")
    frame.get_by_role("link", name="Open the last run").click()  # leaves the frame, for Airflow's own page
    page.wait_for_url(re.compile(r"/dags/api_video/runs/"))


# --- assets -------------------------------------------------------------------------------------------------------------


def test_assets_tell_what_was_loaded_and_a_failed_table_tells_nothing(
    server: Server, late: Late, failed: tuple[Run, list[Any]]
) -> None:
    headers = {"Authorization": f"Bearer {server.log_in()}"}
    events = requests.get(f"{server.url}/api/v2/assets/events", params={"limit": 100}, headers=headers, timeout=30).json()

    by_name: dict[str, list[dict[str, Any]]] = {}
    for event in events["asset_events"]:
        by_name.setdefault(event["name"], []).append(event["extra"])

    told = {event["run_id"]: event for event in by_name["api_video.players"]}
    players = told[late.run["dag_run_id"]]
    assert players["active_rows"] == 6
    assert players["checks"]["failed"] == []
    assert players["checks"]["passed"] >= 9
    ((load_id,),) = server.airflow.rows(
        f"SELECT load_id FROM api_video_data._syncs WHERE resource = 'players' AND run_id = '{players['run_id']}'"
    )
    assert players["load_ids"] == [load_id]
    (whole,) = (event for event in by_name["api_video"] if event["run_id"] == players["run_id"])
    assert load_id in whole["load_ids"]
    assert "None" not in whole["load_ids"], "of what was left out"
    succeeded = {run["dag_run_id"] for run in server.call("GET", "/dagRuns")["dag_runs"] if run["state"] == "success"}
    assert set(told) == {event["run_id"] for event in by_name["api_video"]} == succeeded, "a run that failed tells nothing"


def test_a_dag_that_is_scheduled_on_a_table_runs_when_it_was_loaded(server: Server, scheduled: Run) -> None:
    """The document's example DAG runs after each successful load of players."""
    found = wait_until(
        "a run of video_report", lambda: (server.call("GET", "/dagRuns", "video_report") or {}).get("dag_runs")
    )
    run = server.finish(found[0]["dag_run_id"], "video_report")

    assert (run["run_type"], run["state"]) == ("asset_triggered", "success")
    log = server.call("GET", f"/dagRuns/{run['dag_run_id']}/taskInstances/tell/logs/1", "video_report")
    assert re.search(
        r"\d videos, \d new; checks: \{'passed': \d+, 'not_proven': \[\], 'failed': \[\]\}", str(log).replace("\\", "")
    )


# --- alerts: the scheduler watches the deadline, its executor calls, while the run goes on ------------------------------


@needs_deadlines
def test_a_late_run_is_told_once_while_it_goes_on(server: Server, late: Late) -> None:
    assert (late.state_when_told, late.run["state"]) == ("running", "success")
    run_id = late.run["dag_run_id"]
    (post,) = late.posts
    assert post["text"].split("\n") == [
        "api.video: the run is late, it has not ended 60 minutes after it was queued.",
        "It is still active, and the next run waits for it: until then, tables may be out of date.",
        "Open the run to see which task takes long or waits; its log says why.",
        f"Run {run_id}: {server.url}/dags/api_video/runs/{run_id.replace(':', '%3A').replace('+', '%2B')}",
    ]
    assert wait_until("the callback to end", lambda: callbacks(server, run_id) == ["success"])


@needs_deadlines
def test_a_failed_run_is_told_once_also_after_its_deadline(failed: tuple[Run, list[Any]]) -> None:
    run, posts = failed

    assert run["state"] == "failed"
    (post,) = posts
    first, reason, *_ = post["text"].split("\n")
    assert first == "api.video: the run failed, it did not load players."
    assert reason.startswith("players: ApiVideoPermissionError: ")


@needs_deadlines
def test_the_webhook_is_in_no_log_and_not_in_the_database(server: Server, late: Late) -> None:
    """Not even if the HTTP library logs its requests."""
    files = [path for path in server.airflow.home.rglob("*") if path.is_file()]
    assert {"airflow.db", "standalone.log"} <= {path.name for path in files}
    logs = [path.read_text(encoding="utf-8") for path in files if "executor_callbacks" in path.parts]
    assert "An alert was sent: api.video: the run is late" in "".join(logs)
    assert not [path for path in files if b"B0SECRET" in _content(path)]


def _content(path: Path) -> bytes:
    """The bytes of a file in a running Airflow's home, whose tasks remove their working files meanwhile."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
