"""Runs what the documents print, as printed, in a folder like a user's after a run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from pathlib import Path

import duckdb
import pytest
import requests

from include.api_video.catalog.endpoints import by_name
from include.demo_api.world import World
from tests.airflow_home import BIN, PROJECT, Airflow, clean_environment
from tests.documents import README, document

pytestmark = pytest.mark.slow

VIDEOS = 300  # of the demo that `make run` loads
ALERTS, CONFIGURATION, PRODUCTION, TABLES = (
    document(f"docs/{name}.md") for name in ("alerts", "configuration", "production", "tables")
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A copy of the project in which a plain run has loaded the demo; nothing else is set."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("dags", "include", "plugins"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("secrets.toml", "__pycache__"))
    os.symlink("include/.dlt", folder / ".dlt")
    environment = clean_environment(folder)
    del environment["DESTINATION__DUCKDB__CREDENTIALS"]
    demo = ["python", "-m", "include.demo_api", "exec", "--videos", str(VIDEOS), "--", "python", "-m", "include.api_video"]
    done = run(folder, environment, *demo)
    assert "Load package" in done
    (folder / "run.log").write_text(done, encoding="utf-8")
    return folder, environment


def run(folder: Path, environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_dlt_commands_work_without_arguments(folder: tuple[Path, dict[str, str]]) -> None:
    commands = re.findall(r"^(dlt [^#\n]*)", "".join(README.blocks("sh")), re.MULTILINE)
    assert [command.split()[-1] for command in commands] == ["info", "show"]

    output = run(*folder, *commands[0].split())

    assert "dataset_name: api_video_data" in output
    assert "videos with 4 table(s)" in output


def test_the_dashboard_comes_up(folder: tuple[Path, dict[str, str]]) -> None:
    path, environment = folder
    log = path / "show.log"
    command = [str(BIN / "dlt"), "pipeline", "api_video_pipeline", "show"]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=path, env=environment, stdout=file, stderr=file, start_new_session=True)
    try:
        end = time.monotonic() + 60
        address = None
        while address is None and time.monotonic() < end:
            time.sleep(0.5)
            address = re.search(r"http://localhost:\d+", log.read_text(encoding="utf-8"))
        assert address, log.read_text(encoding="utf-8")
        assert requests.get(address.group().replace("localhost", "127.0.0.1"), timeout=30).ok
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_the_python_snippet_gives_a_data_frame(folder: tuple[Path, dict[str, str]]) -> None:
    (snippet,) = README.blocks("python")

    output = run(*folder, "python", "-c", snippet + "\nprint(len(videos), list(videos.columns)[:2])")

    assert output.strip().endswith(f"{VIDEOS} ['video_id', 'created_at']")


def test_the_sql_snippets_give_rows_and_the_second_one_those_that_are_shown(folder: tuple[Path, dict[str, str]]) -> None:
    (snippet,) = README.blocks("sql")
    first, second = snippet.strip().rstrip(";").split(";")
    with duckdb.connect(str(folder[0] / "api_video_pipeline.duckdb"), read_only=True) as connection:
        assert len(connection.execute(first).fetchall()) == 10
        answer = connection.execute(second)
        names = [column[0] for column in answer.description]
        rows = [tuple(map(str, row)) for row in answer.fetchall()]
    (shown,) = (block for block in README.blocks("") if "┌" in block)
    cells = [tuple(cell.strip() for cell in line.strip("│").split("│")) for line in shown.splitlines() if line[0] == "│"]
    assert (list(cells[0]), cells[2:]) == (names, rows)


def test_the_questions_about_security_have_an_answer(folder: tuple[Path, dict[str, str]]) -> None:
    world = World(VIDEOS)
    with duckdb.connect(str(folder[0] / "api_video_pipeline.duckdb"), read_only=True) as connection:
        tokens, hosts, keys, restreams = (connection.execute(sql).fetchall() for sql in TABLES.blocks("sql"))
    endless = [row["token"] for row in world.listed("upload_tokens") if not row["ttl"]]
    assert sorted(token for token, _ in tokens) == sorted(hashlib.sha256(token.encode()).hexdigest() for token in endless)
    assert {host: count for host, count, _ in hosts} == Counter(
        row["url"].split("/")[2] for row in world.listed("webhooks")
    )
    assert [name for _, name, _ in keys] == [row["name"] for row in world.listed("projects_api_keys")]
    assert [age for *_, age in keys] == sorted((age for *_, age in keys), reverse=True)
    assert all(project for project, *_ in keys)
    wanted = [
        (row["name"], target["name"], target["serverUrl"].split("/")[2].split(":")[0])
        for row in world.listed("live_streams")
        for target in row["restreams"]
    ]
    assert sorted(restreams) == sorted(wanted) != []


def test_the_table_of_a_run_is_the_one_that_is_shown(folder: tuple[Path, dict[str, str]]) -> None:
    """The times may differ."""

    def without_seconds(lines: list[str]) -> list[list[str]]:
        cells = [re.split(r" {2,}", line.strip()) for line in lines]
        return [row[:-2] + row[-1:] for row in cells]

    (shown,) = (block for block in README.blocks("") if block.startswith("resource "))
    lines = (folder[0] / "run.log").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("resource "))
    expected = [line.rstrip() for line in shown.splitlines()]
    assert without_seconds(lines[start : start + len(expected)]) == without_seconds(expected)


def test_a_first_load_costs_what_the_formula_says(folder: tuple[Path, dict[str, str]]) -> None:
    """The README's formula fits the requests that the demo counted."""
    few = int(re.search(r"about (\d+)\n", README.text)[1])
    with duckdb.connect(str(folder[0] / "api_video_pipeline.duckdb"), read_only=True) as connection:
        found = connection.execute("SELECT resource, active_rows, requests FROM api_video_data._syncs").fetchall()
    syncs = {resource: (rows, requests) for resource, rows, requests in found if by_name()[resource].on_by_default}
    details = sum(syncs[name][0] for name in ("video_status", "summary_source")) + VIDEOS  # each one's captions
    days, a_day = map(int, re.search(r"\+  (\d+) x (\d+)  \+", README.text).groups())
    loaded_days = syncs["analytics_days"][0]
    assert 0 <= days - loaded_days <= 1  # 30 days back, to the hour
    lists = sum(syncs[name][0] for name in syncs if by_name()[name].is_list)
    sent = sum(requests for _, requests in syncs.values())
    assert abs(sent - (lists / 100 + details + loaded_days * a_day)) <= few
    assert details > 2 * VIDEOS


def test_the_example_of_several_accounts_is_read(folder: tuple[Path, dict[str, str]]) -> None:
    path, environment = folder
    script = (
        "from include.api_video.settings.config import *; from include.api_video.settings.accounts import *\n"
        "from include.api_video.settings.settings import *\n"
        "use_project_config(); found = [(a, read_settings(account=a, needs_key=False)) for a in read_accounts()]\n"
        "print([(account.dag_id, settings.environment) for account, settings in found])"
    )
    config = path / "include/.dlt/config.toml"
    before = config.read_text(encoding="utf-8")
    config.write_text(*CONFIGURATION.blocks("toml"), encoding="utf-8")
    try:
        told = run(path, environment, "python", "-c", script)
    finally:
        config.write_text(before, encoding="utf-8")
    assert told.strip() == "[('api_video', 'production'), ('api_video_training', 'sandbox')]"


def test_the_example_of_the_secrets_file_is_read(folder: tuple[Path, dict[str, str]]) -> None:
    path, environment = folder
    (snippet,) = README.blocks("toml")
    script = (
        "from include.api_video.settings.config import *; from include.api_video.settings.settings import *\n"
        "use_project_config(); print(read_settings().api_key)"
    )
    (path / "include/.dlt/secrets.toml").write_text(snippet.replace("...", "from-the-file"), encoding="utf-8")
    try:
        assert run(path, environment, "python", "-c", script).strip() == "from-the-file"
    finally:
        (path / "include/.dlt/secrets.toml").unlink()


def test_the_example_of_alerts_is_read(folder: tuple[Path, dict[str, str]]) -> None:
    path, environment = folder
    (snippet,) = ALERTS.blocks("toml")
    config = path / "include/.dlt/config.toml"
    before = config.read_text(encoding="utf-8")
    script = (
        "from include.api_video.proof.alerts import *; from include.api_video.settings.config import use_project_config\n"
        "use_project_config(); settings = read_alert_settings(); print(settings.notifier, settings.arguments['text'])"
    )
    config.write_text(before + snippet, encoding="utf-8")
    try:
        name, text = run(path, environment, "python", "-c", script).strip().split(" ", 1)
    finally:
        config.write_text(before, encoding="utf-8")
    assert name.endswith(".SlackWebhookNotifier")
    assert text == "<!here> {{ alert }}"


def test_the_lock_around_a_pipeline_of_one_s_own_lets_it_load(folder: tuple[Path, dict[str, str]]) -> None:
    path, environment = folder
    (snippet,) = PRODUCTION.blocks("python")
    script = (
        "import dlt\nfrom include.api_video.load.source import api_video_source\n"
        "from include.api_video.warehouse.locks.table_lock import table_lock\n"
        "pipeline = dlt.pipeline('mine', destination=dlt.destinations.duckdb('mine.duckdb'), dataset_name='own')\n"
    )
    script += f"{snippet}print(pipeline.dataset().videos.select('video_id').fetchall())"

    told = run(path, environment, "python", "-m", "include.demo_api", "exec", "--videos", "3", "--", "python", "-c", script)

    assert told.count("('vi") == 3


def test_the_commands_that_remove_it_leave_nothing_behind(airflow: Airflow, demo_environment: dict[str, str]) -> None:
    """The commands remove a run, a Connection and a warehouse; Airflow keeps its audit log."""
    settings = {**demo_environment, "SOURCES__API_VIDEO_SOURCE__RESOURCES": '["players"]'}
    done = airflow.run("airflow", "dags", "test", "api_video", **settings)
    assert done.returncode == 0, done.stdout
    done = airflow.run("airflow", "connections", "add", "api_video", "--conn-type", "generic")
    assert done.returncode == 0, done.stdout
    (airflow.home / "logs/dag_id=api_video").mkdir(parents=True, exist_ok=True)  # `dags test` leaves no log
    (commands,) = (block for block in PRODUCTION.blocks("sh") if "airflow dags delete" in block)
    database = airflow.home / "airflow.db"
    assert rows_of_the_dag(database)

    for command in commands.splitlines():
        if command.startswith("rm "):
            subprocess.run(command, shell=True, cwd=airflow.home, check=True)
        else:
            done = airflow.run(*command.partition("#")[0].split())
            assert done.returncode == 0, done.stdout
    (statements,) = PRODUCTION.blocks("sql")
    with duckdb.connect(str(airflow.file)) as connection:
        connection.execute(statements)
        assert connection.execute("SELECT schema_name FROM duckdb_schemas() WHERE NOT internal").fetchall() == []

    assert rows_of_the_dag(database) == set()
    left = {path for folder in ("dags", "include", "plugins") for path in (airflow.home / folder).rglob("*.*")}
    assert {path.name for path in left if path.suffix != ".pyc"} <= {"__init__.py", ".airflowignore", ".gitkeep"}
    assert not list((airflow.home / "logs").glob("dag_id=*"))


def rows_of_the_dag(file: Path) -> set[str]:
    """Airflow's tables that mention the DAG or one of our Connections, without its audit log."""
    with sqlite3.connect(file) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = set()
        for table in tables:
            columns = {column[1] for column in database.execute(f"PRAGMA table_info('{table}')")}
            for name in columns & {"dag_id", "conn_id"}:
                if table != "log" and database.execute(f"SELECT 1 FROM {table} WHERE {name} = 'api_video'").fetchone():
                    found.add(table)
    return found
