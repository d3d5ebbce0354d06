"""When runs come, by the setting ``schedule``, and what follows: when a table is out of date, when a run is late."""

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
LOOKED_AT = 60  # runs to come: two months of a daily schedule
MISSED = 3  # so many times its longest pause, and a table is out of date: two runs may fail
LEAST_FRESH = timedelta(minutes=15)
LATEST = timedelta(hours=1)  # a run that comes once a day should not take the whole day, either


@dataclass(frozen=True)
class Schedule:
    """When runs come, UTC.

    Attributes:
        text: a cron expression or preset, as Airflow takes it; None: only when somebody triggers one.
        shortest, longest: between two runs that follow each other.
    """

    text: str | None = HOURLY
    shortest: timedelta = timedelta(hours=1)
    longest: timedelta = timedelta(hours=1)

    @property
    def fresh_for(self) -> timedelta | None:
        """How old a table may be; None: any age."""
        return max(MISSED * self.longest, LEAST_FRESH) if self.text else None

    @property
    def late_after(self) -> timedelta:
        """How long a run may take before it is late: from then on, it holds up the next one."""
        return min(self.shortest, LATEST) if self.text else LATEST


ON_THE_HOUR = Schedule()


def read_schedule(account: Account = DEFAULT_ACCOUNT) -> Schedule:
    """An account's schedule, from the environment or dlt's files: Airflow asks for no Connection to find it.

    Raises:
        SettingsError: it is none.
    """
    section = Section(account.section, general=Section(SECTION) if account.name else None)
    return parse_schedule(section.text("schedule") or HOURLY, section.variable("schedule"))


def schedule_or_hourly(account: Account) -> Schedule:
    """The same, where a wrong one must not break anything: `prepare` says what is wrong with it."""
    try:
        return read_schedule(account)
    except SettingsError:
        return ON_THE_HOUR


def parse_schedule(text: str, setting: str) -> Schedule:
    """What a text means.

    Raises:
        SettingsError: it is neither a cron expression nor a preset; ``setting`` is what says so.
    """
    if text.lower() == NONE:
        return Schedule(None)
    if text == HOURLY:
        return ON_THE_HOUR  # what nearly everybody has, in each process that Airflow starts
    if text in PRESETS or (not text.startswith("@") and len(text.split()) == FIELDS):
        pauses = _pauses(text)
        if pauses:
            return Schedule(text, min(pauses), max(pauses))
    raise SettingsError(
        f"{setting} is {text!r}: it must be a cron expression of five fields, such as */10 * * * *, or one of "
        f"{', '.join(PRESETS)}, or {NONE} for runs that are triggered only."
    )


def _pauses(text: str) -> Sequence[timedelta]:
    """Between the runs to come; none where the text means no time."""
    from croniter import CroniterError, croniter  # type: ignore[import-untyped]  # what Airflow reads schedules with

    try:
        times = croniter(text, datetime(2026, 1, 1, tzinfo=timezone.utc))
        runs = [times.get_next(datetime) for _ in range(LOOKED_AT)]
    except (CroniterError, ValueError, KeyError):
        return []
    return [later - earlier for earlier, later in pairwise(runs)]
