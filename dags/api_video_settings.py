"""The settings of a run, and where its keys come from: environment, Airflow Connections, files, the trigger form."""

from __future__ import annotations

import logging
import os
from base64 import b64encode

from airflow.sdk import get_current_context
from api_video_connections import find_connection
from api_video_form import with_params

from include.api_video.errors import MissingKeyError
from include.api_video.messages.masking import hide
from include.api_video.settings.accounts import WAREHOUSE_CONNECTION, Account, read_accounts
from include.api_video.settings.demo import demo_url
from include.api_video.settings.destination import connection_variable, credentials_of, destination_name
from include.api_video.settings.settings import Settings, connection_values, read_settings

log = logging.getLogger("api_video")


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
