"""Checks that all of Airflow's workers can reach the destination: a DuckDB file is on one machine."""

from __future__ import annotations

from airflow.executors.executor_loader import ExecutorLoader
from airflow.sdk.exceptions import AirflowException

from include.api_video.errors import SettingsError
from include.api_video.settings.destination import VARIABLE, destination_name, local_file

ANSWER_WITHIN_S = 3.0


def check_workers() -> None:
    """Checks that tasks on all workers load into the same destination, not each into a file on its own machine.

    Raises:
        SettingsError: the destination is a file, and there are several workers, or a new one for each task.
    """
    file = local_file()
    if file is None:
        return
    for name, workers in _remote_workers().items():
        if workers is None or workers > 1:
            told = f"{workers} workers" if workers else "a machine of its own for each task"
            raise SettingsError(
                f"{name} has {told}, and the destination {destination_name()} is a file on one machine ({file}): the "
                f"others would not see what one has loaded. Set {VARIABLE} to a warehouse that they all reach, such as "
                "postgres (or ducklake with its catalog in PostgreSQL), or run this DAG with the LocalExecutor or with "
                "one worker."
            )


def _remote_workers() -> dict[str, int | None]:
    """Number of workers by remote executor; None if each task gets its own."""
    workers: dict[str, int | None] = {}
    for name in ExecutorLoader.get_executor_names(validate_teams=False):
        try:
            executor, _ = ExecutorLoader.import_executor_cls(name)
        except (ImportError, AirflowException):
            continue
        if not executor.is_local:
            workers[executor.__name__] = _celery_workers() if "Celery" in executor.__name__ else None
    return workers


def _celery_workers() -> int:
    """Number of workers that answer Celery's ping."""
    from airflow.providers.celery.executors.celery_executor import app

    return len(app.control.inspect(timeout=ANSWER_WITHIN_S).ping() or {})
