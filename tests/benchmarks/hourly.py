"""An hour without changes in Airflow: this DAG beside a DAG of the same shape whose tasks do nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from include.api_video.catalog.endpoints import ENDPOINTS, upstream
from tests.airflow_home import Airflow, Server, make_home, running_airflow
from tests.benchmarks.measure import Measured, measure
from tests.demo_client import DemoClient

DAG_IDS = ("api_video", "empty_tasks")


def empty_dag() -> str:
    """The file of a DAG with as many tasks in the same order, which import and do nothing."""
    names = [endpoint.name for endpoint in ENDPOINTS if endpoint.on_by_default]
    edges = []
    for endpoint in ENDPOINTS:
        if endpoint.name in names:
            before = [name for name in upstream(endpoint) if name in names]
            edges += [f"    t['{name}'] >> t['{endpoint.name}'] >> t['validate']" for name in before or ["prepare"]]
    return "\n".join(
        [
            "from airflow.sdk import dag, task",
            "@dag(schedule=None)",
            "def empty_tasks():",
            "    def nothing():",
            "        pass",
            f"    t = {{name: task(nothing, task_id=name)() for name in {['prepare', *names, 'validate']}}}",
            *edges,
            "empty_tasks()",
        ]
    )


@contextmanager
def both_dags(folder: Path) -> Iterator[Airflow]:
    """An Airflow home with this project's DAG and the empty one."""
    airflow = make_home(folder)
    (airflow.home / "dags" / "empty_tasks.py").write_text(empty_dag())
    yield airflow


def settings_of(api: DemoClient) -> dict[str, str]:
    """The DAG's environment: the demo API, and the resources that are on by default."""
    names = [endpoint.name for endpoint in ENDPOINTS if endpoint.on_by_default]
    return {**api.settings, "SOURCES__API_VIDEO_SOURCE__RESOURCES": json.dumps(names)}


def dags_test(airflow: Airflow, api: DemoClient, dag_id: str) -> Measured:
    """Seconds of ``airflow dags test``, from the start of Python to its end."""
    command = [sys.executable, "-m", "airflow", "dags", "test", dag_id]
    return measure(api, command, {**airflow.environment, **settings_of(api)}, airflow.home)


@contextmanager
def scheduler(airflow: Airflow, api: DemoClient) -> Iterator[Server]:
    """A running Airflow that has parsed both DAGs."""
    with running_airflow(airflow, settings_of(api)) as server:
        yield server


def scheduled(server: Server, api: DemoClient, dag_id: str) -> Measured:
    """Seconds of one run by the scheduler, from queued to its end."""
    api.forget_requests()
    run = server.trigger(dag_id)
    if run["state"] != "success":
        raise RuntimeError(f"{dag_id}: { {name: task['state'] for name, task in run['tasks'].items()} }")
    queued, ended = (datetime.fromisoformat(run[name].replace("Z", "+00:00")) for name in ("queued_at", "end_date"))
    statuses = [request["status"] for request in api.requests()]
    return Measured((ended - queued).total_seconds(), 0, len(statuses), statuses.count(429))
