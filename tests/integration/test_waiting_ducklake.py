"""One DuckDB instance serves several queries on a lake, and releases the lake in between."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from duckdb_extensions import import_extension

from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from include.api_video.warehouse.destinations.ducklake import _pools, empty
from include.api_video.warehouse.pipelines import short_lived_pipeline
from tests.services import bucket_credentials, new_bucket, s3_server
from tests.versions.marks import OF_NEW_DLT

pytestmark = pytest.mark.slow

ROWS = "SELECT count(*) FROM numbers"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A lake with a table of one row; gives the SQL that attaches it."""
    for extension in ("ducklake", "sqlite_scanner"):
        import_extension(extension)
    monkeypatch.setenv("API_VIDEO_DESTINATION", "ducklake")
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG", f"sqlite:///{tmp_path}/catalog.sqlite")
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE__BUCKET_URL", str(tmp_path / "lake"))
    with short_lived_pipeline("fill", DEFAULT_ACCOUNT) as pipeline:
        pipeline.run([{"n": 1}], table_name="numbers")
    return f"ATTACH 'ducklake:sqlite:{tmp_path}/catalog.sqlite' AS lake (DATA_PATH '{tmp_path}/lake')"


def ask(sql: str, *before: str) -> tuple[int, duckdb.DuckDBPyConnection]:
    """The answer to a query by a new pipeline, and the DuckDB instance that gave it."""
    with short_lived_pipeline("ask", DEFAULT_ACCOUNT) as pipeline, pipeline.sql_client() as client:
        for statement in before:
            client.execute_sql(statement)
        ((answer,),) = client.execute_sql(sql) or ()
        return int(answer), client.native_connection


def test_one_duckdb_serves_two_pipelines_and_sees_what_others_wrote_in_between(lake: str) -> None:
    rows, first = ask(ROWS)
    with duckdb.connect() as other:  # like another task: the catalog file is not held between queries
        other.execute(lake)
        other.execute("INSERT INTO lake.api_video_data.numbers (n, _dlt_load_id, _dlt_id) VALUES (2, 'x', 'y')")

    more, second = ask(ROWS)

    assert (rows, more) == (1, 2)
    assert first is second


def test_two_at_once_have_a_duckdb_each(lake: str) -> None:
    with short_lived_pipeline("ask", DEFAULT_ACCOUNT) as pipeline, pipeline.sql_client() as client:
        rows, other = ask(ROWS)
        assert rows == 1
        assert other is not client.native_connection


@pytest.mark.parametrize("left", ["ATTACH ':memory:' AS left_behind", "SET search_path = 'memory'"])
def test_a_duckdb_that_has_something_attached_is_used_no_more(lake: str, left: str) -> None:
    _, first = ask("SELECT 1", left)

    rows, second = ask(ROWS)

    assert rows == 1
    assert first is not second


@OF_NEW_DLT
def test_a_merge_leaves_nothing_in_memory(lake: str) -> None:
    _, before = ask(ROWS)
    with short_lived_pipeline("fill", DEFAULT_ACCOUNT) as pipeline:
        for tags in (["a", "b"], ["c"]):
            rows = [{"n": 1, "tags": tags}]
            pipeline.run(rows, table_name="tagged", write_disposition="merge", primary_key="n")

    tags, after = ask("SELECT count(*) FROM tagged__tags")

    assert tags == 1
    assert after is before
    assert after.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchall() == [(0,)]


def test_what_was_read_from_a_bucket_leaves_the_memory() -> None:
    import_extension("httpfs")
    with s3_server() as address, duckdb.connect() as connection:
        new_bucket(address, "videos")
        key = bucket_credentials(address)
        connection.execute(
            f"CREATE SECRET (TYPE s3, KEY_ID '{key['aws_access_key_id']}', SECRET '{key['aws_secret_access_key']}', "
            f"ENDPOINT '{address.removeprefix('http://')}', REGION 'us-east-1', USE_SSL false, URL_STYLE 'path')"
        )
        connection.execute("COPY (SELECT uuid() AS id FROM range(50_000)) TO 's3://videos/ids.parquet'")
        cached = "SELECT sum(memory_usage_bytes) > 100_000 FROM duckdb_memory() WHERE tag = 'EXTERNAL_FILE_CACHE'"
        question = "SELECT count(DISTINCT id) FROM 's3://videos/ids.parquet'"

        for _ in range(2):  # emptying the cache must not switch it off for good
            assert connection.execute(question).fetchall() == [(50_000,)]
            assert connection.execute(cached).fetchall() == [(True,)]
            assert empty(connection)
            assert connection.execute(cached).fetchall() == [(False,)]


def test_lakes_with_other_credentials_share_nothing(lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first = ask(ROWS)
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG", f"sqlite:///{tmp_path}/other.sqlite")
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE__BUCKET_URL", str(tmp_path / "other"))

    _, second = ask("SELECT 1")

    assert first is not second
    assert len(_pools) == 1, "what is used no more is not kept"
