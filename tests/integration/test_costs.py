"""The cost of a run: requests counted by the demo API, and the ledger's estimate and count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.demo_api.behaviour import Behaviour
from include.demo_api.server import running
from include.demo_api.world import World
from tests.integration.conftest import FirstLoads, Warehouse


@pytest.fixture
def library(first_loads: FirstLoads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """1,000 videos, so that lists have many pages."""
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(file))
    with running(World(1000), Behaviour(rate_limit=100_000)) as demo:
        yield Warehouse(demo, file, first_loads)


def sent(warehouse: Warehouse) -> list[str]:
    """Paths and pages of the requests since the last call."""
    log = [entry.path + "?" + entry.query.rpartition("currentPage=")[2] for entry in warehouse.demo.log]
    warehouse.demo.reset_log()
    return log


def test_a_run_in_which_nothing_changed_costs_one_request_per_list(library: Warehouse) -> None:
    library.begin("videos", "discarded_videos", "summaries", "players", "live_streams")

    run = library.load("videos", "discarded_videos", "summaries", "players", "live_streams")

    assert len(sent(library)) == 5
    assert {(sync["requests"], sync["expected_requests"]) for sync in run.report.syncs} == {(1, 1)}


def test_a_first_load_costs_its_pages_the_first_one_once_more_and_one_where_the_last_is_full(library: Warehouse) -> None:
    """Including the request that detects a wrong key."""
    run = library.load("videos")

    pages = [f"/videos?{number}" for number in range(1, 12)]
    assert sorted(sent(library)) == sorted([*pages, "/videos?1", "/videos?1&pageSize=10"])
    assert (run.sync("videos")["requests"], run.sync("videos")["expected_requests"]) == (12, 12)


def test_one_deleted_video_among_many_is_found_with_a_few_requests(library: Warehouse) -> None:
    library.begin("videos")
    library.demo.world.delete_video(library.demo.world.ids("videos")[500])
    sent(library)

    run = library.load("videos")

    assert len(sent(library)) <= 6
    assert (run.sync("videos")["mode"], run.sync("videos")["removed_rows"]) == ("changes", 1)
    library.assert_equal("videos")


def test_150_changed_videos_cost_their_pages_and_one_request_more(library: Warehouse) -> None:
    library.begin("videos")
    for video_id in library.demo.world.ids("videos")[300:450]:
        library.demo.world.update_video(video_id, title="changed")
    sent(library)

    run = library.load("videos")

    assert sent(library) == ["/videos?1", "/videos?2", "/videos?1"]
    assert run.sync("videos")["changed_rows"] == 150


def test_discarded_and_restored_videos_are_followed_without_reading_the_list(library: Warehouse) -> None:
    """Neither change moves updatedAt here, and the number of videos stays the same."""
    library.begin("videos", "discarded_videos")
    world = library.demo.world
    restored, discarded = world.ids("discarded_videos")[0], world.ids("videos")[500]
    world.restore_video(restored)
    world.discard_video(discarded)
    sent(library)

    run = library.load("videos", "discarded_videos")

    asked = [f"/videos/{key}?" for key in sorted([restored, discarded])]
    assert sorted(sent(library)) == sorted(["/discarded/videos?1", "/videos?1", *asked])
    assert run.sync("videos")["expected_requests"] == 3
    assert not run.report.failed
    library.assert_equal("videos", "discarded_videos")


def test_a_restore_that_a_deletion_hides_is_seen_in_the_same_run(library: Warehouse) -> None:
    library.begin("videos", "discarded_videos")
    world = library.demo.world
    world.restore_video(world.ids("discarded_videos")[0])
    world.delete_video(world.ids("videos")[300])

    library.load("videos", "discarded_videos")

    library.assert_equal("videos", "discarded_videos")


def test_one_that_goes_and_one_that_comes_between_two_pages_are_both_seen(library: Warehouse) -> None:
    world = library.demo.world

    def swap() -> None:
        world.delete_video(world.ids("videos")[0])
        world.add_video()

    library.demo.behaviour.after(3, "/videos", swap)

    library.load("videos")

    library.assert_equal("videos")


def test_what_a_list_will_cost_is_said_once(library: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    """Only page 1 tells the length of the list: the estimate was 1 request before, then 12."""
    with caplog.at_level("INFO", "api_video"):
        library.load("videos", "players")

    said = [record.getMessage() for record in caplog.records if "expected" in record.getMessage()]
    assert said == ["videos: 12 requests are expected", "players: 1 request is expected"]


def test_a_bulk_edit_within_one_second_does_not_hide_what_was_deleted(library: Warehouse) -> None:
    """Page 1 is then of one second, and tells no place to search from; the whole list would take 12 requests."""
    library.begin("videos")
    world = library.demo.world
    ids = world.ids("videos")
    world.step_s = 0
    for video_id in ids[100:300]:
        world.update_video(video_id, title="edited in bulk")
    world.delete_video(ids[700])
    sent(library)

    run = library.load("videos")

    assert len(sent(library)) <= 9
    counts = {name: run.sync("videos")[name] for name in ("mode", "changed_rows", "removed_rows")}
    assert counts == {"mode": "changes", "changed_rows": 200, "removed_rows": 1}
    library.assert_equal("videos")
