"""The setting `schedule`: its values, and what follows from them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.api_video.errors import SettingsError
from include.api_video.proof.alerts import AlertSettings
from include.api_video.settings.accounts import Account
from include.api_video.settings.schedule import Schedule, parse_schedule, read_schedule, schedule_or_hourly
from include.api_video.settings.settings import connection_values, read_settings

VARIABLE = "SOURCES__API_VIDEO_SOURCE__SCHEDULE"
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "shortest", "longest", "fresh_for", "late_after"),
    [
        ("@hourly", HOUR, HOUR, 3 * HOUR, HOUR),
        ("*/10 * * * *", 10 * MINUTE, 10 * MINUTE, 30 * MINUTE, 10 * MINUTE),
        ("* * * * *", MINUTE, MINUTE, 15 * MINUTE, MINUTE),
        ("@daily", 24 * HOUR, 24 * HOUR, 72 * HOUR, HOUR),
        ("30 6,8 * * *", 2 * HOUR, 22 * HOUR, 66 * HOUR, HOUR),
        ("0 6 * * 1-5", 24 * HOUR, 72 * HOUR, 216 * HOUR, HOUR),
    ],
)
def test_freshness_and_lateness_follow_the_schedule(
    text: str, shortest: timedelta, longest: timedelta, fresh_for: timedelta, late_after: timedelta
) -> None:
    schedule = parse_schedule(text, VARIABLE)
    assert schedule == Schedule(text, shortest, longest)
    assert (schedule.fresh_for, schedule.late_after) == (fresh_for, late_after)
    assert AlertSettings().late_after(schedule) == late_after / MINUTE
    assert AlertSettings(late_after_minutes=0).late_after(schedule) == 0


def test_runs_that_are_triggered_only_are_never_out_of_date() -> None:
    schedule = parse_schedule("None", VARIABLE)
    assert (schedule.text, schedule.fresh_for, schedule.late_after) == (None, None, HOUR)


@pytest.mark.parametrize(
    "text", ["hourly", "@sometimes", "*/10 * * *", "0 0 12 * * *", "61 * * * *", "0 0 30 2 *", "a b c d e", "@continuous"]
)
def test_what_is_no_schedule_is_told_and_keeps_the_dag(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(SettingsError, match=r"SCHEDULE is '.*': it must be a cron expression of five fields, such as"):
        read_settings(needs_key=False)
    assert schedule_or_hourly(Account("")) == Schedule()


def test_an_account_may_have_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "@daily")
    assert read_schedule(Account("training")).text == "@daily"
    monkeypatch.setenv("SOURCES__API_VIDEO_SOURCE__TRAINING__SCHEDULE", "0 5 * * *")
    assert (read_schedule().text, read_schedule(Account("training")).text) == ("@daily", "0 5 * * *")


def test_a_connection_has_none_since_nobody_asks_it_when_runs_are_planned() -> None:
    with pytest.raises(SettingsError, match="schedule cannot be set in a Connection"):
        connection_values(None, "key", {"schedule": "@daily"})
