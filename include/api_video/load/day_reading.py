"""Reads the totals of days of analytics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast

from include.api_video.api.analytics import as_number, is_of
from include.api_video.api.client import REFUSED, UNREAD
from include.api_video.api.origin import check_same, is_demo, was_demo_only
from include.api_video.catalog.model import Ask
from include.api_video.catalog.storable import now_utc
from include.api_video.errors import ApiVideoServerError, SettingsError
from include.api_video.load.unit_reading import Question, Unit, UnitReading
from include.api_video.sync.day_spans import Calendar
from include.api_video.sync.days import DaysState, DaySync
from include.api_video.sync.outcome import Outcome
from include.api_video.warehouse.day_queries import days_state
from include.api_video.warehouse.warehouse import Warehouse

# Retention: 30 days, or 3 or 12 months by contract (guide, analytics/overview); the sandbox keeps 24 hours.
RETENTIONS = (timedelta(days=365), timedelta(days=92), timedelta(days=30))
OF_SANDBOX = timedelta(hours=24)
MARGIN = timedelta(hours=1)  # between asking how far back api.video goes, and reading the last list of that day
log = logging.getLogger("api_video")


class DayReading(UnitReading[DaySync]):
    """The days of one endpoint in one run."""

    _has_gaps_to_tell = True

    def _units(self) -> Iterator[tuple[str, list[Question]]]:
        for span in self._begun().spans.values():
            yield span.day, [self._question(span.day, ask, span.start, span.read_to) for ask in self.endpoint.asks]

    def take(self, unit: Unit) -> Iterator[dict[str, Any]]:
        """Yields the row to load of a day, and once those of the gaps."""
        sync, now = self._begun(), now_utc()
        yield from self._gaps(sync, now)
        if unit.failed or len(unit.refused) == len(unit.answers):
            sync.leave(unit.key, unit.failed or next(iter(unit.refused.values()), "no answer."))
        elif row := sync.take(unit.key, self._totals(unit), now):
            self._watch.see(row)
            self._emitted += 1
            yield self._fit(row)
        self._count("days", sync.left)

    def _gaps(self, sync: DaySync, now: datetime) -> Iterator[dict[str, Any]]:
        if self._has_gaps_to_tell:
            self._has_gaps_to_tell = False
            for row in [*sync.gap_rows(now), *sync.kept_rows()]:
                self._emitted += 1
                yield self._fit(row)

    def _totals(self, unit: Unit) -> dict[str, Any]:
        """The day's numbers by column; null where api.video does not answer."""
        self._tell_refused(unit)
        return {ask.column: self._number(unit, ask) for ask in self.endpoint.asks}

    # --- the sync -----------------------------------------------------------------------------------------------------

    def _usable(self, warehouse: Warehouse) -> DaysState:
        """The loaded days.

        Raises:
            SettingsError: they were cut in another time zone, or read from another API.
        """
        state, zone = days_state(warehouse, self.endpoint), self.settings.analytics_timezone
        self._of_demo = is_demo(self.settings.base_url)
        if was_demo_only(state.base_url, self._origin):
            self._starts_over(warehouse, state.base_url)
            return DaysState({})
        check_same(self.endpoint.name, state.base_url, self._origin)
        if state.timezone not in (None, zone):
            raise SettingsError(
                f"The days of {self.endpoint.name} were cut in {state.timezone}, and analytics_timezone is {zone} now. "
                "api.video has forgotten the older ones, so they cannot be cut anew: set analytics_timezone back, or load "
                "into another dataset."
            )
        is_sandbox = self.settings.environment == "sandbox"
        return replace(state, kept_for=OF_SANDBOX - MARGIN) if is_sandbox else state

    def _ask(self, warehouse: Warehouse) -> Callable[[], DaySync]:
        return partial(self._make_sync, self._usable(warehouse))

    def _make_sync(self, state: DaysState) -> DaySync:
        calendar = Calendar(self.settings.analytics_timezone, self._started_at)
        most = max(1, self.settings.max_detail_requests // len(self.endpoint.asks))
        if self._full_refresh and state.days:
            log.warning(
                "%s: all days that api.video still has are read again; older ones stay, since nobody else has them",
                self.endpoint.name,
            )
        sync = DaySync(self.endpoint, state, calendar, self._forgotten_before, most=most, anew=self._full_refresh)
        self._audit(sync)
        return sync

    def _count_requests(self, sync: DaySync) -> int:
        return len(sync.spans) * len(self.endpoint.asks) + self.session.requests_sent

    def _audit(self, sync: DaySync) -> None:
        """Asks how many plays settled days have now: in one number, and of each day only where that one is another."""
        days = sync.to_audit()
        if not days:
            return
        spans = list(days.values())
        if self._plays(spans[0].start, spans[-1].end) != sum(day.counted for day in spans):
            plays = {day: self._plays(span.start, span.end) for day, span in days.items()}
            sync.audit({day: count for day, count in plays.items() if count is not None})

    def _plays(self, start: datetime, end: datetime) -> int | None:
        """The plays of a span; None if api.video does not answer for it."""
        body = self._answer_for(start, end)
        number = as_number(body["data"]) if _has_number(body, start, end) else None
        return None if number is None else int(number)

    def _forgotten_before(self) -> datetime:
        """Since when api.video has numbers: asks for one number, as far back as contracts go.

        Raises:
            LeftOutError: the key may not read analytics.
        """
        now = self._started_at.replace(microsecond=0)
        if self.settings.environment == "sandbox":
            return now - OF_SANDBOX + MARGIN
        for retention in RETENTIONS:
            since = now - retention + MARGIN
            if self._has_since(since):
                return since
        return now - OF_SANDBOX + MARGIN

    def _has_since(self, since: datetime) -> bool:
        end = since + timedelta(hours=1)
        body = self._answer_for(since, end)
        if UNREAD in body:  # says nothing about how far back api.video goes
            raise ApiVideoServerError(str(body[UNREAD]))
        return _has_number(body, since, end)

    def _answer_for(self, start: datetime, end: datetime) -> dict[str, Any]:
        """The answer to how many plays a span had."""
        question = self._question("", Ask("metrics/play/count", "plays"), start, end)
        return cast("dict[str, Any]", self.session.get(self.settings.url_of(self.endpoint.host) + question.path).json())

    def _outcome(self) -> Outcome:
        return self._begun().outcome()


def _has_number(body: Mapping[str, Any], start: datetime, end: datetime) -> bool:
    """Whether an answer has a number for the span that was asked for."""
    return REFUSED not in body and "data" in body and is_of(body, start, end)
