"""No text for people contains a credential, in whatever form a driver repeats it."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from hypothesis import assume, given
from hypothesis import strategies as st

from include.api_video.errors import SettingsError
from include.api_video.messages.logs import EachOnce, mask_logs
from include.api_video.messages.masking import PLAIN_WORDS, SHORTEST, hide, mask, sentence_of, traceback_of

CREDENTIALS = "DESTINATION__POSTGRES__CREDENTIALS"
PASSWORDS = ["s3cretword", "p@ssword/with:all#of?it", "per%20cent%2Fword", "with space word", "quo'te\"dword"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(
    "form",
    [
        "postgresql://loader:{}@db.example.com:5432/warehouse",
        "postgres://loader:{}@db.example.com/warehouse?sslmode=require",
        "postgresql:/loader:{}@db.example.com/warehouse",  # one slash is missing
        "loader:{}@db.example.com/warehouse",
        "postgresql://loader:{}",
        "host=db.example.com user=loader password='{}'",
    ],
)
def test_a_password_in_a_connection_string_is_found_in_each_form(
    monkeypatch: pytest.MonkeyPatch, password: str, form: str
) -> None:
    if "'" in form and "'" in password:
        pytest.skip("no driver takes it")
    monkeypatch.setenv(CREDENTIALS, form.format(password))
    for text in (form.format(password), password, unquote(password), quote(password, safe=""), repr(password)):
        masked = mask(f"could not connect: {text} (is it right?)")
        assert password not in masked
        assert unquote(password) not in masked
        assert masked.startswith("could not connect: ")
        assert masked.endswith(" (is it right?)")


def test_a_piece_that_a_driver_took_for_the_host_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CREDENTIALS, "postgresql://loader:abc@secret/wor@db.example.com:5432/warehouse")
    for text in ("secret", "secret/wor@db.example.com", "wor@db.example.com", "abc@secret"):
        assert mask(f'could not translate host name "{text}"') == 'could not translate host name "***"'
    assert "db.example.com" in mask('server at "db.example.com", port 5432')


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("DESTINATION__SNOWFLAKE__CREDENTIALS__PASSWORD", "long-password", "long-password"),
        ("DESTINATION__MOTHERDUCK__CREDENTIALS", "md:db?motherduck_token=the.token.of.it", "the.token.of.it"),
        ("DESTINATION__BIGQUERY__CREDENTIALS", '{"project_id": "p", "private_key": "line-of\\nthe-key"}', "the-key"),
        ("DESTINATION__DATABRICKS__CREDENTIALS__ACCESS_TOKEN", "dapi0123456789", "dapi0123456789"),
        ("DESTINATION__FILESYSTEM__CREDENTIALS__AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI", "wJalrXUtnFEMI"),
        ("DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG", "postgres://l:catalogword@h/d", "catalogword"),
        ("SOURCES__API_VIDEO_SOURCE__API_KEY", "key-of-the-account", "key-of-the-account"),
        ("SOURCES__API_VIDEO_SOURCE__TRAINING__ADMIN_API_KEY", "key-of-admin", "key-of-admin"),
        ("API_VIDEO__ALERTS__WEBHOOK_URL", "https://hooks.example.com/T0/B0/x", "https://hooks.example.com/T0/B0/x"),
        ("AIRFLOW_CONN_API_VIDEO", "api-video://:key-of-connection@", "key-of-connection"),
        ("PGPASSWORD", "of-the-environment", "of-the-environment"),
    ],
)
def test_secrets_of_all_settings_are_known(monkeypatch: pytest.MonkeyPatch, name: str, value: str, secret: str) -> None:
    monkeypatch.setenv(name, value)
    assert mask(f"it said {secret} there") == "it said *** there"


def test_secrets_of_dlts_files_are_known(clean_environment: Path) -> None:
    (clean_environment / ".dlt").mkdir()
    (clean_environment / ".dlt" / "secrets.toml").write_text(
        '[destination.postgres.credentials]\npassword = "of-the-file"\nhost = "db.example.com"\n'
        '[sources.api_video_source.training]\napi_key = "key-of-the-file"\n'
    )
    Container()[PluggableRunContext].reload_providers()
    assert mask("of-the-file key-of-the-file db.example.com") == "*** *** db.example.com"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://somebody:else@host/db", "postgres://somebody:***@host/db"),
        ("postgres://somebody:p@ss/w@host/db", "postgres://somebody:***@host/db"),
        ("https://host/x?token=abc&page=2", "https://host/x?token=***&page=2"),
        ("{'password': 'abc', 'user': 'me'}", "{'password': ***, 'user': 'me'}"),
        ("dbname=d password=abc user=me", "dbname=d password=*** user=me"),
        ("X-Amz-Signature=0a1b&x=1", "X-Amz-Signature=***&x=1"),
        ("Authorization: Basic a2V5OmtleTo=", "Authorization: Basic ***"),
        ("key -----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- ends", "key *** ends"),
        ("The key AKIAIOSFODNN7EXAMPLE", "The key ***"),
    ],
)
def test_what_looks_like_a_secret_is_none_of_anybodys_business(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "set DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG to postgres://user:password@host/database, or to a file",
        '[sources.api_video_source] api_key = "..." into include/.dlt/secrets.toml',
        "postgresql://loader@db.example.com:5432/warehouse",
        "at 12:30:01 https://ws.api.video/videos?currentPage=2, the token has expired: set another",
        "videos: 30 rows, 2 new (changes, 1 request)",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert mask(text) == text


def test_a_secret_that_stands_in_no_setting_can_be_told() -> None:
    hide("of-a-connection")
    assert mask("it is of-a-connection") == "it is ***"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=6, max_size=20))
def test_no_password_is_left(password: str) -> None:
    said, password = "could not connect to the server with ", password.strip()
    assume(len(password) >= SHORTEST and password not in f"{said}***!" and password.lower() not in PLAIN_WORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CREDENTIALS, f"postgresql://loader:{quote(password, safe='')}@db.example.com/warehouse")
        assert password not in mask(f"{said}{password}!")


def test_an_error_is_said_by_what_it_began_with() -> None:
    error = RuntimeError("Pipeline execution failed ... Pending packages are left, run `dlt pipeline x info`")
    error.__cause__ = ConnectionError("postgres://l:deepest@h/d\n  refused")

    assert sentence_of(error) == "ConnectionError: postgres://l:***@h/d refused"
    assert traceback_of(error) == "ConnectionError: postgres://l:***@h/d\n  refused"
    assert sentence_of(SettingsError("two\nlines")) == "SettingsError: two\nlines"


@pytest.fixture
def masked_logs():
    """Undoes afterwards what ``mask_logs`` changes in this process."""
    factory, filters = logging.getLogRecordFactory(), list(logging.getLogger("dlt").filters)
    mask_logs()
    yield
    logging.setLogRecordFactory(factory)
    logging.getLogger("dlt").filters = filters


@pytest.mark.usefixtures("masked_logs")
def test_every_log_line_passes(caplog: pytest.LogCaptureFixture) -> None:
    """Also lines of other libraries, and tracebacks."""
    logging.getLogger("some.driver").warning("connecting to %s", "postgres://l:deepest@h/d")
    try:
        raise ValueError("password=deepest")
    except ValueError:
        logging.getLogger("api_video").exception("not foreseen")
    assert caplog.messages[0] == "connecting to postgres://l:***@h/d"
    assert "Traceback" in caplog.text
    assert "ValueError: password=***" in caplog.text
    assert "deepest" not in caplog.text


@pytest.mark.usefixtures("masked_logs")
def test_what_dlt_says_of_a_failure_is_a_line_and_comes_once(caplog: pytest.LogCaptureFixture) -> None:
    dlt_log = logging.getLogger("dlt")
    dlt_log.addHandler(caplog.handler)
    assert any(isinstance(each, EachOnce) for each in dlt_log.filters)
    try:
        for attempt in range(3):
            try:
                raise OSError(f"No space left on device: /lake/{attempt}0af1-77ab.parquet")
            except OSError:
                dlt_log.exception(f"Transient exception in job videos.{attempt}abc12.sql in file /tmp/x/videos.sql")
            trace = (
                f"Traceback (most recent call last):\n  File\nx.Error: No space left on device: /lake/{attempt}1.parquet"
            )
            dlt_log.warning(f"Job for videos.sql retried in load 1795{attempt}.1 with message {trace}")
        dlt_log.warning("Package 1795.1 was not fully loaded. Load job pool is drained but 1 new jobs are left.")
    finally:
        dlt_log.removeHandler(caplog.handler)
    assert caplog.messages == [
        "Transient exception in job videos.0abc12.sql: No space left on device: /lake/00af1-77ab.parquet"
    ]
