"""What runs left in Airflow's database: their states, and the XComs of ``validate`` and of tasks that failed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api_video_airflow.state import History, Run

SHOWN = 48  # runs: two days of the hourly schedule
COUNTED = 1000  # runs that the unbroken row of proven ones is counted in
REPORT, ERROR = "report", "error"  # keys of XComs


def read_dag_ids(session: Session) -> list[str]:
    """The DAGs that Airflow has, in the order of their names."""
    return list(session.scalars(select(DagModel.dag_id).where(~DagModel.is_stale).order_by(DagModel.dag_id)))


def read_history(session: Session, dag_id: str, run_id: str | None = None) -> History:
    """The newest runs of a DAG; with ``run_id`` that run and those before it, or none where there is no such run."""
    # As they ran: the schedule's first run belongs to an hour before the run that somebody started by hand.
    started = func.coalesce(DagRun.start_date, DagRun.queued_at, DagRun.run_after)
    query = select(DagRun).where(DagRun.dag_id == dag_id)
    if run_id:
        its_start = session.scalar(select(started).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if its_start is None:
            return History([], of_one_run=True)
        query = query.where((started < its_start) | (DagRun.run_id == run_id))
    rows = session.scalars(query.order_by(started.desc(), DagRun.id.desc()).limit(COUNTED)).all()
    shown = rows[:SHOWN]
    reports, errors = _xcoms(session, dag_id, [row.run_id for row in shown])
    runs = [
        Run(
            row.run_id,
            str(row.state),
            row.start_date,
            row.end_date,
            reports.get(row.run_id),
            errors.get(row.run_id, {}),
            _tasks(session, row) if str(row.state) == "running" else {},
        )
        for row in shown
    ]
    return History(runs, [(str(row.state), row.start_date, row.end_date) for row in rows], of_one_run=bool(run_id))


def _xcoms(
    session: Session, dag_id: str, run_ids: Iterable[str]
) -> tuple[dict[str, Mapping[str, Any]], dict[str, dict[str, str]]]:
    query = select(XComModel.run_id, XComModel.task_id, XComModel.key, XComModel.value).where(
        XComModel.dag_id == dag_id, XComModel.run_id.in_(list(run_ids)), XComModel.key.in_((REPORT, ERROR))
    )
    reports: dict[str, Mapping[str, Any]] = {}
    errors: dict[str, dict[str, str]] = {}
    for run_id, task_id, key, value in session.execute(query):
        if key == ERROR:
            errors.setdefault(run_id, {})[task_id] = str(value).strip('"')
        elif isinstance(report := _parsed(value), Mapping):
            reports[run_id] = report
    return reports, errors


def _parsed(value: Any) -> Any:
    """A value as it was pushed: databases and versions of Airflow keep JSON as text or as an object."""
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
