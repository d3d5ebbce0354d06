"""The setting ``schedule``, and what follows from it: when a table is out of date, and when a run is late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import pairwise

from include.api_video.errors import SettingsError
from include.api_video.settings.accounts import DEFAULT_ACCOUNT, SECTION, Account
from include.api_video.settings.config import Section

HOURLY, NONE = "@hourly", "none"
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
FIELDS = 5  # minute, hour, day, month, weekday
LOOKED_AT = 60  # coming runs to look at: two months of a daily schedule
MISSED = 3  # longest pauses after which a table is out of date, so two runs may fail
LEAST_FRESH = timedelta(minutes=15)
LATEST = timedelta(hours=1)  # limit for rare runs: a daily run should not take all day


@dataclass(frozen=True)
class Schedule:
    """When the DAG runs, in UTC.

    Attributes:
        text: cron expression or preset, for Airflow; None: runs are only triggered by hand.
        shortest, longest: pause between consecutive runs.
    """

    text: str | None = HOURLY
    shortest: timedelta = timedelta(hours=1)
    longest: timedelta = timedelta(hours=1)

    @property
    def fresh_for(self) -> timedelta | None:
        """How old a table may be before it is out of date; None: never."""
        return max(MISSED * self.longest, LEAST_FRESH) if self.text else None

    @property
    def late_after(self) -> timedelta:
        """How long a run may take before it is late: beyond the shortest pause, it delays the next run."""
        return min(self.shortest, LATEST) if self.text else LATEST


ON_THE_HOUR = Schedule()


def read_schedule(account: Account = DEFAULT_ACCOUNT) -> Schedule:
    """An account's schedule, from the environment or dlt's files. Airflow reads no Connection when it plans runs.

    Raises:
        SettingsError: it is not a schedule.
    """
    section = Section(account.section, general=Section(SECTION) if account.name else None)
    return parse_schedule(section.text("schedule") or HOURLY, section.variable("schedule"))


def schedule_or_hourly(account: Account) -> Schedule:
    """The schedule; hourly if it is wrong, so that the DAG still appears. The task ``prepare`` reports the mistake."""
    try:
        return read_schedule(account)
    except SettingsError:
        return ON_THE_HOUR


def parse_schedule(text: str, setting: str) -> Schedule:
    """The schedule that a text means. ``setting`` is where it stands, for the message.

    Raises:
        SettingsError: it is neither a cron expression nor a preset.
    """
    if text.lower() == NONE:
        return Schedule(None)
    if text == HOURLY:
        return ON_THE_HOUR  # the default, without importing croniter in each process that Airflow starts
    if text in PRESETS or (not text.startswith("@") and len(text.split()) == FIELDS):
        pauses = _pauses(text)
        if pauses:
            return Schedule(text, min(pauses), max(pauses))
    raise SettingsError(
        f"{setting} is {text!r}: it must be a cron expression of five fields, such as */10 * * * *, or one of "
        f"{', '.join(PRESETS)}, or {NONE} if runs are only triggered by hand."
    )


def _pauses(text: str) -> Sequence[timedelta]:
    """Pauses between the coming runs; empty if the text is not a schedule."""
    from croniter import CroniterError, croniter  # type: ignore[import-untyped]  # Airflow's own parser

    try:
        times = croniter(text, datetime(2026, 1, 1, tzinfo=timezone.utc))
        runs = [times.get_next(datetime) for _ in range(LOOKED_AT)]
    except (CroniterError, ValueError, KeyError):
        return []
    return [later - earlier for earlier, later in pairwise(runs)]
