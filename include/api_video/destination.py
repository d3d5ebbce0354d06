"""The destination: any of dlt's, by one setting; DuckDB by default."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from copy import copy
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from dlt.common.destination import Destination
from dlt.common.exceptions import MissingDependencyException

from include.api_video.accounts import DEFAULT_ACCOUNT
from include.api_video.config import (
    PROJECT_DIR,
    one_of,
    state_of_settings,
    values_in_environment,
    values_in_files,
    values_of,
    variable_of,
)
from include.api_video.errors import SettingsError

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


def check_settings() -> None:
    """Checks what is known before the destination is asked.

    Raises:
        SettingsError: a setting of a file or of a lake is missing or malformed.
    """
    local_file()
    if destination_name() in ("duckdb", "ducklake"):
        from include.api_video.waiting_duckdb import check_limits

        check_limits()


def make_destination() -> Any:
    """The destination; where it is a file, it waits while another process has it open. DuckDB's has an absolute path.

    The same one for all pipelines of a process, as long as the settings stay: each would look up its configuration anew.
    """
    return _make_destination(destination_name(), duckdb_file(), *state_of_settings())


@lru_cache(maxsize=1)
def _make_destination(name: str, file: Path | None, *_: Hashable) -> Any:
    destination: Any
    if file:
        from include.api_video.waiting_duckdb import duckdb_that_waits

        destination = duckdb_that_waits(str(file))
    elif name == "ducklake":
        from include.api_video.waiting_ducklake import ducklake_that_waits

        destination = ducklake_that_waits()
    elif name == FOLDER:
        try:
            from include.api_video.delta_lake import delta_lake
        except ModuleNotFoundError as error:
            raise MissingDependencyException("Delta tables", ["dlt[deltalake]"]) from error

        destination = delta_lake()
    else:
        destination = Destination.from_reference(name)
    return remembering(destination)


def check_reach(pipeline: Any) -> None:
    """Asks the destination what a load would only find out after minutes.

    Raises:
        DatabaseException: it does not answer, or refuses.
    """
    if destination_name() == "ducklake":
        from include.api_video.waiting_ducklake import check_bucket

        check_bucket(pipeline)


def remembering(destination: Any) -> Any:
    """The same destination, which looks its configuration up once for each dataset.

    dlt asks some thirty times per load, and each time searches all places for thirty options: a quarter of the time of a
    load without news. Clients then share one pool of connections, as they do within dlt's load step.
    """
    look_up, resolved = destination.configuration, dict[str, Any]()

    def configuration(initial_config: Any, accept_partial: bool = False) -> Any:
        name = f"{accept_partial} {dict(initial_config or {})}"
        if name not in resolved:
            resolved[name] = look_up(initial_config, accept_partial)
        return copy(resolved[name])

    destination.configuration = configuration
    return destination
