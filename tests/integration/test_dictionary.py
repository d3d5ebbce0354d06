"""The data dictionary equals what a load creates: each table, column, type and nullability, in both directions."""

from __future__ import annotations

import hashlib

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.naming import snake
from include.api_video.docs.dictionary import DLT_TABLES, tables
from include.api_video.docs.write import TYPES
from tests.integration.conftest import Warehouse


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


def test_deletes_are_captured_where_the_dictionary_says_so(warehouse: Warehouse) -> None:
    """One row of each list is deleted: it and its details get a ``removed_at``, as the dictionary says."""
    warehouse.begin()
    world = warehouse.demo.world
    deleted = {e.name: world.ids(e.name)[0] for e in ENDPOINTS if e.is_list}
    emptied = {e.name: world.listed(e.name)[-1] for e in ENDPOINTS if e.sync.is_list_per_parent}
    for resource, row in emptied.items():
        world.set_inner(resource, row["videoId"], [])
        world.update_video(row["videoId"], title="changed")  # else its list is asked for within seven days
    for video in [row["videoId"] for row in world.listed("videos") if deleted["tags"] in row["tags"]]:
        world.update_video(video, tags=[])
    for resource, key in deleted.items():
        if key in world.ids(resource):  # deleting a video also deletes its summary
            world.delete(resource, key)

    warehouse.load(full_check_hours=0)

    said = {table.name for table in tables() if table.deletes.startswith("`removed_at`")}
    assert said == {endpoint.name for endpoint in ENDPOINTS}
    for endpoint in ENDPOINTS:
        key = deleted.get(endpoint.name) or deleted[endpoint.parent or ""]
        if endpoint.name in emptied:
            key = emptied[endpoint.name][endpoint.key]
        if endpoint.sent_key != endpoint.key:
            key = hashlib.sha256(key.encode()).hexdigest()
        found = warehouse.rows(f"SELECT removed_at IS NOT NULL FROM {endpoint.name} WHERE {snake(endpoint.key)} = '{key}'")
        assert found == [(True,)], endpoint.name
