"""A documented row has the same result on the fast way and on the slow one, value by value and through dlt's normalizer."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import cache
from typing import Any

import dlt
import pytest
from dlt.destinations import duckdb
from dlt.normalize.configuration import NormalizeConfiguration
from dlt.normalize.items_normalizers.jsonl import JsonLItemsNormalizer
from hypothesis import given, settings
from hypothesis import strategies as st

from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.storable import read_timestamp
from include.api_video.load.plain_rows import PlainRows
from include.api_video.load.redaction import Redaction
from include.api_video.sync.outcome import hash_row
from include.api_video.warehouse.schema import build_schema
from include.demo_api.world import World
from tests.strange import scalars, strange_rows, values

LISTS = [endpoint.name for endpoint in ENDPOINTS if endpoint.is_list]
READ_AT = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
Rows = list[tuple[str, dict[str, Any]]]

# Values that the API may send: other scripts, line breaks, tokens, a time in another zone.
TEXTS = st.sampled_from(
    ["", "plain", "日本 é 😀", 'a "b" \\ \n\t', "\\u0000", "Token", "to\u212aen", "\uf0ff", "7", "true"]
)
URLS = st.sampled_from(
    [
        "https://x/vod/vi1/token/abc/hls",
        "https://x/a?token=1&b=2",
        "https://x/a?to\u212aen=1",
        "https://x",
        "https://live.api.video/private/abc/li1.m3u8",
        "https://LIVE.api.video/abc/li1.m3u8",
        "x%2Fprivate%2Fabc%2fapi.video",
    ]
)
TIMES = st.sampled_from(["2024-02-29T10:00:00+00:00", "2024-01-01T10:00:00.25+05:30", "1970-01-01T00:00:00Z"])
OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS | URLS,
    "bool": st.booleans(),
    "bigint": st.sampled_from([0, -1, 2**53 + 1, 2**63 - 1, -(2**63)]),
    "double": st.sampled_from([0.5, -0.0, 1e300, 7, 2**53]),
    "timestamp": TIMES,
}


@st.composite
def documented_rows(draw: st.DrawFn, endpoint: Endpoint, odd: st.SearchStrategy[Any]) -> dict[str, Any]:
    """A row of documented fields, with an odd value now and then."""
    row: dict[str, Any] = {}
    for column in draw(st.lists(st.sampled_from(endpoint.columns), unique=True, max_size=12)):
        *path, last = column.path.split(".")
        places: list[Any] = [row]
        for part in path:
            inner: list[Any] = []
            for place in places:
                if part.endswith("[]"):
                    items = place.setdefault(part[:-2], [{} for _ in range(draw(st.integers(0, 2)))])
                    inner += [item for item in items if isinstance(item, dict)]
                elif isinstance(place.setdefault(part, {}), dict):
                    inner.append(place[part])
            places = inner
        for place in places:
            value = OF_TYPE[column.data_type] | (odd if draw(st.integers(0, 15)) == 0 else st.nothing())
            is_list = last.endswith("[]")
            place[last.removesuffix("[]")] = draw(st.lists(value, max_size=3) if is_list else value)
    return {**row, endpoint.key: draw(st.sampled_from(["id1", "ключ", "a b"]))}


@cache
def declared(resource: str) -> dlt.Schema:
    return build_schema([by_name()[resource]])


class Written(list[tuple[str, dict[str, Any]]]):
    """Collects the rows that dlt would write into files."""

    def write_data_item(self, load_id: str, schema: str, table: str, row: dict[str, Any], columns: Any) -> None:
        self.append((table, row))


def by_dlt(endpoint: Endpoint, row: dict[str, Any]) -> Rows:
    """The rows of tables that dlt's normalizer makes from a row."""
    config, written = NormalizeConfiguration(), Written()
    config.destination_capabilities = duckdb().capabilities()
    schema = declared(endpoint.name).clone()
    normalizer = JsonLItemsNormalizer(written, None, None, schema, "load", config)  # type: ignore[arg-type]
    normalizer._normalize_chunk(endpoint.name, [json.loads(json.dumps(row))], may_have_pua=False, skip_write=False)
    return list(written)


def at_once(endpoint: Endpoint, row: dict[str, Any]) -> Rows:
    """The rows of tables made from a row without dlt."""
    written: Rows = []
    PlainRows(endpoint).split(row, "load", lambda table, part: written.append((table, part)))
    return written


def as_stored(endpoint: Endpoint, rows: Rows) -> dict[str, dict[str, Any]]:
    """The rows by position, which replaces their ids; times as datetimes."""
    places: dict[str, str] = {}
    for table, row in rows:
        parent = places[row["_dlt_parent_id"]] if "_dlt_parent_id" in row else ""
        assert row["_dlt_id"] not in places, "an id stands twice"
        places[row["_dlt_id"]] = f"{parent}/{table}[{row.get('_dlt_list_idx', '')}]"
    columns, stored = declared(endpoint.name).tables, dict[str, dict[str, Any]]()
    for table, row in rows:
        clean: dict[str, Any] = {}
        for name, value in row.items():
            data_type = columns[table]["columns"][name]["data_type"]
            if name in ("_dlt_id", "_dlt_parent_id", "_dlt_root_id"):
                clean[name] = places[value]
            elif data_type == "timestamp":
                clean[name] = read_timestamp(value) if isinstance(value, str) else value
            else:
                clean[name] = (data_type == "double" or type(value), value)
        stored[clean["_dlt_id"]] = clean
    assert len(stored) == len(rows)
    return stored


@pytest.mark.parametrize("resource", LISTS)
def test_a_row_is_made_rows_of_the_tables_as_dlt_makes_them(resource: str) -> None:
    endpoint, seen = by_name()[resource], 0

    @settings(max_examples=150, deadline=None)
    @given(row=documented_rows(endpoint, values))
    def check(row: dict[str, Any]) -> None:
        nonlocal seen
        clean = Redaction(endpoint)
        row = clean(row)
        if clean.is_plain and PlainRows(endpoint).holds(row):
            seen += 1
            own = {"_content_hash": "abc", "_read_at": READ_AT}
            mine, theirs = at_once(endpoint, {**row, **own}), by_dlt(endpoint, {**row, "_content_hash": "abc"})
            theirs[0][1]["_read_at"] = READ_AT
            assert as_stored(endpoint, mine) == as_stored(endpoint, theirs)

    check()
    assert seen > 30, "rows as documented are nearly all"


@pytest.mark.parametrize("resource", [endpoint.name for endpoint in ENDPOINTS])
def test_a_glance_finds_what_a_close_look_finds(resource: str) -> None:
    endpoint = by_name()[resource]

    @settings(max_examples=200, deadline=None)
    @given(row=documented_rows(endpoint, values | scalars) | strange_rows(endpoint, "id1"))
    def check(row: dict[str, Any]) -> None:
        glance, close = Redaction(endpoint), Redaction(endpoint)
        seen, looked = glance(row), close.look_closely(row)
        assert repr(seen) == repr(looked)  # NaN does not equal NaN
        assert glance.is_plain == close.is_plain
        assert hash_row(seen, glance.written) == hash_row(looked)
        if PlainRows(endpoint).holds(row):
            assert close.is_plain, "a plain row that is none"

    check()


def test_the_demos_rows_are_plain() -> None:
    """Otherwise all rows of an account might go the slow way, and no other test would notice."""
    world = World(300)
    for resource in ("videos", "players", "summaries"):
        plain = PlainRows(by_name()[resource])
        rows = world.listed(resource)
        assert sum(map(plain.holds, rows)) > 0.9 * len(rows), resource


def test_what_is_not_as_documented_is_not_plain() -> None:
    plain = PlainRows(by_name()["videos"])
    good: dict[str, Any] = {"videoId": "vi1", "title": "a", "public": True, "tags": ["a"], "assets": {"hls": "u"}}
    assert plain.holds(good)
    for field, value in {
        "fooBar": 1,
        "title": 7,
        "public": "true",
        "createdAt": "2024-02-30T00:00:00+00:00",
        "tags": ["a", None],
        "metadata": [{"key": "k", "more": 1}],
        "assets": [],
        "source": None,
        "_content_hash": "x",
        "removedAt": None,
        "token": "x",
    }.items():
        assert not plain.holds({**good, field: value}), field
    live = PlainRows(by_name()["live_streams"])
    assert not live.holds({"liveStreamId": "li1", "streamKey": "secret"})
