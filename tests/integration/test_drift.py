"""Schema evolution: if the API's fields change, the load continues, no value is lost, and the report names the field."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.conftest import Run, Warehouse


def fields_of(run: Run, table: str) -> str:
    """The report's finding about a table's fields."""
    return next(check.found for check in run.report.checks if (check.table, check.name) == (table, "fields"))


def rewrite(warehouse: Warehouse, resource: str, **fields: Any) -> None:
    """Makes each row of a list have these fields from now on; Ellipsis removes one."""

    def change(name: str, row: dict[str, Any]) -> dict[str, Any]:
        changed = {**row, **fields} if name == resource else row
        return {field: value for field, value in changed.items() if value is not ...}

    warehouse.demo.behaviour.rewrite = change


def test_what_is_as_documented_is_said_so(warehouse: Warehouse) -> None:
    warehouse.begin()

    run = warehouse.load()

    assert {check.found for check in run.report.checks if check.name == "fields"} == {"as documented"}
    assert "NOTE" not in str(run.report)


def test_a_new_field_is_named_with_the_time_when_it_was_first_seen(warehouse: Warehouse) -> None:
    warehouse.begin("players")
    rewrite(warehouse, "players", shapeRadius=4, chaptersNew=[{"at": 1}])

    run = warehouse.load("players")
    later = warehouse.load("players")

    assert not run.report.failed
    assert f"new field players.shape_radius (first seen {run.report.checked_at:%Y-%m-%d}" in fields_of(run, "players")
    assert "new list players__chapters_new (first seen" in fields_of(run, "players")
    assert fields_of(later, "players") == fields_of(run, "players")
    assert "NOTE players: fields: " in str(run.report)
    assert warehouse.rows("SELECT count(*) FROM players WHERE shape_radius = 4") == [(5,)]


def test_a_field_that_also_comes_in_another_type_is_named_and_keeps_its_values(warehouse: Warehouse) -> None:
    warehouse.begin("players")
    rewrite(warehouse, "players", enableApi="sometimes")

    run = warehouse.load("players")

    assert not run.report.failed
    assert "players.enable_api also comes as text (first seen" in fields_of(run, "players")
    assert warehouse.rows("SELECT DISTINCT enable_api__v_text FROM players") == [("sometimes",)]


@pytest.mark.parametrize("field", ["name", "assets"])
def test_a_field_that_is_no_longer_sent_is_named_until_it_comes_back(warehouse: Warehouse, field: str) -> None:
    warehouse.begin("players")
    rewrite(warehouse, "players", **{field: ...})

    run = warehouse.load("players")
    later = warehouse.load("players")
    warehouse.demo.behaviour.rewrite = None
    back = warehouse.load("players")

    assert not run.report.failed
    assert f"{field}" in fields_of(run, "players")
    assert "is no longer sent (first seen" in fields_of(run, "players")
    assert fields_of(later, "players") == fields_of(run, "players")
    assert fields_of(back, "players") == "as documented"
    warehouse.assert_equal("players")


def test_a_list_in_a_row_that_is_no_longer_sent_is_named(warehouse: Warehouse) -> None:
    warehouse.begin("videos")
    rewrite(warehouse, "videos", tags=...)

    run = warehouse.load("videos")

    assert "tags is no longer sent" in fields_of(run, "videos")
    assert warehouse.rows("SELECT count(*) FROM videos__tags") == [(0,)]


def test_a_full_look_says_how_far_the_cursor_can_be_trusted(warehouse: Warehouse) -> None:
    world = warehouse.demo.world
    warehouse.begin("videos")
    world.update_video(world.ids("videos")[-1], title="moves the cursor on")
    warehouse.load("videos")
    world.update_silently(world.ids("videos")[0], title="in silence")

    run = warehouse.load("videos", full_check_hours=0)

    said = next(check for check in run.report.checks if check.name == "cursor")
    assert run.sync("videos")["drifted_rows"] == 1
    assert said.found == "1 of 30 rows (3.333%)"
    assert said.passed


@pytest.mark.parametrize(
    ("field", "value"),
    [("enableApi", 7731), ("enableApi", 2**63), ("views", 2**63 + 5), ("name", {"en": "Hall"}), ("text", ["a", "b"])],
)
def test_a_value_that_the_column_cannot_hold_is_kept(warehouse: Warehouse, field: str, value: Any) -> None:
    """dlt stored 7731 as True, and a number of more than 64 bits failed the load."""
    warehouse.begin("players")
    rewrite(warehouse, "players", **{field: value})

    run = warehouse.load("players")

    assert not run.report.failed
    wanted = value["en"] if isinstance(value, dict) else value[1] if isinstance(value, list) else str(value)
    tables = [
        row[0]
        for row in warehouse.rows(
            "SELECT table_name FROM (SHOW TABLES) WHERE name LIKE 'players%'".replace("table_name", "name")
        )
    ]
    assert any(wanted in str(warehouse.rows(f"SELECT * FROM {table}")) for table in tables)


@pytest.mark.parametrize(
    ("field", "column"), [("removedAt", "api_removed_at"), ("Name", "api_name"), ("_dlt_id", "api_dlt_id")]
)
def test_a_new_field_never_takes_the_column_of_another(warehouse: Warehouse, field: str, column: str) -> None:
    """A field removedAt made every row look removed."""
    warehouse.begin("players")
    rewrite(warehouse, "players", **{field: "2024-01-01"})

    run = warehouse.load("players")

    assert not run.report.failed
    warehouse.assert_equal("players")
    assert warehouse.rows(f"SELECT count(*) FROM players WHERE CAST({column} AS VARCHAR) LIKE '2024-01-01%'") == [(5,)]


@pytest.mark.parametrize("ingest", ["done", ["done"], 7])
def test_a_status_whose_objects_became_something_else_is_loaded(warehouse: Warehouse, ingest: Any) -> None:
    warehouse.begin("videos")
    rewrite(warehouse, "video_status", ingest=ingest)

    run = warehouse.load("videos", "video_status")

    assert not run.errors
    assert len(warehouse.active("video_status")) == len(warehouse.demo.world.ids("videos"))
