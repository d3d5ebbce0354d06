"""Messages for failures of a destination: what is wrong, where, what to do, and whether a retry may help."""

from __future__ import annotations

import errno
import os

import duckdb
import psycopg2
import pytest
from dlt.destinations.exceptions import DatabaseTransientException, DestinationConnectionError

from include.api_video.errors import ApiVideoServerError, SettingsError
from include.api_video.settings.accounts import Account
from include.api_video.warehouse.destinations.errors import DestinationError, DestinationRefusedError, describe, explained

POSTGRES = "postgresql://loader:s3cretword@db.example.com/warehouse"


@pytest.mark.parametrize(
    ("destination", "error", "kind", "advice"),
    [
        ("postgres", "permission denied for database w", DestinationRefusedError, 'GRANT CREATE ON DATABASE "warehouse"'),
        ("postgres", "permission denied for schema x", DestinationRefusedError, "CREATE SCHEMA api_video_data_eu_staging;"),
        ("postgres", "must be owner of table videos", DestinationRefusedError, "REASSIGN OWNED BY ... TO loader"),
        ("postgres", "permission denied for table videos", DestinationRefusedError, "Give loader the right"),
        ("postgres", 'password authentication failed for user "l"', DestinationRefusedError, "check user and password"),
        ("postgres", 'FATAL: database "w" does not exist', DestinationRefusedError, "CREATE DATABASE"),
        ("postgres", "could not extend file: No space left on device", DestinationError, "The disk is full"),
        ("postgres", "unsupported startup parameter: options", DestinationRefusedError, "ignore_startup_parameters ="),
        ("postgres", "cannot drop table x because other objects depend on it", DestinationRefusedError, "pg_get_viewdef"),
        ("postgres", "connection to server failed: Connection refused", DestinationError, "is its address in DEST"),
        ("postgres", 'could not translate host name "h" to address', DestinationError, "does a firewall stand"),
        ("snowflake", "Incorrect username or password was specified.", DestinationRefusedError, "check user and"),
        ("snowflake", "Insufficient privileges to operate on schema", DestinationRefusedError, "Give the login's role"),
        ("bigquery", "403 Access Denied: Dataset p:d: Permission denied", DestinationRefusedError, "the right to create"),
        ("databricks", "Error during request to server: 401 Unauthorized", DestinationRefusedError, "login was refused"),
        ("filesystem", "An error occurred (NoSuchBucket) when calling", DestinationRefusedError, "Make the bucket"),
        ("filesystem", "An error occurred (SignatureDoesNotMatch) when", DestinationRefusedError, "password or key"),
        ("filesystem", "An error occurred (AccessDenied) when calling", DestinationRefusedError, "refuses the key"),
    ],
)
def test_a_driver_s_words_come_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, destination: str, error: str, kind: type[Exception], advice: str
) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", destination)
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS", POSTGRES)

    told = describe(psycopg2.OperationalError(f"{error}\nLINE 1: CREATE TABLE"), Account("eu"))

    assert type(told) is kind
    assert str(told).startswith(f"The destination {destination} cannot be used: {error.rstrip('.')}. ")
    assert advice in str(told)
    assert "LINE 1" not in str(told)
    assert "\n" not in str(told)


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        (errno.ENOSPC, DestinationError, "No space left on device: /data/x. The disk is full"),
        (errno.EDQUOT, DestinationError, "Disk quota exceeded: /data/x. The disk is full"),
        (errno.EFBIG, DestinationError, "File too large: /data/x. The disk is full"),
        (errno.EACCES, DestinationRefusedError, "Permission denied: /data/x. The user who runs this may not write there"),
        (errno.EROFS, DestinationRefusedError, "Read-only file system: /data/x. The user who runs this may not write"),
        (errno.EISDIR, DestinationRefusedError, "Is a directory: /data/x. A folder stands where the file should be"),
    ],
)
def test_what_the_system_says_is_named_without_its_number(code: int, kind: type[Exception], told: str) -> None:
    found = describe(OSError(code, os.strerror(code), "/data/x"))
    assert type(found) is kind
    assert told in str(found)


def test_what_dlt_wrapped_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", "ducklake")
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG", POSTGRES)
    driver = duckdb.IOException(f'IO Error: unable to connect to "{POSTGRES}": Connection refused')
    error = DestinationConnectionError("lake", "data", str(driver), driver)

    with pytest.raises(DestinationError) as caught, explained():
        raise RuntimeError("Pipeline execution failed; run `dlt pipeline x drop-pending-packages`") from error

    assert "postgresql://loader:***@db.example.com/warehouse" in str(caught.value)
    assert "pending" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_an_error_of_ours_within_dlts_stays_what_it_is() -> None:
    with pytest.raises(ApiVideoServerError, match="502"), explained():
        raise RuntimeError("dlt") from ApiVideoServerError("502")


def test_an_unknown_failure_that_may_pass_is_told_by_its_words() -> None:
    wrapped = DatabaseTransientException(Exception("dlt's words"))
    wrapped.__cause__ = duckdb.TransactionException("Conflict on update!")
    for error, words in ((wrapped, "Conflict on update."), (duckdb.IOException("IO Error: new"), "IO Error: new.")):
        told = describe(error)
        assert isinstance(told, DestinationError)
        assert str(told) == f"The destination duckdb cannot be used: {words}"


@pytest.mark.parametrize("error", [ValueError("Connection refused"), KeyError("permission denied for schema"), TypeError()])
def test_a_mistake_in_the_code_is_not_blamed_on_the_destination(error: Exception) -> None:
    """Whatever its text, such an error needs its traceback."""
    assert describe(error) is None


@pytest.mark.parametrize("seconds", ["10m", "-1", "nan", "inf"])
def test_a_malformed_time_to_wait_is_a_setting_to_correct(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    from include.api_video.warehouse.locks.duckdb_file import timeout_s

    monkeypatch.setenv("API_VIDEO_DUCKDB_TIMEOUT_S", seconds)
    with pytest.raises(SettingsError, match=f"must be a number of seconds, such as 600, not '{seconds}'"):
        timeout_s()
