"""What the Test button of a Connection says: which lists the keys may read."""

from __future__ import annotations

import pytest

from include.api_video.api.permissions import find_permissions
from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.errors import ApiVideoKeyError
from tests.integration.conftest import Warehouse

BREAKDOWNS = {endpoint.name for endpoint in ENDPOINTS if endpoint.asks and not endpoint.sync.has_days}
SINGLE = {endpoint.name for endpoint in ENDPOINTS if endpoint.sync.is_detail}


def test_each_list_is_requested_once(warehouse: Warehouse) -> None:
    found = find_permissions(warehouse.settings)
    assert set(found.readable) == {endpoint.name for endpoint in ENDPOINTS} - BREAKDOWNS - SINGLE
    assert not found.refused
    assert not found.left_out
    assert str(found).startswith("The key reads videos, captions, chapters, ")
    assert warehouse.demo.requests() <= len(found.readable) + 1  # one more: the projects that API keys belong to


def test_without_an_admin_key_the_admin_api_is_not_asked(warehouse: Warehouse) -> None:
    found = find_permissions(warehouse.settings.__class__(api_key=warehouse.demo.api_key, base_url=warehouse.demo.url))
    assert not {"projects", "projects_api_keys", "delivery_usage", "hosting_usage"} & set(found.readable)


def test_what_a_run_leaves_out_is_named_and_is_no_failure(warehouse: Warehouse) -> None:
    warehouse.demo.behaviour.analytics_refused = True
    warehouse.demo.behaviour.fail("/projects/.*/delivery-usage", status=403, times=None)
    found = find_permissions(warehouse.settings)
    assert set(found.left_out) == {"analytics_days", "delivery_usage"}
    assert not found.refused
    assert (
        "Runs leave out analytics_days, delivery_usage, which it may not read. The API key may not read this (403"
        in str(found)
    )
    assert "The admin API key may not read this (403" in str(found)


def test_what_fails_a_run_is_refused(warehouse: Warehouse) -> None:
    warehouse.demo.behaviour.fail("/players", status=403, times=None)
    found = find_permissions(warehouse.settings)
    assert set(found.refused) == {"players"}
    assert str(found).startswith("The key may not read players. It reads videos, ")


def test_without_a_usable_parent_row_its_lists_are_not_tried(warehouse: Warehouse) -> None:
    warehouse.demo.behaviour.rewrite_page = lambda resource, body: (
        {**body, "data": ["odd"]} if resource == "videos" else body
    )
    found = find_permissions(warehouse.settings)
    assert not {"captions", "chapters"} & set(found.readable)


def test_a_wrong_key_is_an_error(warehouse: Warehouse) -> None:
    with pytest.raises(ApiVideoKeyError):
        find_permissions(warehouse.settings.__class__(api_key="wrong", base_url=warehouse.demo.url))
