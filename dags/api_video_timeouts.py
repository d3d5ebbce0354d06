"""How long Airflow lets the tasks and the run of the DAG ``api_video`` take: the net below what they limit themselves.

A request ends within minutes, reading by the work that is due (``api/work_time.py``), both with a sentence.
What is left is what hangs without a request: a database that never answers, a disk. It cannot be told from a large load but
by its length, so these times are generous, and a task that used its time up is not tried again within its run: the next run
is the next try.

The run's own limit is longer than the longest way through its tasks (``prepare``, a bin, its list, that list's details,
``validate``), so that ``validate`` always tells what became of it. When it is reached all the same, Airflow ends what still
runs and fails the run.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import get_current_context

from include.api_video.api.work_time import reads_per_minute, spell, time_for
from include.api_video.errors import SettingsError
from include.api_video.settings.accounts import Account
from include.api_video.settings.settings import Settings, read_settings

# Waiting for the warehouse, and a few statements in it.
PREPARE = VALIDATE = timedelta(hours=1)
# A first load: 180,000 pages, 18 million videos, at production's limit; a million in sandbox, more than three times over.
LIST = timedelta(hours=6)
LEVELS = 3  # tasks of resources that wait for each other, at most


def load_timeout(account: Account) -> timedelta:
    """Of the task of a resource: a long list's, and what its budget of single objects may take."""
    settings = _settings_of_dag(account)
    per_minute = reads_per_minute(settings.environment, settings.rate_limit_reserve)
    return LIST + timedelta(seconds=time_for(settings.max_detail_requests, per_minute))


def run_timeout(account: Account) -> timedelta:
    """Of the whole run."""
    return PREPARE + LEVELS * load_timeout(account) + VALIDATE + timedelta(hours=1)


def _settings_of_dag(account: Account) -> Settings:
    """A wrong setting does not break parsing: the run's first task says what is wrong."""
    try:
        return read_settings(account=account, needs_key=False)
    except SettingsError:
        return Settings(api_key="")


def over_time() -> str:
    """What a task says that has used its time up."""
    task = get_current_context()["ti"].task
    allowed = spell(task.execution_timeout.total_seconds()) if task.execution_timeout else "the time that it has"
    return (
        f"{task.task_id} was ended after {allowed}. Its requests end by themselves, so it waited for something else: the "
        "warehouse, a lock on it, or a disk. Its log tells what it did last. What was loaded before stays; the next run "
        "tries again."
    )
