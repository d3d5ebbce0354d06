"""A real Airflow whose home holds nothing but copies of ``dags/``, ``include/`` and ``plugins/``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Airflow:
    """An Airflow home with its own database, DuckDB file and temporary folder."""

    home: Path
    environment: dict[str, str]

    @property
    def file(self) -> Path:
        """The DuckDB file that its tasks load into."""
        return self.home / "warehouse.duckdb"

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end; output and errors together."""
        return subprocess.run(
            [str(BIN / command[0]), *command[1:]],
            env={**self.environment, **environment},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a question to the DuckDB file."""
        with duckdb.connect(str(self.file), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def clean_environment(home: Path) -> dict[str, str]:
    """The environment of a user who has set nothing but AIRFLOW_HOME, beside where data and temporary files go."""
    ours = ("SOURCES__", "DESTINATION__", "API_VIDEO_", "DLT_", "AIRFLOW", "PROVIDERS__", "RUNTIME__", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    (home / "tmp").mkdir(exist_ok=True)
    return {
        **kept,
        "PATH": f"{BIN}{os.pathsep}{kept.get('PATH', '')}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "HOME": str(home),
        "DLT_DATA_DIR": str(home / "dlt"),
        "TMPDIR": str(home / "tmp"),
        "DESTINATION__DUCKDB__CREDENTIALS": str(home / "warehouse.duckdb"),
    }


@pytest.fixture(scope="session")
def migrated_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copied folders, and a migrated database: made once."""
    home = tmp_path_factory.mktemp("airflow")
    for name in ("dags", "include", "plugins"):
        shutil.copytree(PROJECT / name, home / name, ignore=shutil.ignore_patterns("secrets.toml", "__pycache__"))
    done = Airflow(home, clean_environment(home)).run("airflow", "db", "migrate")
    assert done.returncode == 0, done.stdout
    return home


def own_home(migrated_home: Path, home: Path) -> Airflow:
    """A copy of the migrated home, with a database of its own."""
    shutil.copytree(migrated_home, home, dirs_exist_ok=True)
    config = home / "airflow.cfg"
    config.write_text(config.read_text().replace(str(migrated_home), str(home)))
    return Airflow(home, clean_environment(home))


@pytest.fixture
def airflow(migrated_home: Path, tmp_path: Path) -> Airflow:
    """A home of the test's own."""
    return own_home(migrated_home, tmp_path / "home")


@pytest.fixture
def demo() -> Iterator[Demo]:
    """A demo API with 60 videos."""
    with running(World(60), Behaviour(rate_limit=100_000)) as demo:
        yield demo


@pytest.fixture
def demo_environment(demo: Demo) -> dict[str, str]:
    """What points the source at the demo, all nine resources on."""
    settings = demo_settings(demo)
    assert len(json.loads(settings["SOURCES__API_VIDEO_SOURCE__RESOURCES"])) == 9
    return settings
