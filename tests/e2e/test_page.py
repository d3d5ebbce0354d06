"""The page "api.video" in a real browser, on a real Airflow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, FrameLocator, Page, expect

from include.api_video.endpoints import ENDPOINTS
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.airflow_home import IS_3_3, PROJECT, Airflow, Server, api_server, own_home, running_airflow, wait_until
from tests.browser import browsing, log_in, open_connection_form, open_page, serious_findings

README = (PROJECT / "README.md").read_text(encoding="utf-8")
USERS = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,other:viewer,trainer:viewer"}
CHOSEN = ("players", "live_streams")
# "other" may read every DAG but ours, "trainer" one account's: Airflow's simple users cannot be told so.
AUTH_MANAGER = """
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class Manager(SimpleAuthManager):
    def is_authorized_dag(self, *, method, user, access_entity=None, details=None):
        asked = details.id if details is not None and details.id else ""
        readable = {"other": not asked.startswith("api_video"), "trainer": asked == "api_video_training"}
        if not readable.get(user.get_name(), True):
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with running(World(60), Behaviour(rate_limit=100_000)) as demo:
        yield demo


@pytest.fixture(scope="module")
def server(migrated_home: Path, tmp_path_factory: pytest.TempPathFactory, demo: Demo) -> Iterator[Server]:
    airflow = own_home(migrated_home, tmp_path_factory.mktemp("page") / "home")
    downstream = README[README.index("from airflow.sdk import Asset, dag, task") :].split("```")[0]
    # As README has it, on a table that the runs of these tests load.
    downstream = downstream.replace("api_video.videos", "api_video.players")
    (airflow.home / "dags" / "video_report.py").write_text(downstream, encoding="utf-8")
    settings = {
        **{name: value for name, value in demo_settings(demo).items() if not name.endswith("__API_KEY")},
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "API_VIDEO_ACCOUNTS": '["default", "training"]',
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",  # what a task prints is in its log
        **USERS,
    }
    with running_airflow(airflow, settings) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser: Browser, server: Server) -> Page:
    return log_in(browser, server)


def test_each_account_has_its_dag_and_its_side_of_the_page(page: Page, server: Server) -> None:
    assert wait_until("the other account's DAG", lambda: server.call("GET", "/tasks", "api_video_training"))

    frame = open_page(page, server)
    accounts = frame.get_by_role("navigation", name="Accounts")
    expect(accounts.get_by_role("link")).to_have_text(["api_video", "api_video_training"])
    expect(accounts.locator("[aria-current]")).to_have_text("api_video")
    accounts.get_by_role("link", name="api_video_training").click()

    expect(frame.get_by_role("heading", name="api_video_training")).to_be_visible()
    expect(frame.get_by_text("an Airflow Connection api_video_training")).to_be_visible()
    expect(accounts.locator("[aria-current]")).to_have_text("api_video_training")


def cells(frame: FrameLocator, resource: str) -> dict[str, str]:
    """A row of the page's table of tables, by the heads of its columns."""
    heads = frame.locator("section[aria-labelledby=resources-title] thead th").all_inner_texts()
    row = frame.locator(f"tr[id={resource}]").locator("th, td").all_inner_texts()
    return dict(zip(heads, row, strict=True))


def test_before_the_first_run_the_page_says_what_to_do(page: Page, server: Server) -> None:
    frame = open_page(page, server)

    expect(frame.get_by_role("heading", name="No run yet")).to_be_visible()
    expect(frame.get_by_text("Put the key into an Airflow Connection")).to_be_visible()


def test_the_connection_form_tests_the_key_and_the_dag_uses_it(page: Page, server: Server, demo: Demo) -> None:
    """Connections, Add, api.video, its fields, Save, Test."""
    form = open_connection_form(page, server)
    form.locator("input[name=host]").fill(demo.url)
    form.locator("input[name=password]").fill(demo.api_key)
    form.locator("input[name=port]").fill("443")
    expect(form.get_by_text("API key", exact=True)).to_be_visible()
    form.get_by_role("button", name="Save").click()
    with page.expect_response("**/connections/test") as answer:
        page.get_by_role("button", name="Test Connection").click()
    assert answer.value.ok, (answer.value.text(), answer.value.request.post_data)
    expect(page.get_by_text("The key reads videos, discarded_videos").first).to_be_visible()

    demo.behaviour.fail("/players", status=403, times=1)
    body = {"connection_id": "api_video", "conn_type": "api_video", "host": demo.url, "password": demo.api_key}
    refused, tried = (test_connection(server, body) for _ in range(2))
    wrong = test_connection(server, {**body, "password": "wrong-key"})

    assert (refused["status"], tried["status"], wrong["status"]) == (False, True, False)
    assert refused["message"].startswith("The key may not read players. It reads videos, discarded_videos, summaries, live")
    assert "The key reads videos, discarded_videos, summaries, players, live_streams (production, " in tried["message"]
    assert "api.video refused the API key" in wrong["message"]


def test_connection(server: Server, body: dict[str, Any]) -> Any:
    answer = requests.post(
        f"{server.url}/api/v2/connections/test", json=body, headers={"Authorization": f"Bearer {server.token}"}, timeout=60
    )
    assert answer.ok, answer.text
    return answer.json()


test_connection.__test__ = False  # type: ignore[attr-defined]


def test_a_run_by_the_form_shows_on_the_page_as_it_is_in_the_tables(page: Page, server: Server, demo: Demo) -> None:
    demo.world.update("players", demo.world.ids("players")[0], name="<img src=x onerror=alert(1)>")
    wait_until("video_report", lambda: server.call("PATCH", "", "video_report", json={"is_paused": False}))
    page.goto(f"{server.url}/dags/api_video")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    for endpoint in ENDPOINTS:
        if endpoint.name not in CHOSEN:
            dialog.locator(f"[aria-label='Remove {endpoint.name}'] [role=button]").click()
    dialog.get_by_role("button", name="Trigger").last.click()
    dialog.wait_for(state="hidden")  # the form unpauses the DAG: a run of the schedule may come first
    runs = [server.finish(run["dag_run_id"]) for run in server.call("GET", "/dagRuns")["dag_runs"]]
    assert {run["state"] for run in runs} == {"success"}

    frame = open_page(page, server)

    expect(frame.get_by_role("heading", name="Demo data")).to_be_visible()
    expect(frame.get_by_role("heading", name="What was read equals what the demo API lists")).to_be_visible()
    for resource in CHOSEN:
        ((rows,),) = server.airflow.rows(f"SELECT count(*) FROM api_video_data.{resource} WHERE removed_at IS NULL")
        ((new, sent),) = server.airflow.rows(
            f"SELECT new_rows, requests FROM api_video_data._syncs WHERE resource = '{resource}' AND mode <> 'skipped' "
            "ORDER BY finished_at DESC LIMIT 1"
        )
        row = cells(frame, resource)
        assert (row["State"], row["Rows"], row["New"], row["Requests"]) == ("equal", str(rows), str(new), str(sent))
    left_out = cells(frame, "videos")
    assert "not checked" in left_out["State"]
    assert "Left out of this run." in left_out["State"]
    assert (left_out["New"], left_out["Checks"]) == ("\N{EN DASH}", "none")
    assert frame.locator("img").count() == 0


def test_the_page_of_one_run_and_the_link_from_a_task_show_that_run(page: Page, server: Server) -> None:
    run_id = server.call("GET", "/dagRuns")["dag_runs"][0]["dag_run_id"]
    links = server.call("GET", f"/dagRuns/{run_id}/taskInstances/players.players/links")
    (link,) = links["extra_links"].values()

    linked = open_page(page, server, link)
    expect(linked.get_by_role("heading", name="This run was proven")).to_be_visible()
    if IS_3_3:
        expect(linked.locator("#checks-players")).to_have_attribute("open", "")

    tab = open_page(page, server, f"/dags/api_video/runs/{run_id}/plugin/api_video_run")
    expect(tab.get_by_role("heading", name="This run was proven")).to_be_visible()
    expect(tab.locator("header")).to_contain_text(run_id)


def test_after_a_failed_run_the_page_says_what_to_do(page: Page, server: Server, demo: Demo) -> None:
    demo.behaviour.fail("/players", status=403, times=None)
    run = server.trigger(resources=["players"])
    demo.behaviour.heal()
    assert run["state"] == "failed"

    frame = open_page(page, server)

    expect(frame.get_by_role("heading", name="The last run failed")).to_be_visible()
    expect(frame.get_by_text("players: The API key may not read this (403")).to_be_visible()
    failed = cells(frame, "players")
    assert failed["State"].startswith("failed")
    assert (failed["New"], failed["Requests"], failed["Checks"]) == ("\N{EN DASH}", "\N{EN DASH}", "0 / 1")
    assert "by an earlier run" in failed["Read"], "whose rows are shown"
    frame.get_by_role("button", name="failed 1").click()
    expect(frame.locator(".figures-table tbody tr:visible")).to_have_count(1)
    frame.get_by_role("button", name="Rows", exact=True).click()
    expect(frame.locator("th[aria-sort=descending]")).to_have_text("Rows")
    frame.get_by_role("link", name="Open the last run").click()  # out of the frame, into Airflow
    page.wait_for_url(re.compile(r"/dags/api_video/runs/"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 420])
def test_the_page_is_accessible_and_follows_the_theme(browser: Browser, server: Server, theme: str, width: int) -> None:
    page = log_in(browser, server, theme=theme, width=width)
    inside = open_page(page, server)
    expect(inside.locator("html")).to_have_attribute("data-theme", theme)

    page.goto(f"{server.url}/api_video/")
    page.locator("canvas").first.wait_for()
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")

    assert serious_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "api_video"
    page.context.close()


def test_without_a_session_nothing_is_shown(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    page = context.new_page()

    answer = page.goto(f"{server.url}/api_video/")

    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_text("Log in to Airflow to see this page.")).to_be_visible()
    assert "players" not in page.content()
    context.close()


def test_who_may_read_another_dag_only_is_refused(server: Server) -> None:
    """A check that names no DAG lets everybody pass who may read any."""
    config = server.airflow.home / "config"
    config.mkdir(exist_ok=True)
    (config / "page_auth.py").write_text(AUTH_MANAGER, encoding="utf-8")
    manager = {
        **USERS,
        "AIRFLOW__CORE__AUTH_MANAGER": "page_auth.Manager",
    }  # `airflow standalone` takes no other than its own
    with api_server(server.airflow, manager) as strict:
        check_who_may_read(strict)


def check_who_may_read(server: Server) -> None:
    token, trainer, admin = server.log_in("other"), server.log_in("trainer"), server.log_in("admin")

    def get(path: str, token: str) -> requests.Response:
        return requests.get(f"{server.url}/api_video/{path}", headers={"Authorization": f"Bearer {token}"}, timeout=30)

    assert get("", admin).status_code == 200
    for path in ("", "?dag_id=api_video", "?run_id=x"):
        assert get(path, token).status_code == 403
    assert "players" not in get("", token).text
    assert get("?dag_id=api_video", trainer).status_code == get("?run_id=x&dag_id=api_video", trainer).status_code == 403
    own = get("", trainer)
    assert (own.status_code, "api_video_training" in own.text) == (200, True)
    assert "Accounts" not in own.text, "what somebody may not read is not even named"
    assert get("?dag_id=another", admin).status_code == get("?run_id=unknown", admin).status_code == 404


def test_an_answer_is_kept_by_nobody_and_runs_nothing_foreign(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.log_in()}"}

    for path, status in (("", 200), ("?dag_id=another", 404)):
        answer = requests.get(f"{server.url}/api_video/{path}", headers=headers, timeout=30)
        assert answer.status_code == status
        assert answer.headers["Cache-Control"] == "no-store"
        assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
    anonymous = requests.get(f"{server.url}/api_video/", timeout=30)
    assert (anonymous.status_code, anonymous.headers["Cache-Control"]) == (401, "no-store")
    assert not re.search(r"(src|href)=\"https?://", answer.text), "the page needs no other host"


def test_assets_tell_what_was_loaded_and_a_failed_table_tells_nothing(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.log_in()}"}
    events = requests.get(f"{server.url}/api/v2/assets/events", params={"limit": 100}, headers=headers, timeout=30).json()

    by_name: dict[str, list[dict[str, Any]]] = {}
    for event in events["asset_events"]:
        by_name.setdefault(event["name"], []).append(event["extra"])

    players = by_name["api_video.players"][0]
    assert players["active_rows"] == 5
    assert players["checks"]["failed"] == []
    assert players["checks"]["passed"] >= 9
    ((load_id,),) = server.airflow.rows(
        f"SELECT load_id FROM api_video_data._syncs WHERE resource = 'players' AND run_id = '{players['run_id']}'"
    )
    assert players["load_ids"] == [load_id]
    assert load_id in by_name["api_video"][0]["load_ids"]
    assert "None" not in by_name["api_video"][0]["load_ids"], "of what was left out"
    succeeded = {run["dag_run_id"] for run in server.call("GET", "/dagRuns")["dag_runs"] if run["state"] == "success"}
    told = {event["run_id"] for event in by_name["api_video.players"]}
    assert told == {event["run_id"] for event in by_name["api_video"]} == succeeded, "a run that failed tells nothing"


def test_a_dag_that_is_scheduled_on_a_table_runs_when_it_was_loaded(server: Server) -> None:
    """README's example: each load of players that succeeded brings a run of it."""
    runs = wait_until(
        "a run of video_report", lambda: (server.call("GET", "/dagRuns", "video_report") or {}).get("dag_runs")
    )
    run = server.finish(runs[0]["dag_run_id"], "video_report")

    assert (run["run_type"], run["state"]) == ("asset_triggered", "success")
    log = server.call("GET", f"/dagRuns/{run['dag_run_id']}/taskInstances/tell/logs/1", "video_report")
    assert re.search(
        r"5 videos, \d new; checks: \{'passed': \d+, 'not_proven': \[\], 'failed': \[\]\}", str(log).replace("\\", "")
    )


def test_each_table_is_an_asset_of_its_task_and_what_a_task_does_is_said(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.log_in()}"}
    assets = requests.get(f"{server.url}/api/v2/assets", params={"limit": 100}, headers=headers, timeout=30).json()[
        "assets"
    ]
    made_by = {asset["name"]: [task["task_id"] for task in asset["producing_tasks"]] for asset in assets}
    tasks = {task["task_id"]: task for task in server.call("GET", "/tasks")["tasks"]}

    for endpoint in ENDPOINTS:
        task_id = f"{endpoint.group}.{endpoint.name}"
        assert made_by[f"api_video.{endpoint.name}"] == [task_id]
        assert endpoint.path in tasks[task_id]["doc_md"]
    assert made_by["api_video"] == ["validate"]
    assert made_by["api.video"] == [], "what the tasks read"
    assert "`validate` runs after all of them" in server.call("GET", "/details")["doc_md"]
    assert all(tasks[name]["doc_md"] for name in ("prepare", "validate"))


RUNS = """
import json
from datetime import datetime, timedelta, timezone

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from api_video_airflow.history import read_history

hour = datetime(2026, 11, 25, 21, tzinfo=timezone.utc)
with create_session() as session:
    for run_id, kind, belongs_to, minute in (("by_hand", "manual", hour + timedelta(minutes=33), 33),
                                             ("of_the_hour", "scheduled", hour, 35)):
        run = DagRun(dag_id="api_video", run_id=run_id, run_type=kind, run_after=belongs_to, state="success")
        run.start_date = hour + timedelta(minutes=minute)
        session.add(run)
    session.flush()
    print(json.dumps([[run.run_id for run in read_history(session, "api_video", of).runs] for of in (None, "by_hand")]))
"""


def test_runs_are_shown_as_they_ran(airflow: Airflow) -> None:
    """The schedule's run of an hour may start after one that was started by hand within that hour."""
    said = airflow.run("python", "-c", RUNS, PYTHONPATH=str(airflow.home / "plugins"))

    assert said.returncode == 0, said.stdout
    assert json.loads(said.stdout.splitlines()[-1]) == [["of_the_hour", "by_hand"], ["by_hand"]], said.stdout
