"""The command of ``make run`` in a real Airflow: what it prints for a wrong key, and after Ctrl-C."""

from __future__ import annotations

import re
import signal
import sqlite3
import subprocess
from dataclasses import replace

import pytest

from include.api_video.catalog.endpoints import ENDPOINTS
from include.demo_api.server import Demo
from tests.airflow_home import BIN, Airflow, wait_until

pytestmark = pytest.mark.slow
COMMAND = ("python", "-W", "ignore", "-m", "dags.api_video_run")


def test_a_wrong_key_is_told_in_one_sentence_and_without_one_the_demo_is_loaded(
    airflow: Airflow, demo: Demo, demo_environment: dict[str, str]
) -> None:
    airflow = replace(airflow, forker=None)  # the output depends on settings made before Airflow is imported
    wrong = {**demo_environment, "SOURCES__API_VIDEO_SOURCE__API_KEY": "of-another-account"}

    done = airflow.run(*COMMAND, **wrong)

    assert done.returncode == 1
    (sentence,) = [line for line in done.stdout.splitlines() if "[alembic." not in line]  # Airflow 3.2 says more
    assert sentence.startswith("ApiVideoKeyError: api.video refused the API key (401 on")
    assert [request.status for request in demo.log] == [401]
    told = "SELECT count(*) FROM api_video_data._checks WHERE NOT passed AND note LIKE '%refused the API key%'"
    assert airflow.rows(told) == [(len(ENDPOINTS),)], "the page tells it of each table"

    done = airflow.run(*COMMAND)

    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("No api.video API key is set (README: Load your own account): loading the demo API")
    assert len(re.findall("^projects_api_keys +first", done.stdout, re.MULTILINE)) == 1, "the table is printed once"
    assert "DAG TEST" not in done.stdout


def test_ctrl_c_ends_the_run_and_says_what_was_loaded(
    airflow: Airflow, demo: Demo, demo_environment: dict[str, str]
) -> None:
    """All requests for single objects hang: dlt waits for them, and would take the signal for itself."""
    demo.behaviour.fail("/videos/.*", "hang", times=None, seconds=600)
    log = (airflow.home / "run.log").open("w+")
    command, environment = [str(BIN / COMMAND[0]), *COMMAND[1:]], {**airflow.environment, **demo_environment}
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=airflow.home,
        stdout=log,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # the shell that runs the tests may ignore it
    )
    try:
        wait_until("the first single object", lambda: demo.requests("/videos/") or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        process.kill()
        log.seek(0)
        said = log.read()
        log.close()

    assert said.splitlines()[-2:-1] == ["Stopping ..."], said
    loaded = said.splitlines()[-1].partition("Loaded in this run: ")[2].partition(".")[0].split(", ")
    assert "videos" in loaded
    assert not {"video", "video_status", "captions", "chapters"} & set(loaded)
    assert "Traceback" not in said
    of_videos = "video|video_status|captions|chapters"  # one task after the other, in an order of Airflow's choice
    assert len(re.findall(rf"\b(?:{of_videos}): 60 requests are expected", said)) == 1
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        assert database.execute("SELECT state FROM dag_run").fetchall() == [("failed",)]
