"""A run continues with the tables of an older version of the package: nothing is reloaded, nothing is lost."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import duckdb
import pytest

from tests.integration.conftest import Warehouse

pytestmark = pytest.mark.slow

RELEASES = sorted((Path(__file__).parent / "releases").glob("*.zip"))


def restore(archive: Path, warehouse: Warehouse, folder: Path) -> None:
    """Restores the archive into the warehouse's file."""
    shutil.unpack_archive(archive, folder)
    load = folder / "load.sql"
    load.write_text(re.sub(r"FROM '[^']*/", f"FROM '{folder}/", load.read_text(encoding="utf-8")), encoding="utf-8")
    with duckdb.connect(str(warehouse.file)) as connection:
        connection.execute(f"IMPORT DATABASE '{folder}'")


@pytest.mark.parametrize("archive", RELEASES, ids=lambda archive: archive.stem)
def test_an_older_versions_tables_are_gone_on_with(archive: Path, warehouse: Warehouse, tmp_path: Path) -> None:
    restore(archive, warehouse, tmp_path / "export")
    before = warehouse.rows("SELECT video_id, removed_at FROM videos")
    gone = warehouse.rows("SELECT video_id FROM videos WHERE removed_at IS NOT NULL")
    world = warehouse.demo.world
    for video_id in world.ids("videos"):  # the demo has 30 videos; the older version loaded some of them
        if video_id not in dict(before):
            world.delete_video(video_id)
    for (video_id,) in gone:
        world.delete_video(video_id)
    changed = world.ids("videos")[0]
    world.update_video(changed, title="changed after the upgrade", tags=["upgraded"])

    first = warehouse.load()
    second = warehouse.load()

    assert not first.errors
    assert not first.report.failed
    assert not second.report.failed
    warehouse.assert_equal()
    assert first.sync("videos")["mode"] != "first", "it goes on"
    assert first.sync("videos")["new_rows"] == 0
    assert warehouse.rows(f"SELECT title FROM videos WHERE video_id = '{changed}'") == [("changed after the upgrade",)]
    assert warehouse.rows("SELECT video_id FROM videos WHERE removed_at IS NOT NULL ORDER BY 1") >= sorted(gone)
    assert second.sync("videos")["requests"] == 1, "nothing changed since"
