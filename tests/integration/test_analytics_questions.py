"""The questions in docs/analytics.md, asked of the demo's warehouse: DuckDB and PostgreSQL have the same answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from include.demo_api.behaviour import Behaviour
from include.demo_api.server import running
from include.demo_api.world import World
from tests.documents import PROJECT, Document
from tests.integration.conftest import Warehouse
from tests.integration.test_analytics import Clock
from tests.services import ask, postgres_server

QUESTIONS = Document(PROJECT / "docs/analytics.md").blocks("sql")
NEEDED = ("videos", "live_streams", "analytics_days", "analytics_hours", "analytics_videos", "analytics_countries")
NEEDED += ("analytics_watch_time", "analytics_totals")
Answers = tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Answers]]:
    """The rows of a query in DuckDB and in PostgreSQL, which are loaded from the same demo at the same moment."""
    folder = tmp_path_factory.mktemp("analytics")
    with pytest.MonkeyPatch.context() as patch, running(World(videos=40), Behaviour(rate_limit=100_000)) as demo:
        patch.setenv("LC_ALL", "C")  # PostgreSQL sorts as DuckDB does
        Clock(patch, demo.world.viewing).now = datetime.now(timezone.utc)  # a query may ask for today
        warehouse = Warehouse(demo, folder / "warehouse.duckdb")
        with postgres_server(folder / "postgres") as server:
            patch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(warehouse.file))
            patch.setenv("DESTINATION__POSTGRES__CREDENTIALS", server)
            for name in ("duckdb", "postgres"):
                patch.setenv("API_VIDEO_DESTINATION", name)
                assert not warehouse.load(*NEEDED, analytics_top_videos=3).report.failed
            with duckdb.connect(str(warehouse.file), read_only=True) as connection:
                yield lambda sql: (connection.execute(sql).fetchall(), ask(server, sql))


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
def test_each_question_has_the_same_answer(answers: Callable[[str], Answers], number: int) -> None:
    in_duckdb, in_postgres = answers(QUESTIONS[number])
    assert in_duckdb
    assert all(any(value is not None for value in row) for row in in_duckdb)
    assert sorted(map(comparable, in_duckdb)) == sorted(map(comparable, in_postgres))


def comparable(row: tuple[Any, ...]) -> str:
    """A row as text, with numbers of one type and times in UTC."""
    return str([_plain(value) for value in row])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    return float(value) if isinstance(value, (int, float, Decimal)) else value
