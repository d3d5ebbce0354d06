"""The demo's viewing: its numbers agree with each other, and are the same at each look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from include.demo_api.behaviour import Behaviour
from include.demo_api.samples import Company
from include.demo_api.server import Demo, running
from include.demo_api.viewing import DIMENSIONS, FILTERS, Viewing
from include.demo_api.world import World

NOON = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)  # a Thursday
DAY = timedelta(days=1)
START, END = NOON.replace(hour=0) - DAY, NOON.replace(hour=0)
COUNTED = ("impression", "play", "start", "end", "view")


@pytest.fixture
def viewing() -> Viewing:
    return at(NOON)


def at(now: datetime, videos: int = 60) -> Viewing:
    viewing = Viewing(Company(videos, 1))
    viewing.now = lambda: now
    return viewing


def count(viewing: Viewing, metric: str, start: datetime = START, end: datetime = END, **where: list[str]) -> int:
    return int(viewing.total(metric, "count", start, end, where))


@pytest.mark.parametrize("metric", COUNTED)
def test_parts_add_up_to_the_total(viewing: Viewing, metric: str) -> None:
    total = count(viewing, metric)
    assert total > 10
    for dimension in DIMENSIONS:
        assert sum(viewing.buckets(metric, dimension, START, END, {}).values()) == total, dimension
    for step in (60, 3600, 86_400):
        assert sum(viewing.series(metric, step, START, END, {}).values()) == total
    hours = [START + timedelta(hours=number) for number in range(24)]
    assert sum(count(viewing, metric, hour, hour + timedelta(hours=1)) for hour in hours) == total


@pytest.mark.parametrize("name", FILTERS)
def test_filters_are_parts_of_the_total(viewing: Viewing, name: str) -> None:
    buckets = viewing.buckets("play", FILTERS[name], START, END, {})
    for value, number in buckets.items():
        assert count(viewing, "play", **{name: [value]}) == number
    assert count(viewing, "play", **{name: list(buckets)}) == count(viewing, "play")
    assert count(viewing, "play", **{name: ["none such"]}) == 0


def test_counts_are_in_order(viewing: Viewing) -> None:
    numbers = {metric: count(viewing, metric) for metric in COUNTED}
    assert numbers["impression"] > numbers["play"] > numbers["start"] > numbers["end"]
    assert numbers["play"] >= numbers["view"]
    assert viewing.total("play", "rate", START, END, {}) == numbers["play"] / numbers["impression"]


def test_viewing_is_the_same_at_each_look() -> None:
    one, other = at(NOON), at(NOON)
    assert list(one.sessions(START, END, {})) == list(other.sessions(START, END, {}))


def test_some_sessions_come_late_and_none_goes(viewing: Viewing) -> None:
    early, late = at(END), at(END + DAY)
    seen, known = list(early.sessions(START, END, {})), list(late.sessions(START, END, {}))
    assert len(seen) < len(known)
    assert Counter(session.at for session in seen) <= Counter(session.at for session in known)
    assert list(at(END + 9 * DAY).sessions(START, END, {})) == known  # a day later, all are there


def test_quiet_keeps_what_was_seen() -> None:
    now = NOON
    viewing = at(NOON)
    viewing.now = lambda: now
    before = count(viewing, "play", START, NOON)
    viewing.quiet()
    now = NOON + 2 * DAY
    assert count(viewing, "play", START, now) == before > 0


def test_days_and_weeks_have_a_curve() -> None:
    viewing = at(NOON)
    viewing.plays_a_day = 2000
    monday = datetime(2026, 11, 16, tzinfo=timezone.utc)
    days = [count(viewing, "impression", monday + n * DAY, monday + (n + 1) * DAY) for n in range(7)]
    assert max(days[5:]) < 0.7 * min(days[:5])
    hours = viewing.series("impression", 3600, monday, monday + DAY, {})
    assert hours["2026-11-16T20:00:00+00:00"] > 4 * hours["2026-11-16T03:00:00+00:00"]


def test_plays_of_all_time_never_fall() -> None:
    earlier, later = at(NOON).all_time({}), at(NOON + DAY).all_time({})
    assert all(later[media] >= plays for media, plays in earlier.items())
    assert sum(later.values()) > sum(earlier.values())


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture
def demo() -> Iterator[Demo]:
    with running(World(300), Behaviour(rate_limit=100_000)) as demo:
        demo.world.viewing.now = lambda: NOON
        yield demo


def get(demo: Demo, path: str, **params: Any) -> tuple[int, Any]:
    query = {name.replace("from_", "from"): value for name, value in params.items()}
    answer = requests.get(f"{demo.url}/data/{path}", params=query, auth=(demo.api_key, ""), timeout=60)
    return answer.status_code, answer.json()


def test_the_context_tells_the_span_that_was_asked_for(demo: Demo) -> None:
    status, body = get(demo, "metrics/play/count", from_=START.isoformat(), to=END.isoformat())
    assert (status, body["data"]) == (200, count(demo.world.viewing, "play"))
    assert body["context"]["timeframe"] == {"from": START.isoformat(), "to": END.isoformat()}
    _, body = get(demo, "metrics/play/count", from_="2026-11-25T01:00:00+01:00", to=END.isoformat())
    assert body["context"]["timeframe"]["from"] == START.isoformat()


def test_what_is_forgotten_is_refused_or_cut(demo: Demo) -> None:
    too_far = (NOON - 31 * DAY).isoformat()
    status, body = get(demo, "metrics/play/count", from_=too_far)
    assert (status, body["name"]) == (400, "from")
    demo.world.viewing.clamps = True
    status, body = get(demo, "metrics/play/count", from_=too_far)
    assert (status, body["context"]["timeframe"]["from"]) == (200, (NOON - 30 * DAY).isoformat())
    assert body["data"] == count(demo.world.viewing, "play", NOON - 30 * DAY, NOON)


def test_pages_hold_each_value_once(demo: Demo) -> None:
    span = {"from_": (NOON - 20 * DAY).isoformat(), "to": NOON.isoformat()}
    values: list[str] = []
    for page in range(1, 100):
        _, body = get(demo, "buckets/play/media-id", currentPage=page, pageSize=25, sortBy="dimensionValue", **span)
        values += [row["dimensionValue"] for row in body["data"]]
        if page >= body["pagination"]["pagesTotal"]:
            break
    assert len(values) == len(set(values)) == body["pagination"]["itemsTotal"] > 50
    assert set(values) == set(demo.world.viewing.buckets("play", "media-id", NOON - 20 * DAY, NOON, {}))


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("metrics/play/sum", {}),
        ("metrics/watch-time/count", {}),
        ("buckets/play-total/country", {}),
        ("buckets/watch-time/country", {}),
        ("timeseries/play-total", {}),
        ("timeseries/play", {"interval": "minute"}),
        ("timeseries/play", {"interval": "week"}),
        ("buckets/play/country", {"pageSize": 101}),
        ("buckets/play/country", {"unknown": 1}),
        ("metrics/play/count", {"currentPage": 1}),
        ("metrics/play/count", {"from_": "yesterday"}),
        ("metrics/play/count", {"filterBy[planet][]": "Mars"}),
    ],
)
def test_what_api_video_refuses_is_refused(demo: Demo, path: str, params: dict[str, Any]) -> None:
    status, body = get(demo, path, **params)
    assert (status, body["status"]) == (400, 400)
