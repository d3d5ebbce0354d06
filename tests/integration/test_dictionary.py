"""The data dictionary equals what a load creates: each table, column, type and nullability, in both directions."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone

import pytest

from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.catalog.naming import snake
from include.api_video.docs.dictionary import DLT_TABLES, tables
from include.api_video.docs.write import TYPES
from include.demo_api.samples import Row
from include.demo_api.world import World
from tests.integration.conftest import ALL, Warehouse
from tests.integration.test_analytics import DAY, Story


def test_the_dictionary_is_what_a_load_creates(warehouse: Warehouse) -> None:
    warehouse.begin()

    created = warehouse.rows(
        "SELECT table_name, column_name, data_type, is_nullable = 'YES' FROM information_schema.columns "
        "WHERE table_schema = 'api_video_data'"
    )
    described = {
        (table.name, column.name, TYPES[column.data_type][0], column.nullable)
        for table in tables()
        for column in table.columns
    }
    assert {row for row in created if row[0] not in DLT_TABLES} == described
    assert {row[0] for row in created} == {table.name for table in tables()} | set(DLT_TABLES)


def test_keys_are_what_they_are_said_to_be(warehouse: Warehouse) -> None:
    """Primary keys are unique and never null. Foreign keys find their row, except where the API left one out."""
    warehouse.begin()

    for table in tables():
        for column in table.columns:
            name = f'"{column.name}"'
            if column.is_primary:
                count = f"SELECT count(*), count({name}), count(DISTINCT {name}) FROM {table.name}"
                ((rows, filled, different),) = warehouse.rows(count)
                assert rows == filled == different > 0, table.name
            if column.joins:
                other, key = column.joins.split(".")
                lost = f"SELECT count(*) FROM {table.name} WHERE {name} NOT IN (SELECT {key} FROM {other})"
                assert warehouse.rows(lost) == [(0,)], (table.name, column.name)


def delete_some(world: World) -> tuple[dict[str, str], dict[str, Row]]:
    """Deletes a row of each list, and all rows of one parent's list: keys, and rows, by resource."""
    deleted = {e.name: world.ids(e.name)[0] for e in ENDPOINTS if e.is_list}
    inner = [endpoint for endpoint in ENDPOINTS if endpoint.sync.is_list_per_parent and not endpoint.asks]
    emptied = {e.name: world.listed(e.name)[-1] for e in inner}
    for resource, row in emptied.items():
        world.set_inner(resource, row[by_name()[resource].key_parts[0]], [])
        if "videoId" in row:
            world.update_video(row["videoId"], title="changed")  # else its list is asked for within seven days
    for video in [row["videoId"] for row in world.listed("videos") if deleted["tags"] in row["tags"]]:
        world.update_video(video, tags=[])
    for resource, key in deleted.items():
        if key in world.ids(resource):  # deleting a video also deletes its summary
            world.delete(resource, key)
    return deleted, emptied


def test_deletes_are_captured_where_the_dictionary_says_so(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row of each list is deleted: it and its details get a ``removed_at``, as the dictionary says.

    Where rows stay, they do. Of analytics, all that was seen but little is gone when yesterday is read again.
    """
    story, world = Story(warehouse, monkeypatch), warehouse.demo.world
    story.clock.now = datetime(2026, 11, 27, 1, tzinfo=timezone.utc)
    story.keep(3)
    story.load(*ALL)
    deleted, emptied = delete_some(world)
    story.viewing.plays_a_day = 1

    story.load(*ALL, after=DAY, full_check_hours=0, max_removed_share=1.0)

    said = {table.name for table in tables() if "`removed_at`" in table.deletes and table.parent is None}
    stay = {table.name for table in tables() if "rows stay" in table.deletes and not table.name.startswith("_")}
    assert said == {endpoint.name for endpoint in ENDPOINTS} - stay
    assert stay == {"analytics_days", "delivery_usage", "hosting_usage"}
    assert warehouse.rows("SELECT day, removed_at FROM analytics_days ORDER BY 1") == [
        (f"2026-11-{day}", None) for day in (24, 25, 26, 27, 28)
    ]
    for endpoint in ENDPOINTS:
        if endpoint.asks:
            gone = warehouse.rows(f"SELECT * FROM {endpoint.name} WHERE removed_at IS NOT NULL")
            assert bool(gone) is (endpoint.name in said), endpoint.name
            continue
        key = deleted.get(endpoint.name) or deleted[endpoint.parent or ""]
        if endpoint.name in emptied:
            key = emptied[endpoint.name][endpoint.key]
        if endpoint.sent_key != endpoint.key:
            key = hashlib.sha256(key.encode()).hexdigest()
        found = warehouse.rows(f"SELECT removed_at IS NOT NULL FROM {endpoint.name} WHERE {snake(endpoint.key)} = '{key}'")
        assert found == [(endpoint.name not in stay,)], endpoint.name
    for name in stay - {"analytics_days"}:  # also without its project: it was billed
        of_project = f"SELECT DISTINCT removed_at IS NOT NULL FROM {name} WHERE project_id = '{deleted['projects']}'"
        assert warehouse.rows(of_project) == [(False,)], name
