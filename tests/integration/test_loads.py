"""The source against the demo API and a real DuckDB: after each run, the tables equal the API's lists."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from include.api_video.api.origin import check_same
from include.api_video.errors import ApiVideoKeyError, ApiVideoServerError, RemovalBrakeError, SettingsError
from include.api_video.load.runner import load_all
from include.api_video.proof.report import check_run
from include.api_video.warehouse.ledger import from_json, to_json
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.statuses import status_in
from include.demo_api.world import World
from tests.integration.conftest import ALL, LISTS, Warehouse


def test_a_first_load_brings_every_row_of_every_resource(warehouse: Warehouse) -> None:
    run = warehouse.load()

    assert not run.report.failed
    warehouse.assert_equal()
    assert {sync["mode"] for sync in run.report.syncs} == {"first"}
    assert [sync["resource"] for sync in run.report.syncs] == list(ALL)
    assert all(sync["items_total"] == sync["active_rows"] == sync["new_rows"] for sync in run.report.syncs)


def test_a_load_ends_without_a_warning_that_users_can_do_nothing_about(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("dlt").addHandler(caplog.handler)  # it does not propagate
    try:
        warehouse.load()
        warehouse.demo.world.update_video(warehouse.demo.world.ids("videos")[0], title="changed")
        warehouse.load()
    finally:
        logging.getLogger("dlt").removeHandler(caplog.handler)

    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_values_are_the_apis(warehouse: Warehouse) -> None:
    warehouse.begin("videos", "video_status", "live_streams")

    listed = {row["videoId"]: row for row in warehouse.demo.world.listed("videos")}
    loaded = warehouse.rows(
        "SELECT video_id, title, public, mp4_support, strftime(updated_at, '%Y-%m-%dT%H:%M:%S+00:00') FROM videos"
    )
    assert {row[0]: row[1:] for row in loaded} == {
        key: (row.get("title"), row.get("public"), row.get("mp4Support"), row.get("updatedAt"))
        for key, row in listed.items()
    }
    tags = warehouse.rows("SELECT video_id, value FROM videos__tags ORDER BY video_id, _dlt_list_idx")
    assert tags == [(key, tag) for key in sorted(listed) for tag in listed[key].get("tags") or []]
    metadata = warehouse.rows("SELECT video_id, key, value FROM videos__metadata ORDER BY video_id, _dlt_list_idx")
    assert metadata == [
        (key, pair["key"], pair["value"]) for key in sorted(listed) for pair in listed[key].get("metadata") or []
    ]
    qualities = warehouse.rows("SELECT count(*) FROM video_status__encoding__qualities")[0][0]
    statuses = [warehouse.demo.world.body("video_status", key) or {} for key in listed]
    assert qualities == sum(len(status["encoding"]["qualities"]) for status in statuses)


def test_a_run_in_which_nothing_changed_asks_one_page_per_list(warehouse: Warehouse) -> None:
    for video_id in warehouse.demo.world.ids("videos"):
        warehouse.demo.world.set_status(video_id, status_in("ingested"))
    warehouse.load()
    before = warehouse.rows("SELECT * FROM videos ORDER BY video_id")
    warehouse.demo.reset_log()

    run = warehouse.load()

    # Nine lists; of the Admin API: projects, and for the keys projects and each one's; of analytics the open day.
    assert warehouse.demo.requests() == 13 + 8
    assert {sync["new_rows"] + sync["changed_rows"] + sync["removed_rows"] for sync in run.report.syncs} == {0}
    assert warehouse.rows("SELECT * FROM videos ORDER BY video_id") == before


def test_changes_are_followed_at_their_own_price(warehouse: Warehouse) -> None:
    warehouse.begin()
    world = warehouse.demo.world
    first, second, third, fourth, fifth = world.ids("videos")[:5]
    world.update_video(first, title="New title", tags=["one", "two"])
    world.delete_video(second)
    world.discard_video(third)
    world.discard_video(fourth)
    added = world.add_video(title="Added")
    warehouse.load()
    world.restore_video(third)

    run = warehouse.load("videos", "video_status", "discarded_videos")

    assert not run.report.failed
    warehouse.assert_equal("videos", "video_status", "discarded_videos")
    assert run.sync("videos")["restored_rows"] == 1
    assert warehouse.rows(f"SELECT title FROM videos WHERE video_id = '{first}'") == [("New title",)]
    assert warehouse.rows(f"SELECT value FROM videos__tags WHERE video_id = '{first}' ORDER BY 1") == [("one",), ("two",)]
    assert warehouse.rows(f"SELECT title, removed_at FROM videos WHERE video_id = '{added}'") == [("Added", None)]
    assert warehouse.rows(f"SELECT removed_at IS NULL FROM videos WHERE video_id = '{second}'") == [(False,)]
    assert fifth in warehouse.active("videos")


def test_one_video_gone_and_one_come_in_the_same_hour_are_both_noticed(warehouse: Warehouse) -> None:
    warehouse.begin("videos")
    gone = warehouse.demo.world.ids("videos")[7]
    warehouse.demo.world.delete_video(gone)
    warehouse.demo.world.add_video()

    run = warehouse.load("videos")

    warehouse.assert_equal("videos")
    counts = [run.sync("videos")[name] for name in ("new_rows", "removed_rows", "items_total")]
    assert counts == [1, 1, 30]


@pytest.mark.slow
def test_an_edit_that_moves_no_time_stamp_is_found_by_the_full_look(warehouse: Warehouse) -> None:
    warehouse.begin("videos")
    video_id = warehouse.demo.world.ids("videos")[3]
    warehouse.demo.world.update_silently(video_id, title="Edited in silence")

    run = warehouse.load("videos", full_check_hours=0)

    assert warehouse.rows(f"SELECT title FROM videos WHERE video_id = '{video_id}'") == [("Edited in silence",)]
    assert run.sync("videos")["drifted_rows"] == 1


def test_a_mass_removal_stops_the_run_and_removes_nothing(warehouse: Warehouse) -> None:
    warehouse.begin("videos")
    for video_id in warehouse.demo.world.ids("videos")[:25]:
        warehouse.demo.world.delete_video(video_id)

    run = warehouse.load("videos")

    assert isinstance(run.errors["videos"], RemovalBrakeError)
    assert "MAX_REMOVED_SHARE" in str(run.errors["videos"])
    assert len(warehouse.active("videos")) == 30
    assert not warehouse.load("videos", max_removed_share=1).errors
    warehouse.assert_equal("videos")


def test_details_of_a_removed_parent_are_removed_and_come_back_with_it(warehouse: Warehouse) -> None:
    warehouse.begin("videos", "video_status")
    video_id = warehouse.demo.world.ids("videos")[0]
    warehouse.demo.world.discard_video(video_id)
    warehouse.load("videos", "video_status")
    assert video_id not in warehouse.active("video_status")
    warehouse.demo.world.restore_video(video_id)

    run = warehouse.load("videos", "video_status")

    assert video_id in warehouse.active("video_status")
    assert run.sync("video_status")["restored_rows"] == 1


def test_a_budget_spreads_details_over_runs_and_the_ledger_tells_how_many_wait(warehouse: Warehouse) -> None:
    waits = [
        warehouse.load("videos", "video_status", max_detail_requests=12).sync("video_status")["waiting_rows"] for _ in "123"
    ]

    assert waits[0] == 18
    assert waits == sorted(waits, reverse=True)
    warehouse.assert_equal("video_status")


def test_a_summary_without_a_source_is_asked_for_once(warehouse: Warehouse) -> None:
    world = warehouse.demo.world
    completed = [row["summaryId"] for row in world.listed("summaries") if row["sourceStatus"] == "completed"]
    world.set_summary_source(completed[0], None)
    run = warehouse.load("summaries", "summary_source")
    assert not run.report.failed
    assert completed[0] not in warehouse.active("summary_source")
    warehouse.demo.reset_log()

    warehouse.load("summaries", "summary_source")

    assert warehouse.demo.requests(f"/summaries/{completed[0]}") == 0


@pytest.mark.slow
def test_a_status_that_turns_missing_while_its_video_stays_is_counted_once(warehouse: Warehouse) -> None:
    """A removed detail that was not final was counted as missing and as waiting, so items_total went below zero."""
    world = warehouse.demo.world
    video_id = world.ids("videos")[0]
    world.set_status(video_id, status_in("encoding"))
    warehouse.load("videos", "video_status")
    warehouse.demo.behaviour.fail(f"/videos/{video_id}/status", status=404, times=None)

    totals = [warehouse.load("videos", "video_status") for _ in "12"]

    assert [run.sync("video_status")["items_total"] for run in totals] == [29, 29]
    assert not [check for run in totals for check in run.report.failed]
    warehouse.demo.behaviour.heal()
    back = warehouse.load("videos", "video_status")
    assert back.sync("video_status")["items_total"] == 30 or not back.report.failed


def test_an_empty_account_has_all_tables_with_their_columns(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(tmp_path / "empty.duckdb"))
    with running(World(0), Behaviour(rate_limit=100_000)) as demo:
        demo.world.viewing.plays_a_day = 0
        for name in ("players", "live_streams"):
            for key in demo.world.ids(name):
                demo.world.delete(name, key)
        warehouse = Warehouse(demo, tmp_path / "empty.duckdb")

        run = warehouse.load()

    assert not run.report.failed
    assert warehouse.rows("SELECT count(*) FROM videos__tags") == [(0,)]
    assert (
        warehouse.rows(
            "SELECT bitrate_type FROM (SELECT typeof(encoding__metadata__bitrate) bitrate_type FROM video_status)"
        )
        == []
    )


def test_columns_have_their_documented_types(warehouse: Warehouse) -> None:
    warehouse.begin("videos", "video_status")

    types = {
        (table, column): data_type
        for table, column, data_type in warehouse.rows(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'api_video_data'"
        )
    }
    assert types["videos", "updated_at"] == "TIMESTAMP WITH TIME ZONE"
    assert types["videos", "removed_at"] == "TIMESTAMP WITH TIME ZONE"
    assert types["video_status", "ingest__filesize"] == "BIGINT"
    assert types["video_status", "encoding__metadata__bitrate"] == "DOUBLE"
    assert types["video_status", "encoding__metadata__framerate"] == "DOUBLE"
    assert not [key for key in types if "__v_" in key[1]]
    assert ("video_status", "ingest") not in types  # "[]" in place of an object is null, not a column


def test_new_fields_and_changed_types_lose_nothing(warehouse: Warehouse) -> None:
    warehouse.begin("players")
    for key in warehouse.demo.world.ids("players"):
        warehouse.demo.world.update("players", key)

    def rewrite(resource: str, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "shapeRadius": 4, "enableApi": "sometimes"} if resource == "players" else row

    warehouse.demo.behaviour.rewrite = rewrite

    run = warehouse.load("players")

    assert not run.report.failed
    found = warehouse.rows("SELECT DISTINCT shape_radius, enable_api, enable_api__v_text FROM players")
    assert found == [(4, None, "sometimes")]


@pytest.mark.slow
def test_a_full_refresh_starts_the_tables_anew_and_keeps_the_ledger(warehouse: Warehouse) -> None:
    warehouse.begin("players")
    warehouse.rows("INSERT INTO players (player_id, _dlt_load_id, _dlt_id) VALUES ('ghost', 'x', 'y')")
    warehouse.rows("ALTER TABLE players ADD COLUMN leftover VARCHAR")

    run = warehouse.load("players", full_refresh=True)

    assert not run.report.failed
    warehouse.assert_equal("players")
    assert warehouse.rows("SELECT 1 FROM information_schema.columns WHERE column_name = 'leftover'") == []
    assert warehouse.rows("SELECT count(*) FROM _syncs") == [(2,)]


def test_a_filter_loads_its_part_and_counts_as_complete(warehouse: Warehouse) -> None:
    tag = next(row["tags"][0] for row in warehouse.demo.world.listed("videos") if row.get("tags"))
    wanted = [row["videoId"] for row in warehouse.demo.world.listed("videos") if tag in (row.get("tags") or [])]

    run = warehouse.load("videos", filters={"videos": {"tags": [tag]}})

    assert not run.report.failed
    assert warehouse.active("videos") == sorted(wanted)
    assert len(wanted) < 30


def test_the_listed_form_of_the_admin_api_is_read_where_the_documented_one_is_unknown(warehouse: Warehouse) -> None:
    warehouse.demo.behaviour.admin_style = "listed"

    run = warehouse.load("projects_api_keys")

    assert not run.report.failed
    warehouse.assert_equal("projects_api_keys")
    assert [entry.path for entry in warehouse.demo.log] == ["/projects", "/projects/api-keys"]


def test_a_missing_admin_permission_leaves_the_resource_out(warehouse: Warehouse) -> None:
    warehouse.demo.behaviour.fail("/projects", status=403, times=None)

    run = warehouse.load("players", "projects_api_keys")

    assert not run.report.failed
    assert [run.sync(name)["mode"] for name in ("players", "projects_api_keys")] == ["first", "skipped"]


def test_what_a_run_leaves_out_is_noted_once_and_fails_with_nothing(warehouse: Warehouse) -> None:
    warehouse.begin("players")

    account, names = warehouse.settings.account, ("videos", "video", "players")
    reports = [check_run(account, "run", names, {"videos": "failed"}, ["video", "players"]) for _ in range(2)]

    for report in reports:
        assert [(check.table, check.name) for check in report.failed] == [("videos", "synced")]
        assert [(sync["resource"], sync["mode"], sync["active_rows"]) for sync in report.syncs] == [
            ("video", "skipped", 0),
            ("players", "skipped", 5),
        ]
    noted = warehouse.rows("SELECT resource, load_id FROM _syncs WHERE run_id = 'run' ORDER BY 1")
    assert [resource for resource, _ in noted] == ["players", "video"]
    assert {load_id for _, load_id in noted} < {row[0] for row in warehouse.rows("SELECT load_id FROM _dlt_loads")}
    assert reports[0].summary()["load_ids"] == []


def test_a_run_without_news_makes_one_load_for_its_ledger_and_checks(warehouse: Warehouse) -> None:
    names = ("discarded_videos", "videos", "video_status", "players")
    warehouse.begin(*names)
    loads = {load_id for (load_id,) in warehouse.rows("SELECT load_id FROM _dlt_loads")}

    run = warehouse.load(*names)

    assert not run.report.failed
    (made,) = {load_id for (load_id,) in warehouse.rows("SELECT load_id FROM _dlt_loads")} - loads
    rows = warehouse.rows("SELECT resource, mode, requests, load_id, _dlt_load_id FROM _syncs WHERE run_id = 'run2'")
    assert sorted(row[0] for row in rows) == sorted(names)
    assert {(load_id, own_id) for *_, load_id, own_id in rows} == {(made, made)}
    assert run.report.summary()["load_ids"] == []
    # What one table brings does not stop the others from being idle.
    warehouse.demo.world.update("players", warehouse.demo.world.ids("players")[0], name="New")
    assert not warehouse.load(*names).report.failed
    assert len(warehouse.rows("SELECT load_id FROM _dlt_loads")) == len(loads) + 1 + 2
    warehouse.assert_equal(*names)


def test_what_was_handed_on_is_stored_once_however_often_a_run_is_checked(warehouse: Warehouse) -> None:
    account, names = warehouse.settings.account, ("videos", "players")
    warehouse.begin(*names)
    idle = [row for _, row in load_all(replace(warehouse.settings, resources=names), "idle") if isinstance(row, dict)]
    handed_on = [from_json(to_json(row)) for row in idle]
    assert handed_on == idle

    reports = [check_run(account, "idle", names, {}, (), handed_on) for _ in range(2)]

    assert [report.failed for report in reports] == [[], []]
    assert [[sync["resource"] for sync in report.syncs] for report in reports] == [list(names)] * 2
    assert warehouse.rows("SELECT count(*) FROM _syncs WHERE run_id = 'idle'") == [(2,)]


def test_a_run_that_dies_before_its_checks_claims_nothing(warehouse: Warehouse) -> None:
    names = ("videos", "players")
    warehouse.begin(*names)
    warehouse.demo.world.delete("players", warehouse.demo.world.ids("players")[0])
    list(load_all(replace(warehouse.settings, resources=names), "dies"))
    told = warehouse.rows("SELECT resource, removed_rows FROM _syncs WHERE run_id = 'dies'")
    assert told == [("players", 1)], "what was loaded is in the ledger; what was idle is not"

    run = warehouse.load(*names)

    assert not run.report.failed
    warehouse.assert_equal(*names)
    assert warehouse.rows("SELECT sum(removed_rows) FROM _syncs WHERE resource = 'players'") == [(1,)]


def test_the_demos_rows_give_way_to_an_account(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    """Including the rows of resources that only the demo switches on. The log says so."""
    warehouse.begin()
    warehouse.demo.behaviour.names_itself = False  # from now on, this is a server as any other
    caplog.clear()
    for key in warehouse.demo.world.ids("videos")[:20]:
        warehouse.demo.world.delete_video(key)

    loaded = ("videos", "video_status", "players")
    warehouse.load(*loaded)
    report = check_run(warehouse.settings.account, "run2", ALL, {}, [name for name in ALL if name not in loaded])

    warehouse.assert_equal(*loaded)
    said = [record.getMessage() for record in caplog.records if "demo" in record.getMessage()]
    assert len(said) == 1
    assert said[0].startswith(f"The demo's rows were dropped, since this run reads {warehouse.demo.url}: ")
    assert "players (5)" in said[0]
    gone = ("video", "summaries", "live_streams", "projects_api_keys")
    assert [warehouse.rows(f"SELECT count(*) FROM {name}") for name in gone] == [[(0,)]] * len(gone)
    assert report.failed == []


@pytest.mark.slow
def test_rows_read_through_a_proxy_on_this_machine_are_not_the_demos(warehouse: Warehouse, demo: Demo) -> None:
    """If the address changes, the rows stay and the load is refused; another port is another server."""
    demo.behaviour.names_itself = False
    names = ("videos", "video_status")
    warehouse.load(*names)
    before = warehouse.rows("SELECT * FROM videos ORDER BY video_id")

    with running(World(3, seed=7), Behaviour(rate_limit=100_000, names_itself=False)) as other:
        elsewhere = warehouse.load(*names, base_url=other.url)
    demo.behaviour.names_itself = True
    in_demo = warehouse.load(*names)
    demo.behaviour.names_itself = False
    again = warehouse.load(*names)

    assert f"videos was loaded from {demo.url}, and this run reads {other.url}" in str(elsewhere.errors["videos"])
    assert f"videos was loaded from {demo.url}, and this run reads the demo" in str(in_demo.errors["videos"])
    assert warehouse.rows("SELECT * FROM videos ORDER BY video_id") == before
    assert not again.errors
    assert not again.report.failed
    assert again.sync("videos")["requests"] == 1
    assert {row[0] for row in warehouse.rows("SELECT base_url FROM _syncs")} == {demo.url}


@pytest.mark.slow
def test_the_demo_is_the_demo_whatever_its_port(warehouse: Warehouse, demo: Demo) -> None:
    warehouse.begin("videos", "video_status")
    with running(demo.world, Behaviour(rate_limit=100_000)) as later:
        run = warehouse.load("videos", "video_status", base_url=later.url)
    assert not run.errors
    assert run.sync("videos")["mode"] == "changes"
    assert {row[0] for row in warehouse.rows("SELECT base_url FROM _syncs")} == {"demo"}


def test_rows_that_an_older_version_loaded_from_this_machine_stay(warehouse: Warehouse) -> None:
    """Older versions called every local server "local": the demo, or a proxy to the account."""
    warehouse.begin("videos")
    warehouse.rows("UPDATE _syncs SET base_url = 'local'")
    with pytest.raises(
        SettingsError, match=r"videos was loaded from a server on this machine .* reads https://ws\.api\.video"
    ):
        check_same("videos", "local", "https://ws.api.video")

    here = warehouse.load("videos")

    assert not here.errors
    assert here.sync("videos")["mode"] == "changes"
    assert here.sync("videos")["base_url"] == "demo", "from now on it is known"


def test_a_key_that_is_withdrawn_costs_one_request_per_list_and_says_what_to_do(warehouse: Warehouse) -> None:
    """A key that never worked is detected earlier (test_key_check)."""
    warehouse.load("videos", "video_status", "players")
    warehouse.demo.reset_log()
    warehouse.settings = replace(warehouse.settings, api_key="wrong")

    run = warehouse.load("videos", "video_status", "players")

    assert isinstance(run.errors["videos"], ApiVideoKeyError)
    assert "SOURCES__API_VIDEO_SOURCE__API_KEY" in str(run.errors["videos"])
    assert "'production'" in str(run.errors["videos"])
    assert warehouse.demo.requests() == 2


def test_a_server_that_fails_for_a_while_costs_retries_and_no_row(warehouse: Warehouse, monkeypatch: Any) -> None:
    monkeypatch.setattr("include.api_video.api.client._wait_s", lambda state: 0.0)
    warehouse.load("videos")
    warehouse.demo.world.add_video()
    warehouse.demo.behaviour.fail("/videos", status=503, times=100)
    failed = warehouse.load("videos")
    assert isinstance(failed.errors["videos"], ApiVideoServerError)
    assert len(warehouse.active("videos")) == 30
    warehouse.demo.behaviour.heal()
    warehouse.demo.behaviour.fail("/videos", kind="truncated", times=2)

    run = warehouse.load("videos")

    assert not run.report.failed
    warehouse.assert_equal("videos")
    assert run.sync("videos")["requests"] == 3


def test_a_list_that_shifts_while_it_is_read_ends_equal(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(tmp_path / "shift.duckdb"))
    with running(World(350), Behaviour(rate_limit=100_000)) as demo:
        warehouse = Warehouse(demo, tmp_path / "shift.duckdb")
        ids = demo.world.ids("videos")
        demo.behaviour.after(1, "/videos", lambda: demo.world.delete_video(ids[0]))
        demo.behaviour.after(2, "/videos", lambda: demo.world.update_video(ids[200], title="Moved to the top"))
        demo.behaviour.after(3, "/videos", demo.world.add_video)

        run = warehouse.load("videos")

        assert not run.report.failed
        warehouse.assert_equal("videos")


def test_tables_of_another_environment_are_not_overwritten(warehouse: Warehouse) -> None:
    warehouse.begin("players")
    warehouse.rows("UPDATE _syncs SET base_url = 'https://sandbox.api.video'")

    run = warehouse.load("players")

    assert isinstance(run.errors["players"], SettingsError)
    assert "https://sandbox.api.video" in str(run.errors["players"])


def test_private_videos_do_not_change_at_every_read(warehouse: Warehouse) -> None:
    warehouse.begin("videos")

    run = warehouse.load("videos", full_check_hours=0)

    assert any(row["public"] is False for row in warehouse.demo.world.listed("videos"))
    assert run.sync("videos")["changed_rows"] == 0
    assert warehouse.rows("SELECT count(*) FROM videos WHERE assets__hls LIKE '%token%'") == [(0,)]


PRIVATE = "SELECT assets__hls, assets__iframe, assets__player, assets__thumbnail FROM live_streams WHERE NOT public"


def test_private_live_streams_do_not_change_at_every_read(warehouse: Warehouse) -> None:
    warehouse.begin("live_streams")
    before, listed = warehouse.rows(PRIVATE), warehouse.demo.world.listed("live_streams")

    run = warehouse.load("live_streams")

    private = [row for row in listed if row["public"] is False]
    tokens = {row["assets"]["hls"].split("/private/")[1].split("/")[0] for row in private}
    assert len(tokens) == len(private) > 0
    assert run.sync("live_streams")["changed_rows"] == 0
    assert warehouse.rows(PRIVATE) == before
    assert sorted(row[0] for row in before) == sorted(
        f"https://live.api.video/{row['liveStreamId']}.m3u8" for row in private
    )
    assert not [cell for row in before for cell in row if "private" in cell or "token" in cell]


def test_tokens_that_an_older_version_stored_go_at_the_next_read(warehouse: Warehouse) -> None:
    """Its hash covers the token, so the cleaned row counts as changed."""
    warehouse.begin("live_streams")
    clean = warehouse.rows(PRIVATE)
    with_token = "replace(assets__hls, 'video/', 'video/private/S3CR3T/')"
    warehouse.rows(f"UPDATE live_streams SET assets__hls = {with_token}, _content_hash = 'older' WHERE NOT public")
    assert warehouse.rows(PRIVATE) != clean

    run = warehouse.load("live_streams")

    assert run.sync("live_streams")["changed_rows"] == len(clean)
    assert sorted(warehouse.rows(PRIVATE)) == sorted(clean)
    assert warehouse.load("live_streams").sync("live_streams")["changed_rows"] == 0


def test_every_list_is_in_this_files_tests() -> None:
    assert set(LISTS) == {
        *("videos", "discarded_videos", "tags", "watermarks", "summaries", "players", "live_streams"),
        *("webhooks", "upload_tokens", "projects", "projects_api_keys"),
    }


def test_concurrent_details_use_the_limit_and_do_not_exceed_it(warehouse: Warehouse) -> None:
    """Requests under way at the end of a window were answered 429: eleven in four windows."""
    warehouse.begin("videos")
    warehouse.demo.behaviour.rate_limit, warehouse.demo.behaviour.rate_window_s = 10, 1

    run = warehouse.load("video_status")

    assert run.sync("video_status")["requests"] == 30
    assert run.sync("video_status")["rate_limited"] == 0
    warehouse.assert_equal("video_status")
