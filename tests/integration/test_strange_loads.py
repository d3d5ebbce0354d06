"""Strange rows through the real source into a real warehouse: none stops a table, and no value is lost."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import count as count_up
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.naming import DETAIL_COLUMNS, OWN_COLUMNS, snake
from tests.integration.conftest import Run, Warehouse
from tests.services import new_database, postgres_server
from tests.strange import leaves, stored, strange_rows
from tests.strange import sent as said

OURS = {column.path for column in OWN_COLUMNS + DETAIL_COLUMNS}
EMOJI, NUL, TOO_LATE = "cut \ud83d", "a\0b", "9999-12-31T23:59:59-05:00"


def rewrite(warehouse: Warehouse, resource: str, rows: dict[str, Any]) -> None:
    """Makes the API list these values in place of the rows with these keys."""
    key = by_name()[resource].key

    def change(name: str, row: dict[str, Any]) -> Any:
        return rows.get(row[key], row) if name == resource else row

    warehouse.demo.behaviour.rewrite = change


def give(warehouse: Warehouse, resource: str, **fields: Any) -> str:
    """Gives the first row of a list these fields from now on; returns its key."""
    key = warehouse.demo.world.ids(resource)[0]
    own = by_name()[resource].key

    def change(name: str, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, **fields} if name == resource and row.get(own) == key else row

    warehouse.demo.behaviour.rewrite = change
    return key


def give_each(warehouse: Warehouse, resource: str, fields: list[dict[str, Any]]) -> list[str]:
    """Gives the first rows of a list these fields from now on; returns their keys."""
    keys, own = warehouse.demo.world.ids(resource)[: len(fields)], by_name()[resource].key
    given = dict(zip(keys, fields, strict=True))
    warehouse.demo.behaviour.rewrite = lambda name, row: {**row, **given.get(row[own], {})} if name == resource else row
    return keys


def load(warehouse: Warehouse, *resources: str) -> Run:
    """A run that reads the lists whole."""
    return warehouse.load(*resources, full_check_hours=0)


def assert_loaded_once(warehouse: Warehouse, *resources: str) -> None:
    """Checks that a load succeeds and a second one has nothing to do."""
    first, second = load(warehouse, *resources), load(warehouse, *resources)
    assert not first.errors
    assert not first.report.failed, first.report
    assert not second.report.failed, second.report
    for resource in resources:
        assert (second.sync(resource)["new_rows"], second.sync(resource)["changed_rows"]) == (0, 0)
        warehouse.assert_equal(resource)


def value(warehouse: Warehouse, resource: str, key: str, column: str) -> Any:
    """A row's value in a column."""
    own = snake(by_name()[resource].key)
    ((found,),) = warehouse.rows(f"SELECT \"{column}\" FROM {resource} WHERE {own} = '{key}'")
    return found


# --- what stopped a table ----------------------------------------------------------------------------------------------


def test_a_field_without_a_name_is_loaded(warehouse: Warehouse) -> None:
    keys = give_each(warehouse, "players", [{n: n, "inside": {n: [{n: 7}]}} for n in ("", " ", "__", "___", "\u00a0")])

    assert_loaded_once(warehouse, "players")

    assert [value(warehouse, "players", key, "_empty") for key in keys] == ["", " ", "__", "___", "\u00a0"]
    assert warehouse.rows("SELECT _empty FROM players__inside___empty") == [(7,)] * 5


def test_a_time_that_is_none_is_kept_as_it_came(warehouse: Warehouse) -> None:
    texts = [TOO_LATE, "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "2016-12-31T23:59:60Z", ""]
    rows = [{"createdAt": text, "updatedAt": text, "undeclared": text} for text in texts]
    keys = give_each(warehouse, "players", rows)

    assert_loaded_once(warehouse, "players")

    for column, kept in (("created_at", None), ("updated_at", None), ("undeclared", texts)):
        assert [value(warehouse, "players", key, column) for key in keys] == (kept or [None] * 5)
    for column in ("created_at__v_text", "updated_at__v_text"):
        assert [value(warehouse, "players", key, column) for key in keys] == texts


def test_a_page_with_half_an_emoji_is_read(warehouse: Warehouse) -> None:
    key = give(warehouse, "videos", title=EMOJI, **{EMOJI: {NUL: EMOJI}})

    assert_loaded_once(warehouse, "videos")

    assert value(warehouse, "videos", key, "title") == r"cut \ud83d"
    assert value(warehouse, "videos", key, "cut_ud83d__a_u0000b") == r"cut \ud83d"


def test_a_text_that_looks_like_something_else_is_stored_as_it_is(warehouse: Warehouse) -> None:
    """DuckDB guesses types from a file, and dlt reads some characters as its own marks."""
    texts = ["2024-01-01T10:00:00Z", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "2024-1-1", "\uf0261.5", "1e5"]
    keys = give_each(warehouse, "players", [{"name": text} for text in texts])

    assert_loaded_once(warehouse, "players")

    texts[3] = r"\uf0261.5"
    assert [value(warehouse, "players", key, "name") for key in keys] == texts


def test_a_row_of_more_than_16_megabytes_is_loaded(warehouse: Warehouse) -> None:
    key = give(warehouse, "players", name="x" * 17_000_000)

    assert_loaded_once(warehouse, "players")

    assert len(value(warehouse, "players", key, "name")) == 17_000_000


@pytest.mark.parametrize("depth", [400, 5000])
def test_what_is_nested_deeper_than_tables_can_be_is_kept_as_json(warehouse: Warehouse, depth: int) -> None:
    deep: Any = {"streamKey": "s3cret-of-the-stream", "kept": EMOJI}
    for _ in range(depth):
        deep = {"a": deep}
    key = give(warehouse, "players", deep=deep)

    assert_loaded_once(warehouse, "players")

    text = value(warehouse, "players", key, "__".join(["deep", *["a"] * 7]))
    assert text.startswith('{"a":{"a":')
    assert r'{"kept":"cut \ud83d"}' in text
    assert "s3cret" not in text


# --- what lost a value -------------------------------------------------------------------------------------------------


def test_fields_that_would_share_a_column_each_have_one(warehouse: Warehouse) -> None:
    row = {
        "fooBar": 1,
        "foo_bar": 2,
        "FooBar": 3,
        "Name": "beside",
        "assets__logo": "beside",
        "inside": [{"aB": 1, "a_b": 2}],
    }
    key = give(warehouse, "players", **row)

    assert_loaded_once(warehouse, "players")

    columns = [name for (name, *_) in warehouse.rows("DESCRIBE players") if name.startswith("foo_bar")]
    assert sorted(value(warehouse, "players", key, column) for column in columns) == [1, 2, 3]
    assert value(warehouse, "players", key, "api_name") == "beside"
    assert value(warehouse, "players", key, "assets_logo") == "beside"
    assert value(warehouse, "players", key, "assets__logo") != "beside"
    (nested,) = warehouse.rows("SELECT COLUMNS('a_b.*') FROM players__inside")
    assert sorted(nested) == [1, 2]


def test_a_field_of_an_item_does_not_take_the_column_of_the_row_that_it_belongs_to(warehouse: Warehouse) -> None:
    key = give(warehouse, "players", inside=[{"playerId": "another", "_dltListIdx": 7}])

    assert_loaded_once(warehouse, "players")

    assert warehouse.rows("SELECT player_id, api_player_id, api_dlt_list_idx FROM players__inside") == [(key, "another", 7)]


def test_a_number_is_kept_to_its_last_digit(warehouse: Warehouse) -> None:
    sent = {"a": 18446744073709551617, "b": 2**63, "c": float("nan"), "d": float("-inf"), "e": 5e-324, "f": -(2**63)}
    sent["g"] = -(2**63) - 1
    key = give(warehouse, "players", **sent)

    assert_loaded_once(warehouse, "players")

    kept = {
        "a": "18446744073709551617",
        "b": "9223372036854775808",
        "c": "NaN",
        "d": "-Infinity",
        "e": 5e-324,
        "f": -(2**63),
        "g": "-9223372036854775809",
    }
    assert {name: value(warehouse, "players", key, name) for name in sent} == kept


def test_one_field_in_all_types_keeps_each_value(warehouse: Warehouse) -> None:
    key = give(warehouse, "players", new=[True, 7, 0.5, "yes", "2024-01-01T00:00:00Z", 2**60, None, {"a": 1}, [[]]])

    assert_loaded_once(warehouse, "players")

    found = leaves([list(row) for row in warehouse.rows("SELECT COLUMNS('value.*') FROM players__new")])
    assert found == leaves([True, 7, 0.5, "yes", "2024-01-01T00:00:00Z", 2**60])
    assert key in warehouse.active("players")


def test_a_column_keeps_its_type_from_run_to_run_and_what_does_not_fit_goes_beside_it(warehouse: Warehouse) -> None:
    """In columns of its own making, dlt turns 7 into True, and a text that is not a time into null."""
    for new in (True, 7, "2024-01-01T00:00:00Z"):
        key = give(warehouse, "players", new=new)
        assert_loaded_once(warehouse, "players")
        columns = [name for (name, *_) in warehouse.rows("DESCRIBE players") if name.partition("__")[0] == "new"]
        filled = {value(warehouse, "players", key, column) for column in columns} - {None}
        assert filled == {str(new) if isinstance(new, int) and new > 2**63 else new}


def test_a_map_whose_names_are_ever_new_does_not_fill_the_table_with_columns(warehouse: Warehouse) -> None:
    key = give(warehouse, "players", views={f"day{n}": n for n in range(600)}, **{f"list{n}": [n] for n in range(40)})

    assert_loaded_once(warehouse, "players")

    assert len(warehouse.rows("DESCRIBE players")) <= 260
    more = json.loads(value(warehouse, "players", key, "_more_fields"))
    assert more["views__day599"] == 599
    assert more["list39"] == [39]


# --- what cannot be a row ----------------------------------------------------------------------------------------------


def test_what_cannot_be_a_row_is_kept_beside_the_table_until_it_can(warehouse: Warehouse) -> None:
    load(warehouse, "players")
    world = warehouse.demo.world
    first, second, third, fourth, fifth = world.ids("players")
    row = {"name": "no key", "streamKey": "s3cret-of-the-stream", "updatedAt": "2024-01-01T00:00:00Z"}
    rewrite(warehouse, "players", {first: row, second: [1, "x"], third: {**row, "playerId": 7}, fourth: None})

    run, again = load(warehouse, "players"), load(warehouse, "players")

    assert not run.errors
    assert [check.name for check in run.report.unproven] == ["rejected"]
    assert "It has no playerId. (1)" in str(run.report)
    assert (run.sync("players")["active_rows"], run.sync("players")["rejected_rows"]) == (1, 4)
    assert warehouse.active("players") == [fifth]
    rejected = warehouse.rows("SELECT resource, reason, payload FROM _rejected ORDER BY reason")
    assert rejected == [
        ("players", "It has no playerId.", '{"name":"no key","updatedAt":"2024-01-01T00:00:00Z"}'),
        ("players", "It is a list, not an object.", '[1,"x"]'),
        ("players", "It is null, not an object.", "null"),
        ("players", "Its playerId is a number.", '{"name":"no key","playerId":7,"updatedAt":"2024-01-01T00:00:00Z"}'),
    ]
    assert [again.sync("players")[name] for name in ("new_rows", "changed_rows", "removed_rows", "rejected_rows")] == [
        0,
        0,
        0,
        4,
    ]
    assert len(warehouse.rows("SELECT DISTINCT load_id FROM _rejected")) == 1, "a second run changes nothing"

    warehouse.demo.behaviour.rewrite = None
    healed = load(warehouse, "players")

    assert not healed.report.failed
    assert healed.sync("players")["rejected_rows"] == 0
    assert warehouse.rows("SELECT count(*) FROM _rejected") == [(0,)]
    warehouse.assert_equal("players")


def test_a_rejected_row_that_stands_twice_is_written_anew(warehouse: Warehouse) -> None:
    key = warehouse.demo.world.ids("players")[1]
    rewrite(warehouse, "players", {key: {"name": "no key"}})
    load(warehouse, "players")
    with duckdb.connect(str(warehouse.file)) as connection:
        connection.execute("INSERT INTO api_video_data._rejected SELECT * FROM api_video_data._rejected")

    run = warehouse.load("players")

    assert warehouse.rows("SELECT count(*) FROM _rejected") == [(1,)]
    assert run.sync("players")["rejected_rows"] == 1


def test_rejected_rows_of_two_resources_do_not_meet_on_their_way(warehouse: Warehouse) -> None:
    """All resources share the table. A merge would share its staging table, too, which each load empties."""
    rewrite(warehouse, "players", {warehouse.demo.world.ids("players")[1]: {"name": "no key"}})
    load(warehouse, "players")
    assert not warehouse.rows(
        "SELECT 1 FROM information_schema.tables WHERE table_schema = 'api_video_data_staging' AND table_name = '_rejected'"
    )


def test_a_row_that_stays_rejected_fails_the_run_in_the_end(warehouse: Warehouse) -> None:
    rewrite(warehouse, "players", {warehouse.demo.world.ids("players")[1]: {"name": "no key"}})
    load(warehouse, "players")
    (check,) = warehouse.load("players", unproven_hours=0).report.failed
    assert (check.name, "tell api.video's support which rows these are" in check.note) == ("rejected", True)


def test_rejected_rows_cost_no_more_requests(warehouse: Warehouse) -> None:
    """Rejected rows count as read. Otherwise the table would seem to lack rows of the list at each run."""
    key = warehouse.demo.world.ids("videos")[3]
    load(warehouse, "videos")
    rewrite(warehouse, "videos", {key: {"title": "no key", "updatedAt": "2024-01-01T00:00:00Z"}})
    load(warehouse, "videos")

    run = warehouse.load("videos")

    assert run.sync("videos")["mode"] == "changes"
    assert run.sync("videos")["requests"] == 1
    assert [check.name for check in run.report.unproven] == ["rejected"]


def test_an_odd_object_never_stops_its_table(warehouse: Warehouse) -> None:
    load(warehouse, "videos")
    count = len(warehouse.demo.world.ids("videos"))
    bodies: list[Any] = [["done"], "done", None, 7, {"videoId": "another"}]
    answers = count_up()
    warehouse.demo.behaviour.rewrite = lambda name, row: bodies[next(answers) % 5] if name == "video_status" else row

    run = load(warehouse, "video_status")

    assert not run.errors
    assert run.sync("video_status")["rejected_rows"] == count
    assert run.sync("video_status")["requests"] == count, "an answer is not asked for again in the same run"
    reasons = {reason for (reason,) in warehouse.rows("SELECT reason FROM _rejected")}
    kinds = ("a list", "a text", "null", "a number")
    assert reasons == {
        *(f"The answer is {kind}, not an object." for kind in kinds),
        "The answer belongs to another videoId.",
    }

    warehouse.demo.behaviour.rewrite = None
    assert not load(warehouse, "video_status").report.failed
    warehouse.assert_equal("video_status")
    assert warehouse.rows("SELECT count(*) FROM _rejected") == [(0,)]


def test_a_rejected_object_whose_parent_is_gone_is_taken_out(warehouse: Warehouse) -> None:
    load(warehouse, "videos")
    warehouse.demo.behaviour.rewrite = lambda name, row: [] if name == "video_status" else row
    load(warehouse, "video_status")
    gone, *left = warehouse.demo.world.ids("videos")
    warehouse.demo.world.delete_video(gone)

    run = load(warehouse, "videos", "video_status")

    assert run.sync("video_status")["rejected_rows"] == len(left)
    assert [key for (key,) in warehouse.rows("SELECT row_key FROM _rejected ORDER BY 1")] == sorted(left)


# --- any payload -------------------------------------------------------------------------------------------------------

FUZZED = ("videos", "video_status", "players", "live_streams", "summaries")


def tables_of_key(rows: dict[str, list[dict[str, Any]]], column: str) -> dict[str, Counter[Any]]:
    """The values in all tables of a resource, by the key of the resource's row."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for table in rows.values():
        for row in table:
            found[row[column]].append(row)
    return {
        key: stored(of_key, {*OURS, column, *(n for row in of_key for n in row if n.startswith("_dlt_"))})
        for key, of_key in found.items()
    }


@pytest.mark.slow
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.reuse, Phase.generate))
@given(data=st.data())
def test_any_payload_is_loaded_and_all_of_it(warehouse: Warehouse, data: st.DataObject) -> None:
    """All examples use one file, so that each meets the columns that earlier ones left."""
    sent: dict[str, dict[str, Any]] = {name: {} for name in FUZZED}
    warehouse.demo.behaviour.rewrite = None
    load(warehouse, *FUZZED)
    for name in FUZZED:
        endpoint = by_name()[name]
        for key in warehouse.demo.world.ids(name)[:4]:
            row = data.draw(strange_rows(endpoint, key))
            if endpoint.parent_where:
                continue
            sent[name][key] = row

    def change(name: str, row: Any) -> Any:
        key = by_name()[name].key
        if name == "video_status":
            rows = list(sent[name].values())
            return {k: v for k, v in rows[len(str(row)) % len(rows)].items() if k != key}
        return sent.get(name, {}).get(row[key], row)

    warehouse.demo.behaviour.rewrite = change
    first, second = load(warehouse, *FUZZED), load(warehouse, *FUZZED)

    assert not first.errors
    assert not first.report.failed, first.report
    assert not second.report.failed, second.report
    for name in FUZZED:
        assert (second.sync(name)["new_rows"], second.sync(name)["changed_rows"]) == (0, 0), name
        column = snake(by_name()[name].key)
        found = tables_of_key(warehouse_rows(warehouse, name), column)
        for key, row in sent[name].items():
            if name != "video_status":
                assert found[key] == said([row], by_name()[name].key), (name, row)


def warehouse_rows(warehouse: Warehouse, resource: str) -> dict[str, list[dict[str, Any]]]:
    """All rows of a resource's tables."""
    names = [
        n for (n,) in warehouse.rows("SELECT name FROM (SHOW TABLES)") if n == resource or n.startswith(f"{resource}__")
    ]
    columns = {name: [row[0] for row in warehouse.rows(f'DESCRIBE "{name}"')] for name in names}
    return {n: [dict(zip(columns[n], row, strict=True)) for row in warehouse.rows(f'SELECT * FROM "{n}"')] for n in names}


# --- PostgreSQL --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Its own PostgreSQL server."""
    folder: Path = tmp_path_factory.mktemp("postgres")
    with postgres_server(folder) as uri:
        yield uri


def test_postgres_holds_what_duckdb_holds(warehouse: Warehouse, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = new_database(server, "strange")
    monkeypatch.setenv("API_VIDEO_DESTINATION", "postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", database)
    keys = warehouse.demo.world.ids("players")
    sent: dict[str, Any] = {}
    warehouse.demo.behaviour.rewrite = lambda name, row: sent.get(row.get("playerId"), row) if name == "players" else row

    @settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.reuse, Phase.generate))
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        for key in keys[:3]:
            sent[key] = {**data.draw(strange_rows(by_name()["players"], key)), "nul": NUL, "emoji": EMOJI}
        sent[keys[3]] = ["no", NUL]
        first, second = load(warehouse, "players"), load(warehouse, "players")
        assert not first.errors
        assert [check.name for check in first.report.unproven] == ["rejected"], first.report
        assert (second.sync("players")["new_rows"], second.sync("players")["changed_rows"]) == (0, 0)
        with psycopg2.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = %s",
                [warehouse.settings.account.dataset],
            )
            rows = {}
            for (name,) in cursor.fetchall():
                if name == "players" or name.startswith("players__"):
                    cursor.execute(f'SELECT * FROM {warehouse.settings.account.dataset}."{name}"')
                    columns = [column.name for column in cursor.description or ()]
                    rows[name] = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            cursor.execute(f"SELECT payload FROM {warehouse.settings.account.dataset}._rejected")
            assert cursor.fetchall() == [('["no","a\\\\u0000b"]',)]
        found = tables_of_key(rows, "player_id")
        for key in keys[:3]:
            assert found[key] == said([sent[key]], "playerId")

    check()


def test_empty_values_in_the_place_of_others_are_nothing(warehouse: Warehouse) -> None:
    """They were taken for documented ones once the row had been cleaned: `[]` became a text, `{}` of a new field failed."""
    key = give(warehouse, "players", linkHover=[], new={}, other=[], text="a\x00b")

    assert_loaded_once(warehouse, "players")

    assert value(warehouse, "players", key, "link_hover") is None
    assert value(warehouse, "players", key, "text") == "a\\u0000b"
