"""The questions in docs/analytics.md, asked of the demo's warehouse: each query runs, and has an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from include.demo_api.behaviour import Behaviour
from include.demo_api.server import running
from include.demo_api.world import World
from tests.documents import PROJECT, Document
from tests.integration.conftest import Warehouse

ANALYTICS = Document(PROJECT / "docs/analytics.md")
NEEDED = ("videos", "live_streams", "analytics_days", "analytics_hours", "analytics_videos", "analytics_countries")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A warehouse with the demo's analytics."""
    with running(World(videos=40), Behaviour(rate_limit=100_000)) as demo:
        warehouse = Warehouse(demo, tmp_path_factory.mktemp("analytics") / "warehouse.duckdb")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(warehouse.file))
            run = warehouse.load(*NEEDED, "analytics_watch_time", "analytics_totals", analytics_top_videos=3)
        assert not run.report.failed
        yield warehouse.file


@pytest.mark.parametrize("number", range(len(ANALYTICS.blocks("sql"))))
def test_each_question_has_an_answer(file: Path, number: int) -> None:
    with duckdb.connect(str(file), read_only=True) as connection:
        rows = connection.execute(ANALYTICS.blocks("sql")[number]).fetchall()
    assert rows
    assert all(any(value is not None for value in row) for row in rows)
