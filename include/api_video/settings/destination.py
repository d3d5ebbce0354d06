"""The destination: one setting chooses among those of dlt that this package supports; DuckDB by default."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from include.api_video.errors import SettingsError
from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from include.api_video.settings.config import (
    PROJECT_DIR,
    one_of,
    values_in_environment,
    values_in_files,
    values_of,
    variable_of,
)

VARIABLE = "API_VIDEO_DESTINATION"
FOLDER = "filesystem"
DUCKDB_FILE = PROJECT_DIR / f"{DEFAULT_ACCOUNT.pipeline}.duckdb"  # dlt's own default name, in the project's folder
# The supported destinations, each with the format of the files between dlt's steps; None: dlt's own choice. For DuckDB that
# would be insert_values, which takes three times as long and up to eight times the memory. PostgreSQL needs it: CSV would
# turn an empty text into null.
DESTINATIONS: Mapping[str, Any] = {
    "duckdb": "jsonl",
    "postgres": None,
    FOLDER: None,
    "ducklake": None,
    "motherduck": None,
    "bigquery": None,
    "snowflake": None,
    "redshift": None,
    "databricks": None,
}


def destination_name() -> str:
    """The destination's type, by dlt's name.

    Raises:
        SettingsError: this package does not support it.
    """
    name = os.environ.get(VARIABLE) or next(values_in_files("api_video.destination"), None) or "duckdb"
    return one_of("destination", str(name), tuple(DESTINATIONS))


def file_format() -> Any:
    """Format of the files between dlt's steps; None: dlt's own choice."""
    return DESTINATIONS[destination_name()]


def duckdb_file() -> Path | None:
    """The DuckDB file that is set, else the project's own; None for other destinations.

    Both of dlt's spellings count: ``DESTINATION__DUCKDB__CREDENTIALS`` and ``DESTINATION__DUCKDB__CREDENTIALS__DATABASE``.

    Raises:
        SettingsError: they name different files, or something that is not a file.
    """
    if destination_name() != "duckdb":
        return None
    path = str(_duckdb_path() or DUCKDB_FILE).removeprefix("duckdb:///")
    if "://" in path or path.startswith(":"):
        raise SettingsError(
            "DESTINATION__DUCKDB__CREDENTIALS must be the path of a file, such as /data/api_video.duckdb, since each task "
            f"opens it anew. For another destination set {VARIABLE}."
        )
    return Path(path).expanduser().absolute()


def _duckdb_path() -> Any:
    setting = "destination.duckdb.credentials"
    for values in (values_in_environment, values_in_files):
        whole = [value for value in values(setting) if isinstance(value, str)]  # in a file it may be a table
        paths = dict.fromkeys([*whole[:1], *islice(values(f"{setting}.database"), 1)])
        if len(paths) > 1:
            variable = variable_of(setting)
            raise SettingsError(
                f"{variable} names {whole[0]}, and {variable}__DATABASE another file: set only one of them."
            )
        if paths:
            return next(iter(paths))
    return None


def credentials_variable() -> str:
    """Prefix of the environment variables with the destination's credentials."""
    return f"DESTINATION__{destination_name().upper()}__CREDENTIALS"


def connection_variable() -> str:
    """Prefix of the environment variables that the fields of an Airflow Connection set."""
    # For files in a bucket, the Connection also sets bucket_url, which is not part of dlt's credentials.
    return f"DESTINATION__{FOLDER.upper()}" if destination_name() == FOLDER else credentials_variable()


def credentials_of(
    host: str | None,
    login: str | None,
    password: str | None,
    schema: str | None,
    port: int | None,
    extra: Mapping[str, Any],
) -> dict[str, str]:
    """Credentials for dlt from the fields of an Airflow Connection: ``{suffix of the environment variable: value}``.

    A password that is a connection string holds them all. Otherwise login becomes dlt's username and schema its database;
    extra holds what a Connection has no field for, such as a warehouse, a role, or a storage with fields of its own.
    """
    if password and "://" in password:
        return {"": password}
    fields = {"host": host, "username": login, "password": password, "database": schema, "port": port, **extra}
    return dict(_flat("", fields))


def _flat(prefix: str, fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        path = f"{prefix}__{name.upper()}"
        if isinstance(value, Mapping):
            yield from _flat(path, value)
        elif value:
            yield path, str(value)


def local_file() -> str | None:
    """The local file that holds the destination or its catalog; None if other machines can reach the destination.

    Raises:
        SettingsError: catalog or storage is not set, or has a relative path: each task has another working folder.
    """
    if file := duckdb_file():
        return str(file)
    if destination_name() == FOLDER:
        check_storage("bucket_url")
    return lake_catalog() if destination_name() == "ducklake" else None


def lake_catalog() -> str | None:
    """DuckLake's catalog if it is a file; checks that all tasks find catalog and storage at the same place.

    Raises:
        SettingsError: catalog or storage is not set, or has a relative path.
    """
    catalog = next(values_of("destination.ducklake.credentials.catalog"), None) or ""
    is_file = catalog.startswith(("sqlite:", "duckdb:"))
    if not catalog or (is_file and ":////" not in catalog):
        raise SettingsError(
            "The destination ducklake needs its catalog: set DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG to "
            "postgres://user:password@host/database, or to a file with its full path, such as sqlite:////data/lake.sqlite."
        )
    check_storage("credentials.storage.bucket_url")
    return catalog if is_file else None


def check_storage(setting: str) -> None:
    """Checks that all tasks find the files at the same place.

    Raises:
        SettingsError: bucket or folder is not set, or has a relative path.
    """
    path = f"destination.{destination_name()}.{setting}"
    storage = next(values_of(path), None) or ""
    if not (storage.startswith("/") or ":/" in storage):
        raise SettingsError(
            f"The destination {destination_name()} needs its storage: set {variable_of(path)} to a bucket, such as "
            "s3://bucket/lake, or to a folder with its full path."
        )
