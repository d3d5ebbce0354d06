"""Turns the history of runs into what the page shows. No I/O: reports in, plain values out.

Only what the latest run read and proved is called equal. Other tables show the figures of the run that last read them,
under that run's name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api_video_airflow.chart import series
from api_video_airflow.messages import FAILED, PROVEN, STALE, UNCHECKED, UNPROVEN, VERDICTS, sentences_of
from api_video_airflow.runs import DEMO, History, Proof, Run, of_one_source
from api_video_airflow.tables import ResourceState, is_stale, names_of, state_of

MINUTE_S = 60


@dataclass(frozen=True)
class PageState:
    """What the page shows.

    Attributes:
        kind: empty, running (the first run is active), proven, stale (proven, but no run since), unproven, unchecked (over,
            but without checks) or failed.
        newest: the run shown: the latest one that is over.
        sentences: what went wrong and what to do.
        streak: consecutive proven runs up to the latest one that is over; ``streak_s`` is the time since the first of these
            proofs, ``proof_age_s`` since the last one, None if that is recent enough.
        requests: sent by the run shown, for tables that it loaded; None if the ledger has no row of it.
        is_demo: whether the loaded data is the demo's.
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
    proof_age_s: float | None = None
    requests: int | None = None
    expected: int | None = None
    rate_limited: int = 0
    rate_limit: int | None = None
    limit_share: float | None = None
    is_demo: bool = False
    of_one_run: bool = False
    chart: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Active rows of all tables, each as of the run that last read it."""
        return sum(int(resource.sync.get("active_rows") or 0) for resource in self.resources)

    @property
    def earlier(self) -> list[ResourceState]:
        """Tables that show the figures of an earlier run."""
        return [resource for resource in self.resources if resource.run and not resource.is_current]

    @property
    def held(self) -> int:
        """Number of passed checks in the run shown."""
        return sum(resource.held for resource in self.resources)

    @property
    def made(self) -> int:
        """Number of checks in the run shown, without those on rows of an earlier run."""
        return sum(len(resource.current) for resource in self.resources)

    @property
    def open(self) -> int:
        """Number of checks in the run shown that are not proven."""
        return sum(resource.open for resource in self.resources)

    def of_state(self, *states: str) -> list[ResourceState]:
        """The tables in one of these states."""
        return [resource for resource in self.resources if resource.state in states]

    @property
    def counts(self) -> dict[str, tuple[str, int]]:
        """Name and number of tables by state, without states that no table has."""
        counts = {state: (VERDICTS[state], len(self.of_state(state))) for state in VERDICTS}
        return {state: count for state, count in counts.items() if count[1]}

    @property
    def groups(self) -> dict[str, int]:
        """Number of tables by task group, if there is more than one."""
        counts = Counter(resource.group for resource in self.resources if resource.group)
        return dict(counts) if len(counts) > 1 else {}

    @property
    def progress(self) -> tuple[int, int]:
        """Tasks done and all tasks, of the active run."""
        states = list(self.running.tasks.values()) if self.running else []
        return sum(state in ("success", "failed", "skipped", "upstream_failed") for state in states), len(states)

    @property
    def chart_json(self) -> str:
        """The series as JSON for a script element, escaped so that nothing in it can end that element."""
        return json.dumps(self.chart).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def build_state(history: History, now: datetime) -> PageState:
    """What the page shows for a history at a moment."""
    over = [run for run in history.runs if run.is_over]
    running = next((run for run in history.runs if not run.is_over), None)
    if not over:
        return PageState("running" if running else "empty", running=running, of_one_run=history.of_one_run)
    newest, alike = over[0], of_one_source(over)
    reported = [run for run in alike if run.report]
    resources = [state_of(name, alike, now) for name in names_of(alike)]
    age_s = (now - newest.checked_at).total_seconds() if newest.checked_at else None
    source = next((run.source for run in alike if run.source), None)
    times = list(_streak(history.proofs, source))
    proof_age_s = (now - times[0]).total_seconds() if times else 0
    return PageState(
        kind=_kind(newest, resources, is_stale(age_s, alike)),
        newest=newest,
        running=running,
        checked_at=newest.checked_at,
        age_s=age_s,
        sentences=list(sentences_of(newest)),
        resources=resources,
        runs=len(reported),
        streak=len(times),
        streak_s=(now - times[-1]).total_seconds() if times else 0,
        proof_age_s=proof_age_s if is_stale(proof_age_s, alike) else None,
        is_demo=source == DEMO,
        of_one_run=history.of_one_run,
        chart=series(list(reversed(reported)), names_of(alike)),
        **_requests(newest),
    )


def _kind(newest: Run, resources: Sequence[ResourceState], out_of_date: bool) -> str:
    states = {resource.state for resource in resources}
    if newest.state == "failed" or FAILED in states:
        return FAILED
    if UNPROVEN in states:
        return UNPROVEN
    if not states & {PROVEN, STALE}:
        return UNCHECKED
    return STALE if out_of_date else PROVEN


def _requests(run: Run) -> dict[str, Any]:
    """Requests of a run, and their share of the API's rate limit."""
    syncs = list(run.read.values())
    if not syncs:
        return {}
    sums = {name: sum(int(sync.get(name) or 0) for sync in syncs) for name in ("requests", "expected_requests")}
    limit = max(int(sync.get("rate_limit") or 0) for sync in syncs) or None
    return {
        "requests": sums["requests"],
        "expected": sums["expected_requests"],
        "rate_limited": sum(int(sync.get("rate_limited") or 0) for sync in syncs),
        "rate_limit": limit,
        "limit_share": sums["requests"] / (limit * max(1.0, (run.length_s or 0) / MINUTE_S)) if limit else None,
    }


def _streak(proofs: Sequence[Proof], source: str | None) -> Iterator[datetime]:
    """Times of consecutive proofs, newest first, up to the first run that proved nothing.

    Runs that read nothing are passed over. Proofs of the demo do not count for an account.
    """
    for proof in proofs:
        if proof.proven is None:
            continue
        if not proof.proven or proof.source != source or proof.checked_at is None:
            break
        yield proof.checked_at
