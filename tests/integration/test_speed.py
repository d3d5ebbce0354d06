"""Work that a load skips to save time: imports, dlt's normalizer for plain rows, reopening the file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from include.api_video.load.source import api_video_source
from include.api_video.settings.config import PROJECT_DIR
from include.api_video.settings.settings import Settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import running
from include.demo_api.world import World
from tests.integration.conftest import Warehouse
from tests.versions.marks import OF_NEW_DLT

TABLES = ("videos", "videos__tags", "videos__metadata")


def rows_of(file: Path, dataset: str) -> Mapping[str, list[Any]]:
    """The rows of the tables of videos, children by their video's key, without ids that differ between loads."""
    found: dict[str, list[Any]] = {}
    with duckdb.connect(str(file)) as connection:
        for table in TABLES:
            left_out = "_dlt_id, _read_at, _dlt_load_id" if table == "videos" else "_dlt_id, _dlt_root_id, _dlt_parent_id"
            order = "video_id" if table == "videos" else "video_id, _dlt_list_idx"
            sql = f"SELECT * EXCLUDE ({left_out}) FROM {dataset}.{table} ORDER BY {order}"
            found[table] = connection.execute(sql).fetchall()
    return found


def test_rows_are_the_same_past_dlts_normalizer_and_through_it(warehouse: Warehouse, tmp_path: Path) -> None:
    """In a user's own pipeline, rows go through dlt, since its destination does not know our files."""
    warehouse.demo.world.update("videos", warehouse.demo.world.ids("videos")[0], oddField=7)  # makes the row not plain
    warehouse.load("videos")
    ids = [row[0] for row in warehouse.rows("SELECT _dlt_id FROM videos")]
    assert len({key[:12] for key in ids}) == 2, "all rows but the odd one are numbered"

    file = tmp_path / "own.duckdb"
    settings = Settings(api_key=warehouse.demo.api_key, base_url=warehouse.demo.url, resources=("videos",))
    pipeline = dlt.pipeline(
        "own", destination=dlt.destinations.duckdb(str(file)), dataset_name="mine", pipelines_dir=str(tmp_path / "dlt")
    )
    pipeline.run(api_video_source(["videos"], settings=settings))

    assert rows_of(warehouse.file, "api_video_data") == rows_of(file, "mine")


@OF_NEW_DLT
def test_a_plain_run_imports_neither_pandas_nor_sqlalchemy_and_collects_rarely(tmp_path: Path) -> None:
    with running(World(videos=5), Behaviour()) as demo:
        environment = {
            **os.environ,
            "SOURCES__API_VIDEO_SOURCE__API_KEY": demo.api_key,
            "SOURCES__API_VIDEO_SOURCE__BASE_URL": demo.url,
            "SOURCES__API_VIDEO_SOURCE__RESOURCES": '["videos"]',
            "DESTINATION__DUCKDB__CREDENTIALS": str(tmp_path / "plain.duckdb"),
            "DLT_DATA_DIR": str(tmp_path / "dlt"),
        }
        # As if only the packages of a run were installed: dlthub imports both.
        code = (
            "import atexit, gc, runpy, sys; sys.modules['dlthub'] = None; "
            "atexit.register(lambda: print('collects at', gc.get_threshold()[0])); "
            "runpy.run_module('include.api_video', run_name='__main__')"
        )
        command = [sys.executable, "-W", "ignore", "-X", "importtime", "-c", code]
        done = subprocess.run(
            command, cwd=PROJECT_DIR, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "duckdb" in imported
    assert "collects at 100000" in done.stdout
    assert imported.isdisjoint({"pandas.core", "sqlalchemy.engine"})


def test_a_load_opens_the_file_once(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    connect = duckdb.connect

    def counting(*args: Any, **kwargs: Any) -> Any:
        opened.append(str(args or kwargs))
        return connect(*args, **kwargs)

    loads: list[int] = []
    load = dlt.Pipeline.load

    def counted(self: dlt.Pipeline, *args: Any, **kwargs: Any) -> Any:
        before = len(opened)
        try:
            return load(self, *args, **kwargs)
        finally:
            loads.append(len(opened) - before)

    monkeypatch.setattr(duckdb, "connect", counting)
    monkeypatch.setattr(dlt.Pipeline, "load", counted)
    warehouse.load("videos")
    assert opened, "it was looked at"
    assert set(loads) == {0}, "it was open before the load began"
