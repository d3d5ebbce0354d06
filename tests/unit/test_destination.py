"""The choice of a destination, and the messages about wrong settings of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.destination import Destination
from dlt.common.exceptions import MissingDependencyException

from include.api_video.errors import SettingsError
from include.api_video.load.runner import prepare_warehouse
from include.api_video.settings.accounts import DEFAULT_ACCOUNT
from include.api_video.settings.config import PROJECT_DIR
from include.api_video.settings.destination import (
    DESTINATIONS,
    connection_variable,
    credentials_of,
    destination_name,
    duckdb_file,
    file_format,
    local_file,
)
from include.api_video.settings.settings import Settings
from include.api_video.warehouse.destinations.configured_once import configured_once
from include.api_video.warehouse.destinations.errors import DestinationError, explained
from include.api_video.warehouse.destinations.make import make_destination
from include.api_video.warehouse.pipelines import short_lived_pipeline

SETTINGS = Settings("k", resources=("players",))


def test_without_a_setting_it_is_a_duckdb_file_in_the_project() -> None:
    assert destination_name() == "duckdb"
    assert duckdb_file() == PROJECT_DIR / "api_video_pipeline.duckdb"
    assert file_format() == "jsonl"


@pytest.mark.parametrize("name", [name for name in DESTINATIONS if name not in ("duckdb", "ducklake")])
def test_another_destination_has_no_file(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", name)
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", "/shared/lake")
    assert (destination_name(), duckdb_file(), local_file()) == (name, None, None)


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch):
    """Sets DuckLake's catalog and storage."""

    def is_at(catalog: str, storage: str) -> None:
        monkeypatch.setenv("API_VIDEO_DESTINATION", "ducklake")
        monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG", catalog)
        monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE__BUCKET_URL", storage)

    return is_at


@pytest.mark.parametrize(
    ("catalog", "file"),
    [
        ("sqlite:////data/catalog.sqlite", "sqlite:////data/catalog.sqlite"),
        ("postgres://loader@host/catalog", None),
    ],
)
def test_a_lake_is_a_file_where_its_catalog_is(lake, catalog: str, file: str | None) -> None:
    lake(catalog, "s3://bucket/lake")
    assert local_file() == file


@pytest.mark.parametrize(
    ("catalog", "storage", "told"),
    [
        ("", "/data/lake", "CREDENTIALS__CATALOG"),
        ("sqlite:///lake.sqlite", "/data/lake", "full path, such as sqlite:////data"),
        ("postgres://loader@host/catalog", "", "CREDENTIALS__STORAGE__BUCKET_URL"),
        ("postgres://loader@host/catalog", "lake", "a folder with its full path"),
    ],
)
def test_a_lake_in_the_working_folder_is_refused(lake, catalog: str, storage: str, told: str) -> None:
    """Each Airflow task has its own working folder, which is removed with the task."""
    lake(catalog, storage)
    with pytest.raises(SettingsError, match=told):
        prepare_warehouse(SETTINGS)


@pytest.mark.parametrize("storage", ["", "lake"])
def test_a_folder_that_tasks_would_not_share_is_refused(monkeypatch: pytest.MonkeyPatch, storage: str) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", "filesystem")
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", storage)
    with pytest.raises(
        SettingsError, match=r"set DESTINATION__FILESYSTEM__BUCKET_URL to a bucket, such as s3://bucket/lake"
    ):
        prepare_warehouse(SETTINGS)


def test_delta_tables_need_a_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", "filesystem")
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(tmp_path))
    monkeypatch.setitem(sys.modules, "deltalake", None)
    monkeypatch.delitem(sys.modules, "include.api_video.warehouse.destinations.delta_lake", raising=False)
    with pytest.raises(SettingsError, match=r'pip install --constraint constraints\.txt "dlt\[deltalake\]"'):
        prepare_warehouse(SETTINGS)


@pytest.mark.parametrize(
    ("name", "variable"),
    [("filesystem", "DESTINATION__FILESYSTEM"), ("snowflake", "DESTINATION__SNOWFLAKE__CREDENTIALS")],
)
def test_a_connection_says_of_a_folder_also_where_it_is(monkeypatch: pytest.MonkeyPatch, name: str, variable: str) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", name)
    assert connection_variable() == variable


def test_an_unknown_destination_is_answered_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", "postgress")
    with pytest.raises(SettingsError, match=r"'postgress'; did you mean 'postgres'\? Known: duckdb, postgres, "):
        destination_name()


def test_missing_credentials_are_named_with_the_places_to_set_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", "postgres")
    with pytest.raises(SettingsError) as caught:
        prepare_warehouse(SETTINGS)
    for word in ("postgres lacks database, password, username, host", "DESTINATION__POSTGRES__CREDENTIALS", "secrets.toml"):
        assert word in str(caught.value)


def test_a_destination_that_cannot_be_reached_says_why_and_keeps_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", "postgres")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", "postgresql://loader:s3cret@127.0.0.1:1/warehouse")
    with pytest.raises(DestinationError, match=r"postgres cannot be used: .*onnection.*refused") as caught:
        prepare_warehouse(SETTINGS)
    assert "s3cret" not in str(caught.value)


def test_a_missing_package_is_said_with_its_command() -> None:
    with pytest.raises(SettingsError, match=r'pip install --constraint constraints\.txt "dlt\[snowflake\]"'), explained():
        raise MissingDependencyException("dlt", ["dlt[snowflake]"])


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError), explained():
        _ = 1 / 0


def test_a_relative_duckdb_file_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """dlt would put the file beside its working files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", "here.duckdb")
    with short_lived_pipeline("x", DEFAULT_ACCOUNT) as pipeline, pipeline.sql_client() as client:
        client.execute_sql("SELECT 1")
    assert (tmp_path / "here.duckdb").is_file()


@pytest.mark.parametrize(
    ("fields", "variables"),
    [
        (
            ("db.example.com", "loader", "s3cret", "warehouse", 5432, {}),
            {"HOST": "db.example.com", "USERNAME": "loader", "PASSWORD": "s3cret", "DATABASE": "warehouse", "PORT": "5432"},
        ),
        (
            ("acme", "loader", "s3cret", "raw", None, {"warehouse": "load", "role": None}),
            {"HOST": "acme", "USERNAME": "loader", "PASSWORD": "s3cret", "DATABASE": "raw", "WAREHOUSE": "load"},
        ),
        ((None, None, None, None, None, {"project_id": "p"}), {"PROJECT_ID": "p"}),
    ],
)
def test_the_fields_of_a_connection_are_dlts_credentials(fields, variables: dict[str, str]) -> None:
    assert credentials_of(*fields) == {f"__{name}": value for name, value in variables.items()}


def test_extra_may_have_fields_within_fields() -> None:
    lake = {
        "catalog": "postgres://db/lake",
        "storage": {"bucket_url": "s3://bucket/lake", "credentials": {"region_name": "x"}},
    }
    assert credentials_of(None, None, None, None, None, lake) == {
        "__CATALOG": "postgres://db/lake",
        "__STORAGE__BUCKET_URL": "s3://bucket/lake",
        "__STORAGE__CREDENTIALS__REGION_NAME": "x",
    }


def test_a_connection_string_in_the_password_is_all_of_them() -> None:
    uri = "postgresql://loader:s3cret@db/warehouse"
    assert credentials_of("ignored", None, uri, None, None, {}) == {"": uri}


@pytest.mark.parametrize("name", DESTINATIONS)
def test_a_destination_is_known_by_dlts_name_and_class(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Its type is written into pipeline states, and dlt's commands must find what it names."""
    monkeypatch.setenv("API_VIDEO_DESTINATION", name)
    of_dlt = Destination.from_reference(name)

    ours = make_destination()

    assert (ours.destination_type, ours.destination_name) == (of_dlt.destination_type, of_dlt.destination_name)
    assert isinstance(ours, type(of_dlt))


def test_a_named_destination_of_dlt_stays_the_one_that_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__POSTGRES__DESTINATION_TYPE", "redshift")

    ours = configured_once(Destination.from_reference("postgres"))

    assert (ours.destination_type, ours.destination_name) == ("dlt.destinations.redshift", "postgres")


@pytest.mark.parametrize("name", ["postgres", "duckdb"])
def test_a_configuration_is_looked_up_once_for_each_dataset(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """dlt asks some thirty times per load, and looks for thirty options each time."""
    monkeypatch.setenv("API_VIDEO_DESTINATION", name)
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", "postgres://user:secret@127.0.0.1/one")
    destination = make_destination()

    def asked(dataset: str) -> Any:
        return dlt.pipeline("asks", destination=destination, dataset_name=dataset).destination_client().config

    first, again, other = asked("one"), asked("one"), asked("two")
    first.create_indexes = "changed by a client"

    assert again.credentials is first.credentials
    assert other.credentials is not first.credentials
    assert asked("one").create_indexes != "changed by a client"
