"""The page's messages that depend on a run. Fixed text: ``templates/page.html``; notes of checks: ``proof/checks``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from api_video_airflow.runs import Run, plain, resource_of

SYNCED = "synced"
FAILED, UNPROVEN, UNCHECKED, STALE, PROVEN = "failed", "unproven", "unchecked", "stale", "proven"
VERDICTS = {
    FAILED: "failed",
    UNPROVEN: "not proven",
    UNCHECKED: "not checked",
    STALE: "out of date",
    PROVEN: "equal",
}
SORRY = {
    401: "Log in to Airflow to see this page.",
    403: "You may not read this DAG. Ask whoever runs this Airflow for the permission.",
    404: "This run is not one of api.video: the page shows runs of its own DAGs only.",
}


class CheckState(Protocol):
    """A check in the latest run (``tables``)."""

    @property
    def name(self) -> str: ...

    @property
    def passed(self) -> bool | None: ...

    @property
    def note(self) -> str: ...

    @property
    def is_current(self) -> bool: ...


def reason_for(name: str, state: str, checks: Sequence[CheckState], sync: Mapping[str, Any], newest: Run) -> str:
    """Why a table is in this state; empty if it is proven."""
    if state == FAILED:
        broken = [check.name for check in checks if check.is_current and check.passed is False]
        if SYNCED in broken:
            return (
                "Its task failed after the load." if name in newest.read else "Not loaded: its task failed or did not run."
            )
        if sync.get("unproven") and name in newest.read:  # for longer than unproven_hours
            return f"Not proven for too long: {sync['unproven']}"
        if broken == ["rejected"]:
            return " ".join(check.note for check in checks if check.name == "rejected")
        return f"Does not hold: {', '.join(broken)}."
    if state == UNPROVEN:
        notes = [check.note for check in checks if check.is_current and check.passed is None and check.note]
        return str(sync.get("unproven") or " ".join(dict.fromkeys(notes)) or "Its proof is still to come.")
    if state == UNCHECKED:
        return _why_unchecked(name, newest)
    return "No run has read it since." if state == STALE else ""


def _why_unchecked(name: str, newest: Run) -> str:
    said = {resource_of(task_id): plain(sentence) for task_id, sentence in newest.errors.items()}
    refused = {resource_of(task_id): sentence for task_id, sentence in newest.refused.items()}
    if newest.report is None:
        return f"Its task failed: {said[name]}" if name in said else "validate did not run, or failed itself."
    if name in refused:
        return refused[name]
    return "Left out of this run." if name in newest.syncs else "This run has no task for it."


def sentences_of(run: Run) -> Iterator[str]:
    """What went wrong in a run: failed checks, with tables that failed alike in one sentence; else the errors of tasks."""
    tables: dict[str, list[str]] = {}
    for check in run.checks:
        if check["passed"] is False:
            said = str(check["note"]) if check["name"] == SYNCED and check["note"] else _verdict(check)
            tables.setdefault(plain(said), []).append(str(check["table"]))
    for sentence, names in tables.items():
        yield f"{', '.join(names)}: {sentence}"
    if not tables and run.state == "failed":
        yield from dict.fromkeys(map(plain, run.errors.values()))
        if not run.errors:
            yield "The run ended before it could say why: see the logs of its tasks in Airflow, then trigger it again."


def _verdict(check: Mapping[str, Any]) -> str:
    return f"{check['name']}: expected {check['expected']}, found {check['found']}. {check['note']}".strip()
