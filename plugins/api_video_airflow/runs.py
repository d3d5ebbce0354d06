"""Runs of the DAG as Airflow keeps them, and what the report of each says. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

SKIPPED = "skipped"  # mode of a table that a run left out, as the ledger has it
DEMO = "demo"
DEMO_SOURCES = (DEMO, "local")  # what the ledger's base_url says of the demo; the second one was said until 0.1.0


@dataclass(frozen=True)
class Run:
    """One run of the DAG.

    Attributes:
        report: what ``validate`` proved (``Report.to_json``); None where it did not get that far.
        errors: sentence by task id, of tasks that failed.
        refused: sentence by task id, of tasks that left their table out for a reason of their own.
        tasks: state by task id, None where a task has not begun; of runs that are under way.
    """

    run_id: str
    state: str
    started_at: datetime | None
    ended_at: datetime | None
    report: Mapping[str, Any] | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.state in ("success", "failed")

    @property
    def checked_at(self) -> datetime | None:
        """When its checks were made."""
        return time_of(self.report.get("checked_at")) if self.report else None

    @cached_property
    def syncs(self) -> dict[str, Mapping[str, Any]]:
        """Its rows of the ledger by table, also of tables that it left out."""
        return {str(sync["resource"]): sync for sync in (self.report or {}).get("syncs", ())}

    @cached_property
    def read(self) -> dict[str, Mapping[str, Any]]:
        """Those of the tables that it read: its figures, and what its checks are about."""
        return {name: sync for name, sync in self.syncs.items() if sync.get("mode") != SKIPPED}

    @property
    def checks(self) -> Sequence[Mapping[str, Any]]:
        """All of its checks, also of tables that it did not read."""
        return list((self.report or {}).get("checks", ()))

    @cached_property
    def made(self) -> dict[str, dict[str, Mapping[str, Any]]]:
        """Its checks by table and name."""
        tables: dict[str, dict[str, Mapping[str, Any]]] = {}
        for check in self.checks:
            tables.setdefault(str(check["table"]), {})[str(check["name"])] = check
        return tables

    @property
    def source(self) -> str | None:
        """What it read: the address of the API, or ``demo``; None where it read nothing."""
        return source_of(sync.get("base_url") for sync in self.read.values())

    @property
    def length_s(self) -> float | None:
        """How long it took."""
        return (self.ended_at - self.started_at).total_seconds() if self.started_at and self.ended_at else None


@dataclass(frozen=True)
class Proof:
    """What one run proved, in short.

    Attributes:
        proven: whether each of its checks held; None where it read nothing, or is under way: it tells neither.
        checked_at: when.
        source: what it read, as ``Run.source``.
    """

    proven: bool | None
    checked_at: datetime | None = None
    source: str | None = None


@dataclass(frozen=True)
class History:
    """Runs, newest first: ``runs`` in full, ``proofs`` of many more."""

    runs: Sequence[Run]
    proofs: Sequence[Proof] = ()
    of_one_run: bool = False


def proof_of(state: str, told: Mapping[str, Any] | None) -> Proof:
    """What a run proved, by the state that Airflow gives it and what ``validate`` told: its report, or the short of it.

    A run that told nothing and succeeded (somebody marked it so) proved nothing.
    """
    if state not in ("success", "failed"):
        return Proof(None)
    if state == "failed" or not told:
        return Proof(False)
    if "tables" in told:  # Report.proof
        proven, tables, source = bool(told["proven"]), int(told["tables"]), source_of([told.get("source")])
    else:
        run = Run("", state, None, None, told)
        proven, tables, source = all(check["passed"] is True for check in run.checks), len(run.read), run.source
    return Proof(proven if tables else None, time_of(told.get("checked_at")), source)


def source_of(base_urls: Iterable[Any]) -> str | None:
    """What was read, in one word where it is the demo."""
    found = next((str(base_url) for base_url in base_urls if base_url), None)
    return DEMO if found in DEMO_SOURCES else found


def of_one_source(newest_first: Sequence[Run]) -> list[Run]:
    """Runs without those that read something else than the newest one that read: the demo's tables gave way to others."""
    source = next((run.source for run in newest_first if run.source), None)
    return [run for run in newest_first if run.source in (source, None)]


def resource_of(task_id: str) -> str:
    """The table that a task loads."""
    return task_id.rpartition(".")[2]


def plain(said: str) -> str:
    """A sentence without the name of the error's class before it."""
    return re.sub(r"^\w+Error: ", "", said)


def time_of(text: Any) -> datetime | None:
    """A time as reports have it."""
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
