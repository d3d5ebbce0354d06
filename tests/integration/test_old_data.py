"""A run's report on tables that it did not read: their checks are about an earlier run's rows."""

from __future__ import annotations

from include.api_video.proof.checks import OF_EARLIER, SYNCED
from include.api_video.proof.report import check_run
from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from tests.integration.conftest import Warehouse


def test_checks_of_a_table_whose_task_failed_say_that_they_are_about_an_earlier_run(warehouse: Warehouse) -> None:
    warehouse.begin("players", "live_streams")
    warehouse.demo.behaviour.fail("/players", status=403, times=None)

    report = warehouse.load("players", "live_streams").report

    told = {check.name: OF_EARLIER in check.note for check in report.checks if check.table == "players"}
    assert told.pop(SYNCED) is False, "that it was not loaded is about this run"
    assert set(told.values()) == {True}
    assert "complete" in told
    assert not [check for check in report.checks if check.table == "live_streams" and OF_EARLIER in check.note]


def test_checks_of_a_table_that_was_left_out_say_so_and_the_proof_counts_what_was_read(warehouse: Warehouse) -> None:
    first = warehouse.load("players", "live_streams").report

    report = check_run(DEFAULT_ACCOUNT, "later", ["players", "live_streams"], {}, ["players", "live_streams"])

    assert {OF_EARLIER in check.note for check in report.checks if check.name != SYNCED} == {True}
    assert (first.proof()["proven"], first.proof()["tables"]) == (True, 2)
    assert (report.proof()["tables"], report.proof()["source"]) == (0, None)
    assert [line.split()[-2:] for line in str(report).splitlines()[3:5]] == [["not", "checked"]] * 2
