"""What the README prints is run as printed, in a folder like the user's after a run."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import duckdb
import pytest
import requests

from tests.airflow_home import BIN, PROJECT, clean_environment

pytestmark = pytest.mark.slow

README = (PROJECT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A copy of the project in which the plain run has loaded the demo; nothing else is set."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("dags", "include", "plugins"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("secrets.toml", "__pycache__"))
    os.symlink("include/.dlt", folder / ".dlt")
    environment = clean_environment(folder)
    del environment["DESTINATION__DUCKDB__CREDENTIALS"]
    demo = ["python", "-m", "include.demo_api", "exec", "--videos", "20", "--", "python", "-m", "include.api_video"]
    done = run(folder, environment, *demo)
    assert "Load package" in done
    return folder, environment


def run(folder: Path, environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_dlt_commands_work_without_arguments(folder: tuple[Path, dict[str, str]]) -> None:
    commands = re.findall(r"^(dlt [^#\n]*)", "".join(blocks("sh")), re.MULTILINE)
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
    snippet = blocks("python")[0]

    output = run(*folder, "python", "-c", snippet + "\nprint(len(videos), list(videos.columns)[:2])")

    assert output.strip().endswith("20 ['video_id', 'created_at']")


def test_the_sql_snippet_gives_rows(folder: tuple[Path, dict[str, str]]) -> None:
    (snippet,) = blocks("sql")
    with duckdb.connect(str(folder[0] / "api_video_pipeline.duckdb"), read_only=True) as connection:
        assert len(connection.execute(snippet).fetchall()) == 10


def test_the_example_of_several_accounts_is_read(folder: tuple[Path, dict[str, str]]) -> None:
    path, environment = folder
    script = (
        "from include.api_video.config import *; from include.api_video.accounts import *\n"
        "from include.api_video.settings import *\n"
        "use_project_config(); found = [(a, read_settings(account=a, needs_key=False)) for a in read_accounts()]\n"
        "print([(account.dag_id, settings.environment) for account, settings in found])"
    )
    config = path / "include/.dlt/config.toml"
    before = config.read_text(encoding="utf-8")
    config.write_text(blocks("toml")[1], encoding="utf-8")
    try:
        told = run(path, environment, "python", "-c", script)
    finally:
        config.write_text(before, encoding="utf-8")
    assert told.strip() == "[('api_video', 'production'), ('api_video_training', 'sandbox')]"


def test_the_example_of_the_secrets_file_is_read(folder: tuple[Path, dict[str, str]]) -> None:
    path, environment = folder
    snippet, _, _ = blocks("toml")
    script = (
        "from include.api_video.config import *; from include.api_video.settings import *\n"
        "use_project_config(); print(read_settings().api_key)"
    )
    (path / "include/.dlt/secrets.toml").write_text(snippet.replace("...", "from-the-file"), encoding="utf-8")
    try:
        assert run(path, environment, "python", "-c", script).strip() == "from-the-file"
    finally:
        (path / "include/.dlt/secrets.toml").unlink()


def test_the_example_of_alerts_is_read(folder: tuple[Path, dict[str, str]]) -> None:
    path, environment = folder
    _, _, snippet = blocks("toml")
    config = path / "include/.dlt/config.toml"
    before = config.read_text(encoding="utf-8")
    script = (
        "from include.api_video.alerts import *; from include.api_video.config import use_project_config\n"
        "use_project_config(); settings = read_alert_settings(); print(settings.notifier, settings.arguments['text'])"
    )
    config.write_text(before + snippet, encoding="utf-8")
    try:
        name, text = run(path, environment, "python", "-c", script).strip().split(" ", 1)
    finally:
        config.write_text(before, encoding="utf-8")
    assert name.endswith(".SlackWebhookNotifier")
    assert text == "<!here> {{ alert }}"
