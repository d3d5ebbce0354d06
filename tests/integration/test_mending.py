"""The next run repairs duplicate keys and orphaned child rows, however they came about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from include.api_video.warehouse.pipelines import short_lived_pipeline
from include.api_video.warehouse.warehouse import Warehouse
from tests.integration.test_destinations import AnyWarehouse, anywhere, database, places, postgres

pytestmark = pytest.mark.slow

__all__ = ["anywhere", "database", "postgres"]  # fixtures
SQL = places("duckdb", "postgres")
LOADED = ("videos", "video_status")


@pytest.fixture
def loaded(anywhere: AnyWarehouse) -> AnyWarehouse:
    """Videos with tags, and with an undeclared list that became a child table."""

    def rewrite(resource: str, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "chaptersNew": [{"at": 1, "marks": [{"x": 1}]}]} if resource == "videos" else row

    anywhere.demo.behaviour.rewrite = rewrite
    anywhere.load(*LOADED)
    return anywhere


def run(warehouse: AnyWarehouse, *statements: str) -> None:
    """Runs statements on the dataset, which they call ``d``."""
    dataset = warehouse.settings.account.dataset
    with short_lived_pipeline("spoil", warehouse.settings.account) as pipeline, pipeline.sql_client() as client:
        for statement in statements:
            client.execute_sql(statement.replace("d.", f"{dataset}."))


def columns(warehouse: AnyWarehouse, table: str, **other: str) -> str:
    """A table's column list for a copy of its rows, with some values replaced."""
    with short_lived_pipeline("ask", warehouse.settings.account) as pipeline, Warehouse(pipeline).connect() as query:
        return ", ".join(other.get(name, query.column(name)) for name in query.columns(table))


def copy_rows(warehouse: AnyWarehouse, table: str, where: str = "1 = 1", **other: str) -> None:
    run(warehouse, f"INSERT INTO d.{table} SELECT {columns(warehouse, table, **other)} FROM d.{table} WHERE {where}")


def assert_healed(warehouse: AnyWarehouse, before: dict[str, int]) -> None:
    """After one run, the tables equal the API and all checks pass; the run after it has nothing to do."""
    first = warehouse.load(*LOADED)

    assert not first.report.failed
    assert counts(warehouse) == before
    warehouse.assert_equal(*LOADED)
    second = warehouse.load(*LOADED)
    assert [(second.sync(name)["mode"], second.sync(name)["changed_rows"]) for name in LOADED] == [("changes", 0)] * 2
    assert second.sync("videos")["requests"] == 1


def counts(warehouse: AnyWarehouse) -> dict[str, int]:
    dataset = warehouse.settings.account.dataset
    tables = (*LOADED, "videos__tags", "videos__metadata", "videos__chapters_new", "videos__chapters_new__marks")
    return {name: warehouse.rows(f"SELECT count(*) FROM {dataset}.{name}")[0][0] for name in tables}


@places("duckdb", "ducklake in sqlite")
def test_rows_that_stand_twice_in_every_column(loaded: AnyWarehouse) -> None:
    """The state after two loads that shared a staging table. (PostgreSQL has an index that prevents it.)"""
    before = counts(loaded)
    for table in before:
        copy_rows(loaded, table)

    assert_healed(loaded, before)


@SQL
def test_rows_of_one_key_with_ids_of_their_own(loaded: AnyWarehouse) -> None:
    """The state after two loads of which neither saw the other's rows."""
    before = counts(loaded)
    copy_rows(loaded, "video_status", _dlt_id="'again_' || _dlt_id")
    copy_rows(loaded, "videos", _dlt_id="'again_' || _dlt_id", title="'older'", _content_hash="'other'")
    again = {name: f"'again_' || {name}" for name in ("_dlt_id", "_dlt_root_id", "_dlt_parent_id")}
    copy_rows(loaded, "videos__tags", **again)

    assert_healed(loaded, before)


@SQL
def test_a_key_of_which_one_row_is_marked_removed(loaded: AnyWarehouse) -> None:
    before = counts(loaded)
    one, gone = loaded.demo.world.ids("videos")[:2]
    copy_rows(loaded, "videos", f"video_id = '{one}'", removed_at="_read_at", _dlt_id="'removed'")
    loaded.demo.world.delete_video(gone)
    loaded.load(*LOADED)
    copy_rows(loaded, "videos", f"video_id = '{gone}'", _dlt_id="'again'")  # both are removed and no longer listed

    assert_healed(loaded, before)


@SQL
def test_child_rows_without_their_row(loaded: AnyWarehouse) -> None:
    before = counts(loaded)
    copy_rows(loaded, "videos__tags", _dlt_parent_id="'nobody'", _dlt_root_id="'nobody'", _dlt_id="'lost_' || _dlt_id")
    copy_rows(loaded, "videos__chapters_new__marks", _dlt_parent_id="'nobody'", _dlt_id="'lost_' || _dlt_id")

    assert_healed(loaded, before)


@SQL
def test_a_row_that_somebody_deleted_comes_back_with_its_child_rows(loaded: AnyWarehouse) -> None:
    before = counts(loaded)
    run(loaded, "DELETE FROM d.videos WHERE video_id IN (SELECT video_id FROM d.videos__tags)")

    assert_healed(loaded, before)


@places("filesystem")
def test_delta_tables(loaded: AnyWarehouse, tmp_path: Path) -> None:
    """In a Delta lake, SQL can only read."""
    before = counts(loaded)
    folder = tmp_path / "lake" / loaded.settings.account.dataset
    for table in before:
        rows = DeltaTable(folder / table).to_pyarrow_table()
        write_deltalake(folder / table, rows, mode="append")
    for table in ("videos__tags", "videos__chapters_new__marks"):
        rows = DeltaTable(folder / table).to_pyarrow_table()
        for name in ("_dlt_id", "_dlt_parent_id"):
            rows = rows.set_column(rows.schema.names.index(name), name, pa.array([f"lost_{n}" for n in range(len(rows))]))
        write_deltalake(folder / table, rows, mode="append")

    assert_healed(loaded, before)
