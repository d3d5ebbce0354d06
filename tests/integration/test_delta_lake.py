"""Delta tables in a folder: killed loads, duplicate rows, small files, and dlt's own reader of the same tables."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import dlt
import pytest
from deltalake import DeltaTable
from duckdb_extensions import import_extension

from include.api_video.load.runner import load_resource, prepare_warehouse
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.server import Demo
from tests.integration.conftest import change
from tests.integration.test_destinations import AnyWarehouse

pytestmark = pytest.mark.slow

KILLED_AT = """
import os, signal, sys
from include.api_video.warehouse.destinations.delta_lake import DeltaClient
from include.api_video.load.runner import load_resource
from include.api_video.settings.settings import read_settings
replace = DeltaClient.replace
def killed(self, name, *args):
    if name == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(self, name, *args)
DeltaClient.replace = killed
load_resource("videos", read_settings(), "killed")
"""


@pytest.fixture
def lake(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnyWarehouse:
    monkeypatch.setenv("API_VIDEO_DESTINATION", "filesystem")
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "lake"))
    return AnyWarehouse(demo, tmp_path / "lake")


def table(lake: AnyWarehouse, name: str) -> DeltaTable:
    return DeltaTable(lake.file / lake.settings.account.dataset / name)


@pytest.mark.parametrize("name", ["videos__tags", "videos"])
@pytest.mark.parametrize("is_first", [True, False])
def test_what_a_killed_load_left_is_loaded_again(lake: AnyWarehouse, name: str, is_first: bool) -> None:
    """Each table has its own commit, so a killed load may have written some and not others."""
    if not is_first:
        lake.load("videos")
    change(lake.demo.world)
    tagged = lake.demo.world.ids("videos")[1]
    lake.demo.world.update_video(tagged, tags=["b", "c"])
    environment = {**os.environ, **demo_settings(lake.demo)}
    killed = subprocess.run([sys.executable, "-c", KILLED_AT, name], env=environment, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL

    run = lake.load("videos")

    assert not run.report.failed
    lake.assert_equal("videos")
    assert lake.rows(f"SELECT value FROM videos__tags WHERE video_id = '{tagged}' ORDER BY 1") == [("b",), ("c",)]
    assert lake.rows("SELECT count(*) FROM videos__tags WHERE _dlt_root_id NOT IN (SELECT _dlt_id FROM videos)") == [(0,)]


def test_of_a_row_that_was_handed_on_twice_the_newest_counts(lake: AnyWarehouse) -> None:
    """A video that changes during the reading is read twice: with the old tags, then with the new one."""
    world = lake.demo.world
    for number in range(90):  # more than one page
        world.add_video(title=f"more {number}", tags=["old"])
    first = world.ids("videos")[-1]  # the newest video is on page 1
    lake.demo.behaviour.after(1, "/videos", lambda: world.update_video(first, tags=["new"]))

    run = lake.load("videos")

    assert not run.report.failed
    lake.assert_equal("videos")
    assert lake.rows(f"SELECT value FROM videos__tags WHERE video_id = '{first}'") == [("new",)]


def test_small_files_are_joined_and_nothing_is_lost(lake: AnyWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.api_video.warehouse.destinations.delta_lake.MANY_FILES", 7)
    prepare_warehouse(lake.settings)
    for number in range(6):
        lake.demo.world.update_video(lake.demo.world.ids("videos")[0], title=f"change {number}")
        load_resource("videos", lake.settings, f"run {number}")
    loads = lake.file / lake.settings.account.dataset / "_dlt_loads"
    (loads / "api_video_source__1.jsonl").write_text('{"load_id": "1", "stat', encoding="utf-8")  # left by a killed run
    before = len(list(loads.iterdir())), len(table(lake, "_syncs").file_uris()), lake.rows("SELECT count(*) FROM _syncs")

    prepare_warehouse(lake.settings)
    lake.demo.reset_log()
    run = lake.load("videos")

    assert before[:2] == (7, 6)
    assert len(list(loads.iterdir())) == 2, "the joined one, and that of this run, which found nothing new"
    assert len(table(lake, "_syncs").file_uris()) == 2
    assert (lake.file / lake.settings.account.dataset / "_syncs" / "_delta_log" / "_last_checkpoint").exists()
    assert lake.rows("SELECT count(*) FROM _syncs") == [(before[2][0][0] + 1,)]
    assert lake.demo.requests() == 1
    assert not run.report.failed
    lake.assert_equal("videos")


def test_dlts_own_reader_shows_the_same_rows(lake: AnyWarehouse) -> None:
    import_extension("delta")
    lake.load("videos", "players")
    change(lake.demo.world)
    lake.load("videos", "players")

    account = lake.settings.account
    destination = dlt.destinations.filesystem(str(lake.file))
    data = dlt.pipeline(account.pipeline, destination=destination, dataset_name=account.dataset).dataset()

    shown = data.videos.df()
    assert sorted(shown[shown["removed_at"].isna()]["video_id"]) == sorted(lake.demo.world.ids("videos"))
    assert len(data["videos__tags"].df()) == lake.rows("SELECT count(*) FROM videos__tags")[0][0]
    assert len(data.players.df()) == 5


def test_tables_say_what_they_hold(lake: AnyWarehouse) -> None:
    prepare_warehouse(lake.settings)
    assert table(lake, "videos").metadata().description
    types = {field.name: str(field.type) for field in table(lake, "videos").schema().fields}
    assert types["published_at"] == 'PrimitiveType("timestamp")'
    assert types["mp4_support"] == 'PrimitiveType("boolean")'
