"""Imports the packages of every task in advance, in the processes that fork tasks.

Airflow forks each task from the scheduler's LocalExecutor, and each parse of a DAG file from the dag processor. A fork
inherits modules and need not import them. Otherwise, an hourly run without changes would spend most of its time importing
dlt nine times. Only installed packages are imported here, never this project's code, which may change at any time.
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
ON_THE_WAY = ("pandas",)  # DuckDB imports it if it is installed; this package does not need it
log = logging.getLogger(__name__)


@hookimpl
def on_starting(component: object) -> None:  # noqa: ARG001 (the name is Airflow's)
    """Called when a component of Airflow starts, before it forks. A missing package is no error here."""
    if any(name in sys.modules for name in FORKING):
        for name in (*INHERITED, *ON_THE_WAY):
            try:
                import_module(name)
            except ImportError as error:
                if name in INHERITED:
                    log.warning("%s cannot be imported ahead: %s", name, error)
