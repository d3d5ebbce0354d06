"""From the history of runs to what the page shows. No I/O: reports in, plain values out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

STALE_AFTER_S = 3 * 3600  # as the check "fresh" has it
CHANGES = ("new_rows", "changed_rows", "removed_rows", "drifted_rows")
MINUTE_S = 60


@dataclass(frozen=True)
class Run:
    """One run of the DAG.

    Attributes:
        report: what ``validate`` proved (``Report.to_json``); None where it did not get that far.
        errors: sentence by task id, of tasks that failed.
        tasks: state by task id, None where a task has not begun; of runs that are under way.
    """

    run_id: str
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    report: Mapping[str, Any] | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in ("success", "failed")


@dataclass(frozen=True)
class History:
    """Runs, newest first: ``runs`` in full, ``outcomes`` of many more (state, start, end)."""

    runs: Sequence[Run]
    outcomes: Sequence[tuple[str, datetime | None, datetime | None]] = ()
    of_one_run: bool = False


@dataclass(frozen=True)
class CheckState:
    """A check as the newest run found it, and whether it held in each run shown, oldest first (None: not made)."""

    name: str
    passed: bool
    expected: str
    found: str
    note: str
    held: Sequence[bool | None]

    @property
    def history(self) -> str:
        """The same in words."""
        made = [held for held in self.held if held is not None]
        return f"held in {sum(made)} of {len(made)} runs"


@dataclass(frozen=True)
class ResourceState:
    """A table as the newest run that read it left it, and its checks."""

    name: str
    sync: Mapping[str, Any]
    checks: Sequence[CheckState]
    left_out: bool
    loaded_at: datetime | None
    age_s: float | None
    seconds: float | None

    @property
    def failed(self) -> list[CheckState]:
        """Checks that did not hold."""
        return [check for check in self.checks if not check.passed]

    @property
    def state(self) -> str:
        """One word, also a class of the style sheet."""
        if self.failed:
            return "failed"
        if self.loaded_at is None:
            return "unknown"
        return "stale" if self.age_s is not None and self.age_s > STALE_AFTER_S else "proven"

    @property
    def verdict(self) -> str:
        """The state for people."""
        return {"failed": "failed", "unknown": "not loaded yet", "stale": "out of date", "proven": "equal"}[self.state]


@dataclass(frozen=True)
class PageState:
    """What the page shows.

    Attributes:
        kind: empty, running (the first run is under way), proven, failed, or unproven (over, and no report).
        sentences: what went wrong and what to do, where something did.
        streak: how many runs in a row were proven, up to the newest one that is over; ``streak_s`` since when.
        chart: series for the charts, oldest run first.
    """

    kind: str
    newest: Run | None = None
    running: Run | None = None
    checked_at: datetime | None = None
    age_s: float | None = None
    sentences: Sequence[str] = ()
    resources: Sequence[ResourceState] = ()
    runs: int = 0
    streak: int = 0
    streak_s: float = 0
    requests: int = 0
    expected: int = 0
    rate_limited: int = 0
    rate_limit: int | None = None
    limit_share: float | None = None
    of_one_run: bool = False
    chart: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows that the API lists, over all tables."""
        return sum(int(resource.sync.get("active_rows") or 0) for resource in self.resources)

    @property
    def checks(self) -> tuple[int, int]:
        """Checks that held, of how many."""
        checks = [check for resource in self.resources for check in resource.checks]
        return sum(check.passed for check in checks), len(checks)

    @property
    def progress(self) -> tuple[int, int]:
        """Tasks done, of how many, of the run that is under way."""
        states = list(self.running.tasks.values()) if self.running else []
        return sum(state in ("success", "failed", "skipped", "upstream_failed") for state in states), len(states)

    @property
    def chart_json(self) -> str:
        """The series, to stand inside a script element: nothing in it can end that element."""
        return json.dumps(self.chart).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def build_state(history: History, now: datetime) -> PageState:
    """What to show of a history at a moment."""
    over = [run for run in history.runs if run.is_over]
    running = next((run for run in history.runs if not run.is_over), None)
    if not over:
        return PageState("running" if running else "empty", running=running, of_one_run=history.of_one_run)
    newest = over[0]
    reported = [run for run in over if run.report]
    resources = [_resource(name, reported, newest, now) for name in _names(reported)]
    syncs = list(_syncs(newest))
    streak, since = _streak(history.outcomes)
    limit = max((int(sync.get("rate_limit") or 0) for sync in syncs), default=0) or None
    requests = sum(int(sync.get("requests") or 0) for sync in syncs)
    checked_at = _time(newest.report.get("checked_at")) if newest.report else None
    return PageState(
        kind=_kind(newest),
        newest=newest,
        running=running,
        checked_at=checked_at,
        age_s=(now - checked_at).total_seconds() if checked_at else None,
        sentences=list(_sentences(newest)),
        resources=resources,
        runs=len(over),
        streak=streak,
        streak_s=(now - since).total_seconds() if since else 0,
        requests=requests,
        expected=sum(int(sync.get("expected_requests") or 0) for sync in syncs),
        rate_limited=sum(int(sync.get("rate_limited") or 0) for sync in syncs),
        rate_limit=limit,
        limit_share=requests / (limit * max(1.0, (_length(newest) or 0) / MINUTE_S)) if limit else None,
        of_one_run=history.of_one_run,
        chart=_chart(list(reversed(reported))),
    )


def _kind(run: Run) -> str:
    if run.state == "failed":
        return "failed"
    return "proven" if run.report else "unproven"


def _names(reported: Sequence[Run]) -> list[str]:
    """Resources: those of the newest report in its order, then those of older ones."""
    newest = [str(check["table"]) for run in reported[:1] for check in _checks(run)]
    return list(dict.fromkeys([*newest, *(str(sync["resource"]) for run in reported for sync in _syncs(run))]))


def _syncs(run: Run) -> Iterator[Mapping[str, Any]]:
    yield from (run.report or {}).get("syncs", ())


def _checks(run: Run) -> Iterator[Mapping[str, Any]]:
    yield from (run.report or {}).get("checks", ())


def _resource(name: str, reported: Sequence[Run], newest: Run, now: datetime) -> ResourceState:
    def sync_in(run: Run) -> Mapping[str, Any]:
        return next((sync for sync in _syncs(run) if sync["resource"] == name), {})

    present = sync_in(newest)
    read = next((sync for sync in map(sync_in, reported) if sync and sync.get("mode") != "skipped"), {})
    loaded_at, started_at = _time(read.get("finished_at")), _time(read.get("started_at"))
    return ResourceState(
        name=name,
        sync=read,
        checks=_check_states(name, reported),
        left_out=present.get("mode") == "skipped",
        loaded_at=loaded_at,
        age_s=(now - loaded_at).total_seconds() if loaded_at else None,
        seconds=(loaded_at - started_at).total_seconds() if loaded_at and started_at else None,
    )


def _check_states(name: str, reported: Sequence[Run]) -> list[CheckState]:
    made = [{str(check["name"]): check for check in _checks(run) if check["table"] == name} for run in reported]
    states = []
    for check_name, check in (made[0] if made else {}).items():
        held = [bool(checks[check_name]["passed"]) if check_name in checks else None for checks in reversed(made)]
        expected, found, note = (str(check.get(word) or "") for word in ("expected", "found", "note"))
        states.append(CheckState(check_name, bool(check["passed"]), expected, found, note, held))
    return states


def _sentences(run: Run) -> Iterator[str]:
    """What went wrong in a run: the checks that did not hold, tables that failed alike together; else what tasks said."""
    tables: dict[str, list[str]] = {}
    for check in _checks(run):
        if not check["passed"]:
            said = str(check["note"]) if check["name"] == "synced" and check["note"] else _verdict(check)
            tables.setdefault(_plain(said), []).append(str(check["table"]))
    for sentence, names in tables.items():
        yield f"{', '.join(names)}: {sentence}"
    if not tables and run.state == "failed":
        yield from dict.fromkeys(map(_plain, run.errors.values()))
        if not run.errors:
            yield "The run ended before it could say why: see the logs of its tasks in Airflow, then trigger it again."


def _plain(said: str) -> str:
    """A sentence without the name of the error's class before it."""
    return re.sub(r"^\w+Error: ", "", said)


def _verdict(check: Mapping[str, Any]) -> str:
    return f"{check['name']}: expected {check['expected']}, found {check['found']}. {check['note']}".strip()


def _streak(outcomes: Sequence[tuple[str, datetime | None, datetime | None]]) -> tuple[int, datetime | None]:
    """How many of the newest runs that are over succeeded without one between that did not, and when they began."""
    streak, since = 0, None
    for state, started_at, _ in outcomes:
        if state == "failed":
            break
        if state == "success":
            streak, since = streak + 1, started_at
    return streak, since


def _chart(oldest_first: Sequence[Run]) -> dict[str, Any]:
    names = _names(list(reversed(oldest_first)))
    last: dict[str, Any] = {}
    rows: dict[str, list[Any]] = {name: [] for name in names}
    sums: dict[str, list[int]] = {name: [] for name in (*CHANGES, "requests", "expected_requests")}
    for run in oldest_first:
        syncs = {str(sync["resource"]): sync for sync in _syncs(run)}
        for name in names:
            last[name] = syncs.get(name, {}).get("active_rows", last.get(name))
            rows[name].append(last[name])
        for name, values in sums.items():
            values.append(sum(int(sync.get(name) or 0) for sync in syncs.values()))
    # Rows whose updatedAt stood still are among the changed ones; the two are drawn on top of each other.
    pairs = zip(sums["changed_rows"], sums["drifted_rows"], strict=True)
    sums["changed_rows"] = [changed - drifted for changed, drifted in pairs]
    return {
        "runs": [moment.isoformat() if (moment := run.started_at or run.ended_at) else "" for run in oldest_first],
        "failed": [run.state == "failed" for run in oldest_first],
        "rows": rows,
        "seconds": [_length(run) for run in oldest_first],
        **sums,
    }


def _length(run: Run) -> float | None:
    return (run.ended_at - run.started_at).total_seconds() if run.started_at and run.ended_at else None


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
