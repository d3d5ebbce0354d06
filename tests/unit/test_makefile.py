"""What the Makefile's commands inherit from the user's shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.airflow_home import PROJECT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="the Makefile needs make")
FOREIGN = {
    "AIRFLOW_HOME": "/opt/other",
    "AIRFLOW_CONFIG": "/opt/other/airflow.cfg",
    "AIRFLOW__CORE__DAGS_FOLDER": "/opt/other/dags",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__FERNET_KEY_CMD": "cat /opt/other/key",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://other",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET": "sql",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "True",
    "AIRFLOW_VAR_THING": "1",
    "PYTHONPATH": "/opt/other",
}
OURS = {
    "AIRFLOW_CONN_API_VIDEO": "api-video://:KEY@",
    "AIRFLOW_CONN_SLACK": "slack://:token@",
    "AIRFLOW__SECRETS__BACKEND": "vault.Backend",
    "API_VIDEO_DESTINATION": "postgres",
    "DESTINATION__POSTGRES__CREDENTIALS": "postgresql://warehouse",
    "SOURCES__API_VIDEO_SOURCE__API_KEY": "k3y",
}


def seen_by_a_command(folder: Path, **environment: str) -> dict[str, str]:
    """The environment of a command that make runs, by a makefile that has the project's text."""
    # Not by make's include, which cannot read a path with a space.
    own = (PROJECT / "Makefile").read_text(encoding="utf-8")
    (folder / "Makefile").write_text(f"{own}\nshow:\n\t@env\n", encoding="utf-8")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHONPATH", "MAKE", "VENV"))
    }
    command = ["make", "--silent", "show"]
    done = subprocess.run(command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, check=True)
    return dict(line.partition("=")[::2] for line in done.stdout.splitlines())


def test_nothing_of_another_airflow_is_taken_from_the_shell(tmp_path: Path) -> None:
    seen = seen_by_a_command(tmp_path, **FOREIGN)
    assert {name: value for name, value in seen.items() if name.startswith(("AIRFLOW", "PYTHONPATH"))} == {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }


def test_settings_of_this_package_count(tmp_path: Path) -> None:
    seen = seen_by_a_command(tmp_path, **OURS)
    assert {name: seen.get(name) for name in OURS} == OURS


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a b ü"
    folder.mkdir()
    seen = seen_by_a_command(folder)
    assert seen["AIRFLOW_HOME"] == str(folder)
    assert seen["PATH"].split(os.pathsep)[0] == str(folder / ".venv/bin")
