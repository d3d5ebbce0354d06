"""The tasks of the DAG ``api_video``: what Airflow needs around the source in ``include/api_video``.

dlt's ``PipelineTasksGroup`` makes one task per pipeline. Around it this module puts what it lacks: settings from an
Airflow Connection, choices of the trigger form, errors in plain words that are retried only where that can help, logs at
their levels, no folders left behind.
"""

from __future__ import annotations

import logging
import os
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

# Before dlt is imported: its Airflow secrets provider asks for some 500 Variables per task, its helper sends telemetry
# at every parse.
os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

from airflow.sdk import Connection, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from dlt.helpers.airflow_helper import PipelineTasksGroup

from include.api_video.endpoints import ENDPOINTS, Host, by_name, upstream
from include.api_video.errors import PassingError, find_cause
from include.api_video.pipelines import FILE_FORMAT, make_pipeline
from include.api_video.settings import Settings, read_resources, read_settings, use_project_config

ERROR = "error"  # XCom in which a failed task leaves its sentence for `validate`
CONNECTION_ID = "api_video"
RETRIES = {
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
}
DLT_FOLDERS = ("DLT_PROJECT_DIR", "DLT_DATA_DIR", "DLT_LOCAL_DIR")
log = logging.getLogger("api_video")

use_project_config()


def dag_resources() -> tuple[list[str], list[str]]:
    """Resources that get a task, and those of them that are switched on. Those of the Admin API only if switched on."""
    switched_on = read_resources()
    shown = [e.name for e in ENDPOINTS if e.host is Host.MAIN or e.name in switched_on]
    return shown, list(switched_on)


@task
def prepare() -> None:
    """Checks the settings and creates the tables, before any request is sent."""
    from api_video_alerts import check_alerts

    from include.api_video.runner import prepare_warehouse

    with plain_words():
        check_alerts()
        prepare_warehouse(run_settings())


def load_tasks(group_id: str, names: Sequence[str]) -> dict[str, Any]:
    """A task group with one task per resource, each after what it needs: ``{resource: task}``."""
    with own_folders():
        group = PipelineTasksGroup(group_id, use_task_logger=False, log_progress_period=0)
        use_project_config()  # the helper has dlt look for its files in the folder of DAGs
        tasks = {name: _load_task(group, name) for name in names}
        shutil.rmtree(os.environ["DLT_DATA_DIR"], ignore_errors=True)  # each parse would leave one behind
    for name, later in tasks.items():
        for earlier in upstream(by_name()[name]):
            if earlier in tasks:
                tasks[earlier] >> later
    return tasks


@contextmanager
def own_folders() -> Iterator[None]:
    """Puts dlt's folders back after the helper has changed them in the environment of the whole process."""
    before = {name: os.environ.get(name) for name in DLT_FOLDERS}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        use_project_config()


def _load_task(group: PipelineTasksGroup, name: str) -> Any:
    endpoint = by_name()[name]
    pipeline = make_pipeline(name)
    skipped: list[str] = []
    (loads,) = group.add_run(
        pipeline,
        partial(_source, name, skipped),
        loader_file_format=FILE_FORMAT,
        # A parent that was left out or skipped has loaded something before; a bin that failed is no reason to stop. (After
        # a `prepare` that failed the task says the same sentence once more: no rule fits both.)
        trigger_rule=TriggerRule.ALL_DONE if endpoint.bin else TriggerRule.NONE_FAILED,
        doc_md=f"{endpoint.meaning}. Reads `{endpoint.path}` ({endpoint.sync.value}) into the table `{name}`.",
    )
    loads.python_callable = partial(_run, loads.python_callable, pipeline, skipped)
    return loads


def _source(name: str, skipped: list[str]) -> Any:
    """What the task loads: the resource, or where it is left out, only its row in the ledger."""
    from include.api_video.source import api_video_source, permitted_source

    context = get_current_context()
    params, settings, run_id = context["params"], run_settings(), str(context["run_id"])
    if name not in params["resources"]:
        skipped.append(f"{name} is not among the resources of this run.")
        return api_video_source([name], settings=settings, run_id=run_id, skipped=True)
    source, left_out = permitted_source(name, settings, run_id, full_refresh=params["full_refresh"])
    if left_out:
        skipped.append(left_out)
    return source


def _run(load: Callable[[], None], pipeline: Any, skipped: list[str]) -> None:
    """Runs dlt's task.

    Raises:
        AirflowFailException: it failed, and trying again cannot help.
        AirflowSkipException: the resource was left out.
    """
    skipped.clear()
    use_airflow_logging()
    # dlt looks for this folder in a pipeline that was wiped before: a retry, or the same process as another task.
    os.makedirs(os.path.join(pipeline.working_dir, "schemas"), exist_ok=True)
    try:
        with plain_words():
            load()
    finally:
        shutil.rmtree(Path(pipeline.pipelines_dir).parent, ignore_errors=True)
    if skipped:
        raise AirflowSkipException(skipped[0])


@task(trigger_rule=TriggerRule.ALL_DONE)
def validate(resources: list[str]) -> None:
    """Proves the load of this run; fails where a check or a task before it failed."""
    from include.api_video.report import check_run

    use_airflow_logging()
    context = get_current_context()
    with plain_words():
        report = check_run(str(context["run_id"]), resources, _read_errors(context["ti"], resources))
        context["ti"].xcom_push(key="report", value=report.to_json())
        log.info("What this run did, and whether it holds:\n%s", report)
        report.raise_if_failed()


def _read_errors(ti: Any, resources: Sequence[str]) -> dict[str, str]:
    """Why tasks of this run failed, as they said it themselves: ``{resource: sentence}``."""
    unprepared = ti.xcom_pull(task_ids="prepare", key=ERROR)
    tasks = {name: f"{by_name()[name].group}.{name}" for name in resources}
    said = {name: unprepared or ti.xcom_pull(task_ids=task_id, key=ERROR) for name, task_id in tasks.items()}
    return {name: str(sentence) for name, sentence in said.items() if sentence}


@contextmanager
def plain_words() -> Iterator[None]:
    """Turns dlt's wrapped errors into one sentence; only what may pass later is left for Airflow to retry."""
    try:
        yield
    except AirflowException:
        raise
    except Exception as error:
        cause = find_cause(error)
        if cause is None:
            raise
        sentence = f"{type(cause).__name__}: {cause}"
        get_current_context()["ti"].xcom_push(key=ERROR, value=sentence)
        raise (RuntimeError if isinstance(cause, PassingError) else AirflowFailException)(sentence) from None


def run_settings() -> Settings:
    """The settings of this run: environment, Airflow Connection, files, and the trigger form; keys masked in logs."""
    settings = read_settings(read_connection())
    for key in (settings.api_key, settings.admin_api_key):
        mask_key(key)
    share = get_current_context()["params"]["max_removed_share"]
    return settings if share is None else replace(settings, max_removed_share=float(share))


def read_connection() -> dict[str, str]:
    """Settings from the Airflow Connection ``api_video``: password is the key, host the base URL, extra the rest."""
    try:
        connection = Connection.get(CONNECTION_ID)
    except AirflowException:
        return {}
    extra = {str(name): str(value) for name, value in connection.extra_dejson.items()}
    host = connection.host or ""
    if host and "://" not in host:
        host = f"https://{host}"
    return {**extra, "api_key": connection.password or "", "base_url": host}


def mask_key(key: str | None) -> None:
    """Has Airflow print ``***`` for a key, and for the form in which it is sent."""
    from airflow.sdk.log import mask_secret

    if key:
        mask_secret(key)
        mask_secret(b64encode(f"{key}:".encode()).decode())


def use_airflow_logging() -> None:
    """Hands dlt's log lines to Airflow; from dlt's own handler they all arrive as errors."""
    dlt_log = logging.getLogger("dlt")
    for handler in list(dlt_log.handlers):
        dlt_log.removeHandler(handler)
    dlt_log.propagate = True
