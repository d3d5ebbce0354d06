"""Captions, a list for each video: equal to the API whatever happens, requested only where something may have changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from include.api_video.proof.checks import Check
from include.api_video.settings.accounts import Account
from include.api_video.warehouse.pipelines import short_lived_pipeline
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.integration.conftest import Run, Warehouse
from tests.services import new_database, postgres_server

NAMES = ("videos", "captions")
COLUMNS = 'caption_key, video_id, srclang, language_name, "default", src, uri'
Row = dict[str, Any]


def caption(video_id: str, language: str, **fields: Any) -> Row:
    """A row of a video's list."""
    path = f"/videos/{video_id}/captions/{language}"
    src = f"https://cdn.api.video/vod/{video_id}/captions/{language}.vtt"
    return {"uri": path, "src": src, "srclang": language, "languageName": language, "default": False, **fields}


def assert_equal(warehouse: Warehouse) -> None:
    """The table holds exactly the rows that the API lists, each once, with its content."""
    listed = warehouse.demo.world.listed("captions")
    names = ("captionKey", "videoId", "srclang", "languageName", "default", "src", "uri")
    rows = warehouse.rows(f"SELECT {COLUMNS} FROM captions WHERE removed_at IS NULL ORDER BY 1")
    assert sorted(rows) == sorted(tuple(row[name] for name in names) for row in listed)


def languages(warehouse: Warehouse, video_id: str) -> list[str]:
    """Languages of a video's captions that are not removed."""
    sql = f"SELECT srclang FROM captions WHERE video_id = '{video_id}' AND removed_at IS NULL ORDER BY 1"
    return [language for (language,) in warehouse.rows(sql)]


def age(warehouse: Warehouse, interval: str, only: str = "1 = 1") -> None:
    """Makes lists look as if they had been requested earlier."""
    warehouse.rows(f"UPDATE _asked SET asked_at = asked_at - INTERVAL {interval} WHERE {only}")


def requested(warehouse: Warehouse, what: str = "captions") -> int:
    """Requests for lists since ``reset_log``."""
    return sum(request.path.endswith(f"/{what}") for request in warehouse.demo.behaviour.log)


def check_of(run: Run, name: str, table: str = "captions") -> Check:
    """One check of a run's report."""
    return next(check for check in run.report.checks if (check.table, check.name) == (table, name))


def counts(run: Run) -> tuple[int, ...]:
    """New, changed, removed and restored captions."""
    return tuple(run.sync("captions")[f"{name}_rows"] for name in ("new", "changed", "removed", "restored"))


@pytest.fixture
def ready(warehouse: Warehouse) -> Warehouse:
    """After a first load of videos and captions."""
    warehouse.begin(*NAMES)
    return warehouse


@pytest.fixture
def with_captions(ready: Warehouse) -> str:
    """A video with captions in two languages or more."""
    return str(ready.rows("SELECT video_id FROM captions GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1")[0][0])


# --- what is requested -----------------------------------------------------------------------------------------------


def test_each_run_requests_only_what_may_have_changed(warehouse: Warehouse) -> None:
    first = warehouse.load(*NAMES)
    sent = [requested(warehouse)]
    changed = warehouse.demo.world.ids("videos")[3:6]
    for change in (lambda: None, lambda: [warehouse.demo.world.update_video(key, title="New") for key in changed]):
        change()
        warehouse.demo.reset_log()
        run = warehouse.load(*NAMES)
        assert not run.report.failed
        sent.append(requested(warehouse))

    assert sent == [30, 0, 3]
    assert warehouse.demo.requests() == 4, "page 1 of the videos, and three lists"
    assert not first.report.failed
    assert (first.sync("captions")["expected_requests"], first.sync("captions")["requests"]) == (30, 30)
    assert_equal(warehouse)


def test_some_lists_are_requested_before_they_are_due(ready: Warehouse) -> None:
    """A seventh of them a day, so that 20,000 do not all come due in the same hour, a week after the first load."""
    ready.rows("UPDATE _syncs SET finished_at = finished_at - INTERVAL 26 HOUR, started_at = started_at - INTERVAL 26 HOUR")
    oldest = ready.rows("SELECT DISTINCT parent_key FROM _asked ORDER BY parent_key LIMIT 4")
    age(ready, "3 DAY", f"parent_key IN {tuple(key for (key,) in oldest)}")

    ready.load("captions")

    assert requested(ready) == 30 * 24 // (24 * 7) == 4
    assert {request.path.split("/")[2] for request in ready.demo.behaviour.log} == {key for (key,) in oldest}


def test_captions_that_change_while_the_video_stands_still_are_found_after_a_week(
    ready: Warehouse, with_captions: str
) -> None:
    world = ready.demo.world
    world.set_inner("captions", with_captions, [caption(with_captions, "xx")])
    empty = next(key for key in world.ids("videos") if not world.inner("captions", key))
    world.set_inner("captions", empty, [caption(empty, "en")])

    age(ready, "6 DAY")
    early = ready.load(*NAMES)
    age(ready, "25 HOUR")
    ready.demo.reset_log()
    run = ready.load(*NAMES)

    assert counts(early) == (0, 0, 0, 0)
    assert requested(ready) == 30
    assert run.sync("captions")["new_rows"] == 2
    assert not run.report.failed
    assert_equal(ready)


def test_captions_of_a_young_video_are_requested_each_hour(ready: Warehouse) -> None:
    world = ready.demo.world
    young = world.add_video(createdAt=datetime.now(timezone.utc).isoformat(), title="Young")
    world.set_inner("captions", young, [])
    ready.load(*NAMES)
    world.set_inner("captions", young, [caption(young, "en")])
    ready.demo.reset_log()

    ready.load(*NAMES)
    at_once = requested(ready)
    age(ready, "1 HOUR")
    run = ready.load(*NAMES)

    assert (at_once, requested(ready)) == (0, 1)
    assert counts(run) == (1, 0, 0, 0)
    assert_equal(ready)


def test_a_first_load_beyond_the_budget_takes_several_runs_and_says_how_many_wait(warehouse: Warehouse) -> None:
    told = []
    for _ in range(4):
        run = warehouse.load(*NAMES, max_detail_requests=12)
        complete = check_of(run, "complete")
        told.append((run.sync("captions")["waiting_rows"], complete.passed, complete.note))
        assert not run.report.failed

    assert [waiting for waiting, _, _ in told] == [18, 6, 0, 0]
    assert [passed for _, passed, _ in told] == [True] * 4
    assert told[0][2] == "18 lists wait for the next run (budget MAX_DETAIL_REQUESTS)."
    assert told[2][2] == ""
    assert requested(warehouse) == 30
    assert_equal(warehouse)


# --- what an answer can be -------------------------------------------------------------------------------------------


def test_lists_of_more_than_a_page_are_read_to_their_end(ready: Warehouse, with_captions: str) -> None:
    world = ready.demo.world
    world.set_inner("captions", with_captions, [caption(with_captions, f"l{n:03}") for n in range(150)])
    world.update_video(with_captions, title="New")

    run = ready.load(*NAMES)

    assert requested(ready) == 2
    assert not run.report.failed
    assert_equal(ready)


@pytest.mark.parametrize("change", ["shorter", "shifted"])
def test_a_list_that_changes_between_its_pages_removes_nothing_and_is_read_again(
    ready: Warehouse, with_captions: str, change: str
) -> None:
    """Shifted: it has as many rows as the API counts, but one of them twice, and one was never shown."""
    world, rows = ready.demo.world, [caption(with_captions, f"l{n:03}") for n in range(150)]
    world.set_inner("captions", with_captions, rows)
    world.update_video(with_captions, title="New")
    ready.load(*NAMES)
    after = rows[:149] if change == "shorter" else [caption(with_captions, "l150"), *rows[:149]]
    path = f"/videos/{with_captions}/captions"
    ready.demo.behaviour.after(1, path, lambda: world.set_inner("captions", with_captions, after))
    world.update_video(with_captions, title="Newer")

    moving = ready.load(*NAMES)
    kept = languages(ready, with_captions)
    run = ready.load(*NAMES)

    assert {row["srclang"] for row in rows} <= set(kept)
    assert check_of(moving, "complete").outcome == "not proven"
    assert "changed while being read" in check_of(moving, "complete").note
    assert not moving.report.failed
    assert check_of(run, "complete").passed
    assert_equal(ready)


def test_a_video_that_answers_404_has_no_captions(ready: Warehouse, with_captions: str) -> None:
    ready.demo.behaviour.fail(f"/videos/{with_captions}/captions", status=404, times=None)
    ready.demo.world.update_video(with_captions, title="New")

    run = ready.load(*NAMES)

    assert not run.report.failed
    assert languages(ready, with_captions) == []
    ready.demo.behaviour.heal()
    ready.demo.world.update_video(with_captions, title="Newer")
    assert not ready.load(*NAMES).report.failed
    assert_equal(ready)


def test_a_list_that_the_api_fails_to_give_keeps_its_rows_and_blocks_no_other(ready: Warehouse, with_captions: str) -> None:
    world = ready.demo.world
    before, other = languages(ready, with_captions), world.ids("videos")[9]
    assert other != with_captions
    ready.demo.behaviour.fail(f"/videos/{with_captions}/captions", status=500, times=None)
    for key in (with_captions, other):
        world.set_inner("captions", key, [caption(key, "xx")])
        world.update_video(key, title="New")

    run = ready.load(*NAMES)

    assert languages(ready, with_captions) == before
    assert languages(ready, other) == ["xx"]
    assert [(check.table, check.name) for check in run.report.failed] == [("captions", "complete")]
    assert (run.sync("captions")["waiting_rows"], run.sync("captions")["unread_rows"]) == (1, 1)
    ready.demo.behaviour.heal()
    assert not ready.load(*NAMES).report.failed
    assert_equal(ready)


@pytest.mark.parametrize("body", [{"data": "text"}, {"data": None}, {}, {"data": {"a": 1}}])
def test_an_answer_that_is_no_list_costs_a_proof_and_not_the_run(ready: Warehouse, with_captions: str, body: Row) -> None:
    before = languages(ready, with_captions)

    def rewrite(resource: str, page: Row) -> Row:
        is_it = resource == "captions" and any(with_captions in row["uri"] for row in page["data"])
        return body if is_it else page

    ready.demo.behaviour.rewrite_page = rewrite
    ready.demo.world.update_video(with_captions, title="New")

    run = ready.load(*NAMES)

    assert not run.report.failed
    assert check_of(run, "rejected").outcome == "not proven"
    assert languages(ready, with_captions) == before
    ready.demo.behaviour.rewrite_page = None
    healed = ready.load(*NAMES)
    assert not healed.report.failed
    assert check_of(healed, "rejected").passed
    assert_equal(ready)


def test_rows_without_a_language_are_kept_in_rejected_until_they_have_one(ready: Warehouse, with_captions: str) -> None:
    world = ready.demo.world
    odd = [{"src": "a", "srclang": None}, {"src": "b"}, {"src": "c", "srclang": ""}, {"src": "d", "srclang": 5}]
    world.set_inner("captions", with_captions, [caption(with_captions, "en"), *odd])
    world.update_video(with_captions, title="New")

    run = ready.load(*NAMES)

    assert not run.report.failed
    assert languages(ready, with_captions) == ["en"]
    assert run.sync("captions")["rejected_rows"] == 4
    reasons = {reason for (reason,) in ready.rows("SELECT reason FROM _rejected WHERE resource = 'captions'")}
    assert reasons == {
        "Its srclang is null.",
        "It has no srclang.",
        "Its srclang is an empty text.",
        "Its srclang is a number.",
    }
    assert check_of(run, "complete").passed
    assert check_of(run, "rejected").outcome == "not proven"
    ready.demo.reset_log()
    again = ready.load(*NAMES)
    assert requested(ready) == 1, "as the check says, requested again at each run"
    assert again.sync("captions")["rejected_rows"] == 4

    world.set_inner("captions", with_captions, [caption(with_captions, "en"), caption(with_captions, "fr")])
    healed = ready.load(*NAMES)

    assert ready.rows("SELECT count(*) FROM _rejected") == [(0,)]
    assert check_of(healed, "rejected").passed
    assert_equal(ready)


def test_what_was_rejected_of_a_video_goes_with_it(ready: Warehouse, with_captions: str) -> None:
    ready.demo.world.set_inner("captions", with_captions, [{"src": "a"}])
    ready.demo.world.update_video(with_captions, title="New")
    ready.load(*NAMES)
    assert ready.rows("SELECT count(*) FROM _rejected") == [(1,)]
    ready.demo.world.delete_video(with_captions)

    run = ready.load(*NAMES)

    assert not run.report.failed
    assert ready.rows("SELECT count(*) FROM _rejected") == [(0,)]
    assert_equal(ready)


def test_odd_languages_are_keys_of_their_own(ready: Warehouse, with_captions: str) -> None:
    odd = ["en", "EN", "en/US", "a'b", 'a"b', "%s", "%2F", "é", "😀", "x y", "-", "token", "en?x=1&y=2"]
    ready.demo.world.set_inner("captions", with_captions, [caption(with_captions, language) for language in odd])
    ready.demo.world.update_video(with_captions, title="New")

    run = ready.load(*NAMES)

    assert not run.report.failed
    assert sorted(languages(ready, with_captions)) == sorted(odd)
    assert not ready.load(*NAMES).report.failed
    assert_equal(ready)


def test_private_tokens_are_never_stored_and_count_as_no_change(ready: Warehouse, with_captions: str) -> None:
    reads = iter(range(1000))

    def rewrite(resource: str, row: Row) -> Row:
        if resource != "captions":
            return row
        secret = f"S3CR3T{next(reads)}"
        host, _, path = row["src"].partition("/vod/")
        return {**row, "src": f"{host}/token/{secret}/vod/{path}?token={secret}", "uri": f"{row['uri']}?token={secret}"}

    ready.demo.behaviour.rewrite = rewrite
    age(ready, "8 DAY")

    run = ready.load(*NAMES)

    assert requested(ready) == 30
    assert counts(run) == (0, 0, 0, 0)
    assert_equal(ready)
    assert b"S3CR3T" not in ready.file.read_bytes()


# --- parents come and go ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leave", ["delete", "discard"])
def test_captions_go_with_their_video_and_come_back_with_it(ready: Warehouse, with_captions: str, leave: str) -> None:
    names, world = (*NAMES, "discarded_videos"), ready.demo.world
    ready.load("discarded_videos")
    before = languages(ready, with_captions)
    if leave == "delete":
        world.delete_video(with_captions)
    else:
        world.discard_video(with_captions)

    gone = ready.load(*names)

    assert not gone.report.failed
    assert languages(ready, with_captions) == []
    assert gone.sync("captions")["removed_rows"] == len(before)
    assert_equal(ready)
    if leave == "discard":
        world.restore_video(with_captions)
        back = ready.load(*names)
        assert not back.report.failed
        assert back.sync("captions")["restored_rows"] == len(before)
        assert languages(ready, with_captions) == before
        assert_equal(ready)


def test_captions_of_a_video_that_comes_back_unchanged_are_requested_again(ready: Warehouse, with_captions: str) -> None:
    """Its hash is the same, so if ``_asked`` still had its list, nothing would be requested."""
    ready.rows(f"UPDATE videos SET removed_at = now() WHERE video_id = '{with_captions}'")
    ready.load("captions")
    assert languages(ready, with_captions) == []
    ready.rows(f"UPDATE videos SET removed_at = NULL WHERE video_id = '{with_captions}'")

    run = ready.load("captions")

    assert requested(ready) == 1
    assert run.sync("captions")["restored_rows"] > 0
    assert_equal(ready)


# --- repairs ---------------------------------------------------------------------------------------------------------


def last_load(warehouse: Warehouse) -> str:
    """The id of the last load of captions."""
    sql = "SELECT load_id FROM _syncs WHERE resource = 'captions' AND load_id IS NOT NULL ORDER BY finished_at DESC LIMIT 1"
    return str(warehouse.rows(sql)[0][0])


def test_a_killed_load_is_repaired_by_the_next_run(ready: Warehouse, with_captions: str) -> None:
    """A load is complete once dlt notes it; here it was killed just before."""
    world = ready.demo.world
    world.set_inner("captions", with_captions, [caption(with_captions, "xx")])
    world.update_video(with_captions, title="New")
    ready.load(*NAMES)
    ready.rows(f"DELETE FROM _dlt_loads WHERE load_id = '{last_load(ready)}'")
    world.set_inner("captions", with_captions, [caption(with_captions, "yy")])
    ready.demo.reset_log()

    run = ready.load(*NAMES)

    assert requested(ready) == 1
    assert not run.report.failed
    assert_equal(ready)
    assert ready.load(*NAMES).sync("captions")["requests"] == 0


def test_a_killed_first_load_is_repaired_by_the_next_run(ready: Warehouse) -> None:
    ready.rows(f"DELETE FROM _dlt_loads WHERE load_id = '{last_load(ready)}'")

    run = ready.load(*NAMES)

    assert requested(ready) == 30
    assert not run.report.failed
    assert_equal(ready)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE captions SET removed_at = now() WHERE caption_key = '{key}'",  # killed between removing and loading
        "DELETE FROM captions WHERE caption_key = '{key}'",
        "UPDATE captions SET removed_at = now()",
        "DELETE FROM captions",
        "INSERT INTO captions SELECT * FROM captions WHERE caption_key = '{key}'",
        "INSERT INTO captions SELECT * REPLACE ('{video}/zz' AS caption_key) FROM captions WHERE caption_key = '{key}'",
        "DELETE FROM _asked",
    ],
)
def test_a_table_that_lost_or_gained_rows_mends_itself(ready: Warehouse, with_captions: str, harm: str) -> None:
    """Every list counts as requested: without the comparison of row counts, nothing would notice for a week."""
    ready.rows(harm.format(video=with_captions, key=f"{with_captions}/{languages(ready, with_captions)[0]}"))

    run = ready.load(*NAMES)

    assert not run.report.failed
    assert_equal(ready)
    assert ready.load(*NAMES).sync("captions")["requests"] == 0


def test_the_brake_keeps_captions_until_a_mass_removal_is_allowed(ready: Warehouse) -> None:
    before = ready.rows("SELECT count(*) FROM captions WHERE removed_at IS NULL")
    for key in ready.demo.world.ids("videos"):
        ready.demo.world.set_inner("captions", key, [])
    age(ready, "8 DAY")

    for _ in range(2):
        stopped = ready.load(*NAMES, max_removed_share=0.5)
        assert "no longer listed by the API" in str(stopped.errors["captions"])
        assert ready.rows("SELECT count(*) FROM captions WHERE removed_at IS NULL") == before
    run = ready.load(*NAMES, max_removed_share=1)

    assert not run.report.failed
    assert counts(run) == (0, 0, before[0][0], 0)
    assert_equal(ready)


def test_a_full_refresh_reads_every_list_again(ready: Warehouse) -> None:
    run = ready.load("captions", full_refresh=True)

    assert requested(ready) == 30
    assert run.sync("captions")["mode"] == "first"
    assert not run.report.failed
    assert_equal(ready)
    assert ready.rows("SELECT count(*) FROM _asked") == [(30,)]


def test_a_full_refresh_beyond_the_budget_goes_on_in_the_next_run(ready: Warehouse) -> None:
    first = ready.load("captions", full_refresh=True, max_detail_requests=20)
    second = ready.load("captions", max_detail_requests=20)

    assert not first.report.failed
    assert not second.report.failed
    assert (first.sync("captions")["waiting_rows"], second.sync("captions")["waiting_rows"]) == (10, 0)
    assert_equal(ready)


def test_the_table_of_requested_lists_does_not_grow_with_each_run(ready: Warehouse) -> None:
    for _ in range(6):
        age(ready, "8 DAY")
        ready.load("captions")

    ((rows, parents),) = ready.rows("SELECT count(*), count(DISTINCT parent_key) FROM _asked")
    assert requested(ready) == 6 * 30
    assert parents == 30
    assert rows <= 3 * 30
    assert_equal(ready)


# --- accounts and destinations ---------------------------------------------------------------------------------------


def test_the_demos_captions_give_way_to_an_account(ready: Warehouse) -> None:
    with running(World(12, seed=7), Behaviour(rate_limit=100_000, names_itself=False)) as demo:
        account = Warehouse(demo, ready.file)
        run = account.load(*NAMES)

        assert not run.report.failed
        assert_equal(account)
        assert account.rows("SELECT count(*) FROM _asked") == [(12,)]


def test_two_accounts_have_each_their_own(ready: Warehouse) -> None:
    with running(World(12, seed=7), Behaviour(rate_limit=100_000)) as demo:
        other = Warehouse(demo, ready.file)
        other.settings = replace(other.settings, account=Account("training"))
        assert not other.load(*NAMES).report.failed
        assert_equal(other)
        assert other.rows("SELECT count(*) FROM _asked") == [(12,)]
    assert not ready.load(*NAMES).report.failed
    assert requested(ready) == 0
    assert_equal(ready)


@pytest.fixture
def on_postgres(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """A warehouse on a real PostgreSQL server."""

    class OnPostgres(Warehouse):
        def rows(self, sql: str) -> list[tuple[Any, ...]]:
            with short_lived_pipeline("ask", self.settings.account) as pipeline, pipeline.sql_client() as client:
                return [tuple(row) for row in client.execute_sql(sql) or ()]

    monkeypatch.setenv("API_VIDEO_DESTINATION", "postgres")
    with postgres_server(tmp_path / "data") as server:
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", new_database(server, "captions"))
        yield OnPostgres(demo, tmp_path)


def test_captions_on_postgres_equal_the_api(on_postgres: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "api_video")
    world, first = on_postgres.demo.world, on_postgres.load(*NAMES)
    one, two, three, four = world.ids("videos")[:4]
    steps: Sequence[Callable[[], object]] = (
        lambda: world.delete_video(one),
        lambda: (world.set_inner("captions", two, [caption(two, "xx")]), world.update_video(two, title="New")),
        lambda: (world.set_inner("captions", three, [{"src": "a"}]), world.update_video(three, title="New")),
        lambda: on_postgres.rows(f"DELETE FROM _dlt_loads WHERE load_id = '{last_load(on_postgres)}'"),
        lambda: world.set_inner("captions", three, [caption(three, "en/US")]),
        lambda: (
            world.set_inner("captions", four, []),
            on_postgres.rows("UPDATE _asked SET asked_at = asked_at - INTERVAL '8 DAY'"),
        ),
        lambda: on_postgres.rows("UPDATE captions SET removed_at = now()"),
    )
    assert not first.report.failed
    for step in steps:
        step()
        assert not on_postgres.load(*NAMES).report.failed
    assert_equal(on_postgres)
    on_postgres.demo.reset_log()
    assert not on_postgres.load(*NAMES).report.failed
    assert requested(on_postgres) == 0
    assert on_postgres.rows("SELECT count(*) FROM _rejected") == [(0,)]
