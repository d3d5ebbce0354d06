"""Every destination with wrong, malformed or unreachable credentials: no output contains a secret."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from duckdb_extensions import import_extension

from include.api_video.__main__ import on_each, run
from include.api_video.messages.logs import mask_logs
from include.api_video.settings.destination import DESTINATIONS
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.server import Demo

NOWHERE = "127.0.0.1:1"
PASSWORDS = ("s3cretword", "p@ss/wo:rd#hidden?it", "per%cent%20hidden", "hidden word")
# Unreachable and malformed connection strings. `{}` is the password, as it is or percent-encoded.
URLS = (
    "{scheme}://loader:{}@127.0.0.1:1/warehouse",
    "{scheme}://loader:{}@127.0.0.1:port/warehouse",
    "{scheme}:/loader:{}@127.0.0.1:1/warehouse",
    "{scheme}//loader:{}@127.0.0.1/warehouse",
    "loader:{}@127.0.0.1/warehouse",
    "{scheme}://loader:{}",
)
ELSEWHERE = {"SERVER_HOSTNAME": NOWHERE, "HTTP_PATH": "/sql/1", "CATALOG": "main", "HOST": NOWHERE, "DATABASE": "w"}


@pytest.fixture(autouse=True)
def plain_process(monkeypatch: pytest.MonkeyPatch, demo: Demo) -> Iterator[None]:
    """Sets up the process as ``main`` does, and undoes it."""
    factory, dlt_log = logging.getLogRecordFactory(), logging.getLogger("dlt")
    filters = list(dlt_log.filters)
    for name, value in demo_settings(demo).items():
        monkeypatch.setenv(name, value)
    for extension in ("ducklake", "sqlite_scanner", "postgres_scanner", "httpfs"):
        import_extension(extension)
    mask_logs()
    yield
    logging.setLogRecordFactory(factory)
    dlt_log.filters = filters


class Said:
    """The output and log of a run of the command."""

    def __init__(self, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, path: Path) -> None:
        self._capfd, self._caplog, self._path = capfd, caplog, path

    def by_run(self) -> str:
        self._capfd.readouterr()
        self._caplog.clear()
        codes = list(on_each(partial(run, full_refresh=False), None))
        assert codes == [1]
        printed = self._capfd.readouterr()
        assert "Traceback" not in printed.err, printed.err
        assert len(printed.err.strip().splitlines()) == 1, printed.err
        return printed.out + printed.err + self._caplog.text


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path) -> Said:
    logging.getLogger("dlt").addHandler(caplog.handler)
    return Said(capfd, caplog, tmp_path)


def assert_hidden(text: str, password: str) -> None:
    for form in (password, unquote(password), quote(password, safe=""), *password.replace("#", "@").split("@")[-1:]):
        assert form not in text, text
    assert "hidden" not in text, text


def name_of(value: object) -> str:
    return str(value).replace("/", "|")


@pytest.mark.parametrize("password", PASSWORDS, ids=name_of)
@pytest.mark.parametrize("destination", ["postgres", "redshift", "ducklake"])
def test_a_connection_string_is_never_repeated(
    said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, destination: str, password: str
) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", destination)
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE__BUCKET_URL", str(tmp_path / "lake"))
    variable = f"DESTINATION__{destination.upper()}__CREDENTIALS" + ("__CATALOG" if destination == "ducklake" else "")
    for scheme, url in itertools.product(("postgresql", destination), URLS):
        for form in (password, quote(password, safe="")):
            monkeypatch.setenv(variable, url.replace("{scheme}", scheme).format(form))
            assert_hidden(said.by_run(), password)


@pytest.mark.parametrize("destination", [name for name in DESTINATIONS if name not in ("ducklake", "filesystem", "duckdb")])
def test_the_fields_of_credentials_are_never_repeated(
    said: Said, monkeypatch: pytest.MonkeyPatch, destination: str
) -> None:
    """Also if a driver is not installed, or the fields do not fit the destination."""
    monkeypatch.setenv("API_VIDEO_DESTINATION", destination)
    secrets = {name: f"{name.lower()}-hidden" for name in ("PASSWORD", "ACCESS_TOKEN", "PRIVATE_KEY", "CLIENT_SECRET")}
    fields = {"USERNAME": "loader", "PROJECT_ID": "p", "CLIENT_EMAIL": "e", "PORT": "no-number", **ELSEWHERE, **secrets}
    for name, value in fields.items():
        monkeypatch.setenv(f"DESTINATION__{destination.upper()}__CREDENTIALS__{name}", value)
    assert_hidden(said.by_run(), secrets["PASSWORD"])


@pytest.mark.parametrize(
    ("destination", "whole"),
    [
        ("duckdb", "mysql://loader:hidden-word@127.0.0.1/w"),
        ("motherduck", "md:w?motherduck_token=hidden.token"),
        ("bigquery", '{"project_id": "p", "private_key": "hidden-key", "client_email": '),
        ("snowflake", "snowflake://loader:hidden-word@acme/raw?warehouse=w"),
        ("databricks", "databricks://token:hidden-word@127.0.0.1:1?http_path=/x"),
    ],
)
def test_a_whole_string_is_never_repeated(
    said: Said, monkeypatch: pytest.MonkeyPatch, destination: str, whole: str
) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", destination)
    monkeypatch.setenv(f"DESTINATION__{destination.upper()}__CREDENTIALS", whole)
    assert_hidden(said.by_run(), "hidden")


@pytest.mark.parametrize("destination", ["filesystem", "ducklake"])
def test_a_bucket_s_key_is_never_repeated(
    said: Said, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, demo: Demo, destination: str
) -> None:
    """api.video gets no request, either, before the bucket has answered."""
    prefix = "DESTINATION__FILESYSTEM__" if destination == "filesystem" else "DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE__"
    monkeypatch.setenv("API_VIDEO_DESTINATION", destination)
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG", f"sqlite:///{tmp_path}/catalog.sqlite")
    credentials = {"AWS_ACCESS_KEY_ID": "AKIAHIDDENIDHIDDEN", "AWS_SECRET_ACCESS_KEY": "hidden-of-bucket"}
    credentials |= {"ENDPOINT_URL": f"http://{NOWHERE}", "REGION_NAME": "us-east-1"}
    monkeypatch.setenv(f"{prefix}BUCKET_URL", "s3://bucket/lake")
    for name, value in credentials.items():
        monkeypatch.setenv(f"{prefix}CREDENTIALS__{name}", value)

    text = said.by_run()

    assert_hidden(text, "hidden-of-bucket")
    assert "Is it running, is its address in DESTINATION__" in text
    assert demo.requests() == 0
