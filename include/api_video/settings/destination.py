"""The destination: any of dlt's, by one setting; DuckDB by default."""

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
# Destinations that this package supports, and formats of the files between dlt's steps where dlt's own choice is not best:
# for DuckDB, insert_values takes three times as long and up to eight times the memory. (For PostgreSQL it has to be: CSV
# makes null of a text without characters.)
FILE_FORMATS: Mapping[str, Any] = {
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
    """The destination's type, as dlt names it.

    Raises:
        SettingsError: it is none of those that this package supports.
    """
    name = os.environ.get(VARIABLE) or next(values_in_files("api_video.destination"), None) or "duckdb"
    return one_of("destination", str(name), tuple(FILE_FORMATS))


def file_format() -> Any:
    """Format of the files between dlt's steps; None: dlt's choice for the destination."""
    return FILE_FORMATS[destination_name()]


def duckdb_file() -> Path | None:
    """The DuckDB file, or the project's own; None where no file is loaded into.

    Both of dlt's spellings count: ``DESTINATION__DUCKDB__CREDENTIALS`` and ``DESTINATION__DUCKDB__CREDENTIALS__DATABASE``.

    Raises:
        SettingsError: they name different files, or none.
    """
    if destination_name() != "duckdb":
        return None
    path = str(_duckdb_path() or DUCKDB_FILE).removeprefix("duckdb:///")
    if "://" in path or path.startswith(":"):
        raise SettingsError(
            "DESTINATION__DUCKDB__CREDENTIALS must be the path of a file, such as /data/api_video.duckdb: each task opens "
            f"it anew. For another destination set {VARIABLE}."
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
                f"{variable} says {whole[0]}, and {variable}__DATABASE another file: leave one of them out."
            )
        if paths:
            return next(iter(paths))
    return None


def credentials_variable() -> str:
    """How the environment variables begin that hold the destination's credentials."""
    return f"DESTINATION__{destination_name().upper()}__CREDENTIALS"


def connection_variable() -> str:
    """How the environment variables begin that the fields of an Airflow Connection stand for."""
    # A folder's credentials are but a part of what is to be said of it: where it is, comes beside them.
    return f"DESTINATION__{FOLDER.upper()}" if destination_name() == FOLDER else credentials_variable()


def credentials_of(
    host: str | None,
    login: str | None,
    password: str | None,
    schema: str | None,
    port: int | None,
    extra: Mapping[str, Any],
) -> dict[str, str]:
    """The credentials that dlt wants, from the fields of an Airflow Connection, by the ends of their environment variables.

    A password that is a connection string is all of them; else the fields have dlt's names (login is the username, schema
    the database), and extra has those that a Connection has no field for, such as a warehouse or a role, or a storage with
    fields of its own.
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
    """The file of this machine that the destination or its catalog is; None where other machines reach it.

    Raises:
        SettingsError: a lake is not set, or in the working folder, which is another one for each task.
    """
    if file := duckdb_file():
        return str(file)
    if destination_name() == FOLDER:
        check_storage("bucket_url")
    return lake_catalog() if destination_name() == "ducklake" else None


def lake_catalog() -> str | None:
    """DuckLake's catalog, where it is a file; checks that the lake is where all tasks find it.

    Raises:
        SettingsError: catalog or storage are not set, or in the working folder.
    """
    catalog = next(values_of("destination.ducklake.credentials.catalog"), None) or ""
    is_file = catalog.startswith(("sqlite:", "duckdb:"))
    if not catalog or (is_file and ":////" not in catalog):
        raise SettingsError(
            "The destination ducklake needs its catalog: set DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG to "
            "postgres://user:password@host/database, or to a file with its whole path, such as sqlite:////data/lake.sqlite."
        )
    check_storage("credentials.storage.bucket_url")
    return catalog if is_file else None


def check_storage(setting: str) -> None:
    """Checks that files go where all tasks find them.

    Raises:
        SettingsError: bucket or folder is not set, or in the working folder.
    """
    path = f"destination.{destination_name()}.{setting}"
    storage = next(values_of(path), None) or ""
    if not (storage.startswith("/") or ":/" in storage):
        raise SettingsError(
            f"The destination {destination_name()} needs its storage: set {variable_of(path)} to a bucket, such as "
            "s3://bucket/lake, or to a folder with its whole path."
        )
