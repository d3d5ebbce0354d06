"""The DAG in a running Airflow: scheduler, dag processor, API server, LocalExecutor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from include.api_video.endpoints import ENDPOINTS, group_names
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.airflow_home import Server, own_home, running_airflow, wait_until


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with running(World(60), Behaviour(rate_limit=100_000)) as demo:
        yield demo


@pytest.fixture(scope="module")
def server(migrated_home: Path, tmp_path_factory: pytest.TempPathFactory, demo: Demo) -> Iterator[Server]:
    airflow = own_home(migrated_home, tmp_path_factory.mktemp("running") / "home")
    with running_airflow(airflow, demo_settings(demo)) as server:
        yield server


def test_the_schedule_runs_the_dag_with_its_groups_side_by_side(server: Server, demo: Demo) -> None:
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
        assert count == len(demo.world.ids(endpoint.name)), endpoint.name


def test_the_form_loads_the_chosen_resources_and_skips_the_others(server: Server, demo: Demo) -> None:
    added = demo.world.add("players", name="Added")

    run = server.trigger(resources=["players"], full_refresh=True)

    states = {name: task["state"] for name, task in run["tasks"].items()}
    assert run["state"] == "success", states
    assert {name for name, state in states.items() if state == "success"} == {"prepare", "players.players", "validate"}
    assert {state for name, state in states.items() if "." in name and name != "players.players"} == {"skipped"}
    players = server.airflow.rows("SELECT player_id FROM api_video_data.players ORDER BY 1")
    assert [row[0] for row in players] == sorted(demo.world.ids("players"))
    assert added in [row[0] for row in players]
    modes = server.airflow.rows(
        f"SELECT mode, count(*) FROM api_video_data._syncs WHERE run_id = '{run['dag_run_id']}' GROUP BY 1"
    )
    assert dict(modes) == {"first": 1, "skipped": len(ENDPOINTS) - 1}, "a full refresh of players alone"
    report = server.call("GET", f"/dagRuns/{run['dag_run_id']}/taskInstances/validate/xcomEntries/report")
    assert '"passed": true' in json.dumps(report) or "'passed': True" in str(report)


def test_the_ledger_has_a_row_per_task_and_run(server: Server) -> None:
    runs = server.call("GET", "/dagRuns")["dag_runs"]
    rows = server.airflow.rows("SELECT run_id, count(DISTINCT resource) FROM api_video_data._syncs GROUP BY 1")

    assert dict(rows) == {run["dag_run_id"]: len(ENDPOINTS) for run in runs}
