"""Our SQL in the dialects of warehouses that cannot run here.

It is written by dlt's capabilities for each, parsed by sqlglot as that dialect, and run by a real DuckDB; every load must
have the same result. This does not prove that the warehouse itself accepts the SQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlglot
from dlt.common.destination import Destination
from sqlglot import expressions as exp

from include.api_video.catalog.storable import now_utc
from include.api_video.settings.destination import DESTINATIONS
from include.api_video.warehouse.pipelines import short_lived_pipeline
from include.api_video.warehouse.sql import Query
from include.api_video.warehouse.upkeep import forget_old_runs
from include.api_video.warehouse.warehouse import Warehouse as Tables
from tests.integration.conftest import Warehouse, change
from tests.integration.test_analytics import DAY, Story
from tests.years import count, write_runs

pytestmark = pytest.mark.slow

RESOURCES = ("videos", "video_status", "discarded_videos")  # they need each kind of query
ANALYTICS_AND_USAGE = (  # so do they
    "analytics_days",
    "analytics_videos",
    "analytics_countries",
    "analytics_video_countries",
    "analytics_watch_time",
    "analytics_totals",
    "projects",
    "delivery_usage",
)
DIALECTS = [name for name in DESTINATIONS if name not in ("duckdb", "ducklake", "filesystem")]
# Reserved words that a warehouse does not accept without quotes, from the vendors' lists.
RESERVED = {
    "bigquery": "all and any array as asc assert_rows_modified at between by case cast collate contains create cross "
    "cube current default define desc distinct else end enum escape except exclude exists extract false "
    "fetch following for from full group grouping groups hash having if ignore in inner intersect "
    "interval into is join lateral left like limit lookup merge natural new no not null nulls of on or "
    "order outer over partition preceding proto qualify range recursive respect right rollup rows select "
    "set some struct tablesample then to treat true unbounded union unnest using when where window with "
    "within",
    "snowflake": "account all alter and any as between by case cast check column connect connection constraint create "
    "cross current current_date current_time current_timestamp current_user database delete distinct drop "
    "else exists false following for from full grant group gscluster having ilike in increment inner "
    "insert intersect into is issue join lateral left like localtime localtimestamp minus natural not "
    "null of on or order organization qualify regexp revoke right rlike row rows sample schema select set "
    "some start table tablesample then to trigger true try_cast union unique update using values view "
    "when whenever where with",
    "redshift": "aes128 aes256 all allowoverwrite analyse analyze and any array as asc authorization az64 backup "
    "between binary blanksasnull both bytedict bzip2 case cast check collate column constraint create "
    "credentials cross current_date current_time current_timestamp current_user current_user_id default "
    "deferrable deflate defrag delta delta32k desc disable distinct do else emptyasnull enable encode "
    "encrypt encryption end except explicit false for foreign freeze from full globaldict256 "
    "globaldict64k grant group gzip having identity ignore ilike in initially inner intersect interval "
    "into is isnull join language leading left like limit localtime localtimestamp lun luns lzo lzop "
    "minus mostly16 mostly32 mostly8 natural new not notnull null nulls off offline offset oid old on "
    "only open or order outer overlaps parallel partition percent permissions pivot placing primary raw "
    "readratio recover references rejectlog resort respect restore right select session_user similar "
    "snapshot some sysdate system table tag tdes text255 text32k then timestamp to top trailing true "
    "truncatecolumns type union unique unnest unpivot user using verbose wallet when where with without",
    "databricks": "anti cross except full inner intersect join lateral left minus natural on right semi union using",
    "postgres": "all analyse analyze and any array as asc asymmetric both case cast check collate column constraint "
    "create current_catalog current_date current_role current_time current_timestamp current_user default "
    "deferrable desc distinct do else end except false fetch for foreign from grant group having in "
    "initially intersect into lateral leading limit localtime localtimestamp not null offset on only or "
    "order placing primary references returning select session_user some symmetric system_user table then "
    "to trailing true union unique user using variadic when where window with",
}
RESERVED["motherduck"] = RESERVED["postgres"]


class Foreign(Query):
    """Writes SQL for another warehouse, and lets DuckDB run it."""

    capabilities: Any
    dialect: str
    asked: set[str]

    def table(self, name: str) -> str:
        caps = self.capabilities
        return ".".join(caps.escape_identifier(caps.casefold_identifier(part)) for part in (self.client.dataset_name, name))

    def column(self, name: str) -> str:
        return str(self.capabilities.escape_identifier(self.capabilities.casefold_identifier(name)))

    def rows(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        return super().rows(self._in_duckdb(sql), *args)

    def run(self, sql: str, *args: Any) -> None:
        super().run(self._in_duckdb(sql), *args)

    def columns(self, name: str) -> list[str]:
        with self.client.execute_query(self._in_duckdb(f"SELECT * FROM {self.table(name)} WHERE 1 = 0")) as cursor:
            return [str(column[0]) for column in cursor.description or ()]

    def _in_duckdb(self, sql: str) -> str:
        self.asked.add(sql)
        (statement,) = sqlglot.parse(sql.replace("%s", ":p"), read=self.dialect)
        assert statement is not None
        written = statement.sql(dialect="duckdb")
        return re.sub(r"[:$]p\b", "%s", written)


@pytest.fixture(params=DIALECTS)
def foreign(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Foreign]]:
    monkeypatch.setattr(Foreign, "capabilities", Destination.from_reference(request.param).capabilities(), raising=False)
    monkeypatch.setattr(Foreign, "dialect", Foreign.capabilities.sqlglot_dialect, raising=False)
    monkeypatch.setattr(Foreign, "asked", set(), raising=False)
    monkeypatch.setattr("include.api_video.warehouse.warehouse.Query", Foreign)
    yield Foreign
    words = set(RESERVED[request.param].split())
    for sql in Foreign.asked:
        for statement in sqlglot.parse(sql.replace("%s", ":p"), read=Foreign.dialect):
            assert statement is not None
            bare = {i.name.lower() for i in statement.find_all(exp.Identifier) if not i.args.get("quoted")}
            assert not bare & words, sql


def test_every_question_is_understood_and_answered_alike(foreign: type[Foreign], warehouse: Warehouse) -> None:
    first = warehouse.load(*RESOURCES)
    change(warehouse.demo.world)
    second = warehouse.load(*RESOURCES)
    for table in RESOURCES:
        warehouse.rows(f"INSERT INTO {table} FROM {table}")
    warehouse.rows("INSERT INTO videos__tags SELECT * REPLACE ('nobody' AS _dlt_parent_id) FROM videos__tags")
    third = warehouse.load(*RESOURCES)  # repairs them

    assert not first.report.failed + second.report.failed + third.report.failed
    warehouse.assert_equal(*RESOURCES)
    write_runs(warehouse.rows, (now := now_utc()) - timedelta(days=33), now)
    before = count(warehouse.rows)
    with short_lived_pipeline("prepare", warehouse.settings.account) as pipeline:
        forget_old_runs(Tables(pipeline), 30, now + timedelta(days=1))
    assert all(left < before[table] for table, left in count(warehouse.rows).items())
    statements = " ".join(foreign.asked)
    wanted = (
        "UPDATE",
        "DELETE",
        "LEFT JOIN",
        "NOT IN",
        "count(DISTINCT",
        "LIMIT",
        "ROW_NUMBER",
        "UNION ALL",
        "CREATE TABLE",
    )
    assert all(words in statements for words in wanted), "the whole set"


def test_questions_about_analytics_and_usage_are(foreign: type[Foreign], warehouse: Warehouse, monkeypatch: Any) -> None:
    story = Story(warehouse, monkeypatch)
    story.keep(3)
    for after in (timedelta(0), DAY):
        story.load(*ANALYTICS_AND_USAGE, after=after, analytics_top_videos=2)
    statements = " ".join(foreign.asked).lower()
    assert all(name in statements for name in ANALYTICS_AND_USAGE)
