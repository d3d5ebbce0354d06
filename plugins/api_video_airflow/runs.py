"""Runs of the DAG with their reports. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

SKIPPED = "skipped"  # the ledger's mode of a table that a run left out
DEMO = "demo"
DEMO_SOURCES = (DEMO, "local")  # the demo in the ledger's base_url; "local" is from older versions


@dataclass(frozen=True)
class Run:
    """One run of the DAG.

    Attributes:
        report: the report of ``validate`` (``Report.to_json``); None if the run did not get that far.
        errors: sentence by id of each failed task.
        refused: sentence by id of each task that skipped its table itself.
        tasks: state by task id, None before it begins; only for active runs.
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
        """Whether it has ended, successfully or not."""
        return self.state in ("success", "failed")

    @property
    def checked_at(self) -> datetime | None:
        """When its checks were made."""
        return time_of(self.report.get("checked_at")) if self.report else None

    @cached_property
    def syncs(self) -> dict[str, Mapping[str, Any]]:
        """Its ledger rows by table, including tables that it left out."""
        return {str(sync["resource"]): sync for sync in (self.report or {}).get("syncs", ())}

    @cached_property
    def read(self) -> dict[str, Mapping[str, Any]]:
        """Its ledger rows of the tables that it read; its checks are about these."""
        return {name: sync for name, sync in self.syncs.items() if sync.get("mode") != SKIPPED}

    @property
    def checks(self) -> Sequence[Mapping[str, Any]]:
        """All of its checks, including tables that it did not read."""
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
        """What it read: the API's address, or ``demo``; None if it read nothing."""
        return source_of(sync.get("base_url") for sync in self.read.values())

    @property
    def length_s(self) -> float | None:
        """Its duration in seconds."""
        return (self.ended_at - self.started_at).total_seconds() if self.started_at and self.ended_at else None


@dataclass(frozen=True)
class Proof:
    """The proof of one run, in short.

    Attributes:
        proven: whether all of its checks passed; None if it read nothing or is still active.
        checked_at: when the checks were made.
        source: what it read, as in ``Run.source``.
    """

    proven: bool | None
    checked_at: datetime | None = None
    source: str | None = None


@dataclass(frozen=True)
class History:
    """Runs, newest first: ``runs`` in full, and ``proofs`` of many more."""

    runs: Sequence[Run]
    proofs: Sequence[Proof] = ()
    of_one_run: bool = False


def proof_of(state: str, told: Mapping[str, Any] | None) -> Proof:
    """The proof of a run, from its state in Airflow and the XCom of ``validate``: the full report or the short proof.

    A run that succeeded without an XCom proved nothing: somebody marked it as success.
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
    """What was read: an address, or ``demo``."""
    found = next((str(base_url) for base_url in base_urls if base_url), None)
    return DEMO if found in DEMO_SOURCES else found


def of_one_source(newest_first: Sequence[Run]) -> list[Run]:
    """The runs with the latest run's source: the demo's tables were dropped when an account was first read."""
    source = next((run.source for run in newest_first if run.source), None)
    return [run for run in newest_first if run.source in (source, None)]


def resource_of(task_id: str) -> str:
    """The table that a task loads."""
    return task_id.rpartition(".")[2]


def plain(said: str) -> str:
    """A sentence without the error's class name in front."""
    return re.sub(r"^\w+Error: ", "", said)


def time_of(text: Any) -> datetime | None:
    """A time from a report's text."""
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None
