"""Looking up Airflow's Connections tells three cases apart: none exists, the lookup failed, the entry is malformed.

The tests use Airflow's own backends, those of a task except the API server's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.secrets import ExecutionAPISecretsBackend
from airflow.secrets.environment_variables import EnvironmentVariablesBackend
from airflow.secrets.local_filesystem import LocalFilesystemBackend

from tests.airflow_home import PROJECT

sys.path += [str(PROJECT / "dags")]
import api_video_run
import api_video_settings
from api_video_connections import find_connection

from include.api_video.errors import MissingKeyError, SecretsBackendError, SettingsError
from include.api_video.settings.accounts import Account

KEY = "k3yOfTheCustomer"
VARIABLE = "AIRFLOW_CONN_API_VIDEO"


@pytest.fixture
def environment() -> EnvironmentVariablesBackend:
    backend = EnvironmentVariablesBackend()
    backend._set_connection_class(Connection)
    return backend


@pytest.fixture
def vault(tmp_path: Path) -> LocalFilesystemBackend:
    """An empty backend; a test may break its file."""
    (tmp_path / "vault.json").write_text("{}", encoding="utf-8")
    return LocalFilesystemBackend(connections_file_path=str(tmp_path / "vault.json"))


@pytest.mark.parametrize(
    "value",
    [f"api-video://:{KEY}@", json.dumps({"conn_type": "api_video", "password": KEY}), json.dumps({"password": KEY})],
)
def test_a_connection_is_found(environment, vault, monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    assert find_connection("api_video", [vault, environment]).password == KEY


def test_where_no_backend_has_it_there_is_none(environment, vault):
    assert find_connection("api_video", [vault, environment]) is None


def test_a_backend_that_fails_is_not_read_as_none_and_no_other_key_is_taken(environment, vault, monkeypatch, tmp_path):
    (tmp_path / "vault.json").write_text("{broken", encoding="utf-8")
    monkeypatch.setenv(VARIABLE, f"api-video://:{KEY}@")
    with pytest.raises(
        SecretsBackendError, match=r'look up the Connection "api_video": LocalFilesystemBackend failed \(\w+\)'
    ):
        find_connection("api_video", [vault, environment])


MISTAKES = {
    f"api_video://:{KEY}@": "the scheme of a URI, before ://, cannot contain an underscore",
    KEY: "the bare key",
    f'{{"conn_type": "api_video", "password": "{KEY}"': r"begins like JSON, but is malformed at line 1, column \d+",
    f'{{"conn_type": "api_video", "api_key": "{KEY}"}}': "has a field, or a kind of value, that no Connection has",
    f'{{"conn_type": "api_video", "password": "{KEY}", "port": "{KEY}"}}': "a kind of value",
    f"api-video://:{KEY}/#?@": "must be percent-encoded",
    f"api-video://:{KEY}@https://a@b:c://": "must be percent-encoded",
    f"://:{KEY}@": "must be percent-encoded",
}


@pytest.mark.parametrize("value", MISTAKES)
def test_what_is_no_connection_is_said_with_the_form_that_works_and_without_the_key(environment, monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(
        SettingsError, match=f"{VARIABLE} is not a Connection that Airflow can read: .*{MISTAKES[value]}"
    ) as raised:
        find_connection("api_video", [environment])
    message = str(raised.value)
    assert message.endswith('Write api-video://:KEY@ or, as JSON, {"conn_type": "api_video", "password": "KEY"}.')
    assert KEY not in message


@pytest.fixture
def api_server(monkeypatch: pytest.MonkeyPatch):
    """The answers of Airflow's API server to a task. They come through a supervisor, which a test does not have."""

    def answers(error: ErrorType) -> ExecutionAPISecretsBackend:
        class Supervisor:
            def send(self, message: object) -> None:
                raise AirflowRuntimeError(ErrorResponse(error=error))

        monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
        return ExecutionAPISecretsBackend()

    return answers


def test_an_api_server_that_fails_is_not_read_as_none(api_server):
    """Airflow's backend returns None for it, as for "not found", which every DAG run without a Connection covers."""
    backend = api_server(ErrorType.API_SERVER_ERROR)
    assert backend.get_connection("api_video") is None
    with pytest.raises(SecretsBackendError, match=r"Airflow's API server failed \(API_SERVER_ERROR\)"):
        find_connection("api_video", [backend])


def test_make_run_does_not_take_a_connection_that_cannot_be_read_for_none(monkeypatch):
    """Otherwise the run would load the demo in place of the account."""
    monkeypatch.setenv(VARIABLE, f"api_video://:{KEY}@")
    assert api_video_run.has_key(Account())


def test_a_connection_without_a_password_is_named_where_no_key_is_set():
    with pytest.raises(MissingKeyError, match='There is a Connection "api_video", but it has no password'):
        api_video_settings._settings_with({"api_key": "", "base_url": ""}, Account())
    with pytest.raises(MissingKeyError) as raised:
        api_video_settings._settings_with({}, Account())
    assert "has no password" not in str(raised.value)
