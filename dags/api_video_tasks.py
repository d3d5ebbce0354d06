"""The tasks of the DAG ``api_video``: what Airflow needs around the source in ``include/api_video``.

dlt's ``PipelineTasksGroup`` makes one task per pipeline. Around it this module puts what it lacks: settings from an
Airflow Connection, choices of the trigger form, errors in plain words that are retried only where that can help, logs at
their levels, no folders left behind.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
)
from airflow.utils.types import DagRunType
from api_video_alerts import ERROR, check_alerts
from api_video_errors import REFUSED, plain_words
from api_video_settings import run_settings, tell_source, use_warehouse_connection
from api_video_timeouts import PREPARE, VALIDATE, load_timeout
from api_video_workers import check_workers
from dlt.common.exceptions import MissingDependencyException
from dlt.helpers.airflow_helper import PipelineTasksGroup
from packaging.version import Version

from include.api_video.catalog.endpoints import ENDPOINTS, by_name, upstream
from include.api_video.catalog.model import Host
from include.api_video.errors import ApiVideoError, SettingsError
from include.api_video.messages.logs import mask_logs
from include.api_video.settings.accounts import DEFAULT_ACCOUNT, Account, read_accounts
from include.api_video.settings.config import use_project_config
from include.api_video.settings.destination import file_format
from include.api_video.settings.settings import (
    DEFAULT_UNPROVEN_HOURS,
    read_resources,
)
from include.api_video.warehouse.destinations.errors import explained
from include.api_video.warehouse.destinations.make import make_destination
from include.api_video.warehouse.locks.table_lock import table_lock
from include.api_video.warehouse.pipelines import WORKING_FILES, make_pipeline

SYNC = "sync"  # key of the XCom in which a task that found nothing new leaves its row of the ledger
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
    from include.api_video.catalog.storable import now_utc
    from include.api_video.proof.report import Report, check_resource

    if idle:
        ti.xcom_push(key=SYNC, value=to_json(idle))  # `validate` stores it
        report = Report(run_id, now_utc(), [idle], [])
    else:
        with plain_words():
            report = check_resource(account, name, run_id)
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
    if unprepared := ti.xcom_pull(task_ids="prepare", key=ERROR):
        return dict.fromkeys(resources, str(unprepared))
    return {name: str(sentence) for name, sentence in _left_by_tasks(ti, ERROR, resources).items()}


def _read_idle(ti: Any, resources: Sequence[str]) -> list[dict[str, Any]]:
    """The ledger's rows of tasks that found nothing new."""
    from include.api_video.warehouse.ledger import from_json

    return [from_json(row) for row in _left_by_tasks(ti, SYNC, resources).values()]


def _left_out(context: Any, resources: Sequence[str]) -> list[str]:
    """Resources that were not chosen for this run, that an admin key may not read, or that only the demo switched on."""
    ti, chosen = context["ti"], context["params"]["resources"]
    refused = _left_by_tasks(ti, REFUSED, [name for name in resources if not by_name()[name].on_by_default])
    return [name for name in resources if name not in chosen or name in refused]


def _left_by_tasks(ti: Any, key: str, resources: Sequence[str]) -> dict[str, Any]:
    """What the tasks of resources left in an XCom: ``{resource: value}``, without those that left nothing."""
    found = {name: ti.xcom_pull(task_ids=_task_id(name), key=key) for name in resources}
    return {name: value for name, value in found.items() if value}


def _task_id(resource: str) -> str:
    return f"{by_name()[resource].group}.{resource}"


def use_airflow_logging() -> None:
    """Hands dlt's log lines to Airflow; from dlt's own handler they all arrive as errors. No line has a credential."""
    dlt_log = logging.getLogger("dlt")
    for handler in list(dlt_log.handlers):
        dlt_log.removeHandler(handler)
    dlt_log.propagate = True
    mask_logs()
