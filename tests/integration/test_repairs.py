"""The next run repairs what a killed load, a full refresh or an object that comes and goes leaves behind."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import dlt
import pytest

from include.api_video.warehouse.pipelines import ABANDONED_S, WORKING_FILES
from include.demo_api.statuses import status_in
from tests.integration.conftest import Warehouse


def kill_before_the_load_was_noted(warehouse: Warehouse, resource: str) -> None:
    """Makes the newest load look killed: its rows are merged, but dlt has not marked it complete."""
    warehouse.rows(
        "DELETE FROM _dlt_loads WHERE load_id IN "
        f"(SELECT load_id FROM _syncs WHERE resource = '{resource}' ORDER BY finished_at DESC LIMIT 1)"
    )


@pytest.mark.slow
def test_rows_of_a_load_that_was_killed_are_loaded_again(warehouse: Warehouse) -> None:
    """Such rows counted as known, so nothing reloaded them, and the check "loads" failed for ever."""
    for resource in ("videos", "video_status"):
        warehouse.load("videos", "video_status")
        warehouse.demo.world.update_video(warehouse.demo.world.ids("videos")[0], title=f"before {resource}")
        warehouse.load("videos", "video_status")
        kill_before_the_load_was_noted(warehouse, resource)

        run = warehouse.load("videos", "video_status")

        assert not run.report.failed
        warehouse.assert_equal("videos", "video_status")


def test_a_full_look_that_was_killed_is_due_again(warehouse: Warehouse) -> None:
    """Its ledger row was stored, so a silent edit on a later page waited another day."""
    warehouse.begin("players")
    warehouse.demo.world.update("players", warehouse.demo.world.ids("players")[0], silently=True, name="Silent")
    warehouse.rows("UPDATE _syncs SET finished_at = finished_at - INTERVAL 2 DAY")
    newest = warehouse.rows("SELECT * FROM _syncs")[0]
    columns = [row[0] for row in warehouse.rows("SELECT column_name FROM (DESCRIBE _syncs)")]
    landed = {**dict(zip(columns, newest, strict=True)), "mode": "full", "load_id": "killed", "_dlt_id": "killed"}
    assert landed["resource"] == "players"
    warehouse.rows(
        "INSERT INTO _syncs SELECT * REPLACE ('full' AS mode, 'killed' AS load_id, 'killed' AS _dlt_id, "
        "now() AS finished_at) FROM _syncs"
    )

    run = warehouse.load("players")

    assert run.sync("players")["mode"] == "full"
    assert run.sync("players")["drifted_rows"] == 1


def test_child_rows_keep_their_documented_key_through_a_full_refresh(warehouse: Warehouse) -> None:
    warehouse.begin("videos", "live_streams")

    warehouse.load("videos", "live_streams", full_refresh=True)

    for table, key in (("videos__tags", "video_id"), ("live_streams__restreams", "live_stream_id")):
        assert warehouse.rows(f"SELECT count(*) > 0, count(*) - count({key}) FROM {table}") == [(True, 0)]


def test_a_full_refresh_drops_the_tables_of_undeclared_lists_too(warehouse: Warehouse) -> None:
    def rewrite(resource: str, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "chaptersNew": [{"at": 1}, {"at": 2}]} if resource == "players" else row

    warehouse.demo.behaviour.rewrite = rewrite
    warehouse.load("players")
    assert warehouse.rows("SELECT count(*) FROM players__chapters_new") == [(10,)]
    warehouse.load("players")
    warehouse.demo.behaviour.rewrite = None

    run = warehouse.load("players", full_refresh=True)

    assert not run.errors
    assert not run.report.failed
    assert warehouse.rows("SELECT 1 FROM information_schema.tables WHERE table_name = 'players__chapters_new'") == []


def test_a_status_that_was_missing_is_asked_for_when_its_video_comes_back(warehouse: Warehouse) -> None:
    world = warehouse.demo.world
    video_id = world.add_video()
    world.set_status(video_id, status_in("ingested"))
    warehouse.load("videos")
    world.discard_video(video_id)
    warehouse.load("video_status")  # still among the videos as loaded, and already gone from the API: a 404
    assert video_id not in warehouse.active("video_status")
    warehouse.load("videos", "video_status")
    world.restore_video(video_id)
    warehouse.load("videos", "video_status")

    assert video_id in warehouse.active("video_status")


def test_a_source_that_comes_later_without_a_sign_is_found_by_the_full_look(warehouse: Warehouse) -> None:
    world = warehouse.demo.world
    summary_id = next(row["summaryId"] for row in world.listed("summaries") if row["sourceStatus"] == "completed")
    world.set_summary_source(summary_id, None, silently=True)
    warehouse.load("summaries", "summary_source")
    world.set_summary_source(summary_id, {"abstract": "Now there is one.", "takeaways": []}, silently=True)

    run = warehouse.load("summaries", "summary_source", full_check_hours=0)

    assert not run.report.failed
    assert summary_id in warehouse.active("summary_source")


def test_refreshing_a_parent_alone_leaves_no_orphans(warehouse: Warehouse) -> None:
    warehouse.begin("videos", "video_status")
    warehouse.demo.world.delete_video(warehouse.demo.world.ids("videos")[0])
    warehouse.load("videos", "video_status")

    warehouse.load("videos", full_refresh=True)
    run = warehouse.load("videos", "video_status")

    assert not run.report.failed
    warehouse.assert_equal("videos", "video_status")


def test_details_alone_wait_for_their_parents_without_failing(warehouse: Warehouse) -> None:
    run = warehouse.load("video_status")

    assert not run.report.failed
    assert warehouse.active("video_status") == []


def test_the_umbrella_pipeline_shows_what_another_task_added(warehouse: Warehouse) -> None:
    """Each task stores its own version of the schema; the newest one lacked what an earlier task had added."""

    def rewrite(resource: str, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "shapeRadius": 4} if resource == "players" else row

    warehouse.demo.behaviour.rewrite = rewrite
    warehouse.load("players", "live_streams")

    pipeline = dlt.pipeline("api_video_pipeline", destination=dlt.destinations.duckdb(str(warehouse.file)))

    assert set(pipeline.dataset().players.df()["shape_radius"]) == {4}


def test_rows_of_a_list_that_is_empty_now_are_gone(warehouse: Warehouse) -> None:
    """dlt left child tables without new rows out of a merge, so old tags stayed without their video."""
    warehouse.begin("videos")
    ((video_id, tags),) = warehouse.rows("SELECT video_id, count(*) FROM videos__tags GROUP BY 1 ORDER BY 2 DESC LIMIT 1")
    assert tags
    warehouse.demo.world.update_video(video_id, tags=[], metadata=[])

    run = warehouse.load("videos")

    assert not run.report.failed
    for table in ("videos__tags", "videos__metadata"):
        assert warehouse.rows(f"SELECT count(*) FROM {table} WHERE video_id = '{video_id}'") == [(0,)]


def test_rows_of_an_undeclared_list_that_is_empty_now_are_gone(warehouse: Warehouse) -> None:
    def rewrite(resource: str, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "chaptersNew": chapters} if resource == "players" else row

    chapters = [{"at": 1}, {"at": 2}]
    warehouse.demo.behaviour.rewrite = rewrite
    warehouse.load("players")
    assert warehouse.rows("SELECT count(*) FROM players__chapters_new") == [(10,)]
    chapters.clear()

    warehouse.load("players")

    assert warehouse.rows("SELECT count(*) FROM players__chapters_new") == [(0,)]


def test_a_project_that_is_deleted_while_its_keys_are_read_has_no_keys(warehouse: Warehouse) -> None:
    world, behaviour = warehouse.demo.world, warehouse.demo.behaviour
    project_id = world.listed("projects")[0]["project_id"]
    behaviour.after(1, "/projects", lambda: world.delete("projects", project_id))

    run = warehouse.load("projects_api_keys")

    assert not run.errors
    kept = warehouse.rows("SELECT DISTINCT project_id FROM projects_api_keys")
    assert kept
    assert (project_id,) not in kept
    assert run.sync("projects_api_keys")["expected_requests"] == run.sync("projects_api_keys")["requests"] == 3


def test_a_host_without_the_list_is_an_error_and_removes_nothing(warehouse: Warehouse) -> None:
    warehouse.begin("projects_api_keys")
    before = warehouse.active("projects_api_keys")
    warehouse.demo.behaviour.fail("/projects.*", status=404, times=None)

    run = warehouse.load("projects_api_keys")

    assert "has no /projects/api-keys (404)" in str(run.errors["projects_api_keys"])
    assert warehouse.active("projects_api_keys") == before != []


def test_working_files_that_a_killed_run_left_are_removed_after_some_days(warehouse: Warehouse) -> None:
    def folder(name: str, age_s: float) -> Path:
        path = Path(gettempdir()) / f"{WORKING_FILES}{name}"
        path.mkdir()
        os.utime(path, (time.time() - age_s,) * 2)
        return path

    old, young = folder("old", ABANDONED_S + 60), folder("young", 60)
    try:
        warehouse.load("players")
        assert (old.exists(), young.exists()) == (False, True)
    finally:
        young.rmdir()


def test_an_object_that_the_api_fails_on_keeps_no_other_away_and_is_loud(warehouse: Warehouse) -> None:
    """One video whose status answered 500 prevented the statuses of all others from being loaded, run after run."""
    warehouse.begin("videos")
    broken = warehouse.demo.world.ids("videos")[7]
    warehouse.demo.behaviour.fail(f"/videos/{broken}/status", status=500, times=None)

    run = warehouse.load("videos", "video_status")

    assert warehouse.active("video_status") == sorted(set(warehouse.demo.world.ids("videos")) - {broken})
    assert [(check.table, check.name) for check in run.report.failed] == [("video_status", "complete")]
    assert "did not give 1 of what was requested" in str(run.report)
    assert (run.sync("video_status")["waiting_rows"], run.sync("video_status")["unread_rows"]) == (1, 1)
    warehouse.demo.behaviour.heal()
    assert not warehouse.load("videos", "video_status").report.failed
    warehouse.assert_equal("videos", "video_status")


def test_more_objects_that_fail_for_good_than_a_run_bears_keep_no_others_out_for_ever(warehouse: Warehouse) -> None:
    """The longest-waiting objects are requested first, so 25 that always fail would come first in every run."""
    warehouse.begin("videos")
    world = warehouse.demo.world
    oldest = [key for (key,) in warehouse.rows("SELECT video_id FROM videos ORDER BY updated_at, video_id LIMIT 25")]
    warehouse.demo.behaviour.fail(f"/videos/({'|'.join(oldest)})/status", status=422, times=None)
    others = sorted(set(world.ids("videos")) - set(oldest))

    for _ in range(8):
        warehouse.load("video_status")
        if warehouse.active("video_status") == others:
            break

    assert warehouse.active("video_status") == others


def test_an_api_that_answers_nothing_is_not_asked_for_every_object(warehouse: Warehouse) -> None:
    warehouse.begin("videos")
    warehouse.demo.reset_log()
    warehouse.demo.behaviour.fail("/videos/.*/status", status=500, times=None)

    run = warehouse.load("videos", "video_status")

    assert "video_status" in run.errors
    assert warehouse.demo.requests("/videos/") <= 12 * 6
    warehouse.demo.behaviour.heal()
    assert not warehouse.load("videos", "video_status").report.failed
    warehouse.assert_equal("videos", "video_status")


def test_a_row_dated_in_the_future_hides_no_change(warehouse: Warehouse) -> None:
    """Such a row became the cursor, so reading stopped after page 1 until that time."""
    world = warehouse.demo.world
    world.update("videos", world.ids("videos")[0], silently=True, updatedAt="2099-01-01T00:00:00+00:00")
    for number in range(120):
        world.add("videos", title=f"Video {number}")
    warehouse.load("videos")
    for key in world.ids("videos")[-110:]:
        world.update("videos", key, title="Changed")

    run = warehouse.load("videos")

    assert run.sync("videos")["mode"] == "changes"
    assert warehouse.rows("SELECT count(*) FROM videos WHERE title = 'Changed'") == [(110,)]


def test_a_killed_run_does_not_hide_that_the_bin_changed(warehouse: Warehouse) -> None:
    """The killed run had marked a video removed, but left no ledger row, so the bin was read only a day later."""
    world = warehouse.demo.world
    for key in world.ids("videos")[:3]:
        world.discard_video(key)
    warehouse.load("videos", "discarded_videos")
    assert not warehouse.rows("SELECT count(*) FROM videos WHERE removed_at > now() + INTERVAL 1 HOUR")[0][0]
    warehouse.rows(
        "UPDATE _syncs SET finished_at = finished_at - INTERVAL 1 HOUR, started_at = started_at - INTERVAL 1 HOUR"
    )
    warehouse.rows("DELETE FROM _syncs WHERE resource = 'videos'")
    first, second = world.ids("discarded_videos")[:2]
    world.update("discarded_videos", second, silently=True, title="Beyond page 1")
    assert first != second

    run = warehouse.load("discarded_videos")

    assert run.sync("discarded_videos")["changed_rows"] == 1


def test_a_row_that_changed_while_the_list_was_read_is_loaded_once(warehouse: Warehouse) -> None:
    """Rows are deduplicated, which takes memory for all of them, only if one was emitted twice."""
    world = warehouse.demo.world
    for number in range(220):
        world.add("videos", title=f"Video {number}")
    last = warehouse.demo.world.listed("videos")[-1]["videoId"]
    warehouse.demo.behaviour.after(1, "/videos", lambda: world.update("videos", last, title="Moved to the top"))

    run = warehouse.load("videos")

    assert not run.report.failed
    warehouse.assert_equal("videos")
    assert warehouse.rows(f"SELECT title FROM videos WHERE video_id = '{last}'") == [("Moved to the top",)]
