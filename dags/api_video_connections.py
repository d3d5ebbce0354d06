"""Looks up Airflow's Connections, and tells "there is none" from "the lookup failed".

Airflow's own ``Connection.get`` skips a secrets backend that fails and an entry that it cannot read, as if they were empty.
It would return another backend's Connection, or none, and so another key than the one intended.

Private parts of Airflow used here, the same in 3.2 and 3.3: ``ensure_secrets_backend_loaded`` (the backends in their
order), and the request by which a task asks the API server for a Connection, whose answer tells why there is none. If the
API server's own lookup fails, it answers "not found".
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.secrets import ExecutionAPISecretsBackend

from include.api_video.errors import SecretsBackendError, SettingsError

FIELDS = "conn_type, host, login, password, schema, port and extra"


def find_connection(conn_id: str, backends: Iterable[Any] | None = None) -> Any | None:
    """The Connection with this id, its secrets masked in logs; None if Airflow has none.

    Raises:
        SecretsBackendError: a backend failed before one was found. Later backends are not used instead.
        SettingsError: an entry exists, but it is not a Connection.
    """
    from airflow.sdk.log import mask_secret

    for backend in _backends() if backends is None else backends:
        if connection := _ask(backend, conn_id):
            for secret in (connection.password, connection.extra):
                if secret:
                    mask_secret(secret)
            return connection
    return None


def _backends() -> list[Any]:
    from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded

    try:
        return list(ensure_secrets_backend_loaded())
    except Exception as error:
        raise SecretsBackendError(
            f"Airflow could not start its secrets backend ({type(error).__name__}): check [secrets] backend and "
            "backend_kwargs in its configuration. Nothing was loaded."
        ) from None


def _ask(backend: Any, conn_id: str) -> Any | None:
    try:
        connection = backend.get_connection(conn_id=conn_id)
        if connection is None and isinstance(backend, ExecutionAPISecretsBackend):
            _check_not_found(conn_id)
    except Exception as error:
        if value := _entry(backend, conn_id):
            raise SettingsError(_wrong_form(_place(backend, conn_id), conn_id, value)) from None
        raise SecretsBackendError(
            f'Airflow could not look up the Connection "{conn_id}": {_name(backend)} failed ({_kind(error)}). Whether '
            "there is one is unknown, so nothing was loaded and no other key or login was used instead. If this persists, "
            "check the backend, and [secrets] backend in Airflow's configuration."
        ) from None
    # Airflow reads a URI without a valid scheme as an empty Connection without a type.
    if connection is not None and not connection.conn_type and (value := _entry(backend, conn_id)) and value[0] != "{":
        raise SettingsError(_wrong_form(_place(backend, conn_id), conn_id, value))
    return connection


def _check_not_found(conn_id: str) -> None:
    """Asks the API server again for the error: its backend returns None for every error except a refusal.

    Raises:
        AirflowRuntimeError: an error other than "not found".
    """
    from airflow.sdk.execution_time.comms import ErrorResponse, GetConnection
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    answer = SUPERVISOR_COMMS.send(GetConnection(conn_id=conn_id))
    if isinstance(answer, ErrorResponse) and answer.error != ErrorType.CONNECTION_NOT_FOUND:
        raise AirflowRuntimeError(answer)


def _entry(backend: Any, conn_id: str) -> str | None:
    """The text of a Connection in a backend; None if there is none, or the backend does not store text."""
    try:
        value = backend.get_conn_value(conn_id)
    except Exception:
        return None
    return value.strip() or None if isinstance(value, str) else None


def _place(backend: Any, conn_id: str) -> str:
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    return (
        variable
        if variable in os.environ and "Environment" in _name(backend)
        else f'The entry "{conn_id}" of {_name(backend)}'
    )


def _name(backend: Any) -> str:
    return "Airflow's API server" if isinstance(backend, ExecutionAPISecretsBackend) else type(backend).__name__


def _kind(error: Exception) -> str:
    """The kind of error, without its text, which may hold a token."""
    return str(error.error.error.value) if isinstance(error, AirflowRuntimeError) else type(error).__name__


def _wrong_form(place: str, conn_id: str, value: str) -> str:
    """The message about a malformed entry, without quoting it."""
    as_json = f'{{"conn_type": "{_conn_type(conn_id)}", "password": "KEY"}}'
    right = f"Write {_conn_type(conn_id).replace('_', '-')}://:KEY@ or, as JSON, {as_json}."
    return f"{place} is not a Connection that Airflow can read: {_mistake(value)}. {right}"


def _conn_type(conn_id: str) -> str:
    return "api_video" if conn_id.startswith("api_video") and not conn_id.endswith("_warehouse") else "generic"


def _mistake(value: str) -> str:
    scheme, colon, _ = value.partition("://")
    if value[0] == "{":
        try:
            json.loads(value)
        except ValueError as error:
            at = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "somewhere"
            return f"it begins like JSON, but is malformed at {at}"
        return f"its JSON has a field, or a kind of value, that no Connection has (the fields are {FIELDS})"
    if not colon:
        return "it is neither a URI nor JSON, perhaps the bare key"
    if "_" in scheme:
        return "the scheme of a URI, before ://, cannot contain an underscore"
    return "as a URI it is malformed; characters such as / ? # @ and % in a key must be percent-encoded"
