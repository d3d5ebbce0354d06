"""Importing the plugin is cheap, and its page is closed if it cannot check permissions."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.airflow_home import PROJECT

HEAVY = ("dlt", "duckdb", "pandas", "fastapi", "include.api_video", "jinja2")


def run(script: str, home: Path) -> str:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(PROJECT / "plugins"),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_importing_the_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys, airflow.plugins_manager, airflow.listeners; before = set(sys.modules); import api_video_plugin; "
        f"print(sorted(set({HEAVY}) & (set(sys.modules) - before)))"
    )
    assert run(script, tmp_path) == "[]"


@pytest.mark.slow
@pytest.mark.parametrize(("component", "warm"), [("scheduler", True), ("dag_processor", True), ("triggerer", False)])
def test_dlt_is_imported_ahead_only_where_tasks_are_forked(tmp_path: Path, component: str, warm: bool) -> None:
    script = (
        f"import sys, types; sys.modules['airflow.jobs.{component}_job_runner'] = types.ModuleType('runner'); "
        "from api_video_airflow import warm_up; warm_up.on_starting(component=None); print('dlt' in sys.modules)"
    )
    assert run(script, tmp_path) == str(warm)


def test_the_page_is_closed_where_airflow_lacks_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    from api_video_airflow import page

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "airflow.api_fastapi.core_api.security", None)
        closed = importlib.reload(page).app
        answer = TestClient(closed).get("/")
    importlib.reload(page)

    assert answer.status_code == 503
    assert "The page is closed" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_connection_type_is_known_to_airflow(tmp_path: Path) -> None:
    script = (
        "import airflow.providers_manager as core; import api_video_plugin; api_video_plugin.ApiVideoPlugin.on_load(); "
        "hook = core.ProvidersManager().hooks['api_video']; print(hook.hook_name, hook.connection_testable)"
    )
    assert run(script, tmp_path) == "api.video True"
