"""Imports what every task imports once, in the processes that tasks are forked from.

Each task of Airflow is a process of its own, forked from the scheduler's LocalExecutor; each parse of a DAG file from the
dag processor. What they inherit they need not import: an hourly run in which nothing changed would spend most of its time
on importing dlt nine times. Only packages that are installed, never code of this project: that may change at any time.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module

from airflow.listeners import hookimpl

FORKING = ("airflow.jobs.scheduler_job_runner", "airflow.jobs.dag_processor_job_runner")
INHERITED = (
    "dlt",
    "dlt.helpers.airflow_helper",
    "dlt.destinations.impl.duckdb.duck",
    "dlt.sources.rest_api",
    "duckdb",
    "tabulate",
)
ON_THE_WAY = ("pandas",)  # DuckDB imports it where it is installed; the package does without
log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: object) -> None:  # noqa: ARG001 (the name is Airflow's)
    """Called when a component of Airflow starts, before it forks. A package that is missing is not missed here."""
    if any(name in sys.modules for name in FORKING):
        for name in (*INHERITED, *ON_THE_WAY):
            try:
                import_module(name)
            except ImportError as error:
                if name in INHERITED:
                    log.warning("%s cannot be imported ahead: %s", name, error)
