"""Alerts of ``airflow dags test``, received by a real webhook; those of a running Airflow: ``test_running_airflow.py``."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from include.demo_api.server import Demo
from tests.airflow_home import IS_3_3, Airflow
from tests.webhook import SECRET, Webhook, running_mail_server, running_webhook

pytestmark = pytest.mark.slow
UI = "https://airflow.example.com"
NOTIFIER = """
from pathlib import Path
from airflow.sdk import BaseNotifier

class FileNotifier(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, path, text):
        super().__init__()
        self.path, self.text = path, text

    def notify(self, context):
        with Path(self.path).open("a") as file:
            file.write(self.text + "\\n")
"""
LATE = {"dag_id": "api_video", "dag_run_id": "r1", "state": "running"}


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running_webhook() as webhook:
        yield webhook


@pytest.fixture
def environment(demo_environment: dict[str, str], webhook: Webhook) -> dict[str, str]:
    """Environment: the demo's players, and alerts to the webhook."""
    return {
        **demo_environment,
        "SOURCES__API_VIDEO_SOURCE__RESOURCES": '["players"]',
        "API_VIDEO__ALERTS__WEBHOOK_URL": webhook.url,
        "AIRFLOW__API__BASE_URL": f"{UI}/",
    }


def run_id(airflow: Airflow) -> str:
    """The id of the newest run."""
    with closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
        ((name,),) = database.execute("SELECT run_id FROM dag_run ORDER BY run_after DESC LIMIT 1").fetchall()
    return str(name)


def assert_secret_is_nowhere(airflow: Airflow, output: str) -> None:
    files = [path for path in airflow.home.rglob("*") if path.is_file()]
    assert airflow.home / "airflow.db" in files
    assert not [path for path in files if b"SECRET/who-knows" in path.read_bytes() or b"B0SECRET" in path.read_bytes()]
    assert SECRET not in output


def parsed(airflow: Airflow, **environment: str) -> tuple[bool, list[float]]:
    """What the DAG processor stores of the DAG: whether it has a failure callback, and its deadlines in seconds."""
    done = airflow.run("airflow", "dag-processor", "--num-runs", "1", **environment)
    with closing(sqlite3.connect(airflow.home / "airflow.db")) as database:
        ((dag,),) = database.execute("SELECT data FROM serialized_dag WHERE dag_id = 'api_video'").fetchall()
        deadlines = [json.loads(row[0])["__data__"] for row in database.execute("SELECT interval FROM deadline_alert")]
    assert_secret_is_nowhere(airflow, done.stdout)
    assert "has_on_failure_callback" not in json.dumps(json.loads(dag)["dag"]["tasks"])
    return "has_on_failure_callback" in json.loads(dag)["dag"], deadlines


def test_a_failed_run_is_told_once(airflow: Airflow, environment: dict[str, str], webhook: Webhook) -> None:
    wrong = {
        **environment,
        "SOURCES__API_VIDEO_SOURCE__API_KEY": "not-the-key",
        "SOURCES__API_VIDEO_SOURCE__RESOURCES": '["videos", "video_status", "players"]',
    }

    done = airflow.run("airflow", "dags", "test", "api_video", **wrong)

    assert done.returncode == 1
    (post,) = webhook.posts
    (text,) = post.values()
    first, *details, advice, run = text.split("\n")
    assert list(post) == ["text"]
    assert first == "api.video: the run failed, it did not load videos, video_status, players."
    (detail,) = details
    assert detail.startswith("videos, video_status, players: ApiVideoKeyError: api.video refused the API key (401 on ")
    assert advice == "They stay as they were; the next run catches up once the cause is gone."
    quoted = run_id(airflow).replace(":", "%3A").replace("+", "%2B")
    assert run == f"Run {run_id(airflow)}: {UI}/dags/api_video/runs/{quoted}"
    assert "not-the-key" not in text
    assert_secret_is_nowhere(airflow, done.stdout)


def test_a_check_that_fails_is_told(airflow: Airflow, environment: dict[str, str], webhook: Webhook) -> None:
    environment["SOURCES__API_VIDEO_SOURCE__RESOURCES"] = '["live_streams"]'
    good = airflow.run("python", "-m", "include.api_video", **environment)
    assert good.returncode == 0, good.stdout
    with duckdb.connect(str(airflow.file)) as connection:
        child = "api_video_data.live_streams__restreams"  # no run repairs this by itself
        connection.execute(f"UPDATE {child} SET live_stream_id = NULL WHERE _dlt_id = (SELECT min(_dlt_id) FROM {child})")

    done = airflow.run("airflow", "dags", "test", "api_video", **environment)

    assert done.returncode == 1
    (post,) = webhook.posts
    first, check, advice, run = post["text"].split("\n")
    assert re.fullmatch(r"api\.video: all tables were loaded, but 1 of \d+ checks failed\.", first)
    assert check == "live_streams: keys: expected 0 rows without live_stream_id, found 1."
    assert advice == "Trigger the DAG again; if this persists, trigger it for these tables with a full refresh."
    assert run.startswith(f"Run {run_id(airflow)}: {UI}/dags/api_video/runs/")
    assert_secret_is_nowhere(airflow, done.stdout)


def test_a_webhook_that_fails_is_loud_and_names_no_secret(
    airflow: Airflow, environment: dict[str, str], webhook: Webhook
) -> None:
    webhook.status = 404
    wrong = {**environment, "SOURCES__API_VIDEO_SOURCE__API_KEY": "not-the-key"}

    done = airflow.run("airflow", "dags", "test", "api_video", **wrong)

    assert done.returncode == 1
    assert "api.video refused the API key" in done.stdout[done.stdout.rindex("ValidationError") :]
    assert "WebhookError: The webhook at 127.0.0.1 answered 404." in done.stdout
    assert len(webhook.posts) == 3
    assert_secret_is_nowhere(airflow, done.stdout)


def test_a_webhook_that_is_not_there_is_named_by_its_host_alone(airflow: Airflow, webhook: Webhook) -> None:
    gone = f"http://127.0.0.1:9/services/{SECRET}"
    script = f"import sys; sys.path.insert(0, 'dags'); import api_video as a; a.run_is_late({{'dag_run': {LATE}}})"

    done = airflow.run("python", "-c", script, API_VIDEO__ALERTS__WEBHOOK_URL=gone)

    assert done.returncode == 1
    assert "WebhookError: The webhook at 127.0.0.1 cannot be reached (ConnectionError)." in done.stdout
    assert SECRET not in done.stdout


def test_a_notifier_is_found_by_its_path_and_its_arguments_are_templates(
    airflow: Airflow, demo_environment: dict[str, str]
) -> None:
    told = airflow.home / "told.txt"
    (airflow.home / "plugins/house_notifier.py").write_text(NOTIFIER, encoding="utf-8")
    with (airflow.home / "include/.dlt/config.toml").open("a", encoding="utf-8") as config:
        config.write('\n[api_video.alerts]\nnotifier = "house_notifier.FileNotifier"\n[api_video.alerts.arguments]\n')
        config.write(f'path = "{told}"\ntext = "{{{{ alert.event }}}} in {{{{ run_id }}}}: {{{{ alert.details[0] }}}}"\n')
    wrong = {**demo_environment, "SOURCES__API_VIDEO_SOURCE__API_KEY": "not-the-key"}
    wrong["SOURCES__API_VIDEO_SOURCE__RESOURCES"] = '["players"]'

    done = airflow.run("airflow", "dags", "test", "api_video", **wrong)

    assert done.returncode == 1
    (line,) = told.read_text(encoding="utf-8").splitlines()
    assert line.startswith(f"failed in {run_id(airflow)}: players: ApiVideoKeyError: api.video refused the API key")


def test_the_notifier_of_a_provider_sends_a_late_run_by_mail(airflow: Airflow) -> None:
    """A deadline's context has only the run, so a notifier's templates must do without the DAG."""
    arguments = {
        "to": "data@example.com",
        "from_email": "airflow@example.com",
        "subject": "{{ alert.source }}: {{ alert.summary }}",
        "html_content": "<pre>{{ alert | e }}</pre>",
    }
    late = {**LATE, "dag_id": "api_video_training"}  # one of several accounts
    script = f"import sys; sys.path.insert(0, 'dags'); import api_video as a; a.run_is_late({{'dag_run': {late}}})"
    with running_mail_server() as (port, mails):
        done = airflow.run(
            *("python", "-c", script),
            API_VIDEO__ALERTS__NOTIFIER="airflow.providers.smtp.notifications.smtp.SmtpNotifier",
            API_VIDEO__ALERTS__ARGUMENTS=json.dumps(arguments),
            AIRFLOW_CONN_SMTP_DEFAULT=f"smtp://127.0.0.1:{port}/?disable_ssl=true&disable_tls=true",
        )

    assert done.returncode == 0, done.stdout
    (mail,) = mails
    assert "api_video_training: the run is late, it has not ended 60 minutes after it" in mail.replace("\r\n ", " ")
    assert "To: data@example.com" in mail


UNSENDABLE = {
    "NOTIFIER=nowhere.Notifier": "api_video.alerts.notifier 'nowhere.Notifier' cannot be imported",
    "NOTIFIER=airflow.providers.smtp.notifications.smtp.SmtpNotifier": "arguments do not fit airflow.providers",
    "WEBHOOK_CONN_ID=nobody": "there is no Airflow Connection 'nobody'",
    "WEBHOK_URL=https://example.com": "did you mean 'webhook_url'?",
}
CHECK = """
import os, sys
sys.path.insert(0, "dags")
import api_video
from api_video_alerts import check_alerts
for setting in sys.argv[1:]:
    name, _, value = setting.partition("=")
    os.environ[f"API_VIDEO__ALERTS__{name}"] = value
    try:
        check_alerts()
    except Exception as error:
        print(setting, type(error).__name__, error, sep="|")
    del os.environ[f"API_VIDEO__ALERTS__{name}"]
"""


def test_a_setting_that_can_send_nothing_is_named(airflow: Airflow) -> None:
    done = airflow.run("python", "-c", CHECK, *UNSENDABLE)

    said = {
        setting: (kind, text) for setting, kind, text in (x.split("|", 2) for x in done.stdout.splitlines() if "|" in x)
    }
    assert list(said) == list(UNSENDABLE), done.stdout
    for setting, message in UNSENDABLE.items():
        assert said[setting][0] == "SettingsError"
        assert message in said[setting][1]


def test_such_a_setting_fails_the_run_before_any_request(
    airflow: Airflow, demo: Demo, environment: dict[str, str], webhook: Webhook
) -> None:
    environment["API_VIDEO__ALERTS__LATE_AFTER_MINUTES"] = "soon"

    done = airflow.run("airflow", "dags", "test", "api_video", **environment)

    assert done.returncode == 1
    assert demo.requests() == 0
    verdict = done.stdout[done.stdout.rindex("ValidationError") :]
    assert "api_video.alerts.late_after_minutes must be a number, not 'soon'." in verdict


@pytest.mark.parametrize("whole", [True, False])
def test_a_connection_has_the_webhook_in_its_password(airflow: Airflow, webhook: Webhook, whole: bool) -> None:
    """A Connection may hold the whole URL, or only the part after the host, as those of Airflow's Slack provider do."""
    base, _, rest = webhook.url.partition("/services/")
    connection = {"password": webhook.url} if whole else {"host": f"{base}/services", "password": rest}
    script = f"import sys; sys.path.insert(0, 'dags'); import api_video as a; a.run_is_late({{'dag_run': {LATE}}})"

    done = airflow.run(
        *("python", "-c", script),
        API_VIDEO__ALERTS__WEBHOOK_CONN_ID="house_alerts",
        AIRFLOW_CONN_HOUSE_ALERTS=json.dumps({"conn_type": "http", **connection}),
    )

    assert done.returncode == 0, done.stdout
    assert len(webhook.posts) == 1
    assert SECRET not in done.stdout


def test_a_run_that_has_ended_is_not_late(airflow: Airflow, webhook: Webhook) -> None:
    """Airflow also calls for a run that failed before its deadline, once the deadline has passed."""
    ended = {**LATE, "state": "failed"}
    script = f"import sys; sys.path.insert(0, 'dags'); import api_video as a; a.run_is_late({{'dag_run': {ended}}})"

    done = airflow.run("python", "-c", script, API_VIDEO__ALERTS__WEBHOOK_URL=webhook.url)

    assert done.returncode == 0, done.stdout
    assert webhook.posts == []


def test_nothing_is_added_to_the_dag_where_no_alert_is_configured(airflow: Airflow) -> None:
    assert parsed(airflow, API_VIDEO__ALERTS__LATE_AFTER_MINUTES="30") == (False, [])


@pytest.mark.parametrize(("minutes", "deadlines"), [("45", [45 * 60]), ("0", [])])
def test_an_alert_adds_a_callback_and_a_deadline_to_the_dag_and_none_to_its_tasks(
    airflow: Airflow, webhook: Webhook, minutes: str, deadlines: list[float]
) -> None:
    """A failed or retried task sends no alert."""
    alerts = {"API_VIDEO__ALERTS__WEBHOOK_URL": webhook.url, "API_VIDEO__ALERTS__LATE_AFTER_MINUTES": minutes}
    assert parsed(airflow, **alerts) == (True, deadlines if IS_3_3 else [])
    assert webhook.posts == []


@pytest.mark.parametrize("executor", ["airflow.executors.base_executor.BaseExecutor", "KubernetesExecutor"])
def test_no_deadline_is_set_where_the_executor_runs_no_callbacks(airflow: Airflow, webhook: Webhook, executor: str) -> None:
    """Airflow 3.3's scheduler stops at a callback that its executor does not support. (No Kubernetes is installed here.)"""
    alerts = {"API_VIDEO__ALERTS__WEBHOOK_URL": webhook.url, "AIRFLOW__CORE__EXECUTOR": executor}
    assert parsed(airflow, **alerts) == (True, [])
    script = "import sys; sys.path.insert(0, 'dags'); import api_video; from api_video_alerts import *; check_alerts()"
    said = airflow.run("python", "-c", script, **alerts).stdout
    reason = "this Airflow's executor runs no callbacks" if IS_3_3 else "cannot tell of them, 3.3 can"
    assert re.search(f"No alert is sent for runs that are late: .*{reason}", said)


def test_files_of_the_dags_folder_are_no_dags(airflow: Airflow) -> None:
    ignored = (Path("dags") / ".airflowignore").read_text(encoding="utf-8").split()
    assert sorted(path.name for path in Path("dags").glob("*.py")) == sorted(["api_video.py", *ignored])
