"""The DAG in a running Airflow: scheduler, dag processor, API server, LocalExecutor."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from include.api_video.endpoints import ENDPOINTS, group_names
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.e2e.conftest import BIN, Airflow, own_home

PATIENCE_S = 240


def wait_until(what: str, ask: Any) -> Any:
    """Asks until there is an answer."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.5)
    raise TimeoutError(f"waited {PATIENCE_S} s for {what}")


@dataclass
class Server:
    """A running Airflow and its REST API."""

    airflow: Airflow
    demo: Demo
    url: str
    token: str = ""

    def call(self, method: str, path: str, **kwargs: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(method, f"{self.url}/api/v2/dags/api_video{path}", headers=headers, timeout=30, **kwargs)
        return answer.json() if answer.ok else None

    def log_in(self) -> bool:
        passwords = self.airflow.home / "simple_auth_manager_passwords.json.generated"
        try:
            body = {"username": "admin", "password": json.loads(passwords.read_text())["admin"]}
            self.token = requests.post(f"{self.url}/auth/token", json=body, timeout=5).json()["access_token"]
        except (OSError, KeyError, ValueError):
            return False
        return self.call("GET", "") is not None  # the dag processor has stored the DAG

    def finish(self, run_id: str) -> dict[str, Any]:
        """The run, once it has ended, with its tasks under ``tasks``."""

        def ended() -> Any:
            run = self.call("GET", f"/dagRuns/{run_id}")
            return run if run and run["state"] in ("success", "failed") else None

        run: dict[str, Any] = wait_until(f"run {run_id}", ended)
        instances = self.call("GET", f"/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {**run, "tasks": {task["task_id"]: task for task in instances}}


@pytest.fixture(scope="module")
def server(migrated_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    airflow = own_home(migrated_home, tmp_path_factory.mktemp("running") / "home")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(World(60), Behaviour(rate_limit=100_000)) as demo:
        environment = {
            **airflow.environment,
            **demo_settings(demo),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        }
        log = (airflow.home / "standalone.log").open("w")
        process = subprocess.Popen(
            [str(BIN / "airflow"), "standalone"],
            env=environment,
            cwd=airflow.home,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            server = Server(airflow, demo, f"http://127.0.0.1:{port}")
            wait_until("Airflow to come up", server.log_in)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
            log.close()


def test_the_schedule_runs_the_dag_with_its_groups_side_by_side(server: Server) -> None:
    server.call("PATCH", "", json={"is_paused": False})

    runs = wait_until("a scheduled run", lambda: (server.call("GET", "/dagRuns") or {}).get("dag_runs"))
    run = server.finish(runs[0]["dag_run_id"])

    assert runs[0]["run_type"] == "scheduled"
    assert run["state"] == "success", {name: task["state"] for name, task in run["tasks"].items()}
    spans = {}
    for group, names in group_names().items():
        tasks = [run["tasks"][f"{group}.{name}"] for name in names]
        spans[group] = (min(t["start_date"] for t in tasks), max(t["end_date"] for t in tasks))
    latest_start, first_end = max(start for start, _ in spans.values()), min(end for _, end in spans.values())
    assert datetime.fromisoformat(latest_start[:19]) <= datetime.fromisoformat(first_end[:19]), spans
    for endpoint in ENDPOINTS:
        ((count,),) = server.airflow.rows(f"SELECT count(*) FROM api_video_data.{endpoint.name} WHERE removed_at IS NULL")
        assert count == len(server.demo.world.ids(endpoint.name)), endpoint.name


def test_the_form_loads_the_chosen_resources_and_skips_the_others(server: Server) -> None:
    server.call("PATCH", "", json={"is_paused": False})
    added = server.demo.world.add("players", name="Added")

    conf = {"resources": ["players"], "full_refresh": True}
    started = server.call("POST", "/dagRuns", json={"logical_date": None, "conf": conf})
    run = server.finish(started["dag_run_id"])

    states = {name: task["state"] for name, task in run["tasks"].items()}
    assert run["state"] == "success", states
    assert {name for name, state in states.items() if state == "success"} == {"prepare", "players.players", "validate"}
    assert {state for name, state in states.items() if "." in name and name != "players.players"} == {"skipped"}
    players = server.airflow.rows("SELECT player_id FROM api_video_data.players ORDER BY 1")
    assert [row[0] for row in players] == sorted(server.demo.world.ids("players"))
    assert added in [row[0] for row in players]
    report = server.call("GET", f"/dagRuns/{run['dag_run_id']}/taskInstances/validate/xcomEntries/report")
    assert '"passed": true' in json.dumps(report) or "'passed': True" in str(report)


def test_the_ledger_has_a_row_per_task_and_run(server: Server) -> None:
    runs = server.call("GET", "/dagRuns")["dag_runs"]
    rows = server.airflow.rows("SELECT run_id, count(DISTINCT resource) FROM api_video_data._syncs GROUP BY 1")

    assert dict(rows) == {run["dag_run_id"]: len(ENDPOINTS) for run in runs}
