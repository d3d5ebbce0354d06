"""Syncs days: which days to read, until when, and what becomes of them. No network, no SQL.

The open day is read at each run; a day that is over is read once more then, and again 1, 24 and 72 hours later, since
numbers may come late. Then it is settled: its row stays as it is, also after api.video has forgotten the day. Once a day
the plays of settled days are audited: where api.video counts them differently since, the row says so beside its own number.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from include.api_video.catalog.analytics import CLOSED, GAP, OPEN, PARTIAL_DAY, SETTLED
from include.api_video.catalog.model import Endpoint
from include.api_video.sync.day_spans import AGES, LATE, Calendar, Span
from include.api_video.sync.outcome import Outcome, hash_row

SHORTEST = timedelta(days=29)  # api.video has the numbers of so many days for certain; the sandbox has not
LAST = {OPEN: PARTIAL_DAY, CLOSED: SETTLED}  # what becomes of a day that api.video has forgotten
log = logging.getLogger("api_video")


@dataclass(frozen=True, slots=True)
class KnownDay:
    """A loaded day: its state, when it was read, the hash of its totals; ``is_complete``: its load is.

    ``row``: its other columns as they are loaded, by field.
    """

    state: str
    read_at: datetime | None
    content_hash: str | None
    is_complete: bool = True
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SettledDay:
    """A settled day: its plays, and those that api.video counted at its last audit, if they differ."""

    start: datetime
    end: datetime
    plays: int
    audited: int | None

    @property
    def counted(self) -> int:
        """The plays that api.video counted when it was last asked."""
        return self.plays if self.audited is None else self.audited


@dataclass(frozen=True)
class DaysState:
    """What the table of days holds before a run.

    Attributes:
        timezone: that of its days.
        may_lack: the last run left days for this one, which may be older than all loaded ones.
        kept_for: how long api.video has numbers for certain.
    """

    days: Mapping[str, KnownDay]
    timezone: str | None = None
    base_url: str | None = None
    may_lack: bool = False
    kept_for: timedelta = SHORTEST


class DaySync:
    """One run over the days: which to read, and what to load of each.

    Args:
        forgotten_before: tells since when api.video has numbers; asked only if days are missing.
        most: most days to read in this run.

    Attributes:
        spans: the days to read, oldest first: api.video forgets them first.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        state: DaysState,
        calendar: Calendar,
        forgotten_before: Callable[[], datetime],
        *,
        most: int,
        anew: bool = False,
    ) -> None:
        self._endpoint, self._state, self._calendar = endpoint, state, calendar
        self._first = state.base_url is None
        self._anew = anew
        self._gaps: list[Span] = []
        self._kept: list[tuple[str, KnownDay, dict[str, Any]]] = []  # their numbers stay, beside what is new
        wanted = list(self._wanted(forgotten_before))
        self._expected = len(state.days) + sum(span.day not in state.days for span in (*wanted, *self._gaps))
        today = [span for span in wanted if span.state == OPEN]
        earlier = [span for span in wanted if span.state != OPEN]
        chosen = [*earlier[: max(1, most - len(today))], *today]  # at least one, or no day would ever be settled
        self._waiting = len(wanted) - len(chosen)
        self.spans: Mapping[str, Span] = {span.day: span for span in chosen}
        self._kinds: Counter[str] = Counter()
        self._answered: set[str] = set()
        self._compared: list[str] = []
        self._failed = 0

    # --- which days ---------------------------------------------------------------------------------------------------

    def _wanted(self, forgotten_before: Callable[[], datetime]) -> Iterator[Span]:
        """The days to read, oldest first; notes the gaps."""
        calendar, known = self._calendar, self._state.days
        begin = min((date.fromisoformat(day) for day in known), default=None)
        yesterday = calendar.today - timedelta(days=1)
        is_missing = begin is None or any(day.isoformat() not in known for day in _days(begin, yesterday))
        is_missing |= self._state.may_lack or any(self._may_be_forgotten(date.fromisoformat(day)) for day in known)
        cut = forgotten_before() if is_missing or self._anew else None
        oldest = calendar.day_of(cut or calendar.now)
        if begin is None or self._anew or self._state.may_lack:
            begin = min(begin or oldest, oldest)
        for day in _days(begin, calendar.today):
            span, loaded = calendar.span(day), known.get(day.isoformat())
            if span.read_to <= span.start:
                continue  # the first minute of a day
            if cut and span.start < cut:
                if loaded is None and span.end <= cut:
                    self._gaps.append(calendar.span(day, GAP))
                elif loaded is None:
                    yield calendar.span(day, PARTIAL_DAY, start=cut)
                elif loaded.state in LAST or not loaded.is_complete:
                    self._kept.append((span.day, loaded, {"state": LAST.get(loaded.state, loaded.state)}))
            elif loaded is None or not loaded.is_complete or self._anew or self._is_due(span, loaded):
                yield span

    def _may_be_forgotten(self, day: date) -> bool:
        """Whether a loaded day is still to be read, and may be older than what api.video has."""
        loaded = self._state.days[day.isoformat()]
        is_old = self._calendar.now - self._calendar.start_of(day) > self._state.kept_for
        is_old |= loaded.state in (PARTIAL_DAY, GAP)
        return is_old and (loaded.state in LAST or not loaded.is_complete)

    def _is_due(self, span: Span, loaded: KnownDay) -> bool:
        if loaded.state in (SETTLED, PARTIAL_DAY, GAP):
            return False
        if loaded.state == OPEN or span.state == SETTLED:
            return True  # still open, or over since; or only its last reading is left
        read_at = loaded.read_at or span.end
        return any(read_at + LATE < span.end + age <= self._calendar.now + LATE for age in AGES)

    # --- what became of them -------------------------------------------------------------------------------------------

    @property
    def left(self) -> int:
        """How many days are not read yet."""
        return len(self.spans) - len(self._answered)

    @property
    def is_done(self) -> bool:
        """Whether all days were read."""
        return self.left == 0

    @property
    def compared(self) -> Iterator[str]:
        """Loaded days that were read again."""
        return iter(self._compared)

    def take(self, day: str, totals: Mapping[str, Any], now: datetime) -> dict[str, Any] | None:
        """Returns the day's row to load; None if it is loaded already, with the same totals and state.

        ``totals``: a number by column; None where api.video does not answer: then a loaded number stays.
        """
        span, loaded = self.spans[day], self._state.days.get(day)
        known = loaded.row if loaded else {}
        totals = {column: known.get(column) if number is None else number for column, number in totals.items()}
        content_hash = hash_row(totals)
        self._answered.add(day)
        is_same = loaded is not None and loaded.content_hash == content_hash
        if loaded is not None:
            self._compared.append(day)
        if is_same and loaded and loaded.is_complete and span.state == OPEN == loaded.state:
            return None  # an hour without plays; of a day that is over, it counts when it was read
        self._kinds["new" if loaded is None else "same" if is_same else "changed"] += 1
        return self._row(span, totals, content_hash, now)

    def gap_rows(self, now: datetime) -> list[dict[str, Any]]:
        """Rows for days that api.video had forgotten before they were read."""
        if self._gaps:
            log.warning(
                "%s: api.video had forgotten %s before a run came by, %s to %s; state: gap",
                *(self._endpoint.name, _count_days(len(self._gaps)), self._gaps[0].day, self._gaps[-1].day),
            )
        self._kinds["new"] += len(self._gaps)
        nothing = dict.fromkeys(ask.column for ask in self._endpoint.asks)
        return [self._row(span, nothing, hash_row({"day": span.day}), now) for span in self._gaps]

    def kept_rows(self) -> list[dict[str, Any]]:
        """Rows of days whose numbers stay: api.video forgot them before they were settled, or their audit has news."""
        self._kinds["changed"] += len(self._kept)
        return [
            {
                **loaded.row,
                "day": day,
                **news,
                "_content_hash": loaded.content_hash or hash_row({"day": day}),
                "_read_at": loaded.read_at,
            }
            for day, loaded, news in self._kept
        ]

    def to_audit(self) -> dict[str, SettledDay]:
        """Settled days that api.video still has, oldest first; none but in the run that settles another one: once a day."""
        if not any(span.state == SETTLED for span in self.spans.values()):
            return {}
        oldest = self._calendar.now - self._state.kept_for
        return {
            day: SettledDay(loaded.row["dayStart"], loaded.row["dayEnd"], loaded.row["plays"], loaded.row["auditedPlays"])
            for day, loaded in sorted(self._state.days.items())
            if loaded.state == SETTLED and loaded.is_complete and day not in self.spans
            if loaded.row.get("plays") is not None and loaded.row["dayStart"] >= oldest
        }

    def audit(self, plays: Mapping[str, int]) -> None:
        """Takes the plays that api.video counts of settled days now. What is settled stays; the difference is told."""
        days, moved = self.to_audit(), []
        for day, count in plays.items():
            if count != days[day].counted:
                self._kept.append(
                    (day, self._state.days[day], {"auditedPlays": count if count != days[day].plays else None})
                )
                moved += [day] if count != days[day].plays else []
        if moved:
            log.warning(
                "%s: api.video counts other plays of %s than when they were settled (%s); see the column audited_plays",
                *(self._endpoint.name, _count_days(len(moved)), ", ".join(moved)),
            )

    def _row(self, span: Span, totals: Mapping[str, Any], content_hash: str, now: datetime) -> dict[str, Any]:
        return {
            "day": span.day,
            "dayStart": span.start,
            "dayEnd": span.end,
            "readTo": span.start if span.state == GAP else span.read_to,
            "timezone": self._calendar.timezone,
            "state": span.state,
            **totals,
            "auditedPlays": None,
            "_content_hash": content_hash,
            "_read_at": now,
        }

    def leave(self, day: str, reason: str) -> None:
        """Leaves a day that could not be read for the next run."""
        self._answered.add(day)
        self._failed += 1
        log.warning("%s: %s is left for the next run: %s", self._endpoint.name, day, reason)

    def outcome(self) -> Outcome:
        """Returns the counts of this run. Call it once ``is_done``."""
        kinds = self._kinds
        return Outcome(
            mode="first" if self._first else "changes",
            items_total=self._expected,
            active=len(self._state.days) + kinds["new"],
            new=kinds["new"],
            changed=kinds["changed"],
            waiting=self._waiting + self._failed,
            unread=self._failed,
        )


def _count_days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)
