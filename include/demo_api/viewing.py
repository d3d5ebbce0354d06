"""Who watches the demo's videos: invented sessions, the same at each request, with a daily and a weekly curve.

A session is one player that was shown: an impression, in most cases a play, sometimes to the end. All numbers of the
analytics API are computed from the sessions of a span, so they agree with each other to the last digit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from itertools import chain
from typing import Any

from include.demo_api.samples import Company, Dice, make_id

HOUR_S = 3600
RETENTION = timedelta(days=30)  # OpenAPI, parameter from
EPOCH_S = int(datetime(2026, 9, 1, tzinfo=timezone.utc).timestamp())  # plays of all time are counted from here on
PLAYS_A_DAY = 120
DAILY = (2, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 8, 7, 8, 8, 8, 7, 7, 7, 8, 9, 8, 6, 4)  # by hour, UTC
WEEKEND = 0.6  # of a weekday's viewing
COUNTRIES = ("FR", "FR", "FR", "DE", "DE", "US", "US", "GB", "ES", "BR", "JP", "IN")
CONTINENTS = {"FR": "EU", "DE": "EU", "GB": "EU", "ES": "EU", "US": "NA", "BR": "SA", "JP": "AS", "IN": "AS"}
DEVICES = (
    ("computer", "windows", "chrome"), ("computer", "windows", "edge"), ("computer", "mac os x", "safari"),
    ("computer", "linux", "firefox"), ("phone", "android", "chrome"), ("phone", "ios", "safari"),
    ("tablet", "ios", "safari"), ("phone", "android", ""),
)  # fmt: skip
REFERRERS = (
    "https://www.example.com/videos",
    "https://www.example.com/videos?utm_source=mail&user=4711",
    "https://www.example.com/blog",
    "https://shop.example.net/",
)
METRICS = ("play", "start", "end", "impression", "view", "ccv-peak", "ccv-average", "play-rate", "play-total")
DIMENSIONS = (
    "media-id", "media-type", "continent", "country", "device-type", "operating-system", "browser", "referrer"
)  # fmt: skip
# Names in filterBy (OpenAPI), each with its dimension.
FILTERS = {
    "mediaId": "media-id", "mediaType": "media-type", "continent": "continent", "country": "country",
    "deviceType": "device-type", "operatingSystem": "operating-system", "browser": "browser", "referrer": "referrer",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Session:
    """One player that was shown. Times in seconds; ``values`` by dimension."""

    at: int
    known_at: int  # when the API begins to count it: some come late
    values: Mapping[str, str]
    is_play: bool
    is_start: bool
    is_end: bool
    watched_s: int
    waited_ms: int

    def counts(self, metric: str) -> bool:
        """Whether the session adds to a metric that is a count."""
        if metric == "impression":
            return True
        if metric == "start":
            return self.is_start
        if metric == "end":
            return self.is_end
        return self.is_play and (metric != "view" or self.watched_s >= 5)


class Viewing:
    """The sessions of a company's videos and live streams.

    Attributes:
        now: the clock of the analytics, in UTC: real time unless it is set (``FileClock``: also from another process).
        plays_a_day: on a weekday, about.
    """

    def __init__(self, company: Company) -> None:
        self._company = company
        self.now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
        self.plays_a_day = PLAYS_A_DAY
        self.retention = RETENTION
        self._quiet_since: datetime | None = None
        self.clamps = False  # answers for the span that is left, in place of a 400
        self._hour = lru_cache(maxsize=24 * 400)(self._make_hour)
        self._buckets = lru_cache(maxsize=16)(self._count_buckets)  # the pages of a list are counted once
        self._added: list[Session] = []

    def quiet(self) -> None:
        """Ends all viewing now, and lets no session come late. What the API already counts stays."""
        self._quiet_since = self.now()

    def wake(self) -> None:
        """Undoes ``quiet``: the sessions since then appear."""
        self._quiet_since = None

    def _known_until(self) -> int:
        """The second until which the API knows what happened."""
        return int(min(self.now(), self._quiet_since or self.now()).timestamp())

    def watch(self, media_id: str, at: datetime, plays: int) -> None:
        """Adds plays of a video or live stream. The API counts them from now on, however long ago they were."""
        known_at, hour = int(self.now().timestamp()), int(at.timestamp()) // HOUR_S
        own = {"media-id": media_id, "media-type": "live-stream" if media_id.startswith("li") else "video"}
        for _ in range(plays):
            made = self._make_session(hour, len(self._added))
            values = {**made.values, **own}
            self._added.append(
                replace(made, at=int(at.timestamp()), known_at=known_at, values=values, is_play=True, watched_s=10)
            )

    def _make_hour(self, hour: int, plays_a_day: int) -> tuple[Session, ...]:
        company = self._company
        at = datetime.fromtimestamp(hour * HOUR_S, timezone.utc)
        weight = DAILY[at.hour] / sum(DAILY) * (WEEKEND if at.weekday() >= 5 else 1)
        wanted = Dice(company.seed, "hour", hour).below(1000) / 1000 + plays_a_day * 1.4 * weight
        return tuple(self._make_session(hour, number) for number in range(int(wanted)))

    def _make_session(self, hour: int, number: int) -> Session:
        company, dice = self._company, Dice(self._company.seed, "session", hour * 100_000 + number)
        country, (device, system, browser) = dice.pick(COUNTRIES), dice.pick(DEVICES)
        is_live = dice.one_in(8)  # all come in the hour's first minutes, and stay
        at = hour * HOUR_S + dice.below(HOUR_S // 6 if is_live else HOUR_S)
        if is_live:
            media = make_id("li", company.seed, dice.below(7))
        else:  # a few are watched often, the newest tenth never; one session in fifty is of a deleted video
            share = ((dice.below(1000) + number % 997 / 997) / 1000) ** 3
            deleted = company.videos + 500 + dice.below(5)
            media = company.video_id(deleted if dice.one_in(50) else int(share * max(company.videos * 0.9, 1)))
        is_play = not dice.one_in(4)
        is_start = is_play and not dice.one_in(12)
        is_end = is_play and dice.one_in(3)
        delay = dice.below(20 * HOUR_S) if dice.one_in(60) else 3
        return Session(
            at,
            at + delay,
            {
                "media-id": media,
                "media-type": "live-stream" if is_live else "video",
                "continent": CONTINENTS[country],
                "country": country,
                "device-type": device,
                "operating-system": system,
                "browser": browser,
                "referrer": dice.pick(REFERRERS) if browser else "",  # apps send none (guide, analytics/overview)
            },
            is_play,
            is_start,
            is_end,
            (2 + dice.below(600) * (4 if is_live else 1)) if is_play else 0,
            200 + dice.below(4000),
        )

    # --- spans --------------------------------------------------------------------------------------------------------

    def sessions(self, start: datetime, end: datetime, where: Mapping[str, Sequence[str]]) -> Iterator[Session]:
        """Sessions that began in a span (``end`` is exclusive), and that the API knows by now."""
        begin_s, end_s, now_s = start.timestamp(), end.timestamp(), self._known_until()
        hours = range(int(begin_s // HOUR_S), int(-(-end_s // HOUR_S)))
        invented = chain.from_iterable(self._hour(hour, self.plays_a_day) for hour in hours)
        for session in chain(invented, self._added):
            is_there = begin_s <= session.at < end_s and session.known_at <= now_s
            if is_there and all(session.values[FILTERS[name]] in wanted for name, wanted in where.items()):
                yield session

    def total(
        self, metric: str, aggregation: str, start: datetime, end: datetime, where: Mapping[str, Sequence[str]]
    ) -> float:
        """A number over a span."""
        if (metric, aggregation) == ("play", "total"):
            return float(sum(self.all_time(where).values()))
        sessions = list(self.sessions(start, end, where))
        if metric == "ccv":
            return float(_peak(sessions))
        if metric == "watch-time":
            times: list[float] = [session.watched_s for session in sessions if session.is_play]
        elif metric == "impression-time":
            times = [session.waited_ms for session in sessions if session.is_play]
        else:
            count = sum(session.counts(metric) for session in sessions)
            shown = len(sessions)
            return float(count) if aggregation == "count" else count / shown if shown else 0.0
        return float(sum(times)) if aggregation == "sum" else sum(times) / len(times) if times else 0.0

    def buckets(
        self, metric: str, dimension: str, start: datetime, end: datetime, where: Mapping[str, Sequence[str]]
    ) -> dict[str, float]:
        """A number for each value of a dimension that occurs in a span."""
        if metric == "play-total":
            return {key: float(count) for key, count in self.all_time(where).items()}
        filters = tuple((name, tuple(values)) for name, values in where.items())
        return self._buckets(
            metric, dimension, start, end, filters, self._known_until(), self.plays_a_day, len(self._added)
        )

    def _count_buckets(
        self,
        metric: str,
        dimension: str,
        start: datetime,
        end: datetime,
        filters: tuple[tuple[str, tuple[str, ...]], ...],
        *_: int,  # what else the numbers depend on
    ) -> dict[str, float]:
        found: dict[str, list[Session]] = {}
        for session in self.sessions(start, end, dict(filters)):
            found.setdefault(session.values[dimension], []).append(session)
        return _numbers(metric, found)

    def series(
        self, metric: str, step_s: int, start: datetime, end: datetime, where: Mapping[str, Sequence[str]]
    ) -> dict[str, float]:
        """A number for each step of time in which something happened."""
        found: dict[str, list[Session]] = {}
        for session in self.sessions(start, end, where):
            moment = datetime.fromtimestamp(session.at // step_s * step_s, timezone.utc).isoformat()
            found.setdefault(moment, []).append(session)
        return _numbers(metric, found)

    def all_time(self, where: Mapping[str, Sequence[str]]) -> dict[str, int]:
        """Plays of each video and live stream, ever."""
        begin = datetime.fromtimestamp(EPOCH_S, timezone.utc)
        return dict(Counter(s.values["media-id"] for s in self.sessions(begin, self.now(), where) if s.is_play))


def _numbers(metric: str, found: Mapping[str, Sequence[Session]]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for value, sessions in found.items():
        if metric.startswith("ccv"):
            numbers[value] = float(_peak(sessions))
        elif metric == "play-rate":
            numbers[value] = sum(session.is_play for session in sessions) / len(sessions)
        else:
            numbers[value] = float(sum(session.counts(metric) for session in sessions))
    return {value: number for value, number in numbers.items() if number}


def _peak(sessions: Iterable[Session]) -> int:
    """Most viewers of live streams at one moment."""
    moments: list[tuple[int, int]] = []
    for session in sessions:
        if session.is_play and session.values["media-type"] == "live-stream":
            moments += [(session.at, 1), (session.at + session.watched_s, -1)]
    most = now = 0
    for _, step in sorted(moments):
        now += step
        most = max(most, now)
    return most


def as_rows(numbers: Mapping[str, float], value: str) -> list[dict[str, Any]]:
    """Numbers as the API lists them; ``value`` is the name of their field."""
    return [{"metricValue": number, value: name} for name, number in sorted(numbers.items())]
