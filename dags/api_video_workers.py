"""Whether the destination can be loaded by the workers that Airflow has: a DuckDB file is one machine's."""

from __future__ import annotations

from airflow.executors.executor_loader import ExecutorLoader
from airflow.sdk.exceptions import AirflowException

from include.api_video.errors import SettingsError
from include.api_video.settings.destination import VARIABLE, destination_name, local_file

ANSWER_WITHIN_S = 3.0


def check_workers() -> None:
    """Tasks may run on any worker: those on another machine would each load into a file of their own.

    Raises:
        SettingsError: the destination is a file, and there is more than one worker, or a new one for each task.
    """
    file = local_file()
    if file is None:
        return
    for name, workers in _remote_workers().items():
        if workers is None or workers > 1:
            told = f"{workers} workers" if workers else "a machine of its own for each task"
            raise SettingsError(
                f"{name} has {told}, and the destination {destination_name()} is a file of one machine ({file}): the "
                f"others would not see what one has loaded. Set {VARIABLE} to a warehouse that they all reach, such as "
                "postgres (or ducklake with its catalog in PostgreSQL), or run this DAG with the LocalExecutor or with "
                "one worker."
            )


def _remote_workers() -> dict[str, int | None]:
    """Workers of each executor that runs tasks elsewhere; None where their number has no meaning."""
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
    """Workers that answer Celery's ping."""
    from airflow.providers.celery.executors.celery_executor import app

    return len(app.control.inspect(timeout=ANSWER_WITHIN_S).ping() or {})
