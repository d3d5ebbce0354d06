"""Several processes load into one DuckDB file: they wait for each other, and a killed one blocks nobody."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from include.api_video.warehouse.destinations.duckdb import WaitingPool
from include.api_video.warehouse.destinations.make import make_destination
from include.api_video.warehouse.locks import duckdb_file as file_lock
from include.api_video.warehouse.pipelines import short_lived_pipeline

LOAD = """
import sys
from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from include.api_video.warehouse.pipelines import make_pipeline
name, folder = sys.argv[1:]
rows = [{"id": n, "tags": ["a", "b"]} for n in range(300)]
pipeline = make_pipeline(name, DEFAULT_ACCOUNT, pipelines_dir=folder)
pipeline.run(rows, table_name=name, write_disposition="merge", primary_key="id")
"""
HOLD = """
import sys, time
from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from include.api_video.warehouse.pipelines import make_pipeline
with make_pipeline("holder", DEFAULT_ACCOUNT, pipelines_dir=sys.argv[1]).sql_client() as client:
    client.execute_sql("SELECT 1")
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def start(tmp_path: Path, script: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "DESTINATION__DUCKDB__CREDENTIALS": str(tmp_path / "shared.duckdb")}
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_parallel_loads_into_one_new_file_all_succeed(tmp_path: Path) -> None:
    loads = [start(tmp_path, LOAD, f"t{n}", str(tmp_path / f"p{n}")) for n in range(4)]

    ends = [load.communicate(timeout=120) for load in loads]

    assert [load.returncode for load in loads] == [0] * 4, ends
    with duckdb.connect(str(tmp_path / "shared.duckdb")) as connection:
        counts = [connection.execute(f"SELECT count(*) FROM api_video_data.t{n}").fetchall() for n in range(4)]
    assert counts == [[(300,)]] * 4


def test_a_killed_process_gives_the_file_free(tmp_path: Path) -> None:
    holder = start(tmp_path, HOLD, str(tmp_path / "h"), "300")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    load = start(tmp_path, LOAD, "t", str(tmp_path / "p"))
    time.sleep(0.2)
    assert load.poll() is None
    holder.send_signal(signal.SIGKILL)
    holder.communicate()

    _, errors = load.communicate(timeout=60)

    assert load.returncode == 0, errors


def test_another_program_that_reads_the_file_is_waited_for(tmp_path: Path) -> None:
    duckdb.connect(str(tmp_path / "shared.duckdb")).close()
    reader = duckdb.connect(str(tmp_path / "shared.duckdb"), read_only=True)
    load = start(tmp_path, LOAD, "t", str(tmp_path / "p"))
    time.sleep(2.5)
    assert load.poll() is None
    reader.close()

    _, errors = load.communicate(timeout=60)

    assert load.returncode == 0, errors


def test_a_file_that_never_gets_free_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    holder = start(tmp_path, HOLD, str(tmp_path / "h"), "300")
    assert holder.stdout is not None
    holder.stdout.readline()
    environment_wait = "import os; os.environ['API_VIDEO_DUCKDB_TIMEOUT_S'] = '1'\n"

    load = start(tmp_path, environment_wait + LOAD, "t", str(tmp_path / "p"))
    _, errors = load.communicate(timeout=60)
    holder.kill()
    holder.communicate()

    assert load.returncode == 1
    assert "was open in another task or program for more than 1 s" in errors
    assert "API_VIDEO_DUCKDB_TIMEOUT_S" in errors


def test_a_large_file_gets_more_memory_than_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge keeps its keys in memory: a million videos need more than the limit for a small file."""

    def limit_mb(file: Path) -> float:
        monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(file))
        with short_lived_pipeline("ask", DEFAULT_ACCOUNT) as pipeline, pipeline.sql_client() as client:
            ((told,),) = client.execute_sql("SELECT current_setting('memory_limit')")
        amount, unit = told.split()
        assert unit == "MiB"
        return float(amount) * 1.048576

    large = tmp_path / "large.duckdb"
    with duckdb.connect(str(large)) as connection:
        connection.execute("CREATE TABLE ids AS SELECT gen_random_uuid() FROM range(4_000_000)")

    assert limit_mb(tmp_path / "new.duckdb") == pytest.approx(128, abs=1)
    assert limit_mb(large) == pytest.approx(128 + large.stat().st_size / 8e6, abs=2)


def is_locked(file: Path) -> bool:
    """Whether another process would have to wait for it."""
    with open(f"{file}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WaitingPool:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(tmp_path / "shared.duckdb"))
    configuration = make_destination().configuration(None, accept_partial=True)
    found = configuration.credentials.conn_pool
    assert isinstance(found, WaitingPool)
    return found


def test_the_lock_is_held_until_the_last_connection_is_back(pool: WaitingPool, tmp_path: Path) -> None:
    file = tmp_path / "shared.duckdb"

    first, second = pool.borrow_conn(), pool.borrow_conn()
    held = [is_locked(file)]
    for connection in (second, first):
        pool.return_conn(connection)
        held.append(is_locked(file))

    assert held == [True, True, False]


@pytest.mark.parametrize("setting", [{"global_config": {"no_such": 1}}, {"pragmas": ["no_such"]}])
@pytest.mark.parametrize("lent", [0, 1])
def test_a_connection_that_cannot_be_set_up_leaves_the_lock_as_it_was(
    pool: WaitingPool, tmp_path: Path, setting: dict[str, Any], lent: int
) -> None:
    """dlt gives some of them back to the pool by itself, and others not."""
    others = [pool.borrow_conn() for _ in range(lent)]
    wrong = setting if not lent else {"pragmas": ["no_such"]}  # global settings are made once

    with pytest.raises(duckdb.Error):
        pool.borrow_conn(**wrong)

    assert is_locked(tmp_path / "shared.duckdb") == bool(lent)
    for connection in others:
        pool.return_conn(connection)
    assert not is_locked(tmp_path / "shared.duckdb")


def test_a_connection_that_was_given_away_keeps_the_lock(pool: WaitingPool, tmp_path: Path) -> None:
    """dlt's way into Ibis: the file stays open as long as the process lives."""
    borrowed = pool.borrow_conn()
    moved = pool.move_conn()
    pool.return_conn(borrowed)

    assert moved.execute("SELECT 1").fetchall() == [(1,)]
    assert is_locked(tmp_path / "shared.duckdb")
    moved.close()
    file_lock.release(str(tmp_path / "shared.duckdb"))


def test_a_client_that_nobody_closed_gives_the_lock_back_when_it_is_gone(pool: WaitingPool, tmp_path: Path) -> None:
    credentials = pool.credentials.copy()  # with a pool of its own
    credentials.on_resolved()
    connection = credentials.conn_pool.borrow_conn()
    assert is_locked(tmp_path / "shared.duckdb")
    connection.close()

    del credentials
    gc.collect()

    assert not is_locked(tmp_path / "shared.duckdb")
