"""Odd lists, and lists that change while they are read: all rows are loaded, and nothing untrue is reported."""

from __future__ import annotations

import pytest

from include.api_video.errors import ApiVideoServerError
from include.api_video.load.runner import load_resource
from include.demo_api.behaviour import Behaviour
from include.demo_api.oddities import Traffic
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.integration.conftest import Run, Warehouse

VIDEOS = 350  # four pages


@pytest.fixture
def demo():
    with running(World(VIDEOS), Behaviour(rate_limit=1_000_000)) as demo:
        yield demo


def complete(run: Run, table: str = "videos"):
    return next(check for check in run.report.checks if (check.table, check.name) == (table, "complete"))


def requests_of(demo: Demo, warehouse: Warehouse, **settings) -> tuple[Run, int]:
    demo.reset_log()
    run = warehouse.load("videos", **settings)
    return run, demo.requests("/videos")


@pytest.mark.parametrize("odd", [{"total_off": 1}, {"total_off": -1}, {"twice": 2}], ids=str)
def test_rows_of_a_list_whose_count_is_off_are_loaded_and_an_idle_hour_costs_one_request(demo, warehouse, odd):
    for name, value in odd.items():
        setattr(demo.behaviour.oddities, name, value)

    run = warehouse.load("videos")

    warehouse.assert_equal("videos")
    check, total = complete(run), VIDEOS + sum(odd.values())
    assert (check.passed, check.expected, check.found) == (None, f"{total} rows", f"{VIDEOS} rows")
    assert f"api.video says {total}, three readings listed {VIDEOS} different videos." in check.note
    assert f"NOT PROVEN videos: complete: expected {total} rows, found {VIDEOS} rows." in str(run.report)
    assert not run.report.failed
    assert warehouse.rows("SELECT outcome, passed FROM _checks WHERE check_name = 'complete'") == [("not proven", None)]

    idle, requests = requests_of(demo, warehouse)

    assert (requests, complete(idle).passed) == (1, None)


def test_a_table_that_stays_not_proven_fails_the_run(demo, warehouse):
    demo.behaviour.oddities.total_off = 1
    assert complete(warehouse.load("videos")).passed is None
    run = warehouse.load("videos", unproven_hours=0)
    assert complete(run).passed is False
    assert "Not proven since 20" in complete(run).note


def test_what_changes_in_a_list_whose_count_is_off_is_followed(demo, warehouse):
    demo.behaviour.oddities.total_off = 1
    warehouse.load("videos")
    first, second = demo.world.ids("videos")[:2]
    demo.world.update_video(first, title="changed")
    demo.world.delete_video(second)
    demo.world.add_video()

    warehouse.load("videos")

    warehouse.assert_equal("videos")
    assert warehouse.rows("SELECT title FROM videos WHERE video_id = '" + first + "'") == [("changed",)]


def test_a_count_that_is_right_again_is_proven(demo, warehouse):
    demo.behaviour.oddities.total_off = 1
    warehouse.load("videos")
    demo.behaviour.oddities.total_off = 0
    assert complete(warehouse.load("videos")).passed is True
    assert requests_of(demo, warehouse)[1] == 1


def test_a_list_that_ignores_the_order_is_read_whole_and_says_so(demo, warehouse):
    demo.behaviour.oddities.is_shuffled = True
    warehouse.load("videos")
    for key in demo.world.ids("videos")[::50]:
        demo.world.update_video(key, title="changed")

    run, requests = requests_of(demo, warehouse)

    assert warehouse.rows("SELECT count(*) FROM videos WHERE title = 'changed'") == [(7,)]
    assert requests == 4
    assert complete(run).passed
    cursor = next(check for check in run.report.checks if check.name == "cursor")
    assert "does not sort this list by updatedAt" in cursor.note


def test_pages_that_are_refused_are_read_from_the_other_end(demo, warehouse):
    demo.behaviour.oddities.last_page = 2
    run = warehouse.load("videos")
    warehouse.assert_equal("videos")
    assert complete(run).passed


def test_what_no_end_reaches_is_said(demo, warehouse):
    demo.behaviour.oddities.last_page = 1
    run = warehouse.load("videos")
    assert len(warehouse.active("videos")) == 200
    assert complete(run).passed is None
    assert "gives no page from number 2 on, and 150 of 350 rows are reached from neither end" in complete(run).note
    assert requests_of(demo, warehouse)[1] == 1


@pytest.mark.parametrize("odd", [{"most_rows": 30}, {"has_empty_page_1": True}], ids=str)
def test_other_odd_pages_end_equal(demo, warehouse, odd):
    for name, value in odd.items():
        setattr(demo.behaviour.oddities, name, value)
    warehouse.load("videos")
    warehouse.assert_equal("videos")


def test_totals_that_lag_behind_the_list_end_equal(demo, warehouse):
    now = 0.0
    demo.behaviour.oddities.clock = lambda: now
    warehouse.load("videos")
    demo.behaviour.oddities.lag_s = 60
    demo.world.add_video()
    demo.world.delete_video(demo.world.ids("videos")[200])
    demo.world.delete_video(demo.world.ids("videos")[100])
    assert not warehouse.load("videos").report.failed
    now = 3600.0
    warehouse.load("videos")
    run = warehouse.load("videos")
    warehouse.assert_equal("videos")
    assert complete(run).passed


def test_what_was_read_before_the_api_went_down_is_loaded(demo, warehouse):
    """The run reports the error and fails, and the next one loads the rest."""
    demo.behaviour.after(2, "/videos", lambda: demo.behaviour.fail("/videos", status=503, times=None))

    run = warehouse.load("videos", "video_status")

    assert isinstance(run.errors["videos"], ApiVideoServerError)
    assert 100 <= len(warehouse.active("videos")) < VIDEOS
    assert warehouse.rows("SELECT mode FROM _syncs WHERE resource = 'videos'") == [("partial",)]
    demo.behaviour.heal()
    assert complete(warehouse.load("videos")).passed
    warehouse.assert_equal("videos")


@pytest.mark.slow
def test_a_long_catch_up_that_stops_loses_no_change(demo, warehouse):
    warehouse.begin("videos")
    keys = demo.world.ids("videos")
    for number, key in enumerate(keys[:320]):
        demo.world.update_video(key, title=f"changed {number}")
    demo.behaviour.after(2, "/videos", lambda: demo.behaviour.fail("/videos", status=503, times=None))
    assert "videos" in warehouse.load("videos").errors
    demo.behaviour.heal()

    warehouse.load("videos")

    assert warehouse.rows("SELECT count(*) FROM videos WHERE title LIKE 'changed%'") == [(320,)]
    assert requests_of(demo, warehouse)[1] == 1


def test_single_objects_that_the_api_stops_to_give_keep_those_that_came(demo, warehouse):
    demo.behaviour.after(
        150, "/videos/[^/]+/status", lambda: demo.behaviour.fail("/videos/[^/]+/status", status=401, times=None)
    )
    warehouse.load("videos")
    run = warehouse.load("video_status")
    assert "refused the API key" in str(run.errors["video_status"])
    assert len(warehouse.active("video_status")) >= 140
    assert demo.requests("/videos/") < 200, "who refuses the key is not asked for hundreds of objects more"


def test_a_removal_counts_once_where_the_load_after_it_failed(demo, warehouse, monkeypatch):
    warehouse.begin("videos")
    demo.world.delete_video(demo.world.ids("videos")[5])
    with monkeypatch.context() as patch:
        patch.setattr("dlt.Pipeline.load", _fail)
        with pytest.raises(OSError, match="killed"):
            load_resource("videos", warehouse.settings, "killed")
    assert len(warehouse.active("videos")) == VIDEOS - 1
    warehouse.load("videos")
    warehouse.load("videos")
    assert warehouse.rows("SELECT sum(removed_rows) FROM _syncs WHERE resource = 'videos'") == [(1,)]


def _fail(*_args, **_options):
    raise OSError("killed")


@pytest.mark.slow
@pytest.mark.parametrize("per_page", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("is_loaded", [False, True], ids=["first", "full"])
def test_a_list_that_changes_all_the_time_is_loaded_and_equal_once_it_stops(demo, warehouse, per_page, is_loaded):
    if is_loaded:
        warehouse.load("videos")
    at_first = set(demo.world.ids("videos"))
    traffic = Traffic(per_page=per_page, kinds=("add", "update", "update", "delete", "discard"))
    demo.behaviour.traffic.append(traffic)

    run, requests = requests_of(demo, warehouse, full_check_hours=0)

    assert not run.errors
    # At most three readings of four pages, the top again, and for each deleted row two pages and one single request.
    assert requests <= 3 * (4 + 2) + 3 * traffic.made
    stayed = at_first & set(demo.world.ids("videos"))
    assert stayed <= set(warehouse.active("videos")), "a row that was listed all the time"
    assert complete(run).passed is not False
    demo.behaviour.traffic.clear()
    assert complete(warehouse.load("videos")).passed
    warehouse.assert_equal("videos")
