"""The notebook on loaded data: it runs without an error, and its figures equal the tables'."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.demo_api.behaviour import Behaviour
from include.demo_api.server import running
from include.demo_api.statuses import status_in
from include.demo_api.world import World
from include.notebooks.api_video import app, judge
from tests.integration.conftest import Warehouse

pytestmark = pytest.mark.slow

UNKNOWN = "\N{EN DASH}"
NOTEBOOK = Path(__file__).resolve().parents[2] / "include/notebooks/api_video.py"


def run() -> tuple[str, dict[str, Any]]:
    """The notebook's output as HTML, and its values; raises the error of a failed cell."""
    outputs, values = app.run()
    return "\n".join(output.text for output in outputs if output is not None), dict(values)


def figures(html: str) -> dict[str, str]:
    """The key figures: ``{label: value}``."""
    stats = re.findall(r"<marimo-stat (.*?)>", html, re.DOTALL)
    found = {}
    for stat in stats:
        attributes = dict(re.findall(r"data-(\w+)='(?:&quot;)?(.*?)(?:&quot;)?'", stat))
        found[attributes["label"]] = attributes["value"]
    return found


def judged(values: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """The notebook's state of each table, and the reason."""
    return {
        row.resource: judge(row.resource, row.run_id, values["last_checks"]) for row in values["freshness"].itertuples()
    }


@pytest.fixture
def changed(warehouse: Warehouse) -> Warehouse:
    """Data of two loads, with videos deleted, discarded, changed and failed in between."""
    warehouse.begin()
    world = warehouse.demo.world
    ids = world.ids("videos")
    world.delete_video(ids[0])
    world.delete_video(ids[1])
    world.discard_video(ids[2])
    world.set_status(ids[3], status_in("partly_failed"))
    world.update_video(ids[3], title="<script>alert(1)</script>")
    world.add_video(tags=["added"])
    warehouse.load()
    return warehouse


def test_the_figures_shown_are_those_of_the_tables(changed: Warehouse) -> None:
    html, _ = run()

    shown = figures(html)
    now = "videos v JOIN video_status s USING (video_id) WHERE v.removed_at IS NULL AND s.removed_at IS NULL"
    ((videos,),) = changed.rows("SELECT count(*) FROM videos WHERE removed_at IS NULL")
    ((hours, gigabytes),) = changed.rows(
        f"SELECT sum(encoding__metadata__duration) / 3600, sum(ingest__filesize) / 1e9 FROM {now}"
    )
    ((failed,),) = changed.rows(
        f"SELECT count(DISTINCT video_id) FROM {now} AND video_id IN "
        "(SELECT video_id FROM video_status__encoding__qualities WHERE status = 'failed')"
    )
    assert videos == len(changed.demo.world.ids("videos"))
    assert failed > 0
    assert shown["Videos"] == f"{videos:,}"
    assert shown["Hours of video"] == f"{hours:,.1f}"
    assert shown["Source files"] == f"{gigabytes:,.1f} GB"
    assert shown["Failed videos"] == f"{failed:,}"
    assert shown["On air"] == "1"
    ((last,),) = changed.rows("SELECT strftime(max(finished_at), '%H:%M UTC') FROM _syncs")
    assert shown["Last load"] == last


def test_the_charts_hold_the_rows_of_the_tables(changed: Warehouse) -> None:
    html, values = run()

    def pairs(name: str, *columns: str) -> set[tuple[Any, ...]]:
        return set(values[name][list(columns)].itertuples(index=False, name=None))

    videos = len(changed.demo.world.ids("videos"))
    assert values["growth"].videos.sum() == values["states"].videos.sum() == values["languages"].videos.sum() == videos
    ((hours,),) = changed.rows(
        "SELECT sum(encoding__metadata__duration) / 3600 FROM video_status s JOIN videos v USING (video_id) "
        "WHERE v.removed_at IS NULL AND s.removed_at IS NULL"
    )
    assert values["growth_hours"].hours.sum() == pytest.approx(hours)
    assert pairs("summaries", "state", "summaries") == set(
        changed.rows(
            "SELECT source_status, count(*) FROM summaries WHERE removed_at IS NULL GROUP BY source_status, origin"
        )
    )
    assert pairs("tags", "tag", "videos") == set(
        changed.rows(
            "SELECT value, count(DISTINCT video_id) FROM videos__tags WHERE video_id IN "
            "(SELECT video_id FROM videos WHERE removed_at IS NULL) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 15"
        )
    )
    listed = changed.demo.world.listed("videos")
    assert values["untagged"]["videos"] == sum(not row.get("tags") for row in listed)
    assert "<script>alert(1)</script>" in set(values["failures"].title)
    assert "<script>" not in html  # titles are escaped
    assert values["renditions"].renditions.sum() == sum(
        len(status["encoding"]["qualities"]) for status in changed.demo.world.listed("video_status")
    )
    for name in ("lengths", "sizes", "heights", "codecs"):
        assert 0 < values[name].videos.sum() <= videos
    assert values["removed"].groupby("resource").removed.sum()["videos"] == 3
    assert values["discarded"].videos.sum() == len(changed.demo.world.ids("discarded_videos"))
    assert values["recordings"].recordings.sum() == sum("liveStream" in row["source"] for row in listed)
    assert len(values["live_streams"]) == len(changed.demo.world.ids("live_streams"))
    assert_viewing(changed, values)
    newest = changed.rows("SELECT resource, max(finished_at) FROM _syncs GROUP BY 1")
    assert {row[0] for row in newest} == set(values["freshness"].resource)
    ((new, gone),) = changed.rows("SELECT sum(new_rows), sum(removed_rows) FROM _syncs WHERE mode <> 'first'")
    assert (values["changes"].new.sum(), values["changes"].removed.sum()) == (new, gone)


def assert_viewing(warehouse: Warehouse, values: dict[str, Any]) -> None:
    """The charts of who watches: all that is loaded is of the last seven days. A deleted video keeps its plays."""
    ((plays,),) = warehouse.rows("SELECT sum(plays) FROM analytics_days")
    assert values["viewing_days"].plays.sum() == plays > 0
    for name, column, table in (
        ("countries", "country", "analytics_countries"),
        ("devices", "device", "analytics_devices"),
    ):
        counted = warehouse.rows(f"SELECT sum(plays) FROM {table} WHERE removed_at IS NULL")
        assert counted == [(values[name].plays.sum(),)] == [(plays,)], name
        assert values[name][column].is_unique
    ((most,),) = warehouse.rows("SELECT max(n) FROM (SELECT sum(plays) AS n FROM analytics_videos GROUP BY media_id)")
    assert values["most_played"].plays.max() == most
    ((hours, of_day),) = warehouse.rows(
        "SELECT sum(h.plays), any_value(d.plays) FROM analytics_hours h JOIN analytics_days d USING (day) "
        "WHERE d.day = (SELECT max(day) FROM analytics_days WHERE state <> 'open')"
    )
    assert values["viewing_hours"].plays.sum() == hours == of_day


def test_before_the_first_load_it_says_what_to_do_and_makes_no_file(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "none.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(file))

    html, _ = run()

    assert "Nothing is loaded yet" in html
    assert "make run" in html
    assert "marimo-stat" not in html
    assert not file.exists()


def test_the_demo_is_called_so_and_each_figure_names_its_run(warehouse: Warehouse) -> None:
    warehouse.begin("videos", "players")
    warehouse.demo.behaviour.fail("/players", status=403, times=None)
    warehouse.load("videos", "players")

    html, values = run()

    assert "Demo data." in html
    stats = re.findall(r"data-label='&quot;(?:Last load|Checks that held)&quot;'[^>]*", html)
    assert len(stats) == 2
    assert all("run run2" in stat for stat in stats)
    made = warehouse.rows("SELECT count(*) FROM _checks WHERE run_id = 'run2' AND table_name = 'videos'")[0][0]
    assert figures(html)["Checks that held"] == f"{made} of {made + 1}", "what holds over older data is none of this run's"
    assert judged(values) == {"videos": ("equal", ""), "players": ("failed", "Does not hold: synced")}
    assert set(values["freshness"].run_id) == {"run1", "run2"}


def test_what_is_not_proven_or_not_checked_is_not_called_equal(warehouse: Warehouse) -> None:
    warehouse.begin("videos", "players", "live_streams")
    warehouse.rows(
        "UPDATE _checks SET passed = NULL, note = 'Why.' WHERE table_name = 'videos' AND check_name = 'complete'"
    )
    warehouse.rows("UPDATE _syncs SET run_id = 'an earlier one' WHERE resource = 'players'")

    html, values = run()

    assert judged(values) == {
        "videos": ("not proven", "Why."),
        "players": ("not checked", "The run that made the newest checks did not read it."),
        "live_streams": ("equal", ""),
    }
    assert "1 not proven; " in html
    assert judge("videos", "run1", None) == ("not checked", "No run has made checks.")


def test_resources_that_are_switched_off_are_named(warehouse: Warehouse) -> None:
    warehouse.begin("videos", "players")

    html, values = run()

    assert figures(html)["Videos"] == "30"
    assert figures(html)["Hours of video"] == UNKNOWN
    assert values["states"] is values["live_streams"] is values["summaries"] is None
    assert values["viewing_days"] is values["most_played"] is values["devices"] is None
    assert html.count("which is not loaded: switch it on") == 7
    assert "analytics_hours" in html


def test_an_account_without_videos_is_shown(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(tmp_path / "empty.duckdb"))
    with running(World(0), Behaviour(rate_limit=100_000)) as demo:
        for name in ("players", "live_streams", "discarded_videos"):
            for key in demo.world.ids(name):
                demo.world.delete(name, key)
        Warehouse(demo, tmp_path / "empty.duckdb").load()

    html, _ = run()

    assert figures(html)["Videos"] == "0"
    assert figures(html)["Hours of video"] == UNKNOWN
    assert "There is no live stream." in html
    assert "Codecs: none yet." in html


def test_it_runs_as_a_program_and_leaves_the_file_free(warehouse: Warehouse, tmp_path: Path) -> None:
    """marimo's own export reports each failed cell. It runs outside of the project's folder."""
    warehouse.begin("videos", "video_status")
    page = tmp_path / "page.html"
    command = [sys.executable, "-m", "marimo", "export", "html", str(NOTEBOOK), "-o", str(page)]

    done = subprocess.run(
        command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Videos by state" in page.read_text(encoding="utf-8")
    warehouse.rows("SELECT 1")
