"""Reads the totals of days of analytics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from include.api_video.api.analytics import as_number, is_of
from include.api_video.api.client import REFUSED, UNREAD
from include.api_video.api.origin import check_same, is_demo, was_demo_only
from include.api_video.catalog.model import Ask
from include.api_video.catalog.storable import now_utc
from include.api_video.errors import ApiVideoServerError, LeftOutError, SettingsError
from include.api_video.load.unit_reading import UNDOCUMENTED, Question, Unit, UnitReading
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
        self._check_allowed(unit)
        sync, now = self._begun(), now_utc()
        yield from self._gaps(sync, now)
        if unit.failed or unit.is_refused:
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
        with suppress(ApiVideoServerError):  # tomorrow's run audits again
            if self._plays(spans[0].start, spans[-1].end) != sum(day.counted for day in spans):
                plays = {day: self._plays(span.start, span.end) for day, span in days.items()}
                sync.audit({day: count for day, count in plays.items() if count is not None})

    def _plays(self, start: datetime, end: datetime) -> int | None:
        """The plays of a span; None if api.video does not answer for it.

        Raises:
            LeftOutError: the key may not read analytics.
        """
        question = self._question("", Ask("metrics/play/count", "plays"), start, end)
        body = self.session.get(self.settings.url_of(self.endpoint.host) + question.path).json()
        if REFUSED in body and body["status"] == 403:
            raise LeftOutError(str(body[REFUSED]))
        if REFUSED in body or not is_of(body, start, end):
            return None
        number = as_number(body.get("data", UNDOCUMENTED) or 0)
        if UNREAD in body or number is None:
            raise ApiVideoServerError(
                str(body.get(UNREAD) or "api.video does not say how far back its analytics go: " + UNDOCUMENTED)
            )
        return int(number)

    def _forgotten_before(self) -> datetime:
        """Since when api.video has numbers: asks for plays, as far back as contracts go.

        Raises:
            LeftOutError: the key may not read analytics.
            ApiVideoServerError: there is no answer.
        """
        now = self._started_at.replace(microsecond=0)
        last_day = now - OF_SANDBOX + MARGIN
        if self.settings.environment == "sandbox":
            return last_day
        for retention, shorter in pairwise((*RETENTIONS, timedelta(0))):
            since = now - retention + MARGIN
            plays = self._plays(since, now - shorter)
            if plays is not None and (plays or retention == RETENTIONS[-1]):  # else it may tell 0 of what it has forgotten
                return since
        # It would be less than any contract: one odd answer must not cost the days that the others still have.
        if self._plays(last_day, now) is None or self._plays(now - RETENTIONS[-1] + MARGIN, now) is not None:
            raise ApiVideoServerError(
                "api.video answers in two ways how far back its analytics go. Nothing is loaded, the next run asks again."
            )
        log.info("%s: api.video has less than 30 days of numbers; those of the last day are loaded", self.endpoint.name)
        return last_day

    def _outcome(self) -> Outcome:
        return self._begun().outcome()
