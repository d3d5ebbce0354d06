"""Adding a plain list takes one entry in the table, and nothing else: here /playlists, which api.video does not have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[2]
COLUMNS = """
PLAYLIST = (
    Column("playlistId", "text", "Identifier of the playlist"),
    Column("createdAt", "timestamp", "When the playlist was created"),
)
"""
ENTRY = """
    Endpoint(
        "playlists",
        "/playlists",
        key="playlistId",
        group="players",
        sync=Sync.WHOLE,
        columns=PLAYLIST,
        sort_by="createdAt",
        meaning="Playlists",
    ),
"""


def test_a_new_list_is_one_entry(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "include", tmp_path / "include", ignore=shutil.ignore_patterns("secrets.toml", "__pycache__"))
    shutil.copytree(PROJECT / "dags", tmp_path / "dags")
    family = tmp_path / "include/api_video/catalog/players.py"
    text = family.read_text(encoding="utf-8")
    start = "ENDPOINTS: tuple[Endpoint, ...] = ("
    family.write_text(text.replace(start, COLUMNS + start + ENTRY), encoding="utf-8")
    file = tmp_path / "warehouse.duckdb"
    environment = {**os.environ, "DESTINATION__DUCKDB__CREDENTIALS": str(file), "DLT_DATA_DIR": str(tmp_path / "dlt")}

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    output = python("-m", "include.demo_api", "exec", "--videos", "12", "--", sys.executable, "-m", "include.api_video")
    docs = python("-c", "from include.api_video.docs.write import resource_table; print(resource_table())")
    groups = python("-c", "from include.api_video.catalog.endpoints import group_names; print(group_names()['players'])")

    assert "playlists" in output
    with duckdb.connect(str(file)) as connection:
        rows = connection.execute("SELECT count(*), count(DISTINCT playlist_id) FROM api_video_data.playlists").fetchall()
        synced = connection.execute("SELECT items_total FROM api_video_data._syncs WHERE resource = 'playlists'").fetchall()
        failed = connection.execute("SELECT count(*) FROM api_video_data._checks WHERE NOT passed").fetchall()
    assert rows[0][0] == rows[0][1] == synced[0][0] > 0
    assert failed == [(0,)]
    assert "`/playlists`" in docs
    assert groups.strip() == "['playlists', 'players']"
