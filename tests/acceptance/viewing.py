"""What the tables of analytics must hold: the API's own answers, requested whenever a day is due.

The promise, seen from outside: each run reads the open day, up to a minute ago. A day that is over is read again at its
close, and 1, 24 and 72 hours later. In between, and for good after 72 hours, its numbers stay as they were read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

Rows = Callable[[str], list[tuple[Any, ...]]]
Numbers = dict[str, list[float]]  # by value of a dimension, in the order of its metrics
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AGES = (timedelta(0), HOUR, DAY, 3 * DAY)  # of a day after its close, at which it is read again
RETENTION, MARGIN = 30 * DAY, HOUR  # the oldest hour is left out: the API may forget it during the run
FORGOTTEN = {"open": "partial", "closed": "settled"}  # what becomes of the state of a day that the API has begun to forget
DAYS, TOTALS = "analytics_days", "analytics_totals"
OF_DAY = {
    "impressions": "metrics/impression/count",
    "plays": "metrics/play/count",
    "starts": "metrics/start/count",
    "ends": "metrics/end/count",
    "views": "buckets/view/media-type",  # added up
    "watch_time_s": "metrics/watch-time/sum",
    "impression_time_avg_ms": "metrics/impression-time/average",
    "ccv_peak": "metrics/ccv/peak",
}
COUNTS = {"impressions": "impression", "plays": "play", "views": "view"}
# By table: the column with the value, the path of the API after its metric, and the metric of each column.
LISTS: dict[str, tuple[str, str, Mapping[str, str]]] = {
    "analytics_hours": ("hour_start", "", {**COUNTS, "ccv_peak": "ccv-peak"}),
    "analytics_videos": ("media_id", "media-id", {**COUNTS, "starts": "start", "ends": "end", "ccv_peak": "ccv-peak"}),
    "analytics_countries": ("country", "country", COUNTS),
    "analytics_devices": ("device_type", "device-type", COUNTS),
    "analytics_operating_systems": ("operating_system", "operating-system", COUNTS),
    "analytics_browsers": ("browser", "browser", COUNTS),
    "analytics_referrers": ("referrer", "referrer", COUNTS),  # without its query
}
TABLES = (DAYS, *LISTS, TOTALS)
FEW = (DAYS, "analytics_hours", "analytics_videos", "analytics_countries")  # for stories of many runs


@dataclass
class Day:
    """A day as the tables must have it; ``lists`` by table."""

    start: datetime
    end: datetime
    read_to: datetime
    state: str
    totals: list[float | None] = field(default_factory=lambda: [None] * len(OF_DAY))
    lists: dict[str, Numbers] = field(default_factory=dict)


class Analytics:
    """The API's analytics, requested as any client would."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._session = url, requests.Session()
        self._session.trust_env, self._session.auth = False, (key, "")

    def number(self, path: str, start: datetime, end: datetime) -> float:
        """A number over a span; the sum of a list."""
        if path.startswith("buckets/"):
            return sum(self.numbers(path, "dimensionValue", start, end).values())
        return float(self._get(path, **_span(start, end))["data"])

    def numbers(self, path: str, value: str, start: datetime | None = None, end: datetime | None = None) -> Counter[str]:
        """All pages of a list: a number by value."""
        found, span, page, pages = Counter[str](), _span(start, end) if start and end else {}, 1, 1
        while page <= pages:
            body = self._get(path, currentPage=page, pageSize=100, **span)
            for row in body["data"]:
                found[row[value].partition("?")[0]] += row["metricValue"]
            page, pages = page + 1, body["pagination"]["pagesTotal"]
        return found

    def _get(self, path: str, **words: Any) -> Any:
        answer = self._session.get(f"{self._url}/data/{path}", params=words, timeout=60)
        assert answer.ok, answer.text
        return answer.json()


def _span(start: datetime, end: datetime) -> dict[str, str]:
    return {"from": start.isoformat(timespec="seconds"), "to": end.isoformat(timespec="seconds")}


class Viewing:
    """What the tables must have after each whole run.

    Args:
        tables: those of ``TABLES`` that are loaded.
        zone: the time zone of the days.
    """

    def __init__(self, analytics: Analytics, tables: tuple[str, ...], zone: str) -> None:
        self._analytics, self._tables, self._zone = analytics, tables, ZoneInfo(zone)
        self.days: dict[str, Day] = {}
        self._totals = Counter[str]()
        self._totals_read_at = self._read_at = datetime.min.replace(tzinfo=timezone.utc)

    def copy(self, analytics: Analytics) -> Viewing:
        """The same for another API with the same initial content."""
        copied = Viewing(analytics, self._tables, self._zone.key)
        copied.days, copied._totals = deepcopy(self.days), Counter(self._totals)
        copied._totals_read_at, copied._read_at = self._totals_read_at, self._read_at
        return copied

    def see_run(self, now: datetime) -> None:
        """Asks the API for all that a run at this time must have read. Call it after each run that succeeded."""
        cut, today = now - RETENTION + MARGIN, now.astimezone(self._zone).date()
        first = min(map(date.fromisoformat, self.days), default=cut.astimezone(self._zone).date())
        for number in range((today - first).days + 1):
            day = first + number * DAY
            start, end = self._start_of(day), self._start_of(day + DAY)
            known = self.days.get(day.isoformat())
            if known is None and start < cut:
                state = "gap" if end <= cut else "partial"
                self._read(day, Day(max(start, cut) if state == "partial" else start, end, min(end, now), state))
            elif known and start < cut:
                known.state = FORGOTTEN.get(known.state, known.state)
            elif known is None or (known.state in FORGOTTEN and self._is_due(end, now)):
                state = "open" if end > now else "closed" if now < end + AGES[-1] else "settled"
                self._read(day, Day(start, end, min(end, now - timedelta(seconds=60)), state))
        if TOTALS in self._tables and now - self._totals_read_at >= DAY:
            self._totals = self._analytics.numbers("buckets/play-total/media-id", "dimensionValue")
            self._totals_read_at = now
        self._read_at = now

    def _is_due(self, end: datetime, now: datetime) -> bool:
        return end > now or any(self._read_at < end + age <= now for age in AGES)

    def _start_of(self, day: date) -> datetime:
        return datetime.combine(day, time(), self._zone).astimezone(timezone.utc)

    def _read(self, day: date, read: Day) -> None:
        self.days[day.isoformat()] = read
        if read.state == "gap":
            return
        span = read.start, read.read_to
        read.totals = [self._analytics.number(path, *span) for path in OF_DAY.values()]
        read.lists = {table: self._list(table, *span) for table in LISTS if table in self._tables}

    def _list(self, table: str, start: datetime, end: datetime) -> Numbers:
        _, dimension, metrics = LISTS[table]
        value = "dimensionValue" if dimension else "emittedAt"
        paths = [f"buckets/{metric}/{dimension}" if dimension else f"timeseries/{metric}" for metric in metrics.values()]
        asked = [self._analytics.numbers(path, value, start, end) for path in paths]
        return {name: [numbers[name] for numbers in asked] for name in sorted(set[str]().union(*asked))}

    # --- what is in the tables ----------------------------------------------------------------------------------------

    def assert_equal(self, rows: Rows) -> None:
        """Asserts that the tables have these numbers, each once, and no others."""
        days = rows(
            f"SELECT day, day_start, day_end, state, read_to, {', '.join(OF_DAY)} FROM {DAYS} "
            "WHERE removed_at IS NULL ORDER BY day"
        )
        assert [row[0] for row in days] == sorted(self.days)
        for day, start, end, state, read_to, *totals in days:
            wanted = self.days[day]
            assert (start, end, state) == (wanted.start, wanted.end, wanted.state), day
            assert state == "gap" or read_to == wanted.read_to, day
            assert totals == pytest.approx(wanted.totals), day
        for table in LISTS:
            if table in self._tables:
                self._assert_list(rows, table)
        if TOTALS in self._tables:
            found = rows(f"SELECT media_id, plays_total FROM {TOTALS} WHERE removed_at IS NULL ORDER BY 1")
            assert found == sorted(self._totals.items())

    def _assert_list(self, rows: Rows, table: str) -> None:
        value, _, metrics = LISTS[table]
        found: dict[str, list[tuple[str, list[float]]]] = {day: [] for day in self.days}
        for day, name, *numbers in rows(
            f"SELECT day, {value}, {', '.join(metrics)} FROM {table} WHERE removed_at IS NULL ORDER BY 1, 2"
        ):
            found[day].append((name.isoformat() if isinstance(name, datetime) else name, numbers))
        for day, wanted in self.days.items():
            assert found[day] == sorted(wanted.lists.get(table, {}).items()), (table, day)
