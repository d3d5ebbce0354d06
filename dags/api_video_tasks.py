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
from urllib.parse import quote, urlencode, urlsplit

# Before dlt is imported: its Airflow secrets provider asks for some 500 Variables per task, its helper sends telemetry
# at every parse.
os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

from airflow import __version__
from airflow.configuration import conf
from airflow.sdk import Asset, Connection, TriggerRule, get_current_context, get_parsing_context, task
from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from api_video_alerts import ERROR, check_alerts
from api_video_workers import check_workers
from dlt.helpers.airflow_helper import PipelineTasksGroup
from packaging.version import Version

from include.api_video.accounts import DEFAULT_ACCOUNT, Account, read_accounts
from include.api_video.config import use_project_config
from include.api_video.destination import connection_variable, credentials_of, destination_name, file_format, understood
from include.api_video.endpoints import ENDPOINTS, Host, by_name, upstream
from include.api_video.errors import LeftOutError, PassingError, SettingsError, find_cause
from include.api_video.pipelines import make_pipeline
from include.api_video.settings import Settings, connection_values, read_resources, read_settings

WAREHOUSE_CONNECTION = "api_video_warehouse"
REFUSED = "refused"  # key of the XCom in which a task says why it was skipped
RETRIES = {
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
}
FRAMES_ADDRESSES = Version("3.3")  # 3.2 shows a plugin's first page, whatever address stands behind it
API = Asset(name="api.video", uri="https://ws.api.video")
DLT_FOLDERS = ("DLT_PROJECT_DIR", "DLT_DATA_DIR", "DLT_LOCAL_DIR")
log = logging.getLogger("api_video")

use_project_config()


def accounts_to_parse() -> list[Account]:
    """The accounts that get a DAG here: all of them, or in the process of one task only its own.

    A wrong setting does not break parsing; the run's first task says what is wrong.
    """
    own = get_parsing_context().dag_id
    try:
        accounts = read_accounts()
    except SettingsError:
        accounts = (DEFAULT_ACCOUNT,)
    return [account for account in accounts if own in (None, account.dag_id)]


def dag_resources(account: Account) -> tuple[list[str], list[str]]:
    """Resources that get a task, and those of them that are switched on. Those of the Admin API only if switched on."""
    switched_on = read_resources(account)
    shown = [e.name for e in ENDPOINTS if e.host is Host.MAIN or e.name in switched_on]
    return shown, list(switched_on)


def table_asset(account: Account, resource: str) -> Asset:
    """The table of a resource, for lineage and for DAGs that are scheduled on it: ``Asset("api_video.videos")``."""
    return Asset(name=f"{account.dag_id}.{resource}")


def proven_asset(account: Account) -> Asset:
    """All tables of an account, proven by a run: ``Asset("api_video")``."""
    return Asset(name=account.dag_id)


class StateLink(BaseOperatorLink):
    """From a task to what the page "api.video" says of its table in that run."""

    name = "State on the api.video page"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Path on Airflow's own host: the frame of Airflow around the page's address."""
        base = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
        if Version(__version__) < FRAMES_ADDRESSES:
            return f"{base}/dags/{ti_key.dag_id}/runs/{quote(ti_key.run_id, safe='')}/plugin/api_video_run"
        query = urlencode({"dag_id": ti_key.dag_id, "run_id": ti_key.run_id})
        return f"{base}/plugin/api_video/api_video/?{query}#{operator.task_id.split('.')[-1]}"


def prepare(account: Account) -> Any:
    """The first task."""

    @task(task_id="prepare")
    def prepare() -> None:
        """Checks the settings and creates the tables, before any request is sent."""
        from include.api_video.runner import prepare_warehouse

        with plain_words():
            check_alerts()
            settings = run_settings(account)
            use_warehouse_connection()
            check_workers()
            prepare_warehouse(settings)

    return prepare()


def load_tasks(account: Account, group_id: str, names: Sequence[str]) -> dict[str, Any]:
    """A task group with one task per resource, each after what it needs: ``{resource: task}``.

    In the process of one task only that one is made: a pipeline of dlt takes 40 ms.
    """
    own = get_parsing_context().task_id
    names = [name for name in names if own in (None, f"{group_id}.{name}")]
    try:
        destination_name()
    except SettingsError:  # `prepare` says what is wrong
        return {}
    if not names:
        return {}
    with own_folders():
        group = PipelineTasksGroup(group_id, use_task_logger=False, log_progress_period=0)
        use_project_config()  # the helper has dlt look for its files in the folder of DAGs
        tasks = {name: _load_task(account, group, name) for name in names}
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


def _load_task(account: Account, group: PipelineTasksGroup, name: str) -> Any:
    endpoint = by_name()[name]
    pipeline, asset = make_pipeline(name, account), table_asset(account, name)
    (loads,) = group.add_run(
        pipeline,
        partial(_source, account, name),
        loader_file_format=file_format(),
        # A parent that was left out or skipped has loaded something before; a bin that failed is no reason to stop.
        trigger_rule=TriggerRule.ALL_DONE if endpoint.bin else TriggerRule.NONE_FAILED,
        inlets=[API],
        outlets=[asset],
        doc_md=f"{endpoint.meaning}. Reads `{endpoint.path}` ({endpoint.sync.value}) into the table `{name}`.",
    )
    loads.python_callable = partial(_run, account, loads.python_callable, pipeline, asset)
    loads.operator_extra_links = (StateLink(),)
    return loads


def _source(account: Account, name: str) -> Any:
    """What the task loads.

    Raises:
        AirflowSkipException: it was not chosen for this run.
        LeftOutError: the admin key may not read it.
    """
    context = get_current_context()
    if name not in context["params"]["resources"]:
        raise AirflowSkipException(f"{name} is not among the resources of this run.")
    from include.api_video.source import permitted_source

    return permitted_source(
        name, run_settings(account), str(context["run_id"]), full_refresh=context["params"]["full_refresh"]
    )


def _run(account: Account, load: Callable[[], None], pipeline: Any, asset: Asset) -> None:
    """Runs dlt's task, and tells in the asset's event what it loaded. Airflow keeps the event where the task succeeds.

    Raises:
        AirflowFailException: it failed, and trying again cannot help.
        AirflowSkipException: the resource was left out.
    """
    from include.api_video.runner import in_a_sentence

    use_airflow_logging()
    ti = get_current_context()["ti"]
    if unprepared := ti.xcom_pull(task_ids="prepare", key=ERROR):  # the trigger rule of a list with a bin lets it pass
        raise AirflowFailException(unprepared)
    # dlt looks for this folder in a pipeline that was wiped before: a retry, or the same process as another task.
    os.makedirs(os.path.join(pipeline.working_dir, "schemas"), exist_ok=True)
    try:
        with plain_words(), understood():
            use_warehouse_connection()
            with in_a_sentence(pipeline.pipeline_name):
                load()
    finally:
        shutil.rmtree(Path(pipeline.pipelines_dir).parent, ignore_errors=True)
    from include.api_video.report import look_at

    context = get_current_context()
    report = look_at(account, pipeline.pipeline_name, str(context["run_id"]))
    context["outlet_events"][asset].extra = report.summary()


def validate(account: Account, resources: Sequence[str]) -> Any:
    """The last task."""
    proven = proven_asset(account)

    @task(task_id="validate", trigger_rule=TriggerRule.ALL_DONE, outlets=[proven])
    def validate() -> None:
        """Proves the load of this run, and notes what it left out; fails where a check or a task before it failed."""
        from include.api_video.report import check_run

        use_airflow_logging()
        context = get_current_context()
        with plain_words():
            use_warehouse_connection()
            errors, left_out = _read_errors(context["ti"], resources), _left_out(context, resources)
            report = check_run(account, str(context["run_id"]), resources, errors, left_out)
            context["ti"].xcom_push(key="report", value=report.to_json())
            log.info("What this run did, and whether it holds:\n%s", report)
            report.raise_if_failed()
            context["outlet_events"][proven].extra = report.summary()

    return validate()


def _read_errors(ti: Any, resources: Sequence[str]) -> dict[str, str]:
    """Why tasks of this run failed, as they said it themselves: ``{resource: sentence}``."""
    unprepared = ti.xcom_pull(task_ids="prepare", key=ERROR)
    said = {name: unprepared or ti.xcom_pull(task_ids=_task_id(name), key=ERROR) for name in resources}
    return {name: str(sentence) for name, sentence in said.items() if sentence}


def _left_out(context: Any, resources: Sequence[str]) -> list[str]:
    """Resources that were not chosen for this run, or that an admin key may not read."""
    ti, chosen = context["ti"], context["params"]["resources"]
    of_admin = [name for name in resources if by_name()[name].host is Host.ADMIN]
    refused = [name for name in of_admin if ti.xcom_pull(task_ids=_task_id(name), key=REFUSED)]
    return [name for name in resources if name not in chosen or name in refused]


def _task_id(resource: str) -> str:
    return f"{by_name()[resource].group}.{resource}"


@contextmanager
def plain_words() -> Iterator[None]:
    """Turns dlt's wrapped errors into one sentence, kept for ``validate``; only what may pass later is retried.

    Raises:
        AirflowSkipException: the resource is left out of this run.
        AirflowFailException: trying again cannot help.
        RuntimeError: it can.
    """
    try:
        yield
    except AirflowException:
        raise
    except Exception as error:
        cause = find_cause(error)
        if cause is None:
            raise
        ti = get_current_context()["ti"]
        if isinstance(cause, LeftOutError):
            ti.xcom_push(key=REFUSED, value=str(cause))
            raise AirflowSkipException(str(cause)) from None
        sentence = f"{type(cause).__name__}: {cause}"
        ti.xcom_push(key=ERROR, value=sentence)
        raise (RuntimeError if isinstance(cause, PassingError) else AirflowFailException)(sentence) from None


def run_settings(account: Account) -> Settings:
    """The settings of this run: environment, Airflow Connection, files, and the trigger form; keys masked in logs."""
    read_accounts()  # these two were forgiven when the DAG was parsed
    destination_name()
    settings = read_settings(read_connection(account), account=account)
    for key in (settings.api_key, settings.admin_api_key):
        mask_key(key)
    share = get_current_context()["params"]["max_removed_share"]
    return settings if share is None else replace(settings, max_removed_share=float(share))


def read_connection(account: Account) -> dict[str, str]:
    """Settings from the Airflow Connection ``api_video``: password is the key, host the base URL, extra the rest."""
    try:
        connection = Connection.get(account.dag_id)
    except AirflowException:
        return {}
    return connection_values(connection.host, connection.password, connection.extra_dejson, connection.port)


def use_warehouse_connection() -> None:
    """Gives this process the destination's credentials of the Airflow Connection ``api_video_warehouse``, if there is one.

    Where the environment has some, it wins; ``secrets.toml`` comes last.
    """
    prefix = connection_variable()
    if destination_name() == "duckdb" or any(os.environ.get(name) for name in os.environ if name.startswith(prefix)):
        return
    try:
        connection = Connection.get(WAREHOUSE_CONNECTION)
    except AirflowException:
        return
    mask_key(connection.password)
    values = credentials_of(
        connection.host,
        connection.login,
        connection.password,
        connection.schema,
        connection.port,
        connection.extra_dejson,
    )
    os.environ.update({prefix + name: value for name, value in values.items()})


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
