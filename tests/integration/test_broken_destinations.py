"""Destinations that fail, with their real drivers: the message appears once, and loaded data stays intact."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import resource
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import psycopg2
import pytest

from include.api_video.errors import SettingsError
from include.api_video.load.runner import prepare_warehouse
from include.api_video.settings.config import PROJECT_DIR
from include.api_video.settings.destination import duckdb_file
from include.api_video.warehouse.destinations.errors import DestinationError, DestinationRefusedError
from include.api_video.warehouse.locks import duckdb_file as file_lock
from include.api_video.warehouse.locks.duckdb_file import FileBusyError, NoLocksError, Patience
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.server import Demo
from tests.integration.conftest import Warehouse
from tests.integration.test_destinations import AnyWarehouse
from tests.services import ask, new_database, postgres_server

NAMES = ("videos", "video_status")


def execute(uri: str, *statements: str) -> None:
    connection = psycopg2.connect(uri)
    connection.autocommit = True
    for statement in statements:
        connection.cursor().execute(statement)
    connection.close()


# --- PostgreSQL ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres") / "data") as uri:
        execute(uri, "CREATE ROLE loader LOGIN PASSWORD 'hidden-word'")
        yield uri


@pytest.fixture
def postgres(server: str, demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[AnyWarehouse, str]:
    """A warehouse and a role without rights on it; gives the owner's connection string, too."""
    owner = new_database(server, re.sub(r"\W", "_", tmp_path.name).lower())
    monkeypatch.setenv("API_VIDEO_DESTINATION", "postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", owner.replace("postgres:@", "loader:hidden-word@"))
    return AnyWarehouse(demo, tmp_path), owner


def test_a_role_that_may_not_create_schemas_is_told_what_to_grant_and_loads_into_those_that_are_there(postgres) -> None:
    warehouse, owner = postgres
    with pytest.raises(DestinationRefusedError) as caught:
        warehouse.load(*NAMES)
    for word in ("permission denied for database", "GRANT CREATE ON DATABASE", "TO loader", "CREATE SCHEMA api_video_data"):
        assert word in str(caught.value)

    advice = str(caught.value).partition("yourself: ")[2].rstrip(".")
    execute(owner, *filter(str.strip, advice.split(";")))  # follows the advice word for word

    first, second = warehouse.load(*NAMES), warehouse.load("videos", full_refresh=True)
    warehouse.assert_equal(*NAMES)
    assert not first.report.failed
    assert not second.report.failed


def test_a_full_refresh_keeps_views_of_the_user(postgres, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    """PostgreSQL refuses to drop a table that a view uses."""
    warehouse, owner = postgres
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", owner)
    warehouse.load(*NAMES)
    execute(
        owner,
        "CREATE VIEW public.titles AS SELECT v.video_id, title, t.value FROM api_video_data.videos v "
        "LEFT JOIN api_video_data.videos__tags t USING (video_id)",
        "CREATE MATERIALIZED VIEW states AS SELECT * FROM api_video_data.video_status",
    )
    gone, changed = warehouse.demo.world.ids("videos")[:2]
    warehouse.demo.world.delete_video(gone)
    warehouse.demo.world.update_video(changed, title="changed")

    refreshed = warehouse.load(*NAMES, full_refresh=True)

    assert not refreshed.errors
    assert not refreshed.report.failed
    warehouse.assert_equal(*NAMES)
    assert warehouse.rows(f"SELECT count(*) FROM videos WHERE video_id = '{gone}'") == [(0,)]
    assert ask(owner, f"SELECT DISTINCT title FROM public.titles WHERE video_id = '{changed}'") == [("changed",)]
    assert "videos: emptied instead of dropped, since public.titles depends on it" in caplog.messages
    assert "video_status: emptied instead of dropped, since public.states depends on it" in caplog.messages


@contextmanager
def pooler(uri: str, on_options: Callable[[socket.socket, bytes], bytes | None]) -> Iterator[str]:
    """A pooler in front of PostgreSQL; ``on_options`` gets the client and its first message."""
    folder = parse_qs(urlsplit(uri).query)["host"][0]
    listening = socket.create_server(("127.0.0.1", 0))

    def copy(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            while True:
                length = struct.unpack("!I", client.recv(4))[0]
                message = client.recv(length - 4)
                if struct.unpack("!I", message[:4])[0] == 196608:  # protocol 3.0
                    break
                client.sendall(b"N")  # neither TLS nor GSS
            passed = on_options(client, message)
            if passed is None:
                return
            server.connect(f"{folder}/.s.PGSQL.5432")
            server.sendall(struct.pack("!I", len(passed) + 4) + passed)
            back = threading.Thread(target=copy, args=(server, client), daemon=True)
            back.start()
            copy(client, server)
            back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        port = listening.getsockname()[1]
        yield re.sub(r"@localhost/(\w+)\?.*", rf"@127.0.0.1:{port}/\1?sslmode=disable&gssencmode=disable", uri)
    finally:
        listening.close()


def refuse(client: socket.socket, message: bytes) -> bytes | None:
    """Answers as PgBouncer does."""
    if b"\0options\0" not in message:
        return message
    fields = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
    client.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
    return None


def ignore(_: socket.socket, message: bytes) -> bytes:
    """Behaves as PgBouncer with ``ignore_startup_parameters = options``."""
    return re.sub(rb"\0options\0[^\0]*(?=\0)", b"", message)


def test_a_pooler_that_refuses_startup_options_is_named_with_the_setting_that_helps(postgres, monkeypatch) -> None:
    warehouse, owner = postgres
    with pooler(owner, refuse) as uri:
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", uri)
        with pytest.raises(DestinationRefusedError, match="ignore_startup_parameters = options"):
            warehouse.load(*NAMES)
    with pooler(owner, ignore) as uri:
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", uri)
        run = warehouse.load(*NAMES)
    assert not run.report.failed
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", owner)  # these queries name no schema
    warehouse.assert_equal(*NAMES)


# --- a DuckDB file ------------------------------------------------------------------------------------------------------


def checksum(block: bytes) -> int:
    """DuckDB's checksum of a block."""
    result = 5381
    for (word,) in struct.iter_unpack("<Q", block):
        result ^= word * 0xBF58476D1CE4E5B9 % 2**64
    return result


def of_a_newer_duckdb(file: Path) -> None:
    duckdb.connect(str(file)).close()
    content = bytearray(file.read_bytes())
    content[12:20] = struct.pack("<Q", 999)  # storage version
    content[:8] = struct.pack("<Q", checksum(bytes(content[8:4096])))
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda file: file.write_text("no database" * 1000),
            r"not a valid DuckDB database file\. Move that file away",
        ),
        (
            lambda file: file.mkdir(),
            r"Is a directory\. A folder stands .*/warehouse\.duckdb/api_video\.duckdb",
        ),
        (of_a_newer_duckdb, rf"version number 999.*A DuckDB newer than {re.escape(duckdb.__version__)} wrote the file"),
    ],
    ids=["no database", "a folder", "a newer DuckDB's"],
)
def test_what_is_no_file_of_this_duckdb_is_named(warehouse: Warehouse, make: Callable[[Path], Any], told: str) -> None:
    make(warehouse.file)
    with pytest.raises(DestinationRefusedError, match=told):
        prepare_warehouse(warehouse.settings)


@pytest.mark.parametrize("place", [":memory:", "mysql://loader:hidden@host/w"])
def test_what_is_no_path_is_refused(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", place)
    with pytest.raises(SettingsError, match="must be the path of a file"):
        prepare_warehouse(warehouse.settings)


def test_dlts_other_spelling_of_the_file_counts(warehouse: Warehouse, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DESTINATION__DUCKDB__CREDENTIALS")
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS__DATABASE", str(tmp_path / "documented.duckdb"))
    assert duckdb_file() == tmp_path / "documented.duckdb"
    prepare_warehouse(warehouse.settings)
    assert (tmp_path / "documented.duckdb").is_file()
    assert not warehouse.file.exists()

    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(warehouse.file))
    with pytest.raises(SettingsError, match="__DATABASE another file: set only one of them"):
        prepare_warehouse(warehouse.settings)


@pytest.mark.parametrize(("name", "value"), [("API_VIDEO_DUCKDB_TIMEOUT_S", "10m"), ("API_VIDEO_DUCKDB_MEMORY", "much")])
def test_a_malformed_limit_is_said_by_the_first_task_alone(
    warehouse: Warehouse, monkeypatch, name: str, value: str
) -> None:
    """Parsing must still work, so that the DAG does not vanish."""
    from include.api_video.warehouse.destinations.make import make_destination

    monkeypatch.setenv(name, value)
    make_destination()
    with pytest.raises(SettingsError, match=f"{name} must be .*, such as .*, not '{value}'"):
        prepare_warehouse(warehouse.settings)


def test_a_file_that_another_program_holds_is_said_while_it_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api_video")
    now = [0.0]
    patience = Patience("/data/x.duckdb", clock=lambda: now[0], sleep=lambda _: now.__setitem__(0, now[0] + 1))

    def wait_for_ever() -> None:
        while True:
            patience.wait(0.1, 0.5, "/bin/duckdb (PID 7)")

    with pytest.raises(FileBusyError, match=r"was open in /bin/duckdb \(PID 7\) for more than 600 s.*DUCKDB_TIMEOUT_S"):
        wait_for_ever()
    assert caplog.messages[0] == "/data/x.duckdb is open in /bin/duckdb (PID 7): waiting for it, for 595 s more at most"
    assert len(caplog.messages) == 10, "after five seconds, then once a minute"


def test_a_file_system_without_locks_is_named(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests cannot mount such a file system, so the system call is replaced by one that fails alike."""

    def no_locks(*_: Any) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(file_lock.fcntl, "flock", no_locks)
    with pytest.raises(NoLocksError, match=r"has no file locks \(No locks available\).*put it on a local disk"):
        prepare_warehouse(warehouse.settings)


# --- as a user runs it --------------------------------------------------------------------------------------------------


def run_plain(demo: Demo, before: Callable[[], None] | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    resources = {"SOURCES__API_VIDEO_SOURCE__RESOURCES": '["videos", "players"]'}
    return subprocess.run(
        [sys.executable, "-m", "include.api_video"],
        env={**os.environ, **demo_settings(demo), **resources, **settings},
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=before,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("most_bytes", [20_000, 400_000], ids=["nothing fits", "tables fit"])
def test_a_full_disk_is_a_sentence_and_the_next_run_makes_up_for_it(warehouse: Warehouse, most_bytes: int) -> None:
    """Limits the size of files: DuckDB and Python get the same errors as on a full disk."""
    for _ in range(1500):
        warehouse.demo.world.add_video(description="a text that needs some room " * 10)

    full = run_plain(warehouse.demo, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes)))
    said = full.stdout + full.stderr
    assert full.returncode == 1
    assert "Traceback" not in said
    assert "pending packages" not in said.lower()
    assert re.search(r"DestinationError: The destination duckdb cannot be used: .*File too large\. The disk is full", said)
    assert len(said) < 5000

    again = run_plain(warehouse.demo)
    assert again.returncode == 0, again.stdout + again.stderr
    warehouse.assert_equal("videos", "players")


def test_a_folder_that_may_not_be_written_is_named(warehouse: Warehouse, tmp_path: Path) -> None:
    def as_anybody() -> None:
        """Drops root's right to write anywhere (CAP_DAC_OVERRIDE)."""
        for capability in (1, 2, 3):
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP

    folder = tmp_path / "sealed"
    folder.mkdir(mode=0o555)
    done = run_plain(warehouse.demo, as_anybody, DESTINATION__DUCKDB__CREDENTIALS=str(folder / "x.duckdb"))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"Permission denied: {folder}/x.duckdb.lock. The user who runs this may not write there" in done.stderr


def test_what_stops_one_account_does_not_stop_the_next(warehouse: Warehouse, monkeypatch, capsys) -> None:
    """The traceback of an unexpected error is printed, and the next account is loaded."""
    from include.api_video.__main__ import on_each

    monkeypatch.setenv("API_VIDEO_ACCOUNTS", '["default", "training"]')
    begun = []

    def command(account: Any) -> int:
        begun.append(account.label)
        if not account.name:
            raise ZeroDivisionError("postgres://loader:hidden@host/w")
        return 0

    assert list(on_each(command, None)) == [1, 0]
    assert begun == ["default", "training"]
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.endswith("ZeroDivisionError: postgres://loader:***@host/w\n")
    assert "hidden" not in said


def test_a_disk_that_is_full_may_be_tried_again_and_a_right_may_not() -> None:
    from include.api_video.errors import PassingError, RefusedError

    assert issubclass(DestinationError, PassingError)
    assert issubclass(DestinationRefusedError, RefusedError)
