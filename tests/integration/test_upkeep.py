"""Old runs are deleted: the ledger stays small over the years, and the package's queries on it have the same answers."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from duckdb_extensions import import_extension

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.storable import now_utc
from include.api_video.load.runner import prepare_warehouse
from include.api_video.proof.checks import RunFacts, run_checks
from include.api_video.warehouse.destinations.delta_lake import DeltaClient
from include.api_video.warehouse.detail_queries import detail_state
from include.api_video.warehouse.list_queries import ListQueries
from include.api_video.warehouse.pipelines import short_lived_pipeline
from include.api_video.warehouse.upkeep import forget_old_runs
from include.api_video.warehouse.warehouse import Warehouse as Tables
from include.demo_api.server import Demo
from tests.integration.test_destinations import AnyWarehouse
from tests.services import new_database, postgres_server
from tests.years import count, write_runs

RESOURCES = ("videos", "video_status", "discarded_videos")
HISTORY, OLDER = 30, 20  # days
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in ("postgres", "ducklake", "filesystem")]
everywhere = pytest.mark.parametrize("place", ["duckdb", *OTHERS], indirect=True)


class Place(AnyWarehouse):
    """A warehouse that can also write where SQL cannot, and that knows the day after the newest run."""

    def __init__(self, demo: Demo, folder: Path) -> None:
        super().__init__(demo, folder)
        self.midnight = now_utc().replace(hour=0, minute=0, second=0, microsecond=0)
        self.tomorrow = self.midnight + timedelta(days=1)

    def put(self, table: str, columns: list[str], question: str) -> None:
        """Stores the rows of a query in a Delta lake."""
        with short_lived_pipeline("ask", self.settings.account) as pipeline, pipeline.sql_client() as client:
            lake: DeltaClient = client.remote_client
            with client.execute_query(question) as cursor:
                rows = cursor.arrow()
            if table == "_dlt_loads":
                lines = rows.to_pandas().to_json(orient="records", lines=True, date_format="iso")
                lake.fs_client.write_text(f"{lake.dataset_path}/{table}/old.jsonl", lines)
            else:
                lake.append(table, rows.to_reader())

    def upkeep(self, now: datetime | None = None, days: int = HISTORY) -> None:
        with short_lived_pipeline("prepare", self.settings.account) as pipeline:
            forget_old_runs(Tables(pipeline), days, now or self.tomorrow)

    def known(self) -> list[Any]:
        """The answers that a run would get from the ledger before it reads, and its checks."""
        with short_lived_pipeline("ask", self.settings.account) as pipeline:
            tables = Tables(pipeline)
            videos, status, bin_ = (by_name()[name] for name in RESOURCES)
            since = [self.midnight - timedelta(days=days) for days in (0, 40, 50, 60)]
            facts = RunFacts("run2", self.tomorrow, {}, {}, {})
            return [
                *(ListQueries(tables, endpoint).state() for endpoint in (videos, bin_)),
                *(ListQueries(tables, bin_).has_exchanged(moment) for moment in since),
                ListQueries(tables, videos).moved(),
                detail_state(tables, status, 100, self.midnight),
                *run_checks(tables, RESOURCES, facts),
            ]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the DuckDB file with which all tests begin; the first test creates it."""
    return tmp_path_factory.mktemp("templates")


@pytest.fixture(params=["duckdb"])
def place(
    request: pytest.FixtureRequest, demo: Demo, templates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:
    """A warehouse after two runs, with hourly runs over the days before."""
    name, template = request.param, templates / f"{request.param}.duckdb"
    monkeypatch.setenv("API_VIDEO_DESTINATION", name)
    if name == "duckdb":
        monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(tmp_path / "warehouse.duckdb"))
        if template.exists():
            shutil.copy(template, tmp_path / "warehouse.duckdb")
            return Place(demo, tmp_path)
    elif name == "postgres":
        server = request.getfixturevalue("postgres")
        monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", new_database(server, tmp_path.name.lower()))
    elif name == "ducklake":
        for extension in ("ducklake", "sqlite_scanner"):
            import_extension(extension)
        monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG", f"sqlite:///{tmp_path}/catalog.sqlite")
        monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE__BUCKET_URL", str(tmp_path / "lake"))
    else:
        monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path / "lake"))
    place = Place(demo, tmp_path)
    for _ in range(2):
        assert not place.load(*RESOURCES).report.failed
    begin = place.midnight - timedelta(days=HISTORY + OLDER - 1)
    write_runs(place.rows, begin, place.midnight, place.put if name == "filesystem" else None)
    if name == "duckdb":
        shutil.copy(tmp_path / "warehouse.duckdb", template)
    return place


@everywhere
def test_of_old_days_one_run_stays_and_nothing_is_decided_otherwise(place: Place) -> None:
    checks = place.rows("SELECT count(*) FROM _checks WHERE run_id = 'run2'")[0][0]
    before = place.known()

    place.upkeep()

    rows = count(place.rows)
    runs = HISTORY * 24 - 24 + OLDER  # of days kept whole, without today's two
    assert rows["_checks"] == (runs + 2) * checks
    # Of each old day: its first run, its reconciliation and its last run.
    assert rows["_syncs"] == (runs + OLDER + 2) * len(RESOURCES)
    assert rows["_dlt_loads"] == 4 + 1 + (HISTORY - 1) * 24 * 4 + OLDER * (2 * len(RESOURCES) + 1)
    assert place.known() == before
    for table in ("_checks", "_syncs", *RESOURCES):
        lost = f"SELECT count(*) FROM {table} WHERE _dlt_load_id NOT IN (SELECT load_id FROM _dlt_loads)"
        assert place.rows(lost) == [(0,)], table
    place.upkeep()
    assert count(place.rows) == rows, "a second upkeep finds nothing"
    run = place.load(*RESOURCES)
    assert not run.report.failed
    assert {run.sync(name)["requests"] for name in ("videos", "discarded_videos")} == {1}
    place.assert_equal(*RESOURCES)


@pytest.fixture
def old(place: Place) -> datetime:
    """An hour in the middle of a day that is not kept whole."""
    return place.midnight - timedelta(days=HISTORY + OLDER // 2) + timedelta(hours=7)


def test_changes_of_outcome_stay_but_not_each_run_of_a_long_failure(
    place: Place, old: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    one = "table_name = 'videos' AND check_name = 'complete'"
    failed = f"checked_at BETWEEN '{old}' AND '{old + timedelta(hours=2)}'"
    place.rows(f"UPDATE _checks SET passed = false WHERE {one} AND {failed}")
    place.rows(f"UPDATE _checks SET passed = NULL WHERE {one} AND checked_at = '{old + timedelta(hours=6)}'")
    place.rows(f"UPDATE _checks SET passed = false WHERE checked_at = '{old + timedelta(hours=9)}'")

    place.upkeep()

    day = f"checked_at >= '{old - timedelta(hours=7)}' AND checked_at < '{old + timedelta(hours=17)}'"
    kept = place.rows(f"SELECT checked_at, passed FROM _checks WHERE {one} AND {day} ORDER BY 1")
    hours = [((at.astimezone(timezone.utc) - old) / timedelta(hours=1), passed) for at, passed in kept]
    assert hours == [(0, False), (3, True), (6, None), (7, True), (9, False), (10, True), (16, True)]
    caplog.clear()
    with caplog.at_level(logging.INFO, "api_video"):
        place.upkeep()
    assert not caplog.records, "nothing is left to be forgotten"


@pytest.mark.slow
def test_what_runs_ask_of_the_ledger_stays_however_old_it_is(place: Place, old: datetime) -> None:
    """A table left out for long, an unfinished reconciliation, lost fields, restored rows, another API."""
    newest_full = f"resource = 'videos' AND finished_at >= '{old - timedelta(hours=7)}'"
    place.rows(f"UPDATE _syncs SET mode = 'changes' WHERE {newest_full}")
    place.rows(f"UPDATE _syncs SET mode = 'full' WHERE resource = 'videos' AND finished_at = '{old}'")
    later = f"resource = 'videos' AND finished_at = '{old + timedelta(hours=3)}'"
    place.rows(f"UPDATE _syncs SET mode = 'full', load_id = 'killed' WHERE {later}")
    for hours, told in ((1, "restored_rows = 1"), (2, "lost_fields = 'title'")):
        moment = f"resource = 'videos' AND finished_at = '{old + timedelta(hours=hours)}'"
        place.rows(f"UPDATE _syncs SET {told} WHERE {moment}")
    other = f"resource = 'discarded_videos' AND finished_at = '{old + timedelta(hours=4)}'"
    place.rows(f"UPDATE _syncs SET base_url = 'https://other.example' WHERE {other}")
    place.rows("DELETE FROM _syncs WHERE run_id IN ('run1', 'run2') AND resource = 'videos'")
    place.rows("UPDATE videos SET title = NULL, _read_at = '2020-01-01'")
    before = place.known()
    assert before[0].last_full_at == old
    assert "title is no longer sent" in str(before)

    place.upkeep()

    assert place.known() == before
    other_api = "SELECT count(*) FROM _syncs WHERE base_url = 'https://other.example'"
    assert place.rows(other_api) == [(1,)]


def test_a_load_stays_finished_as_long_as_any_row_is_of_it(place: Place, old: datetime) -> None:
    """Including rows of tables that are no longer loaded, and of a table of an older version of the package."""
    loads = place.rows(f"SELECT load_id FROM _dlt_loads WHERE inserted_at = '{old}' ORDER BY 1")
    place.rows(f"UPDATE videos SET _dlt_load_id = '{loads[0][0]}'")
    place.rows(f"CREATE TABLE older AS SELECT '{loads[1][0]}' AS _dlt_load_id")
    older = '{"tables": {"older": {"columns": {"_dlt_load_id": {}}}}}'
    place.rows(
        f"INSERT INTO _dlt_version SELECT * REPLACE ('{older}' AS schema) FROM _dlt_version "
        "WHERE schema_name = 'api_video_source' LIMIT 1"
    )
    place.rows(f"INSERT INTO _dlt_loads SELECT * REPLACE ('theirs' AS load_id, 'their_own' AS schema_name, "
               f"TIMESTAMPTZ '{old}' AS inserted_at) FROM _dlt_loads LIMIT 1")  # fmt: skip

    place.upkeep()

    left = place.rows(f"SELECT load_id FROM _dlt_loads WHERE inserted_at = '{old}' ORDER BY 1")
    assert left == [*loads[:2], ("theirs",)]


def test_it_is_done_once_a_day_by_the_first_run(place: Place, old: datetime) -> None:
    before = count(place.rows)
    place.upkeep(now_utc())
    prepare_warehouse(place.settings)
    assert count(place.rows) == before, "today's runs were checked already"

    place.rows("UPDATE _checks SET checked_at = checked_at - INTERVAL 1 DAY WHERE run_id IN ('run1', 'run2')")
    prepare_warehouse(place.settings)

    assert count(place.rows)["_checks"] < before["_checks"] * 2 / 3


@pytest.mark.parametrize("days", [0, 10**12])
def test_everything_may_be_kept(place: Place, days: int) -> None:
    before = count(place.rows)
    place.upkeep(days=days)
    assert count(place.rows) == before


def test_a_shorter_history_leaves_the_ledger_what_the_checks_add_up(place: Place) -> None:
    before = place.known()

    place.upkeep(days=7)

    assert place.known() == before
    assert count(place.rows)["_checks"] < count(place.rows)["_syncs"] * 5


def test_what_takes_too_long_is_left_for_another_day(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.api_video.warehouse.upkeep.LONGEST_S", 0.0)
    before = count(place.rows)
    place.upkeep()
    assert count(place.rows) == before, "no time at all"

    monkeypatch.setattr("include.api_video.warehouse.upkeep.LONGEST_S", 60.0)
    monkeypatch.setattr("include.api_video.warehouse.upkeep.KEYS_AT_ONCE", 700)
    place.upkeep()
    less = count(place.rows)
    assert less["_checks"] < before["_checks"] * 2 / 3
    place.upkeep()
    assert count(place.rows) == less


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_who_may_not_delete_loads_all_the_same(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.rows("CREATE RULE keep AS ON DELETE TO _checks DO INSTEAD SELECT 1/0")
    place.rows("UPDATE _checks SET checked_at = checked_at - INTERVAL '1' DAY WHERE run_id IN ('run1', 'run2')")

    with caplog.at_level(logging.WARNING, "api_video"):
        run = place.load(*RESOURCES)

    assert not run.report.failed
    (said,) = {record.getMessage() for record in caplog.records if "history_days" in record.getMessage()}
    assert said.startswith("Old rows of _syncs, _checks and _dlt_loads were not deleted; the run goes on")
