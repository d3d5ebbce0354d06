"""The source into every destination that can run here: a first load, changes of every kind, a load without changes, a
full refresh. After each, the tables equal the API's lists.

PostgreSQL is a real server from a package, S3 is moto's. DuckLake's extensions come from packages, too, since DuckDB would
download them. ``tests/e2e/test_other_warehouse.py`` runs the DAG into DuckLake with PostgreSQL and S3.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from duckdb_extensions import import_extension

from include.api_video.warehouse.pipelines import short_lived_pipeline
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.server import Demo
from tests.integration.conftest import Warehouse, change
from tests.services import bucket_credentials, new_bucket, new_database, postgres_server, s3_server

RESOURCES = ("videos", "video_status")


class AnyWarehouse(Warehouse):
    """Queries through dlt's client of the destination."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        account = self.settings.account
        with short_lived_pipeline("ask", account) as pipeline, pipeline.sql_client() as client:
            return [tuple(row) for row in client.execute_sql(sql) or ()]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def database(postgres: str, tmp_path: Path) -> str:
    """The connection string of an empty database."""
    return new_database(postgres, tmp_path.name.replace("-", "_").lower())


@pytest.fixture
def anywhere(request: pytest.FixtureRequest, demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnyWarehouse:
    name, *place = request.param.split()
    monkeypatch.setenv("API_VIDEO_DESTINATION", name)
    settings: dict[str, str] = {}
    for extension in ("ducklake", "sqlite_scanner", "postgres_scanner", "httpfs"):
        import_extension(extension)
    if "s3" in place:
        new_bucket(server := request.getfixturevalue("s3"), "videos")
        settings |= {f"CREDENTIALS__{field.upper()}": value for field, value in bucket_credentials(server).items()}
        settings["BUCKET_URL"] = f"s3://videos/{tmp_path.name}"
    else:
        settings["BUCKET_URL"] = str(tmp_path / "lake")
    if name == "duckdb":
        settings = {"CREDENTIALS": str(tmp_path / "warehouse.duckdb")}
    elif name == "postgres":
        settings = {"CREDENTIALS": request.getfixturevalue("database")}
    elif name == "ducklake":
        catalog = f"sqlite:///{tmp_path}/catalog.sqlite" if "sqlite" in place else request.getfixturevalue("database")
        storage = {f"CREDENTIALS__STORAGE__{field}": value for field, value in settings.items()}
        settings = {"CREDENTIALS__CATALOG": catalog, **storage}
    for field, value in settings.items():
        monkeypatch.setenv(f"DESTINATION__{name.upper()}__{field}", value)
    return AnyWarehouse(demo, tmp_path)


def places(*names: str) -> pytest.MarkDecorator:
    """The destination of a test; lakes are slow."""
    quick = ("duckdb", "postgres")
    marked = [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]
    return pytest.mark.parametrize("anywhere", marked, indirect=True)


@places("postgres", "filesystem", "filesystem on s3", "ducklake in sqlite")
def test_a_load_and_the_next_ones_equal_the_api(anywhere: AnyWarehouse) -> None:
    first = anywhere.load(*RESOURCES)
    anywhere.assert_equal(*RESOURCES)
    change(anywhere.demo.world)
    changed = anywhere.demo.world.ids("videos")[0]
    second = anywhere.load(*RESOURCES)
    anywhere.assert_equal(*RESOURCES)
    anywhere.demo.reset_log()
    third = anywhere.load("videos")
    sent = anywhere.demo.requests()
    fourth = anywhere.load("videos", full_refresh=True)

    anywhere.assert_equal(*RESOURCES)
    assert not [run.report.failed for run in (first, second, third, fourth) if run.report.failed]
    assert second.sync("videos")["removed_rows"] == 2
    assert sent == 1, "nothing changed"
    assert fourth.sync("videos")["mode"] == "first"
    assert anywhere.rows(f"SELECT value FROM videos__tags WHERE video_id = '{changed}'") == [("a",)]


@places("postgres", "filesystem", "ducklake in sqlite")
def test_a_text_without_characters_stays_one(anywhere: AnyWarehouse) -> None:
    """Some file formats between dlt and a warehouse cannot tell an empty text from null."""
    texts = {"": "", 'a,"b"\nc\\n': 'a,"b"\nc\\n', "NULL": "NULL", "%s é 😀": "%s é 😀"}
    ids = [anywhere.demo.world.add_video(title=title, description=text) for title, text in texts.items()]
    anywhere.load("videos")

    marks = ", ".join(f"'{key}'" for key in ids)
    loaded = anywhere.rows(f"SELECT title, description FROM videos WHERE video_id IN ({marks})")
    assert sorted(loaded) == sorted(texts.items())


@places("postgres", "filesystem", "ducklake in sqlite", "ducklake in postgres")
def test_parallel_processes_load_into_one_destination(anywhere: AnyWarehouse) -> None:
    """Loads each resource in its own process, as the DAG's tasks do."""
    load = "import sys; from include.api_video.load.runner import *; from include.api_video.settings.settings import *\n"
    load += "name, settings = sys.argv[1], read_settings()\n"
    load += "prepare_warehouse(settings) if name == 'prepare' else load_resource(name, settings, 'r')"
    command, environment = [sys.executable, "-c", load], {**os.environ, **demo_settings(anywhere.demo)}
    subprocess.run([*command, "prepare"], env=environment, check=True, timeout=120)

    names = ("videos", "players", "live_streams")
    loads = [
        subprocess.Popen([*command, name], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name in names
    ]
    said = [process.communicate(timeout=300)[0] for process in loads]

    assert [process.returncode for process in loads] == [0] * len(names), said
    anywhere.assert_equal(*names)
