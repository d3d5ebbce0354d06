"""What runs left in Airflow's database: their states, and the XComs of ``validate`` and of tasks that failed.

By Airflow's models, which it does not call public. Its REST API, which is, gives one XCom per request and wants a user's
token: the page would send some thousand requests to the process that it runs in, where it now asks four questions.
``tests/unit/test_private_parts.py`` says which names are relied on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api_video_airflow.runs import History, Run, proof_of

SHOWN = 48  # runs to show: two days of the hourly schedule
COUNTED = 1000  # runs in which to count consecutive proven ones
# Keys of XComs. From validate: the full report and the short proof. From a task: why it failed or skipped its table.
REPORT, PROOF, ERROR, REFUSED = "report", "proof", "error", "refused"


def read_dag_ids(session: Session) -> list[str]:
    """All DAGs in Airflow, ordered by name."""
    return list(session.scalars(select(DagModel.dag_id).where(~DagModel.is_stale).order_by(DagModel.dag_id)))


def read_history(session: Session, dag_id: str, run_id: str | None = None) -> History:
    """The latest runs of a DAG; with ``run_id`` that run and earlier ones, or none if it does not exist."""
    # Ordered by their start: the logical date of a first scheduled run lies before a run that was started by hand earlier.
    started = func.coalesce(DagRun.start_date, DagRun.queued_at, DagRun.run_after)
    query = select(DagRun).where(DagRun.dag_id == dag_id)
    if run_id:
        its_start = session.scalar(select(started).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if its_start is None:
            return History([], of_one_run=True)
        query = query.where((started < its_start) | (DagRun.run_id == run_id))
    rows = session.scalars(query.order_by(started.desc(), DagRun.id.desc()).limit(COUNTED)).all()
    left = {row.run_id: _Left() for row in rows}
    for key, task_id, value, of_run in _xcoms(session, dag_id, list(left)):
        left[of_run].take(key, task_id, value)
    runs = [
        Run(
            row.run_id,
            str(row.state),
            row.start_date,
            row.end_date,
            left[row.run_id].report,
            left[row.run_id].errors,
            left[row.run_id].refused,
            _tasks(session, row) if str(row.state) == "running" else {},
        )
        for row in rows[:SHOWN]
    ]
    proofs = [proof_of(str(row.state), left[row.run_id].proof or left[row.run_id].report) for row in rows]
    return History(runs, proofs, of_one_run=bool(run_id))


class _Left:
    """The XComs of one run."""

    def __init__(self) -> None:
        self.report: Mapping[str, Any] | None = None
        self.proof: Mapping[str, Any] | None = None
        self.errors: dict[str, str] = {}
        self.refused: dict[str, str] = {}

    def take(self, key: str, task_id: str, value: Any) -> None:
        if key in (ERROR, REFUSED):
            said = _parsed(value)
            (self.errors if key == ERROR else self.refused)[task_id] = str(value if said is None else said)
        elif isinstance(found := _parsed(value), Mapping):
            setattr(self, key, found)


def _xcoms(session: Session, dag_id: str, run_ids: Sequence[str]) -> Iterator[tuple[str, str, Any, str]]:
    """Key, task, value and run: short proofs of all runs, and everything of the runs shown."""
    of_dag = select(XComModel.key, XComModel.task_id, XComModel.value, XComModel.run_id).where(XComModel.dag_id == dag_id)
    for keys, some in (((PROOF,), run_ids), ((REPORT, ERROR, REFUSED), run_ids[:SHOWN])):
        for row in session.execute(of_dag.where(XComModel.key.in_(keys), XComModel.run_id.in_(some))):
            yield row.key, row.task_id, row.value, row.run_id


def _parsed(value: Any) -> Any:
    """The value as it was pushed: some databases and versions of Airflow return JSON as text, others as an object."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return None
    return value


def _tasks(session: Session, run: DagRun) -> dict[str, str | None]:
    query = select(TaskInstance.task_id, TaskInstance.state).where(
        TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id
    )
    return {row.task_id: row.state for row in session.execute(query)}
