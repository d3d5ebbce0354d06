"""A wrong key is detected by one request, before anything else is sent, dropped or loaded. A good key costs none."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import pytest

from include.api_video.api.answers import KEY_REFUSED
from include.api_video.errors import ApiVideoKeyError
from include.api_video.load.runner import prepare_warehouse
from tests.integration.conftest import Warehouse


def prepare(warehouse: Warehouse, **settings: str) -> int:
    """Number of requests to prepare the warehouse, or to refuse to."""
    warehouse.demo.reset_log()
    chosen = replace(warehouse.settings, **settings)
    if chosen.api_key == warehouse.settings.api_key:
        prepare_warehouse(chosen)
    else:
        with pytest.raises(ApiVideoKeyError, match=KEY_REFUSED):
            prepare_warehouse(chosen)
    return warehouse.demo.requests()


def test_a_first_run_with_a_wrong_key_ends_after_one_request(warehouse: Warehouse) -> None:
    with pytest.raises(ApiVideoKeyError, match=KEY_REFUSED):
        warehouse.load(api_key="wrong")

    assert [request.status for request in warehouse.demo.log] == [401]
    with duckdb.connect(str(warehouse.file)) as connection:
        assert connection.execute("SELECT count(*) FROM information_schema.tables").fetchall() == [(0,)]


def test_a_good_run_is_proof_enough_for_the_next_one(warehouse: Warehouse) -> None:
    assert prepare(warehouse) == 1
    warehouse.load("players")
    assert prepare(warehouse) == 0


def test_after_a_run_that_failed_the_key_is_asked_about(warehouse: Warehouse) -> None:
    """A key that was withdrawn: that run had five refused requests, the next ones have one."""
    warehouse.load("players")
    failed = warehouse.load("players", "live_streams", api_key="withdrawn")
    assert set(failed.errors) == {"players", "live_streams"}

    assert prepare(warehouse, api_key="withdrawn") == 1
    assert prepare(warehouse) == 1
    warehouse.load("players", "live_streams")
    assert prepare(warehouse) == 0


def test_another_address_is_asked_although_the_last_run_was_good(warehouse: Warehouse) -> None:
    warehouse.load("players")
    warehouse.rows("UPDATE _syncs SET base_url = 'https://ws.api.video'; SELECT 1")
    assert prepare(warehouse) == 1


def test_the_question_is_one_that_the_api_answers(warehouse: Warehouse) -> None:
    """It asked for a page of one row, although GET /videos documents a 400 below ten."""
    prepare(warehouse)
    assert [request.status for request in warehouse.demo.log] == [200]


@pytest.mark.parametrize("status", [403, 500, 503])
def test_what_is_no_word_about_the_key_stops_nothing(warehouse: Warehouse, status: int) -> None:
    warehouse.demo.behaviour.fail(".*", status=status)
    assert prepare(warehouse) == 1
