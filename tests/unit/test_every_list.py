"""Every list that api.video has is a table.

``fixtures/main_api_paths.json`` and ``admin_api_paths.json`` have the GET paths and their query parameters, in the shape of
an OpenAPI document (facts of its versions of 2024-11 and 2026-06). A new path goes there first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Host

FIXTURES = Path(__file__).parent / "fixtures"
# No tables yet. One that becomes a table is taken out here.
NOT_LOADED = {"/data/buckets/{metric}/{breakdown}", "/data/timeseries/{metric}"}
PAGING = {"currentPage", "page"}  # the Admin API's is page
hosts = pytest.mark.parametrize(("file", "host"), [("main", Host.MAIN), ("admin", Host.ADMIN)])


def paths(file: str) -> dict[str, set[str]]:
    """The query parameters of each GET path."""
    described: dict[str, Any] = json.loads((FIXTURES / f"{file}_api_paths.json").read_text(encoding="utf-8"))
    return {
        path: {parameter["name"] for parameter in methods["get"]["parameters"] if parameter["in"] == "query"}
        for path, methods in described["paths"].items()
        if "get" in methods
    }


def lists(file: str) -> set[str]:
    """The paths that answer with pages of rows."""
    return {path for path, parameters in paths(file).items() if parameters & PAGING}


@hosts
def test_every_list_of_the_api_is_a_table(file: str, host: Host) -> None:
    missing = lists(file) - {endpoint.path for endpoint in ENDPOINTS if endpoint.host is host} - NOT_LOADED
    assert not missing, f"no table has {', '.join(sorted(missing))}: add an entry to include/api_video/catalog/"


@hosts
def test_every_table_is_a_path_of_the_api(file: str, host: Host) -> None:
    own = [endpoint for endpoint in ENDPOINTS if endpoint.host is host]
    assert {endpoint.path for endpoint in own} <= set(paths(file))
    assert {endpoint.one_path for endpoint in own if endpoint.one_path} <= set(paths(file))
    assert {e.path for e in own if e.is_list or e.sync.is_list_per_parent} <= lists(file)


@hosts
def test_what_is_sorted_and_filtered_can_be(file: str, host: Host) -> None:
    for endpoint in (e for e in ENDPOINTS if e.host is host):
        known = paths(file)[endpoint.path]
        assert {rule.parameter for rule in endpoint.filters} <= known, endpoint.name
        assert endpoint.sort_by is None or "sortBy" in known, endpoint.name


def test_what_is_not_loaded_exists_and_is_analytics_alone() -> None:
    assert lists("main") >= NOT_LOADED
    assert all(path.startswith("/data/") for path in NOT_LOADED)
    assert not NOT_LOADED & {endpoint.path for endpoint in ENDPOINTS}
