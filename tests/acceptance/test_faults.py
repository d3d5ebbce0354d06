"""Answers fail, or lists move while they are read: the tables are equal, at the latest after a rerun."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any

import pytest

from tests.acceptance.conftest import Stage
from tests.acceptance.connector import Connector, Run

pytestmark = pytest.mark.slow

RESOURCES = ("videos", "video_status")
AT_ONCE = 3
SOON = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "0", "X-RateLimit-Retry-After": "1"}
LONGER_THAN_ANYONE_WAITS_S = 62.0
FAULTS: dict[str, dict[str, Any]] = {
    "hang": {"kind": "hang", "seconds": LONGER_THAN_ANYONE_WAITS_S},  # the longest one first
    "429": {"kind": "status", "status": 429, "headers": SOON},
    **{str(status): {"kind": "status", "status": status, "times": 2} for status in (500, 502, 503, 504)},
    "401": {"kind": "status", "status": 401},
    "html": {"kind": "html"},
    "truncated": {"kind": "truncated"},
    "dropped": {"kind": "dropped"},
    "down": {"kind": "status", "status": 503, "times": 7},  # the attempts of a request, and the check of the key
}
WHERE = {"list": "/videos", "details": "/videos/[^/]+/status"}
IN_DETAILS = ("429", "500", "503", "html", "truncated", "dropped")
CASES = [(fault, "list") for fault in FAULTS] + [(fault, "details") for fault in IN_DETAILS]
CHANGES = ("add", "update", "delete", "swap")
SHIFTS = [("first", what, 3) for what in CHANGES] + [("full", what, 2) for what in CHANGES]
PAGES_4 = 330  # videos


@pytest.fixture(scope="module")
def outcomes(whole_stage: Stage) -> Iterator[dict[Any, Future[tuple[Connector, Run, int]]]]:
    """Runs all cases, a few at a time since most of them wait. Each has an API and a warehouse of its own."""
    cases = {case: partial(run_with_fault, whole_stage, *case) for case in CASES}
    with whole_stage.side_by_side(cases, AT_ONCE) as found:
        yield found


@pytest.fixture(scope="module")
def shifted(whole_stage: Stage) -> Iterator[dict[Any, Future[tuple[Connector, Run, int]]]]:
    """Runs all cases of lists that shift."""
    cases = {shift: partial(run_with_shift, whole_stage, *shift) for shift in SHIFTS}
    with whole_stage.side_by_side(cases, at_once=2) as found:
        yield found


def run_with_fault(stage: Stage, fault: str, where: str) -> tuple[Connector, Run, int]:
    connector = stage.empty(RESOURCES)
    connector.api.fail(WHERE[where], **FAULTS[fault])
    run = connector.start()
    return connector, run, run.wait()


def run_with_shift(stage: Stage, mode: str, what: str, answers: int) -> tuple[Connector, Run, int]:
    make = stage.empty if mode == "first" else stage.loaded
    connector = make(("videos",), PAGES_4)
    api = connector.api
    newest_first = sorted(api.listed("videos"), key=lambda row: row["updatedAt"], reverse=True)
    if what in ("delete", "swap"):
        api.change_after(answers, "/videos", "delete", key=newest_first[20]["videoId"])
    if what in ("add", "swap"):
        api.change_after(answers, "/videos", "add")
    if what == "update":
        api.change_after(answers, "/videos", "update", key=newest_first[250]["videoId"], title="Moved to the front")
    api.forget_requests()
    run = connector.start(full=mode == "full")
    return connector, run, run.wait()


@pytest.mark.parametrize(("fault", "where"), CASES)
def test_a_failing_answer_loses_nothing(outcomes: Any, fault: str, where: str) -> None:
    connector, run, code = outcomes[fault, where].result()

    assert was_met(connector, fault)
    settle(connector, run, code)
    if fault in ("401", "down"):
        assert code != 0, "a fault that lasts must fail the run"


@pytest.mark.parametrize(("mode", "what", "answers"), SHIFTS)
def test_a_list_that_shifts_while_it_is_read_loses_nothing(shifted: Any, mode: str, what: str, answers: int) -> None:
    connector, run, code = shifted[mode, what, answers].result()

    assert len(connector.api.requests("/videos")) > answers  # the run read on after the change
    settle(connector, run, code)


def was_met(connector: Connector, fault: str) -> bool:
    """Whether the API really failed in this way."""
    log = connector.api.requests("/videos")
    repeated = any(times > 1 for times in Counter((request["path"], request["query"]) for request in log[:-1]).values())
    status = {"html": 502, "down": 503}.get(fault) or (int(fault) if fault.isdigit() else None)
    return any(request["status"] == status for request in log) if status else repeated


def settle(connector: Connector, run: Run, code: int) -> None:
    """Asserts that the tables are equal, or that the run failed with a sentence and a rerun makes them equal."""
    assert "Traceback" not in run.output
    if code != 0:
        assert re.search(r"^(FAILED|\w+Error: )", run.output, re.MULTILINE), run.output
        connector.api.heal()
        connector.run()
    connector.assert_equal()
