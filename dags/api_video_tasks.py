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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

# Before dlt is imported: its Airflow secrets provider asks for some 500 Variables per task, its helper sends telemetry
# at every parse.
os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

from airflow import __version__
from airflow.configuration import conf
from airflow.sdk import Asset, TriggerRule, get_current_context, get_parsing_context, task
from airflow.sdk.bases.operatorlink import BaseOperatorLink
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    DownstreamTasksSkipped,
)
from airflow.utils.types import DagRunType
from api_video_alerts import ERROR, check_alerts
from api_video_connections import find_connection
from api_video_form import with_params
from api_video_timeouts import PREPARE, VALIDATE, load_timeout, over_time
from api_video_workers import check_workers
from dlt.common.exceptions import MissingDependencyException
from dlt.helpers.airflow_helper import PipelineTasksGroup
from packaging.version import Version

from include.api_video.catalog.endpoints import ENDPOINTS, by_name, upstream
from include.api_video.catalog.model import Host
from include.api_video.errors import ApiVideoError, LeftOutError, MissingKeyError, PassingError, SettingsError, find_cause
from include.api_video.messages.logs import mask_logs
from include.api_video.messages.masking import hide, mask, sentence_of, traceback_of
from include.api_video.settings.accounts import DEFAULT_ACCOUNT, WAREHOUSE_CONNECTION, Account, read_accounts
from include.api_video.settings.config import use_project_config
from include.api_video.settings.demo import demo_url
from include.api_video.settings.destination import connection_variable, credentials_of, destination_name, file_format
from include.api_video.settings.settings import (
    DEFAULT_UNPROVEN_HOURS,
    Settings,
    connection_values,
    read_resources,
    read_settings,
)
from include.api_video.warehouse.destinations.errors import explained
from include.api_video.warehouse.destinations.make import make_destination
from include.api_video.warehouse.locks.table_lock import table_lock
from include.api_video.warehouse.pipelines import WORKING_FILES, make_pipeline

SYNC = "sync"  # key of the XCom in which a task that found nothing new leaves its row of the ledger
REFUSED = "refused"  # key of the XCom in which a task says why it was skipped
RETRIES = {
    "retries": 2,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
}
# A table's lock would have a second run wait for it, in a worker's place; so the scheduler does not begin its task.
ONE_AT_A_TIME = {"max_active_tis_per_dag": 1}
# The runs of a backfill have a limit of their own, whatever max_active_runs says, and each would load the same present.
RUN_TYPES = [kind.value for kind in DagRunType if kind is not DagRunType.BACKFILL_JOB]
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


def demo_tags(note: str) -> list[str]:
    """How the list of DAGs calls one that loads the demo's data, as ``note`` says. A Connection is not asked for here."""
    return ["demo data until a key is set"] if note else []


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


def prepare(account: Account, resources: Sequence[str]) -> Any:
    """The first task; it skips those of resources that were not chosen for the run, which then cost no process."""

    @task(task_id="prepare", execution_timeout=PREPARE)
    def prepare() -> None:
        """Checks the settings and creates the tables, before any request is sent."""
        from include.api_video.load.runner import prepare_warehouse

        use_airflow_logging()
        with plain_words():
            check_alerts()
            settings = run_settings(account)
            tell_source(account, settings)
            use_warehouse_connection()
            check_workers()
            prepare_warehouse(settings)
        chosen = get_current_context()["params"]["resources"]
        if left_out := [_task_id(name) for name in resources if name not in chosen]:
            raise DownstreamTasksSkipped(tasks=left_out)

    return prepare()


def load_tasks(account: Account, groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A task group for each of ``groups``, with one task per resource, each after what it needs: ``{resource: task}``.

    In the process of one task only that one is made: a pipeline of dlt takes 40 ms.
    """
    own = get_parsing_context().task_id
    chosen = {group: [name for name in names if own in (None, f"{group}.{name}")] for group, names in groups.items()}
    try:
        make_destination()
    except (SettingsError, MissingDependencyException):  # `prepare` says what is wrong
        return {}
    tasks: dict[str, Any] = {}
    with own_folders() as folder:
        made = [(_task_group(group, folder), names) for group, names in chosen.items() if names]
        use_project_config()  # the helper has dlt look for its files in the folder of DAGs
        for (group, data_dir), names in made:
            os.environ["DLT_DATA_DIR"] = data_dir  # where `add_run` wants the pipelines of a group to be
            tasks |= {name: _load_task(account, group, name, Path(data_dir, name)) for name in names}
    for name, later in tasks.items():
        for earlier in upstream(by_name()[name]):
            if earlier in tasks:
                tasks[earlier] >> later
    return tasks


def _task_group(group_id: str, folder: str) -> tuple[PipelineTasksGroup, str]:
    """A group of dlt's helper, and the folder for its pipelines, which it names at random within ``folder``."""
    group = PipelineTasksGroup(
        group_id, use_data_folder=False, local_data_folder=folder, use_task_logger=False, log_progress_period=0
    )
    return group, os.environ["DLT_DATA_DIR"]


@contextmanager
def own_folders() -> Iterator[str]:
    """A folder for dlt that is gone after the block. What the helper changed in the environment is put back.

    Nothing else is ever deleted: a folder that the user gave dlt (``DLT_DATA_DIR``, ``PIPELINES_DIR``) is not touched.
    """
    before = {name: os.environ.get(name) for name in DLT_FOLDERS}
    try:
        with TemporaryDirectory(prefix=WORKING_FILES) as folder:
            yield folder
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _load_task(account: Account, group: PipelineTasksGroup, name: str, folder: Path) -> Any:
    """The helper's task: the source, what comes before it and what after it are given to the helper.

    What has to stand around all of it is put around the task's callable, an attribute that Airflow's PythonOperator has in
    public: errors in plain words, the table's lock, and the end of a load that found nothing new. The helper has hooks for
    before (``on_before_run``) and for errors of some steps (``retry_policy``), and none for all of a run.
    """
    endpoint = by_name()[name]
    pipeline, asset = make_pipeline(name, account, pipelines_dir=str(folder)), table_asset(account, name)
    stops: list[ApiVideoError] = []  # what ended a reading early; what was read is loaded first
    (loads,) = group.add_run(
        pipeline,
        partial(_source, account, name, stops),
        on_before_run=stops.clear,  # of an attempt before
        loader_file_format=file_format(),
        pre_execute=partial(_begin, name),
        # A parent that was left out or skipped has loaded something before; a bin that failed is no reason to stop.
        trigger_rule=TriggerRule.ALL_DONE if endpoint.bin else TriggerRule.NONE_FAILED,
        execution_timeout=load_timeout(account),
        inlets=[API],
        outlets=[asset],
        doc_md=f"{endpoint.meaning}. Reads `{endpoint.path}` ({endpoint.sync.value}) into the table `{name}`.",
    )
    loads.python_callable = partial(_run, account, loads.python_callable, pipeline, folder, asset, stops)
    loads.operator_extra_links = (StateLink(),)
    return loads


def _begin(name: str, context: Any) -> None:
    """Called by Airflow before the task.

    Raises:
        AirflowFailException: ``prepare`` failed.
        AirflowSkipException: the resource was not chosen for this run.
    """
    use_airflow_logging()
    if unprepared := context["ti"].xcom_pull(task_ids="prepare", key=ERROR):  # the rule of a list with a bin lets it pass
        raise AirflowFailException(unprepared)
    if name not in context["params"]["resources"]:  # of a task that was cleared, alone
        raise AirflowSkipException(f"{name} is not among the resources of this run.")


def _source(account: Account, name: str, stops: list[ApiVideoError]) -> Any:
    """What the task loads.

    Raises:
        LeftOutError: the admin key may not read it.
    """
    from include.api_video.load.source import permitted_source

    context = get_current_context()

    return permitted_source(
        name,
        run_settings(account),
        str(context["run_id"]),
        full_refresh=context["params"]["full_refresh"],
        on_stop=stops.append,
    )


def _run(
    account: Account,
    load: Callable[[], None],
    pipeline: Any,
    folder: Path,
    asset: Asset,
    stops: list[ApiVideoError],
) -> None:
    """Runs dlt's task, and tells in the asset's event what it loaded. Airflow keeps the event where the task succeeds.

    Raises:
        AirflowFailException: it failed, and trying again cannot help.
        AirflowSkipException: the resource was left out.
    """
    from include.api_video.load.runner import in_a_sentence, unless_idle
    from include.api_video.warehouse.ledger import to_json

    context, name = get_current_context(), pipeline.pipeline_name
    ti, run_id = context["ti"], str(context["run_id"])
    # dlt looks for this folder in a pipeline that was wiped before: a retry, or the same process as another task.
    os.makedirs(os.path.join(pipeline.working_dir, "schemas"), exist_ok=True)
    try:
        with plain_words(), explained(account):
            use_warehouse_connection()
            with table_lock(pipeline, name, run_id), in_a_sentence(name):
                idle = unless_idle(load)
            if stops:
                raise stops[0]
    finally:
        # Its name was made up when the DAG was parsed, as those above it were, in which other tasks may have theirs.
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            folder.parent.rmdir()
            folder.parent.parent.rmdir()
    from include.api_video.catalog.values import now_utc
    from include.api_video.proof.report import Report, look_at

    if idle:
        ti.xcom_push(key=SYNC, value=to_json(idle))  # `validate` stores it
        report = Report(run_id, now_utc(), [idle], [])
    else:
        with plain_words():
            report = look_at(account, name, run_id)
    context["outlet_events"][asset].extra = report.summary()


def validate(account: Account, resources: Sequence[str]) -> Any:
    """The last task."""
    proven = proven_asset(account)

    @task(task_id="validate", trigger_rule=TriggerRule.ALL_DONE, execution_timeout=VALIDATE, outlets=[proven])
    def validate() -> None:
        """Proves the load of this run, and notes what it left out; fails where a check or a task before it failed."""
        from include.api_video.proof.report import check_run

        use_airflow_logging()
        context = get_current_context()
        with plain_words():
            use_warehouse_connection()
            ti, hours = context["ti"], _unproven_hours(account)
            facts = _read_errors(ti, resources), _left_out(context, resources), _read_idle(ti, resources)
            report = check_run(account, str(context["run_id"]), resources, *facts, unproven_hours=hours)
            context["ti"].xcom_push(key="report", value=report.to_json())
            context["ti"].xcom_push(key="proof", value=report.proof())
            log.info("What this run did, and whether it holds:\n%s", report)
            report.raise_if_failed()
            context["outlet_events"][proven].extra = report.summary()

    return validate()


def _unproven_hours(account: Account) -> float:
    """How long a table may stay not proven; settings that are wrong failed the tasks before."""
    try:
        return run_settings(account).unproven_hours
    except ApiVideoError:
        return DEFAULT_UNPROVEN_HOURS


def _read_errors(ti: Any, resources: Sequence[str]) -> dict[str, str]:
    """Why tasks of this run failed, as they said it themselves: ``{resource: sentence}``."""
    unprepared = ti.xcom_pull(task_ids="prepare", key=ERROR)
    said = {name: unprepared or ti.xcom_pull(task_ids=_task_id(name), key=ERROR) for name in resources}
    return {name: str(sentence) for name, sentence in said.items() if sentence}


def _read_idle(ti: Any, resources: Sequence[str]) -> list[dict[str, Any]]:
    """The ledger's rows of tasks that found nothing new."""
    from include.api_video.warehouse.ledger import from_json

    handed_on = (ti.xcom_pull(task_ids=_task_id(name), key=SYNC) for name in resources)
    return [from_json(row) for row in handed_on if row]


def _left_out(context: Any, resources: Sequence[str]) -> list[str]:
    """Resources that were not chosen for this run, that an admin key may not read, or that only the demo switched on."""
    ti, chosen = context["ti"], context["params"]["resources"]
    may_be_refused = [name for name in resources if not by_name()[name].on_by_default]
    refused = [name for name in may_be_refused if ti.xcom_pull(task_ids=_task_id(name), key=REFUSED)]
    return [name for name in resources if name not in chosen or name in refused]


def _task_id(resource: str) -> str:
    return f"{by_name()[resource].group}.{resource}"


@contextmanager
def plain_words() -> Iterator[None]:
    """Turns dlt's wrapped errors into one sentence, kept for ``validate``; only what may pass later is retried.

    Raises:
        AirflowSkipException: the resource is left out of this run.
        AirflowFailException: trying again cannot help, or took all the time that a task has.
        RuntimeError: it can, or nobody foresaw it; then the log has the traceback.
    """
    try:
        yield
    except AirflowException:
        raise
    except AirflowTaskTimeout:  # no Exception: nothing on the way took it for an error
        sentence = over_time()
        get_current_context()["ti"].xcom_push(key=ERROR, value=sentence)
        raise AirflowFailException(sentence) from None
    except Exception as error:
        cause = find_cause(error)
        ti = get_current_context()["ti"]
        if isinstance(cause, LeftOutError):
            ti.xcom_push(key=REFUSED, value=mask(str(cause)))
            raise AirflowSkipException(mask(str(cause))) from None
        if cause is None:
            log.error("This was not foreseen:\n%s", traceback_of(error))
        sentence = sentence_of(cause or error)
        ti.xcom_push(key=ERROR, value=sentence)
        again = cause is None or isinstance(cause, PassingError)
        raise (RuntimeError if again else AirflowFailException)(sentence) from None


def run_settings(account: Account) -> Settings:
    """The settings of this run: environment, Airflow Connection, files, and the trigger form; keys masked in logs.

    Raises:
        SettingsError: something is missing or wrong, or the run was given a parameter that there is not.
    """
    read_accounts()  # these two were forgiven when the DAG was parsed
    destination_name()
    settings = _settings_with(read_connection(account), account)
    for key in (settings.api_key, settings.admin_api_key):
        mask_key(key)
    return with_params(settings, get_current_context())


def tell_source(account: Account, settings: Settings) -> None:
    """Says in the log what is read, where that may surprise: the demo, or another key than that of the Connection."""
    variable = account.variable("api_key")
    key = read_connection(account).get("api_key")
    if settings.base_url == demo_url():
        log.warning(
            "This run loads demo data: no API key is set. To load your account, put its key into an Airflow Connection %s; "
            "the next run reads it.",
            account.dag_id,
        )
    elif key and key != settings.api_key:
        log.warning("The key of the Airflow Connection %s is not used: %s wins over it.", account.dag_id, variable)


def _settings_with(connection: dict[str, str], account: Account) -> Settings:
    try:
        return read_settings(connection, account=account)
    except MissingKeyError as error:
        if not connection:
            raise
        raise MissingKeyError(
            f'{error} There is a Connection "{account.dag_id}", but it has no password. (As a URI it is api-video://:KEY@ '
            "with a colon before the key.)"
        ) from None


def read_connection(account: Account) -> dict[str, str]:
    """Settings from the Airflow Connection ``api_video``: password is the key, host the base URL, extra the rest.

    Raises:
        SecretsBackendError: it could not be looked up.
        SettingsError: what is there is no Connection.
    """
    connection = find_connection(account.dag_id)
    if connection is None:
        return {}
    return connection_values(connection.host, connection.password, connection.extra_dejson, connection.port)


def use_warehouse_connection() -> None:
    """Gives this process the destination's credentials of the Airflow Connection ``api_video_warehouse``, if there is one.

    Where the environment has some, it wins; ``secrets.toml`` comes last.

    Raises:
        SecretsBackendError: it could not be looked up.
        SettingsError: what is there is no Connection.
    """
    prefix = connection_variable()
    if destination_name() == "duckdb" or any(os.environ.get(name) for name in os.environ if name.startswith(prefix)):
        return
    connection = find_connection(WAREHOUSE_CONNECTION)
    if connection is None:
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

    hide(key)
    if key:
        mask_secret(key)
        mask_secret(b64encode(f"{key}:".encode()).decode())


def use_airflow_logging() -> None:
    """Hands dlt's log lines to Airflow; from dlt's own handler they all arrive as errors. No line has a credential."""
    dlt_log = logging.getLogger("dlt")
    for handler in list(dlt_log.handlers):
        dlt_log.removeHandler(handler)
    dlt_log.propagate = True
    mask_logs()
