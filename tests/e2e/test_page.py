"""The page "api.video" in a real browser, on a real Airflow with two runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from include.api_video.catalog.endpoints import ENDPOINTS
from tests.airflow_home import IS_3_3, Server, api_server, own_home
from tests.browser import cells, log_in, open_connection_form, open_page, serious_findings
from tests.e2e.conftest import Loaded

USERS = {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,other:viewer,trainer:viewer"}
# "other" may read every DAG but ours, "trainer" that of one account; Airflow's simple auth manager has no such rights.
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
def server(loaded: Loaded, second_run: str) -> Iterator[Server]:
    parsed = loaded.airflow.run("airflow", "dags", "reserialize", **loaded.settings)  # also the other account's DAG
    assert parsed.returncode == 0, parsed.stdout
    with api_server(loaded.airflow, {**loaded.settings, "AIRFLOW__CORE__TEST_CONNECTION": "Enabled", **USERS}) as server:
        yield server


@pytest.fixture(scope="module")
def page(browser: Browser, server: Server) -> Page:
    return log_in(browser, server)


def test_each_account_has_its_side_of_the_page_which_says_what_to_do_first(page: Page, server: Server) -> None:
    frame = open_page(page, server)
    accounts = frame.get_by_role("navigation", name="Accounts")
    expect(accounts.get_by_role("link")).to_have_text(["api_video", "api_video_training"])
    expect(accounts.locator("[aria-current]")).to_have_text("api_video")
    accounts.get_by_role("link", name="api_video_training").click()

    expect(frame.get_by_role("heading", name="api_video_training")).to_be_visible()
    expect(accounts.locator("[aria-current]")).to_have_text("api_video_training")
    expect(frame.get_by_role("heading", name="No run yet")).to_be_visible()
    expect(frame.get_by_text("Put the key into an Airflow Connection api_video_training")).to_be_visible()


def test_the_connection_form_tests_the_key(page: Page, server: Server, loaded: Loaded) -> None:
    """Adds a Connection of the type api.video in the UI, saves it, and presses Test."""
    demo = loaded.demo
    form = open_connection_form(page, server)
    form.locator("input[name=host]").fill(demo.url)
    form.locator("input[name=password]").fill(demo.api_key)
    form.locator("input[name=port]").fill("443")
    expect(form.get_by_text("API key", exact=True)).to_be_visible()
    form.get_by_role("button", name="Save").click()
    with page.expect_response("**/connections/test") as answer:
        page.get_by_role("button", name="Test Connection").click()
    assert answer.value.ok, (answer.value.text(), answer.value.request.post_data)
    expect(page.get_by_text("The key reads videos, captions").first).to_be_visible()

    demo.behaviour.fail("/players", status=403, times=1)
    body = {"connection_id": "api_video", "conn_type": "api_video", "host": demo.url, "password": demo.api_key}
    refused, tried = (test_connection(server, body) for _ in range(2))
    wrong = test_connection(server, {**body, "password": "wrong-key"})

    assert (refused["status"], tried["status"], wrong["status"]) == (False, True, False)
    assert refused["message"].startswith("The key may not read players. It reads videos, captions, chapters, ")
    lists = "discarded_videos, tags, watermarks, summaries, players, live_streams, analytics_days, webhooks, upload_tokens"
    assert f"The key reads videos, captions, chapters, {lists} (production, " in tried["message"]
    assert "api.video refused the API key" in wrong["message"]


def test_connection(server: Server, body: dict[str, Any]) -> Any:
    answer = requests.post(
        f"{server.url}/api/v2/connections/test", json=body, headers={"Authorization": f"Bearer {server.token}"}, timeout=60
    )
    assert answer.ok, answer.text
    return answer.json()


test_connection.__test__ = False  # type: ignore[attr-defined]


def test_the_page_shows_a_run_as_it_is_in_the_tables(page: Page, server: Server) -> None:
    frame = open_page(page, server)

    expect(frame.get_by_role("heading", name="Demo data")).to_be_visible()
    expect(frame.get_by_role("heading", name=re.compile(r"[Ee]qual(s| to) what the demo API lists"))).to_be_visible()
    for endpoint in ENDPOINTS:
        ((rows,),) = server.airflow.rows(f"SELECT count(*) FROM api_video_data.{endpoint.name} WHERE removed_at IS NULL")
        ((new, sent),) = server.airflow.rows(
            f"SELECT new_rows, requests FROM api_video_data._syncs WHERE resource = '{endpoint.name}' "
            "ORDER BY finished_at DESC LIMIT 1"
        )
        row = cells(frame, endpoint.name)
        assert (row["State"], row["Rows"], row["New"], row["Requests"]) == ("equal", f"{rows:,}", f"{new:,}", f"{sent:,}")


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


@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 1440),
        pytest.param("dark", 420),
        *(pytest.param(*odd, marks=pytest.mark.slow) for odd in [("dark", 1440), ("light", 420)]),
    ],
)
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
    """A permission check that names no DAG would admit everybody who may read any."""
    config = server.airflow.home / "config"
    config.mkdir(exist_ok=True)
    (config / "page_auth.py").write_text(AUTH_MANAGER, encoding="utf-8")
    manager = {
        **USERS,
        "AIRFLOW__CORE__AUTH_MANAGER": "page_auth.Manager",
    }  # `airflow standalone` only uses its own auth manager
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
    assert "`validate` runs last" in server.call("GET", "/details")["doc_md"]
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


def test_runs_are_shown_as_they_ran(migrated_home: Path, tmp_path: Path) -> None:
    """A scheduled run may start after a manual one of the same hour."""
    airflow = own_home(migrated_home, tmp_path / "home")
    said = airflow.run("python", "-c", RUNS, PYTHONPATH=str(airflow.home / "plugins"))

    assert said.returncode == 0, said.stdout
    assert json.loads(said.stdout.splitlines()[-1]) == [["of_the_hour", "by_hand"], ["by_hand"]], said.stdout
