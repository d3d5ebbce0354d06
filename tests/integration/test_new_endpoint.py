"""Adding a plain list takes one entry in the table, and nothing else: here /playlists, which api.video does not have.

So does a breakdown of analytics: here by continent.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
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


BREAKDOWN = """
    _breakdown(
        "analytics_continents",
        "continentDayKey",
        "continent",
        "continent",
        "Viewing by day and continent",
        "Continent, two letters",
    ),
"""
START = "ENDPOINTS: tuple[Endpoint, ...] = ("
Python = Callable[..., str]


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """Runs Python in a copy of the project's folder, with a DuckDB file there."""
    shutil.copytree(PROJECT / "include", tmp_path / "include", ignore=shutil.ignore_patterns("secrets.toml", "__pycache__"))
    shutil.copytree(PROJECT / "dags", tmp_path / "dags")
    file = tmp_path / "warehouse.duckdb"
    environment = {**os.environ, "DESTINATION__DUCKDB__CREDENTIALS": str(file), "DLT_DATA_DIR": str(tmp_path / "dlt")}

    def run(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    return run


def load(python: Python, *resources: str) -> str:
    """Loads these resources of the demo; returns the output."""
    chosen = f"SOURCES__API_VIDEO_SOURCE__RESOURCES={json.dumps(resources)}"
    command = ("env", chosen, sys.executable, "-m", "include.api_video")
    return python("-m", "include.demo_api", "exec", "--videos", "12", "--", *command)


def test_a_new_list_is_one_entry(tmp_path: Path, python: Python) -> None:
    family = tmp_path / "include/api_video/catalog/players.py"
    text = family.read_text(encoding="utf-8")
    family.write_text(text.replace(START, COLUMNS + START + ENTRY), encoding="utf-8")

    output = load(python, "videos", "players", "playlists")
    docs = python("-c", "from include.api_video.docs.write import resource_table; print(resource_table())")
    groups = python("-c", "from include.api_video.catalog.endpoints import group_names; print(group_names()['players'])")

    assert "playlists" in output
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        rows = connection.execute("SELECT count(*), count(DISTINCT playlist_id) FROM api_video_data.playlists").fetchall()
        synced = connection.execute("SELECT items_total FROM api_video_data._syncs WHERE resource = 'playlists'").fetchall()
        failed = connection.execute("SELECT count(*) FROM api_video_data._checks WHERE NOT passed").fetchall()
    assert rows[0][0] == rows[0][1] == synced[0][0] > 0
    assert failed == [(0,)]
    assert "`/playlists`" in docs
    assert groups.strip() == "['playlists', 'players']"


def test_a_new_breakdown_of_analytics_is_one_entry(tmp_path: Path, python: Python) -> None:
    family = tmp_path / "include/api_video/catalog/analytics.py"
    text = family.read_text(encoding="utf-8")
    family.write_text(text.replace(START, START + BREAKDOWN), encoding="utf-8")

    load(python, "analytics_days", "analytics_continents")
    docs = python("-c", "from include.api_video.docs.write import resource_table; print(resource_table())")

    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        sums = connection.execute(
            "SELECT d.day, d.plays, sum(c.plays) FROM api_video_data.analytics_days d "
            "JOIN api_video_data.analytics_continents c USING (day) GROUP BY ALL"
        ).fetchall()
        checks = connection.execute(
            "SELECT check_name, passed FROM api_video_data._checks WHERE table_name = 'analytics_continents'"
        ).fetchall()
        continents = connection.execute("SELECT DISTINCT continent FROM api_video_data.analytics_continents").fetchall()
    assert len(sums) > 29
    assert not [day for day, plays, found in sums if plays != found]
    assert ("sums", True) in checks
    assert not [name for name, passed in checks if not passed]
    assert {continent for (continent,) in continents} == {"EU", "NA", "SA", "AS"}
    assert "`/data/buckets/{metric}/continent`" in docs
