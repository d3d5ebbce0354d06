"""Any row is loaded without loss: redaction, fitting and dlt's own normalizer, in memory."""

from __future__ import annotations

from functools import cache
from typing import Any

import dlt
import orjson
import pytest
from dlt.common.json import json as dlt_json
from dlt.common.json import may_have_pua
from dlt.destinations import duckdb, postgres
from dlt.normalize.configuration import NormalizeConfiguration
from dlt.normalize.items_normalizers.jsonl import JsonLItemsNormalizer
from hypothesis import example, given
from hypothesis import strategies as st

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.naming import DETAIL_COLUMNS, OWN_COLUMNS
from include.api_video.load.fitting import Fitting
from include.api_video.load.redaction import Redaction
from include.api_video.sync.outcome import hash_row
from include.api_video.warehouse.schema import build_schema
from tests.examples import examples
from tests.strange import sent, stored, strange_rows

OURS = {"_dlt_id", "_dlt_load_id", "_dlt_root_id", "_dlt_parent_id", "_dlt_list_idx"}
OURS |= {column.path for column in OWN_COLUMNS + DETAIL_COLUMNS}


class Kept(list[Any]):
    """Collects the rows that dlt would write into files."""

    def write_data_item(self, load_id: str, schema: str, table: str, row: dict[str, Any], columns: Any) -> None:
        for name, value in row.items():
            assert columns[name]["data_type"], name
            if columns[name]["data_type"] == "bigint":
                assert type(value) is int
                assert -(2**63) <= value < 2**63
        orjson.dumps(row, default=str)
        self.append((table, row))


@cache
def declared(resource: str) -> dlt.Schema:
    """The schema of one resource; building it takes longer than everything else here."""
    return build_schema([by_name()[resource]])


class Tables:
    """The tables of a resource, as dlt fills them load by load."""

    def __init__(self, resource: str, destination: Any) -> None:
        self.endpoint = by_name()[resource]
        self._clean = Redaction(self.endpoint)
        self._config = NormalizeConfiguration()
        self._config.destination_capabilities = destination.capabilities()
        schema = declared(resource).clone()
        schema.naming.max_length = self._config.destination_capabilities.max_column_identifier_length
        self.schema: dlt.Schema = schema
        self.hashes: dict[str, str] = {}  # by key, as in a warehouse

    def load(self, rows: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
        """The rows that dlt writes for new and changed rows: pairs of table and row."""
        self._fit, news = Fitting(self.endpoint, self.schema), []
        for row in rows:
            clean = self._clean(row)
            content_hash = hash_row(clean)
            if self.hashes.get(row[self.endpoint.key]) != content_hash:
                self.hashes[row[self.endpoint.key]] = content_hash
                news.append(clean if self._clean.is_plain else self._fit(clean))
        line, kept = dlt_json.typed_dumpb(news), Kept()
        normalizer = JsonLItemsNormalizer(kept, None, None, self.schema, "load", self._config)  # type: ignore[arg-type]
        normalizer._normalize_chunk(self.endpoint.name, dlt_json.loadb(line), may_have_pua(line), False)
        return list(kept)


RESOURCES = ("videos", "players", "video_status", "live_streams")


def a_world(resource: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    endpoint = by_name()[resource]
    return st.integers(1, 4).flatmap(lambda n: st.tuples(*(strange_rows(endpoint, f"id{i}") for i in range(n))).map(list))


@pytest.mark.parametrize("destination", [duckdb(), postgres()], ids=["duckdb", "postgres"])
@pytest.mark.parametrize("resource", RESOURCES)
def test_no_row_fails_and_no_value_is_lost(resource: str, destination: Any) -> None:
    key = by_name()[resource].key

    @examples(40)
    @given(first=a_world(resource), second=a_world(resource))
    # Two names without an ASCII letter became the same column, and null replaced false.
    @example(first=[], second=[{key: "id0", "createdAt": {"٣": False, ":\x80𐴰": None}}])
    # A list whose name has no letter, and whose table another list had taken: its text became a time.
    @example(first=[{key: "id1", "a": {"\x02": [None]}}], second=[{key: "id0", "a": [{"\x96": ["20240101T000000Z"]}]}])
    def check(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> None:
        tables = Tables(resource, destination)
        ours = OURS | {tables.schema.naming.normalize_identifier(key)}
        for rows in (first, second):
            before = dict(tables.hashes)
            written = tables.load(rows)
            news = [row for row in rows if tables.hashes[row[key]] != before.get(row[key])]
            assert stored((row for _, row in written), ours) == sent(news, key)
            assert tables.load(rows) == [], "a second load is silent"

    check()


@examples(200)
@given(row=strange_rows(by_name()["videos"], "vi1"), seed=st.randoms())
def test_the_hash_does_not_depend_on_the_order_of_fields_nor_on_rows_before(row: dict[str, Any], seed: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            fields = list(value.items())
            seed.shuffle(fields)
            return {name: shuffled(part) for name, part in fields}
        return [shuffled(part) for part in value] if isinstance(value, list) else value

    used = Redaction(by_name()["videos"])
    once = hash_row(used(row))
    assert hash_row(used(shuffled(row))) == once
    assert hash_row(Redaction(by_name()["videos"])(shuffled(row))) == once
    assert hash_row(used(used(row))) == once
