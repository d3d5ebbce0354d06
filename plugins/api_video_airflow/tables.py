"""The state of each table: which run last read it, and what the latest run checked. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api_video_airflow.messages import FAILED, PROVEN, STALE, UNCHECKED, UNPROVEN, VERDICTS, reason_for
from api_video_airflow.runs import Run, time_of

STALE_AFTER_S = 3 * 3600  # for reports from before the setting `schedule`, which do not say
HELD, OPEN, BROKE, NONE = "held", "open", "broke", "none"  # marks of a check in a run; also CSS classes
EARLIER = "earlier"  # the mark of a check that passed on rows of an earlier run
MARKS = {True: HELD, None: OPEN, False: BROKE}


@dataclass(frozen=True)
class CheckState:
    """A check in the latest run, with its mark in each run shown, oldest first.

    Attributes:
        passed: None if not proven.
        is_current: whether the latest run made it on rows that it read itself. A check of the latest run that failed or is
            not proven is current in any case.
    """

    name: str
    passed: bool | None
    expected: str
    found: str
    note: str
    is_current: bool
    marks: Sequence[str]

    @property
    def mark(self) -> str:
        """Its mark in the latest run."""
        return EARLIER if self.passed and not self.is_current else MARKS[self.passed]

    @property
    def history(self) -> str:
        """All marks, in words."""
        made = len(self.marks) - self.marks.count(NONE)
        said = f"held in {self.marks.count(HELD)} of {made} runs"
        said += f", not proven in {opened}" if (opened := self.marks.count(OPEN)) else ""
        return said + (f", did not hold in {broke}" if (broke := self.marks.count(BROKE)) else "")


@dataclass(frozen=True)
class ResourceState:
    """The state of one table.

    Attributes:
        sync: the ledger's row of ``run``, the latest run that read it; empty if none did.
        is_current: whether ``run`` is the run shown, so that the figures are that run's.
        group: task group of its resource; empty in reports of older versions.
        state: failed, unproven, unchecked, stale or proven. If not proven, ``reason`` says why and ``since`` from when.
        proven_at: when a run last proved everything it had read of the table.
    """

    name: str
    sync: Mapping[str, Any]
    run: Run | None
    is_current: bool
    checks: Sequence[CheckState]
    state: str
    reason: str
    since: datetime | None
    proven_at: datetime | None
    loaded_at: datetime | None
    age_s: float | None
    seconds: float | None
    group: str = ""

    @property
    def verdict(self) -> str:
        """The state in words."""
        return VERDICTS[self.state]

    @property
    def current(self) -> list[CheckState]:
        """The checks that count for the run shown."""
        return [check for check in self.checks if check.is_current]

    @property
    def held(self) -> int:
        """How many of the current checks passed."""
        return sum(check.passed is True for check in self.current)

    @property
    def open(self) -> int:
        """How many of the current checks are not proven."""
        return sum(check.passed is None for check in self.current)


def names_of(newest_first: Sequence[Run]) -> list[str]:
    """Names of tables: those of the latest report in its order, then others from older reports."""
    reported = [run for run in newest_first if run.report]
    newest = [str(check["table"]) for run in reported[:1] for check in run.checks]
    return list(dict.fromkeys([*newest, *(name for run in reported for name in run.syncs)]))


def is_stale(age_s: float | None, newest_first: Sequence[Run]) -> bool:
    """Whether a proof of this age is out of date, by the schedule in the latest report."""
    report = next((run.report for run in newest_first if run.report), None) or {}
    fresh_for_s = report.get("fresh_for_s", STALE_AFTER_S)  # None: runs have no schedule
    return age_s is not None and fresh_for_s is not None and age_s > float(fresh_for_s)


def group_of(name: str, newest_first: Sequence[Run]) -> str:
    """The task group of a table's resource, by the latest report that has it."""
    groups = (run.report.get("groups", {}) for run in newest_first if run.report)
    return next((str(known[name]) for known in groups if name in known), "")


def state_of(name: str, newest_first: Sequence[Run], now: datetime) -> ResourceState:
    """The state of a table after these runs, all of which are over."""
    newest = newest_first[0]
    reported = [run for run in newest_first if run.report]
    reader = next((run for run in reported if name in run.read), None)
    sync = reader.read[name] if reader else {}
    loaded_at, started_at = time_of(sync.get("finished_at")), time_of(sync.get("started_at"))
    age_s = (now - loaded_at).total_seconds() if loaded_at else None
    checks = _checks(name, reported, newest)
    state = _state(name, checks, newest, is_stale(age_s, newest_first))
    return ResourceState(
        name=name,
        sync=sync,
        run=reader,
        is_current=reader is newest,
        checks=checks,
        state=state,
        reason=reason_for(name, state, checks, sync, newest),
        since=_unproven_since(name, sync, newest_first) if state == UNPROVEN or sync.get("unproven") else None,
        proven_at=next((run.checked_at for run in reported if _proves(run, name)), None),
        loaded_at=loaded_at,
        age_s=age_s,
        group=group_of(name, newest_first),
        seconds=(loaded_at - started_at).total_seconds() if loaded_at and started_at else None,
    )


def _proves(run: Run, name: str) -> bool:
    made = run.made.get(name, {})
    return name in run.read and bool(made) and all(check["passed"] is True for check in made.values())


def _checks(name: str, reported: Sequence[Run], newest: Run) -> list[CheckState]:
    """The latest checks of a table, with their history."""
    last = next((run for run in reported if name in run.made), None)
    states = []
    for check_name, check in (last.made[name] if last else {}).items():
        passed, is_read = check["passed"], last is newest and name in newest.read
        expected, found, note = (str(check.get(word) or "") for word in ("expected", "found", "note"))
        is_current = is_read or (last is newest and passed is not True)
        marks = [_mark(run, name, check_name) for run in reversed(reported)]
        states.append(CheckState(check_name, passed, expected, found, note, is_current, marks))
    return states


def _mark(run: Run, name: str, check_name: str) -> str:
    check = run.made.get(name, {}).get(check_name)
    if check is None or (check["passed"] is True and name not in run.read):
        return NONE  # not made, or made on rows of an earlier run
    return MARKS[check["passed"]]


def _state(name: str, checks: Sequence[CheckState], newest: Run, out_of_date: bool) -> str:
    outcomes = {check.passed for check in checks if check.is_current}
    if False in outcomes:
        return FAILED
    if None in outcomes:
        return UNPROVEN
    if name not in newest.read or not outcomes:
        return UNCHECKED
    return STALE if out_of_date else PROVEN


def _unproven_since(name: str, sync: Mapping[str, Any], newest_first: Sequence[Run]) -> datetime | None:
    """Since when a table is not proven: by the ledger, else the first of the latest consecutive runs with an open check."""
    if since := time_of(sync.get("unproven_since")):
        return since
    first = None
    for run in newest_first:
        made = run.made.get(name, {})
        if made and not any(check["passed"] is None for check in made.values()):
            break
        first = run.checked_at or first
    return first
