"""Every list that api.video has is a table.

``fixtures/main_api_paths.json`` and ``admin_api_paths.json`` have the GET paths and their parameters, in the shape of an
OpenAPI document (facts of its versions of 2024-11 and 2026-06). A new path goes there first.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Endpoint, Host

FIXTURES = Path(__file__).parent / "fixtures"
PAGING = {"currentPage", "page"}  # the Admin API's is page
SPANS = {"interval"}  # answers with a row for each hour or day; of the Admin API, without pages
# Breakdowns of analytics without a table: what they tell is in another one.
IN_ANOTHER_TABLE = {
    "continent": "analytics_countries has its countries",
    "media-type": "analytics_videos has each medium by its identifier, which begins with vi or li",
}
hosts = pytest.mark.parametrize(("file", "host"), [("main", Host.MAIN), ("admin", Host.ADMIN)])


def parameters(file: str) -> dict[str, dict[str, dict[str, Any]]]:
    """The parameters of each GET path, by name."""
    described: dict[str, Any] = json.loads((FIXTURES / f"{file}_api_paths.json").read_text(encoding="utf-8"))
    return {
        path: {parameter["name"]: parameter for parameter in methods["get"]["parameters"]}
        for path, methods in described["paths"].items()
        if "get" in methods
    }


def paths(file: str) -> dict[str, set[str]]:
    """The query parameters of each GET path."""
    return {
        path: {name for name, parameter in known.items() if parameter["in"] == "query"}
        for path, known in parameters(file).items()
    }


def lists(file: str) -> set[str]:
    """The paths that answer with rows: pages of them, or one for each hour or day."""
    return {path for path, known in paths(file).items() if known & (PAGING | SPANS)}


def requested(endpoint: Endpoint, file: str) -> dict[str, str]:
    """Which documented path each path is that the endpoint requests. A question of analytics names its metric itself."""
    own = [f"/data/{ask.path}" for ask in endpoint.asks] or [endpoint.path]
    patterns = {path: re.sub(r"{\w+}", "[^/]+", path) for path in paths(file)}
    known = {
        asked: [path for path, pattern in patterns.items() if asked == path or re.fullmatch(pattern, asked)]
        for asked in own
    }
    assert all(known.values()), f"{endpoint.name} requests a path that api.video does not have: {known}"
    return {asked: documented[0] for asked, documented in known.items()}


@hosts
def test_every_list_of_the_api_is_a_table(file: str, host: Host) -> None:
    loaded = {path for endpoint in ENDPOINTS if endpoint.host is host for path in requested(endpoint, file).values()}
    missing = lists(file) - loaded
    assert not missing, f"no table has {', '.join(sorted(missing))}: add an entry to include/api_video/catalog/"


@hosts
def test_every_table_is_a_path_of_the_api(file: str, host: Host) -> None:
    own = [endpoint for endpoint in ENDPOINTS if endpoint.host is host]
    assert all(set(requested(endpoint, file).values()) <= set(paths(file)) for endpoint in own)
    assert {endpoint.one_path for endpoint in own if endpoint.one_path} <= set(paths(file))
    of_rows = [e for e in own if e.is_list or (e.sync.is_list_per_parent and not e.asks)]
    assert {e.path for e in of_rows} <= lists(file)


@hosts
def test_what_is_sorted_filtered_and_asked_for_can_be(file: str, host: Host) -> None:
    for endpoint in (e for e in ENDPOINTS if e.host is host):
        for path in requested(endpoint, file).values():
            known = paths(file)[path]
            assert {rule.parameter for rule in endpoint.filters} | set(endpoint.params) <= known, endpoint.name
            assert endpoint.sort_by is None or "sortBy" in known, endpoint.name
            assert not any(ask.only_of for ask in endpoint.asks) or "filterBy" in known, endpoint.name


def test_every_question_of_analytics_is_one_that_the_api_answers() -> None:
    known = parameters("main")
    for endpoint in ENDPOINTS:
        for asked, path in requested(endpoint, "main").items() if endpoint.asks else ():
            for step, name in zip(asked.split("/"), path.split("/"), strict=True):
                assert step == name or step in known[path][name.strip("{}")]["schema"]["enum"], f"{endpoint.name}: {asked}"


def test_every_breakdown_of_analytics_is_a_table() -> None:
    dimensions = parameters("main")["/data/buckets/{metric}/{breakdown}"]["breakdown"]["schema"]["enum"]
    tables = [endpoint for endpoint in ENDPOINTS if endpoint.asks and endpoint.sync.is_list_per_parent]
    loaded = {ask.path.split("/")[2] for endpoint in tables for ask in endpoint.asks if ask.path.startswith("buckets/")}
    assert loaded == set(dimensions) - set(IN_ANOTHER_TABLE)
    assert set(IN_ANOTHER_TABLE) <= set(dimensions)
    assert {reason.split()[0] for reason in IN_ANOTHER_TABLE.values()} <= {endpoint.name for endpoint in tables}
