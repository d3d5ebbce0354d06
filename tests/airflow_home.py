"""A real Airflow whose home holds only copies of ``dags/``, ``include/`` and ``plugins/``.

Tests run its commands, or start it (scheduler, dag processor, API server, LocalExecutor) and use its REST API.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import duckdb
import requests
from packaging.version import Version

from tests.forker import Forker

PROJECT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PATIENCE_S = 240
# Older ones have no deadlines, and their frame around a plugin shows only the plugin's first page.
IS_3_3 = Version(version("apache-airflow-core")) >= Version("3.3")
PASSWORDS = "simple_auth_manager_passwords.json.generated"


@dataclass(frozen=True)
class Airflow:
    """An Airflow home with its own database, DuckDB file and temporary folder."""

    home: Path
    environment: dict[str, str]
    forker: Forker | None = None

    @property
    def file(self) -> Path:
        """The DuckDB file that its tasks load into."""
        return self.home / "warehouse.duckdb"

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end; returns output and errors together. A forker has imported Airflow before."""
        if self.forker:
            return self._fork(*command, **environment)
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

    def _fork(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        assert self.forker
        words, code = list(arguments), ""
        if program == "python" and words[0] == "-c":
            code, words = words[1], words[2:]
        elif program == "python" and words[0] == "-m":
            program, words = words[1], words[2:]
        with NamedTemporaryFile(suffix=".txt") as output:  # beside the home, which tests search
            pid = self.forker.start(program, words, {**self.environment, **environment}, Path(output.name), self.home, code)
            returned = self.forker.wait(pid, 300)
            said = Path(output.name).read_text(encoding="utf-8", errors="replace")
        return subprocess.CompletedProcess([program, *arguments], returned, said)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a query on the DuckDB file."""
        with duckdb.connect(str(self.file), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def clean_environment(home: Path) -> dict[str, str]:
    """The environment of a user who has set only AIRFLOW_HOME, and the folders of data and temporary files."""
    ours = ("SOURCES__", "DESTINATION__", "API_VIDEO_", "DLT_", "AIRFLOW", "PROVIDERS__", "RUNTIME__", "PYTHON")
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


def make_home(home: Path) -> Airflow:
    """A home with copied folders and a migrated database."""
    for name in ("dags", "include", "plugins"):
        shutil.copytree(PROJECT / name, home / name, ignore=shutil.ignore_patterns("secrets.toml", "__pycache__"))
    airflow = Airflow(home, clean_environment(home))
    done = airflow.run("airflow", "db", "migrate")
    assert done.returncode == 0, done.stdout
    # Copies keep the bytecode. Otherwise the first command of each test would compile the package again.
    airflow.run("python", "-m", "compileall", "-q", "dags", "include", "plugins")
    return airflow


# Modules of Airflow and libraries that its commands import; nothing of this package.
IMPORTED = (
    "airflow.__main__",
    "airflow.cli.commands.dag_command",
    "airflow.dag_processing.dagbag",
    "airflow.sdk.execution_time.task_runner",
    "airflow.api_fastapi.execution_api.app",
    "airflow.api_fastapi.execution_api.routes.connections",
    "airflow.providers.standard.operators.python",
    "dlt",
    "dlt.destinations.impl.duckdb.duck",
    "duckdb",
)


@contextmanager
def forking(airflow: Airflow) -> Iterator[Airflow]:
    """The same home with commands that start faster, forked from a process that has imported Airflow.

    Airflow reads its configuration file and secrets backends while it is imported: later changes of them have no effect.
    """
    forker = Forker(airflow.environment, IMPORTED)
    try:
        forker.wait_until_imported()  # tests replace the home, and with it the file that names the database
        yield replace(airflow, forker=forker)
    finally:
        forker.close()


def own_home(migrated_home: Path, home: Path) -> Airflow:
    """A copy of the migrated home, with a database of its own."""
    shutil.copytree(migrated_home, home, dirs_exist_ok=True)
    config = home / "airflow.cfg"
    config.write_text(config.read_text().replace(str(migrated_home), str(home)))
    return Airflow(home, clean_environment(home))


def wait_until(what: str, ask: Any) -> Any:
    """Polls until there is an answer."""
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
    url: str
    token: str = ""

    def call(self, method: str, path: str, dag_id: str = "api_video", **kwargs: Any) -> Any:
        """The answer to a call about a DAG; None if it is refused."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.request(method, f"{self.url}/api/v2/dags/{dag_id}{path}", headers=headers, timeout=30, **kwargs)
        return answer.json() if answer.ok else None

    def password(self, user: str = "admin") -> str:
        """The generated password of a user."""
        passwords: dict[str, str] = json.loads((self.airflow.home / PASSWORDS).read_text())
        return passwords[user]

    def log_in(self, user: str = "admin") -> str:
        """A user's token; later calls use it."""
        body = {"username": user, "password": self.password(user)}
        self.token = str(requests.post(f"{self.url}/auth/token", json=body, timeout=5).json()["access_token"])
        return self.token

    def is_ready(self) -> bool:
        """Whether login works and the dag processor has stored the DAG."""
        try:
            self.log_in()
        except (OSError, KeyError, ValueError):
            return False
        return self.call("GET", "") is not None

    def trigger(self, dag_id: str = "api_video", **conf: Any) -> dict[str, Any]:
        """Unpauses and triggers a DAG; returns the run when it has ended."""
        self.call("PATCH", "", dag_id, json={"is_paused": False})
        started = self.call("POST", "/dagRuns", dag_id, json={"logical_date": None, "conf": conf})
        return self.finish(started["dag_run_id"], dag_id)

    def finish(self, run_id: str, dag_id: str = "api_video") -> dict[str, Any]:
        """Waits for a run to end; returns it with its tasks under ``tasks``."""

        def ended() -> Any:
            run = self.call("GET", f"/dagRuns/{run_id}", dag_id)
            return run if run and run["state"] in ("success", "failed") else None

        run: dict[str, Any] = wait_until(f"run {run_id}", ended)
        instances = self.call("GET", f"/dagRuns/{run_id}/taskInstances", dag_id)["task_instances"]
        return {**run, "tasks": {task["task_id"]: task for task in instances}}


def running_airflow(airflow: Airflow, environment: Mapping[str, str]) -> AbstractContextManager[Server]:
    """``airflow standalone`` on a free port, until the block ends."""
    return _serving(airflow, environment, "standalone")


def api_server(airflow: Airflow, environment: Mapping[str, str]) -> AbstractContextManager[Server]:
    """Another API server on the same home, until the block ends."""
    return _serving(airflow, environment, "api-server")


@contextmanager
def _serving(airflow: Airflow, environment: Mapping[str, str], command: str) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        **airflow.environment,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        **environment,
    }
    with (airflow.home / f"{command}.log").open("w") as log:
        process = subprocess.Popen(
            [str(BIN / "airflow"), command],
            env=settings,
            cwd=airflow.home,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            server = Server(airflow, f"http://127.0.0.1:{port}")
            wait_until("Airflow to come up", server.is_ready)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)
            process.wait()
