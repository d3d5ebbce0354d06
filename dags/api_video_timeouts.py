"""Airflow's time limits for the tasks and the run of the DAG: the last resort, since tasks limit themselves.

Each request ends within minutes, and reading ends by the number of requests due (``api/work_time.py``); both say why.
These limits catch what hangs without a request, such as a database or a disk. Only its duration tells a hang from a large
load, so the limits are generous. A task that reaches its limit is not retried within the run: the next run tries again.

The run's limit exceeds its longest chain of tasks (``prepare``, a bin, its list, that list's details, ``validate``), so
that ``validate`` always reports. If a run still reaches it, Airflow ends its tasks and fails the run.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import get_current_context

from include.api_video.api.work_time import reads_per_minute, spell, time_for
from include.api_video.errors import SettingsError
from include.api_video.settings.accounts import Account
from include.api_video.settings.settings import Settings, read_settings

# For waiting for the warehouse and a few statements.
PREPARE = VALIDATE = timedelta(hours=1)
# At production's rate limit, enough for 180,000 pages or 18 million videos; in the sandbox, for more than three million.
LIST = timedelta(hours=6)
LEVELS = 3  # resources in the longest chain: a bin, its list, details


def load_timeout(account: Account) -> timedelta:
    """Limit for the task of a resource: time for a long list, plus time for its budget of single objects."""
    settings = _settings_of_dag(account)
    per_minute = reads_per_minute(settings.environment, settings.rate_limit_reserve)
    return LIST + timedelta(seconds=time_for(settings.max_detail_requests, per_minute))


def run_timeout(account: Account) -> timedelta:
    """Limit for the whole run."""
    return PREPARE + LEVELS * load_timeout(account) + VALIDATE + timedelta(hours=1)


def _settings_of_dag(account: Account) -> Settings:
    """The settings, or the defaults if one is wrong: that must not break parsing, and the first task reports it."""
    try:
        return read_settings(account=account, needs_key=False)
    except SettingsError:
        return Settings(api_key="")


def over_time() -> str:
    """The message of a task that reached its limit."""
    task = get_current_context()["ti"].task
    allowed = spell(task.execution_timeout.total_seconds()) if task.execution_timeout else "the time that it has"
    return (
        f"{task.task_id} was ended after {allowed}. Its requests have their own limits, so it waited for something else: "
        "the warehouse, a lock on it, or a disk. Its log shows what it did last. What was loaded before stays; the next "
        "run tries again."
    )
