"""The destination has descriptions of tables and columns as comments, from the first load on."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.naming import tables_of
from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from include.api_video.warehouse.comments import comment_statements
from include.api_video.warehouse.pipelines import short_lived_pipeline
from include.api_video.warehouse.schema import build_schema
from include.api_video.warehouse.warehouse import Warehouse as OurWarehouse
from tests.integration.conftest import Warehouse

SCHEMA = build_schema()


def comments(warehouse: Warehouse) -> dict[tuple[str, str], str | None]:
    """DuckDB's comments by table and column (``""`` for the table itself), without dlt's own tables."""
    where = "WHERE schema_name = 'api_video_data' AND NOT starts_with(table_name, '_dlt')"
    rows = warehouse.rows(
        f"SELECT table_name, column_name, comment FROM duckdb_columns() {where} "
        f"UNION ALL SELECT table_name, '', comment FROM duckdb_tables() {where}"
    )
    return {(table, column): comment for table, column, comment in rows}


def described(*tables: str) -> dict[tuple[str, str], str | None]:
    """The descriptions in the schema."""
    said: dict[tuple[str, str], str | None] = {}
    for name in tables:
        table = SCHEMA.tables[name]
        said[name, ""] = table.get("description")
        said |= {(name, column): hints.get("description") for column, hints in table["columns"].items()}
    return said


def spy(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Collects the tables for which comments are written, call by call."""
    calls: list[list[str]] = []

    def noted(client: Any, schema: Any, tables: Any) -> Any:
        calls.append(sorted(tables))
        return comment_statements(client, schema, tables)

    monkeypatch.setattr("include.api_video.warehouse.comments.comment_statements", noted)
    return calls


def test_every_table_and_column_is_described_in_duckdb(warehouse: Warehouse) -> None:
    warehouse.begin()

    found = comments(warehouse)
    assert found == described(*SCHEMA.data_table_names(include_incomplete=True))
    assert None not in found.values()
    assert found["video_status", "ingest__filesize"] == "Size of the source file (bytes)"
    assert found["videos", "player_id"] == "Player theme used; joins players.player_id"
    assert found["videos", ""] == "Videos and recordings, without discarded ones"


def test_a_full_refresh_describes_its_new_tables_again(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.begin("players", "live_streams")
    calls = spy(monkeypatch)

    run = warehouse.load("live_streams", full_refresh=True)

    tables = tables_of(by_name()["live_streams"])
    assert not run.report.failed
    assert any(set(tables) <= set(written) for written in calls)
    assert {key: text for key, text in comments(warehouse).items() if key[0] in tables} == described(*tables)


def test_a_run_in_which_nothing_changed_writes_no_comment(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.begin("players", "live_streams")
    calls = spy(monkeypatch)

    warehouse.load("players", "live_streams")

    assert calls == []


def test_a_description_is_text_and_nothing_else(warehouse: Warehouse) -> None:
    evil = "it's \"quoted\" \\' %s %(x)s ; DROP TABLE players; -- 100 %\n$$ é"
    schema = build_schema()
    schema.tables["players"]["description"] = schema.tables["players"]["columns"]["name"]["description"] = evil
    schema._bump_version()
    with short_lived_pipeline("prepare", DEFAULT_ACCOUNT) as pipeline:
        OurWarehouse(pipeline).declare(schema)

    found = comments(warehouse)
    assert found["players", ""] == found["players", "name"] == evil


def test_a_destination_that_refuses_comments_is_loaded_all_the_same(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        "include.api_video.warehouse.comments.comment_statements", lambda *_: ["COMMENT ON TABLE nowhere IS 'x'"]
    )

    run = warehouse.load("players")

    assert not run.report.failed
    assert "could not be written as comments" in caplog.text
    warehouse.assert_equal("players")


def test_a_destination_without_comments_gets_no_statement(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = spy(monkeypatch)
    monkeypatch.setattr("include.api_video.warehouse.comments.DIALECTS", ("postgres",))

    warehouse.load("players")

    assert calls == []
    assert set(comments(warehouse).values()) == {None}


def test_another_program_reads_the_comments_of_a_file_that_was_closed(warehouse: Warehouse) -> None:
    warehouse.begin("players")

    with duckdb.connect(str(warehouse.file), read_only=True) as connection:
        found = connection.execute("SELECT DISTINCT comment FROM duckdb_tables() WHERE table_name = 'players'").fetchall()

    assert ("Player themes",) in found  # dlt's staging dataset has a table of this name, too
