"""The lock of a table, of every kind that can run here: one holder at a time, released when its holder is killed."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from include.api_video.errors import SettingsError
from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from include.api_video.warehouse.locks import table_lock as locks
from include.api_video.warehouse.locks.leases import DeltaLease, Lease, SqlLease
from include.api_video.warehouse.locks.session_locks import FileLock, SessionLock
from include.api_video.warehouse.locks.table_lock import LockLostError, TableBusyError, table_lock
from include.api_video.warehouse.pipelines import short_lived_pipeline
from tests.integration.test_destinations import AnyWarehouse, anywhere, database, postgres, s3
from tests.services import ask

__all__ = ["anywhere", "database", "postgres", "s3"]  # fixtures
KINDS = {
    "duckdb": FileLock,
    "ducklake in sqlite": FileLock,
    "filesystem": FileLock,
    "postgres": SessionLock,
    "ducklake": SessionLock,
    "filesystem on s3": DeltaLease,
}
# Leases short enough for tests; PostgreSQL uses them in place of its own locks.
SHORT = """
import sys
from include.api_video.warehouse.locks import table_lock as locks
from include.api_video.warehouse.locks.leases import Lease, SqlLease
if "lease" in sys.argv:
    locks._locks = lambda pipeline, claim: iter([SqlLease(pipeline.sql_client(), claim)])
Lease.ask_again_s, Lease.renew_s, Lease.lease_s, Lease.lasts_s = 0.05, 0.3, 1.5, 1.2
"""
HOLD = (
    SHORT
    + """
import time
from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from include.api_video.warehouse.pipelines import short_lived_pipeline
with short_lived_pipeline("holder", DEFAULT_ACCOUNT) as pipeline, locks.table_lock(pipeline, "videos", "run_of_holder"):
    print("held", flush=True)
    time.sleep(300)
"""
)


@contextmanager
def held(kind: str = "") -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of ``videos``."""
    command = [sys.executable, "-W", "ignore", "-c", HOLD, kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == "held\n", holder.communicate()
            yield holder
        finally:
            holder.kill()


@contextmanager
def locked(table: str = "videos", run_id: str = "", wait_s: float = 0) -> Iterator[None]:
    with short_lived_pipeline("mine", DEFAULT_ACCOUNT) as pipeline, table_lock(pipeline, table, run_id, wait_s=wait_s):
        yield


def lock_of(table: str) -> object:
    with short_lived_pipeline("mine", DEFAULT_ACCOUNT) as pipeline:
        return next(locks._locks(pipeline, locks.Claim(pipeline.dataset_name, table)))


def places(*names: str) -> pytest.MarkDecorator:
    marks = {"filesystem on s3": pytest.mark.slow}
    pairs = [pytest.param(*name.split(": "), marks=marks.get(name.split(": ")[0], ())) for name in names]
    return pytest.mark.parametrize(("anywhere", "kind"), pairs, indirect=["anywhere"])


EVERYWHERE = places("duckdb: own", "postgres: own", "filesystem on s3: own", "postgres: lease")  # each kind once


@pytest.fixture
def _short_leases(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    for name, seconds in {"ask_again_s": 0.05, "renew_s": 0.3, "lease_s": 1.5, "lasts_s": 1.2}.items():
        monkeypatch.setattr(Lease, name, seconds)
    if kind == "lease":
        monkeypatch.setattr(locks, "_locks", lambda pipeline, claim: iter([SqlLease(pipeline.sql_client(), claim)]))


@pytest.mark.parametrize(("anywhere", "kind"), KINDS.items(), indirect=["anywhere"])
def test_the_destination_holds_the_best_lock_that_it_can(anywhere: AnyWarehouse, kind: type) -> None:
    assert isinstance(lock_of("videos"), kind)


@EVERYWHERE
@pytest.mark.usefixtures("anywhere", "_short_leases", "kind")
def test_never_two_at_once(tmp_path: Path) -> None:
    inside = tmp_path / "inside"

    def take_turns(_: int) -> None:
        for _ in range(4):
            with locked(wait_s=60):
                inside.touch(exist_ok=False)  # fails if another process is inside
                time.sleep(0.02)
                inside.unlink()

    with ThreadPoolExecutor() as threads:
        list(threads.map(take_turns, range(3)))


@EVERYWHERE
@pytest.mark.usefixtures("anywhere", "_short_leases")
def test_who_waits_is_told_for_whom_and_goes_on_when_that_one_is_killed(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "api_video")
    with held(kind) as holder:
        if isinstance(lock_of("videos"), Lease):
            time.sleep(2)  # longer than a lease, which must be renewed
        with pytest.raises(TableBusyError, match=r"videos is being loaded by run run_of_holder since .* UTC"), locked():
            pass
        with locked("players"):  # another table is not locked
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with locked(run_id="next", wait_s=30):
            pass
    waits = [record.message for record in caplog.records if "waiting" in record.message]
    assert len(waits) <= 1  # no wait if the kernel releases it at once
    assert all(re.fullmatch(r"videos is being loaded by run run_of_holder since .* UTC; waiting, .*", w) for w in waits)
    if kind == "lease":
        assert waits


@places("duckdb: own")
@pytest.mark.usefixtures("anywhere", "kind")
def test_the_file_is_free_for_other_tables_while_one_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api_video")
    with held():
        with pytest.raises(TableBusyError) as busy, locked(wait_s=0.5):
            pass
        with short_lived_pipeline("mine", DEFAULT_ACCOUNT) as pipeline, pipeline.sql_client() as client:
            assert client.execute_sql("SELECT 1") == [(1,)]
    assert re.fullmatch(
        r"videos is being loaded by run run_of_holder since \S+ \S+ UTC, and this run has waited \d s for it\. The next "
        r"try starts over; end that run if it hangs, or set API_VIDEO_LOCK_TIMEOUT_S higher if it may take so long\.",
        str(busy.value),
    )
    assert sum("waiting, for at most" in record.message for record in caplog.records) == 1


@places("postgres: lease")
@pytest.mark.usefixtures("_short_leases", "kind")
def test_a_load_whose_lease_ran_out_loads_nothing(anywhere: AnyWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """For example after the machine slept: another run may have begun meanwhile."""
    anywhere.load("videos")
    for _ in range(120):  # the second page takes a second, time to notice
        anywhere.demo.world.add_video(title="new")
    before = anywhere.active("videos")
    monkeypatch.setattr(Lease, "renew_s", 1000)  # not in time
    anywhere.demo.behaviour.latency_s = 1.4

    run = anywhere.load("videos")

    assert isinstance(run.errors["videos"], LockLostError)
    assert anywhere.active("videos") == before
    anywhere.demo.behaviour.latency_s = 0
    anywhere.load("videos")
    anywhere.assert_equal("videos")


@places("postgres: own")
@pytest.mark.usefixtures("kind")
def test_a_load_whose_session_was_ended_a_moment_ago_loads_nothing(anywhere: AnyWarehouse, database: str) -> None:
    anywhere.load("videos")
    anywhere.demo.world.add_video(title="new")
    before = anywhere.active("videos")
    ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'api_video %'"
    anywhere.demo.behaviour.after(1, "/videos", lambda: ask(database, ending))

    run = anywhere.load("videos")

    assert isinstance(run.errors["videos"], LockLostError)
    assert anywhere.active("videos") == before


@pytest.mark.parametrize("text", ["10m", "-1", "nan", "inf"])
def test_a_malformed_time_to_wait_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(locks.TIMEOUT_VARIABLE, text)

    with pytest.raises(SettingsError, match=f"^API_VIDEO_LOCK_TIMEOUT_S must be a number of seconds, .* it is '{text}'.$"):
        locks.timeout_s()


def test_another_table_of_the_same_name_is_another_lock(tmp_path: Path) -> None:
    one, other = (FileLock(tmp_path / "w.duckdb", locks.Claim(dataset, "videos")) for dataset in ("data", "data_training"))
    assert one.take() is None
    assert other.take() is None
    assert sorted(os.listdir(tmp_path / "w.duckdb.locks")) == ["data.videos", "data_training.videos"]


@contextmanager
def pooler(database: str) -> Iterator[str]:
    """A pooler in front of PostgreSQL. Like PgBouncer, it tells clients a process id that is not the server's."""
    place = Path(parse_qs(urlsplit(database).query)["host"][0]) / ".s.PGSQL.5432"

    class Session(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as server:
                server.connect(str(place))
                threading.Thread(target=self.pass_on, args=(self.request, server), daemon=True).start()
                self.pass_on(server, self.request, hide=True)

        @staticmethod
        def pass_on(source: socket.socket, target: socket.socket, *, hide: bool = False) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    if hide:  # BackendKeyData: K, its length 12, the process id, a secret
                        data = re.sub(
                            rb"K\x00\x00\x00\x0c....", b"K\x00\x00\x00\x0c\x00\x00\x00\x07", data, flags=re.DOTALL
                        )
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"postgresql://postgres:any@127.0.0.1:{server.server_address[1]}{urlsplit(database).path}?sslmode=disable"
        server.shutdown()


@places("postgres: own")
@pytest.mark.usefixtures("anywhere", "kind")
def test_behind_a_pooler_that_shares_sessions_a_lease_holds_the_table(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session lock would stay with the server's session, for its next client."""
    with pooler(database) as pooled:
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", pooled)
        with locked("videos", "pooled"):
            assert ask(database, "SELECT table_name, run_id FROM api_video_data._locks") == [("videos", "pooled")]
            assert ask(database, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
            with pytest.raises(TableBusyError, match="by run pooled since"), locked("videos"):
                pass
        assert ask(database, "SELECT count(*) FROM api_video_data._locks") == [(0,)]
