"""Alerts of a running Airflow: its scheduler watches the deadline, its executor calls, while the run goes on.

The project is a folder inside a DAG bundle here, so that nothing of ``dags/`` can be imported by accident.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.airflow_home import IS_3_3, Server, own_home, running_airflow, wait_until
from tests.webhook import Webhook, running_webhook

pytestmark = pytest.mark.skipif(not IS_3_3, reason="Airflow's scheduler watches them from 3.3 on")


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with running(World(5), Behaviour(rate_limit=100_000)) as demo:
        yield demo


@pytest.fixture(scope="module")
def webhook() -> Iterator[Webhook]:
    with running_webhook() as webhook:
        yield webhook


@pytest.fixture(scope="module")
def server(migrated_home: Path, tmp_path_factory: pytest.TempPathFactory, demo: Demo, webhook: Webhook) -> Iterator[Server]:
    airflow = own_home(migrated_home, tmp_path_factory.mktemp("alerts") / "home")
    (airflow.home / ".airflowignore").write_text("/include/\n/plugins/\n/logs/\n/tmp/\n", encoding="utf-8")
    bundle = {
        "name": "projects",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(airflow.home)},
    }
    environment = {
        **demo_settings(demo),
        "SOURCES__API_VIDEO_SOURCE__RESOURCES": '["players"]',
        "API_VIDEO__ALERTS__WEBHOOK_URL": webhook.url,
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",  # HTTP libraries then log what they ask for
    }
    with running_airflow(airflow, environment) as server:
        server.call("PATCH", "", json={"is_paused": False})
        runs = wait_until("a scheduled run", lambda: (server.call("GET", "/dagRuns") or {}).get("dag_runs"))
        run = server.finish(runs[0]["dag_run_id"])
        assert run["state"] == "success", {name: task["state"] for name, task in run["tasks"].items()}
        assert webhook.posts == []
        yield server


@pytest.fixture(autouse=True)
def _nothing_told_yet(webhook: Webhook) -> None:
    webhook.posts.clear()


def start(server: Server) -> str:
    """Triggers the DAG; the run's id."""
    run = server.call("POST", "/dagRuns", json={"logical_date": None, "conf": {"resources": ["players"]}})
    return str(run["dag_run_id"])


def metadata(server: Server, sql: str, *args: str) -> list[Any]:
    with sqlite3.connect(server.airflow.home / "airflow.db", timeout=60) as database:
        return database.execute(sql, args).fetchall()


def pass_the_deadline(server: Server, run_id: str) -> None:
    """Sets the run's deadline back to when it was made; the test need not wait for an hour to pass."""
    of_run = "dagrun_id = (SELECT id FROM dag_run WHERE run_id = ?)"
    ((count,),) = metadata(server, f"SELECT count(*) FROM deadline WHERE {of_run} AND NOT missed", run_id)
    assert count == 1
    metadata(server, f"UPDATE deadline SET deadline_time = created_at WHERE {of_run}", run_id)


def callbacks(server: Server, run_id: str) -> list[str]:
    """States of the callbacks of the run's deadline."""
    rows = metadata(
        server,
        "SELECT c.state FROM deadline d JOIN callback c ON c.id = d.callback_id JOIN dag_run r ON r.id = d.dagrun_id "
        "WHERE r.run_id = ? AND d.missed",
        run_id,
    )
    return [row[0] for row in rows]


def test_a_late_run_is_told_once_while_it_goes_on(server: Server, demo: Demo, webhook: Webhook) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        release.wait()

    demo.behaviour.after(1, "/players", hold)
    run_id = start(server)
    try:
        wait_until("the run to ask for players", held.is_set)
        pass_the_deadline(server, run_id)
        wait_until("the alert", lambda: webhook.posts)
        assert server.call("GET", f"/dagRuns/{run_id}")["state"] == "running"
    finally:
        release.set()

    run = server.finish(run_id)

    assert run["state"] == "success"
    (post,) = webhook.posts
    assert post["text"].split("\n") == [
        "api.video: the run is late, it has not ended 60 minutes after it was queued.",
        "It goes on, and the next run waits for it: until then, tables may be out of date.",
        "Open the run to see which task takes long or waits, and its log for why.",
        f"Run {run_id}: {server.url}/dags/api_video/runs/{run_id.replace(':', '%3A').replace('+', '%2B')}",
    ]
    assert wait_until("the callback to end", lambda: callbacks(server, run_id) == ["success"])


def test_a_failed_run_is_told_once_also_after_its_deadline(server: Server, demo: Demo, webhook: Webhook) -> None:
    demo.behaviour.fail("/players", status=400, times=None)
    run_id = start(server)

    run = server.finish(run_id)
    wait_until("the alert", lambda: webhook.posts)
    demo.behaviour.heal()
    pass_the_deadline(server, run_id)
    wait_until("Airflow to call for the deadline", lambda: callbacks(server, run_id) == ["success"])

    assert run["state"] == "failed"
    (post,) = webhook.posts
    first, reason, *_ = post["text"].split("\n")
    assert first == "api.video: the run failed, it did not load players."
    assert reason.startswith("players: ApiVideoRequestError: ")


def test_the_webhook_is_in_no_log_and_not_in_the_database(server: Server) -> None:
    """Also not where the HTTP library logs what it asks for."""
    files = [path for path in server.airflow.home.rglob("*") if path.is_file()]
    assert {"airflow.db", "standalone.log"} <= {path.name for path in files}
    logs = [path.read_text(encoding="utf-8") for path in files if "executor_callbacks" in path.parts]
    assert "An alert was sent: api.video: the run is late" in "".join(logs)
    assert not [path for path in files if b"B0SECRET" in path.read_bytes()]
