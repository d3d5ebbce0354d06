"""Days in a time zone: when each begins and ends, and until when its numbers are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

import pendulum

from include.api_video.catalog.analytics import CLOSED, OPEN, SETTLED

AGES = (timedelta(hours=1), timedelta(hours=24), timedelta(hours=72))  # after a day's end, when it is read again
LAG = timedelta(seconds=60)  # numbers are there after 5 s (guide, analytics/overview)
LATE = timedelta(minutes=5)  # a run may begin some minutes earlier in its hour than the one that closed the day


@dataclass(frozen=True)
class Span:
    """A day, or what is left of it: from when until when its numbers are asked for."""

    day: str
    start: datetime
    end: datetime
    read_to: datetime
    state: str


class Calendar:
    """Days in a time zone, at one moment."""

    def __init__(self, timezone: str, now: datetime) -> None:
        self.timezone, self.now = timezone, now.replace(microsecond=0)  # as it is asked for
        self._zone = pendulum.timezone(timezone)

    @property
    def today(self) -> date:
        """The day that is not over."""
        return self.now.astimezone(self._zone).date()

    def day_of(self, moment: datetime) -> date:
        """The day of a moment."""
        return moment.astimezone(self._zone).date()

    def start_of(self, day: date) -> datetime:
        """When a day begins, in UTC: at its first moment, where its midnight is skipped or comes twice (``fold`` is 0)."""
        return datetime(day.year, day.month, day.day, tzinfo=self._zone).astimezone(timezone.utc)

    def span(self, day: date, state: str | None = None, start: datetime | None = None) -> Span:
        """A day until its end, or until a minute ago; its state as of now unless one is given."""
        end = self.start_of(day + timedelta(days=1))
        state = state or (OPEN if end > self.now else CLOSED if self.now - end < AGES[-1] - LATE else SETTLED)
        return Span(day.isoformat(), start or self.start_of(day), end, min(end, self.now - LAG), state)
