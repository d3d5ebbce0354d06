"""Alerts of the DAG ``api_video``, by Airflow's notifiers and deadlines: a run failed, its validation failed, it is late.

Nothing is added to the DAG where no alert is configured. What is added holds no setting but the minutes: a function makes
the notifier from the settings where Airflow calls it, so that no secret is in the serialized DAG.

- ``run_failed`` is called by the DAG processor, once per run and whatever made it fail. A task's own callback is not called
  where its process was killed.
- ``run_is_late`` is called by the executor, in a process that has no more than the DAG file: Airflow finds it there.
"""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from airflow import __version__
from airflow.sdk import BaseNotifier, BaseXCom
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException
from airflow.sdk.execution_time import task_runner
from airflow.sdk.log import mask_secret
from api_video_connections import find_connection
from packaging.version import Version
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential

from include.api_video.errors import SettingsError
from include.api_video.proof.alerts import SECTION, Alert, AlertSettings, failed_run, late_run, read_alert_settings
from include.api_video.settings.accounts import DEFAULT_ACCOUNT, read_accounts
from include.api_video.settings.addresses import is_local
from include.api_video.settings.schedule import Schedule, schedule_or_hourly

TIMEOUT_S = 10
ERROR = "error"  # XCom in which a failed task leaves its sentence, for `validate` and for alerts
UNFINISHED = ("queued", "running")
WATCHES_DEADLINES = Version("3.3")  # the scheduler of 3.2 ends with an error once a callback has run
log = logging.getLogger("api_video")


class WebhookError(Exception):
    """The webhook did not take the alert. The message has its host only: who knows the URL can post there."""


class WebhookNotifier(BaseNotifier):  # type: ignore[misc]
    """Posts ``{"text": ...}``, which Slack, Mattermost, Rocket.Chat and Google Chat take."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url  # no template field: those are logged and shown

    def notify(self, context: Any) -> None:
        post(self._url, {"text": str(context["alert"])})


@retry(retry=retry_if_exception_type(WebhookError), stop=stop_after_attempt(3), wait=wait_exponential(max=4), reraise=True)
def post(url: str, body: Mapping[str, str]) -> None:
    """Posts JSON; a second and a third time where that failed.

    Raises:
        WebhookError: it failed each time.
    """
    host = urlsplit(url).hostname
    # At the level DEBUG it logs path and query, which Airflow's executor prints without masking them.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)
    session = requests.Session()
    session.trust_env = not is_local(url)  # what is local is reached without a proxy, whatever HTTP_PROXY says
    try:
        status = session.post(url, json=body, timeout=TIMEOUT_S, allow_redirects=False).status_code
    except requests.RequestException as error:  # its text has the URL
        raise WebhookError(f"The webhook at {host} cannot be reached ({type(error).__name__}).") from None
    if not 200 <= status < 300:
        raise WebhookError(f"The webhook at {host} answered {status}.")


def failure_alert() -> Callable[[Any], None] | None:
    """For ``on_failure_callback`` of the DAG."""
    return run_failed if _settings_of_dag() else None


def late_alert(path: str, schedule: Schedule) -> Any:
    """For ``deadline`` of the DAG; ``path`` is where ``run_is_late`` can be imported from."""
    settings = _settings_of_dag()
    minutes = settings.late_after(schedule) if settings else 0
    if not minutes or not is_supervised() or unwatched():
        return None
    from airflow.sdk.definitions.callback import SyncCallback
    from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

    return DeadlineAlert(
        name="late",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,  # a run that was triggered by hand has no logical date
        interval=timedelta(minutes=minutes),
        # An AsyncCallback would run in the triggerer, which can import nothing from the folder of DAGs.
        callback=SyncCallback(path),
    )


def _settings_of_dag() -> AlertSettings | None:
    """A wrong setting does not break parsing: the run's first task says what is wrong."""
    try:
        return read_alert_settings()
    except SettingsError:
        return None


def is_supervised() -> bool:
    """Whether this is a process of Airflow's DAG processor or of its executor; `airflow dags test` is neither.

    Airflow 3.3's `dags test` ends in an error where a DAG that has a deadline succeeds, and nothing there would watch it.
    Airflow tells it nowhere in public: relied on is the way to the API server, which these processes have in
    ``task_runner``, and which Airflow asks for in the same manner.
    """
    return hasattr(task_runner, "SUPERVISOR_COMMS")


def unwatched() -> str | None:
    """Why deadlines cannot be watched: a callback would bring down the scheduler. None: they can."""
    from airflow.executors.executor_loader import ExecutorLoader

    if Version(__version__) < WATCHES_DEADLINES:
        return f"Airflow {__version__} cannot tell of them, {WATCHES_DEADLINES} can"
    try:
        executor, _ = ExecutorLoader.import_executor_cls(ExecutorLoader.get_executor_names(validate_teams=False)[0])
    except (ImportError, AirflowException):
        executor = None
    return None if executor and executor.supports_callbacks else "this Airflow's executor runs no callbacks"


def check_alerts() -> None:
    """Makes the notifier, so that a mistake shows before the first alert is needed.

    Raises:
        SettingsError: it cannot be made; the message says why.
    """
    settings = read_alert_settings()
    if settings is None:
        return
    make_notifier(settings)
    if settings.late_after_minutes != 0 and (reason := unwatched()):
        log.warning("No alert is sent for runs that are late: %s.", reason)


def make_notifier(settings: AlertSettings) -> Callable[[Any], Any]:
    """What sends: called with Airflow's context, in which ``alert`` is the message.

    Raises:
        SettingsError: the class cannot be imported or takes other arguments, or there is no such Connection.
    """
    if settings.notifier is None:
        url = settings.webhook_url or _url_of(str(settings.webhook_conn_id))
        mask_secret(url)
        return WebhookNotifier(url)
    try:
        factory = pkgutil.resolve_name(settings.notifier)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"{SECTION}.notifier {settings.notifier!r} cannot be imported: {error}.") from None
    try:
        made: Callable[[Any], Any] = factory(**settings.arguments)
    except TypeError as error:
        raise SettingsError(f"{SECTION}.arguments do not fit {settings.notifier}: {error}.") from None
    return made


def _url_of(conn_id: str) -> str:
    connection = find_connection(conn_id)
    if connection is None:
        raise SettingsError(f"{SECTION}.webhook_conn_id: there is no Airflow Connection {conn_id!r}.")
    password = str(connection.password or "")
    url = password if "://" in password else f"{connection.host or ''}/{password}"
    if not url.startswith(("http://", "https://")):
        raise SettingsError(f"Airflow Connection {conn_id!r} has no webhook: put its whole URL into the password.")
    return url


def run_failed(context: Any) -> None:
    """Tells that the run failed, or its validation."""
    dag_id, run_id = str(context["dag"].dag_id), str(context["run_id"])
    said = [read_xcom(context, task_id, ERROR) for task_id in ("prepare", "validate")]
    report = read_xcom(context, "validate", "report")
    send(dag_id, failed_run(run_id, run_url(dag_id, run_id), report, [str(text) for text in said if text]), context)


def read_xcom(context: Any, task_id: str, key: str) -> Any:
    """A value that a task of the run left; None where it left none."""
    dag_id, run_id = str(context["dag"].dag_id), str(context["run_id"])
    if is_supervised():
        if ti := context.get("ti"):
            return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=-1)
        # Airflow hands no task over where its newest one is in the DAG no more.
        return BaseXCom.get_one(dag_id=dag_id, run_id=run_id, task_id=task_id, key=key)
    # `airflow dags test` calls outside of every task, but beside Airflow's database.
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.scalar(XComModel.get_many(dag_ids=dag_id, run_id=run_id, task_ids=task_id, key=key))
        return XComModel.deserialize_value(found) if found else None


def run_is_late(context: Any) -> None:
    """Tells that the run is late."""
    run, settings = context["dag_run"], read_alert_settings()
    # Airflow also calls where the run failed in time: that was told.
    if settings and run["state"] in UNFINISHED:
        run_id, url = run["dag_run_id"], run_url(run["dag_id"], run["dag_run_id"])
        account = next((account for account in read_accounts() if account.dag_id == run["dag_id"]), DEFAULT_ACCOUNT)
        minutes = settings.late_after(schedule_or_hourly(account))
        send(run["dag_id"], late_run(run_id, url, minutes, is_queued=run["state"] == "queued"), context)


def send(dag_id: str, alert: Alert, context: Any) -> None:
    """Sends by what is configured. What fails here is Airflow's to log; it changes no task and no run."""
    if dag_id != DEFAULT_ACCOUNT.dag_id:
        alert = replace(alert, source=dag_id)
    settings = read_alert_settings()
    if settings is None:
        return
    context = {**context, "alert": alert}
    # `airflow dags test` passes the scheduler's DAG, with which Airflow's notifiers cannot render their templates.
    if not hasattr(context.get("dag"), "get_template_env"):
        context.pop("dag", None)
    make_notifier(settings)(context)
    log.info("An alert was sent: %s", alert)


def run_url(dag_id: str, run_id: str) -> str:
    """The run's page; empty where Airflow does not know its own address (``[api] base_url``)."""
    base_url = str(conf.get("api", "base_url", fallback=None) or "").rstrip("/")
    return f"{base_url}/dags/{dag_id}/runs/{quote(run_id, safe='')}" if base_url else ""
