"""The settings of alerts, and the text of an alert."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from include.api_video.errors import SettingsError
from include.api_video.proof.alerts import SHOWN_CHARACTERS, Alert, AlertSettings, failed_run, late_run, read_alert_settings
from include.api_video.proof.checks import Check
from include.api_video.settings.config import INCLUDE_DIR, PROJECT_DIR

URL = "https://hooks.example.com/services/T0/B0/secret"
ENV = "API_VIDEO__ALERTS__"


@pytest.fixture
def files(clean_environment: Path, request: pytest.FixtureRequest) -> Path:
    """The folder in which dlt looks for its files."""
    folder = clean_environment / ".dlt"
    folder.mkdir()
    return folder


def write(files: Path, **texts: str) -> None:
    for name, text in texts.items():
        (files / f"{name}.toml").write_text(text, "utf-8")
    Container()[PluggableRunContext].reload_providers()


def report(*checks: Check) -> dict[str, object]:
    return {"checks": [vars(check) for check in checks]}


def passed(table: str, name: str = "synced") -> Check:
    return Check(table, name, True, "a sync of this run", "increment")


def not_loaded(table: str, why: str) -> Check:
    return Check(table, "synced", False, "a sync of this run", "no row in _syncs", why)


# Settings


def test_nothing_is_sent_where_nothing_is_configured() -> None:
    assert read_alert_settings() is None


def test_a_time_alone_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no mistake: config.toml may have the time, for an environment that sets the webhook."""
    monkeypatch.setenv(f"{ENV}LATE_AFTER_MINUTES", "30")
    assert read_alert_settings() is None


def test_the_webhook_comes_from_the_secrets_and_the_rest_from_the_configuration(files: Path) -> None:
    write(
        files,
        secrets=f'[api_video.alerts]\nwebhook_url = "{URL}"\n',
        config="[api_video.alerts]\nlate_after_minutes = 90\n",
    )
    assert read_alert_settings() == AlertSettings(webhook_url=URL, late_after_minutes=90)


def test_the_environment_wins_and_an_empty_variable_is_none(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(files, secrets=f'[api_video.alerts]\nwebhook_url = "{URL}"\n')
    monkeypatch.setenv(f"{ENV}WEBHOOK_URL", "")
    assert read_alert_settings() == AlertSettings(webhook_url=URL)
    monkeypatch.setenv(f"{ENV}WEBHOOK_URL", "https://other.example.com")
    assert read_alert_settings() == AlertSettings(webhook_url="https://other.example.com")


def test_a_webhook_in_the_configuration_is_refused(files: Path) -> None:
    """A secret is ignored there, so whoever set the URL would wrongly believe that alerts are on."""
    write(files, config=f'[api_video.alerts]\nwebhook_url = "{URL}"\n')
    with pytest.raises(SettingsError, match=r"move it from config\.toml to include/\.dlt/secrets\.toml"):
        read_alert_settings()


def test_arguments_of_both_files_are_joined_and_those_of_the_environment_are_all(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        files,
        config='[api_video.alerts]\nnotifier = "a.B"\n[api_video.alerts.arguments]\ntext = "t"\nkey = "shown"\n',
        secrets='[api_video.alerts.arguments]\nkey = "secret"\n',
    )
    settings = read_alert_settings()
    assert settings
    assert settings.arguments == {"text": "t", "key": "secret"}
    assert "secret" not in repr(settings)
    monkeypatch.setenv(f"{ENV}ARGUMENTS", '{"channel": "#data"}')
    assert read_alert_settings() == AlertSettings(notifier="a.B", arguments={"channel": "#data"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("WEBHOOK_URL", URL.removeprefix("https://"), "webhook_url must be a URL"),
        ("WEBHOK_URL", URL, "did you mean 'webhook_url'?"),
        ("LATE_AFTER_MINUTES", "soon", "must be a number, not 'soon'"),
        ("LATE_AFTER_MINUTES", "-1", "must be 0 or more"),
        ("ARGUMENTS", "text", "must be a table"),
        ("NOTIFIER", "a.B", "webhook_url and notifier: set only one of them"),
    ],
)
def test_a_setting_that_cannot_be_right_is_named(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV}WEBHOOK_URL", URL)
    monkeypatch.setenv(f"{ENV}{name}", value)
    with pytest.raises(SettingsError) as refused:
        read_alert_settings()
    assert message in str(refused.value)
    assert "T0/B0" not in str(refused.value)


def test_an_unknown_setting_in_a_file_is_named(files: Path) -> None:
    write(files, config="[api_video.alerts]\nlate_after_minute = 5\n")
    with pytest.raises(SettingsError, match="did you mean 'late_after_minutes'"):
        read_alert_settings()


def test_every_setting_is_in_its_document_and_in_the_commented_files() -> None:
    document = (PROJECT_DIR / "docs/alerts.md").read_text(encoding="utf-8")
    files = [(INCLUDE_DIR / f".dlt/{name}").read_text(encoding="utf-8") for name in ("config.toml", "secrets.toml.example")]
    for setting in fields(AlertSettings):
        assert f"`{setting.name}`" in document, setting.name
        assert f"`{setting.name.upper()}`" in document, setting.name
        assert setting.name in "".join(files), setting.name


# The text of an alert


def test_a_failed_run_names_its_tables_once_per_reason_and_what_to_do() -> None:
    refused = "ApiVideoKeyError: api.video refused the API key."
    checks = [not_loaded("videos", refused), not_loaded("players", refused), passed("summaries")]

    alert = failed_run("r1", "https://airflow.example.com/dags/api_video/runs/r1", report(*checks), [])

    assert alert.event == "failed"
    assert str(alert) == (
        "api.video: the run failed, it did not load videos, players.\n"
        "videos, players: ApiVideoKeyError: api.video refused the API key.\n"
        "They stay as they were; the next run catches up once the cause is gone.\n"
        "Run r1: https://airflow.example.com/dags/api_video/runs/r1"
    )


def test_a_check_that_failed_is_said_as_the_report_says_it() -> None:
    orphans = Check("videos", "orphans", False, "0 rows without their parent", "1")

    alert = failed_run("r1", "", report(passed("videos"), orphans), ["ValidationError: not said twice"])

    assert str(alert) == (
        "api.video: all tables were loaded, but 1 of 2 checks failed.\n"
        "videos: orphans: expected 0 rows without their parent, found 1.\n"
        "Trigger the DAG again; if this persists, trigger it for these tables with a full refresh.\n"
        "Run r1"
    )
    assert alert.event == "invalid"


def test_a_table_that_is_not_proven_is_told_apart_from_what_failed() -> None:
    opened = Check("videos", "complete", None, "351 rows", "350 rows", "api.video says 351, three readings listed 350.")
    orphans = Check("players", "orphans", False, "0 rows without their parent", "1")

    alert = failed_run("r1", "", report(passed("videos"), opened, orphans), [])

    assert (alert.event, alert.summary) == ("invalid", "all tables were loaded, but 1 of 3 checks failed.")
    assert alert.details == (
        "players: orphans: expected 0 rows without their parent, found 1.",
        "Not proven, which is no failure: videos: complete: expected 351 rows, found 350 rows. "
        "api.video says 351, three readings listed 350.",
    )


def test_a_proof_that_is_missing_for_too_long_is_an_event_of_its_own() -> None:
    why = "api.video says 351, three readings listed 350 different videos, since 25 h."
    late = Check("videos", "complete", False, "351 rows", "350 rows", why)
    ledger = [{"resource": "videos", "unproven": why}, {"resource": "players", "unproven": None}]

    alone = failed_run("r1", "", {**report(passed("videos"), late), "syncs": ledger}, [])
    beside = failed_run("r1", "", {**report(late, Check("players", "keys", False, "0", "1")), "syncs": ledger}, [])

    assert (alone.event, beside.event) == ("unproven", "invalid")
    assert str(alone) == (
        "api.video: all tables were loaded, but for too long there is no proof that videos equal the API's lists.\n"
        f"videos: complete: expected 351 rows, found 350 rows. {why}\n"
        "What was read is loaded, and nothing was removed without proof. Compare with api.video's dashboard; "
        "unproven_hours says how long a proof may take before a run fails.\n"
        "Run r1"
    )


def test_a_run_that_failed_before_its_report_says_what_its_tasks_said() -> None:
    alert = failed_run("r1", "", None, ["MissingKeyError: No api.video API key is set."])
    assert alert.details == ("MissingKeyError: No api.video API key is set.",)
    assert failed_run("r1", "", None, []).details == ("Its last task was stopped; the task's log may say why.",)


def test_a_long_report_is_cut_to_what_messengers_take() -> None:
    alert = failed_run("r1", "", report(*[not_loaded(f"t{n}", f"{n} " + "x" * 5000) for n in range(30)]), [])
    assert len(alert.details) == 11
    assert alert.details[-1] == "... and 20 more"
    assert all(len(line) <= SHOWN_CHARACTERS + 4 for line in alert.details)
    assert len(str(alert)) < 4096


@pytest.mark.parametrize(("is_queued", "summary"), [(True, "it has not begun 90 minutes"), (False, "it has not ended 90")])
def test_a_late_run_says_since_when(is_queued: bool, summary: str) -> None:
    alert = late_run("r1", "", 90.0, is_queued=is_queued)
    assert summary in str(alert)
    assert isinstance(alert, Alert)
    assert alert.event == "late"
