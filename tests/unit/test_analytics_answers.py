"""What answers of the analytics API mean, also where they are not as documented."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from include.api_video.api.analytics import PEAK, add_up, as_number, is_of, read_answer
from include.api_video.catalog.analytics import hour_of, without_query
from include.api_video.errors import ApiVideoServerError
from include.api_video.load.unit_reading import Answer

START, END = datetime(2026, 11, 26, tzinfo=timezone.utc), datetime(2026, 11, 27, tzinfo=timezone.utc)


def value(name: Any, number: Any) -> dict[str, Any]:
    return {"dimensionValue": name, "metricValue": number}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (5, 5), (5.0, 5), ("5", 5), ("5.5", 5.5), (0.25, 0.25), (-3.0, -3), (2.0**53, 2.0**53), (1e300, 1e300),
        (True, None), (None, None), ("", None), ("many", None), ([], None), ({}, None), (float("nan"), None),
        (float("inf"), None), ("NaN", None), ("1e999", None), (10**400, None),
    ],
)  # fmt: skip
def test_a_number_is_a_number_whatever_its_type(sent: Any, stored: Any) -> None:
    assert as_number(sent) == stored
    assert type(as_number(sent)) is type(stored)


def test_numbers_of_values_that_become_equal_are_added_up() -> None:
    rows = [value("https://a/?user=1", 2.0), value("https://a/?user=2", "3"), value("https://b/", 1)]
    assert add_up(rows, without_query, "plays") == {"https://a/": 5, "https://b/": 1}


def test_peaks_are_not_added_up() -> None:
    assert add_up([value("a?1", 2), value("a?2", 5), value("a?3", 3)], without_query, PEAK) == {"a": 5}


def test_a_value_that_comes_twice_counts_once() -> None:
    """Pages that moved while they were read: the next run reads them again."""
    rows = [value("a", 2), value("b", 1), value("a", 3)]
    assert add_up(rows, str, "plays") == {"a": 3, "b": 1}
    assert not Answer(rows, totals={3}).is_whole
    assert Answer(rows[:2], totals={2}).is_whole


def test_rows_that_are_none_cost_only_themselves() -> None:
    rows: list[Any] = [None, 7, "x", {}, value("a", None), value("b", 1), value(None, 2), {"metricValue": 3}, value(5, 4)]
    assert add_up(rows, str, "plays") == {"b": 1, "": 3, "5": 4}


@pytest.mark.parametrize(
    "sent",
    [
        "2026-11-26T05:00:00+00:00", "2026-11-26T05:59:30+00:00", "2026-11-26T05:00:00Z", "2026-11-26 05:12:00",
        "2026-11-26T06:30:00+01:00",
        "2026-11-26T05+00:00:00:00",  # as in the OpenAPI document's example
    ],
)  # fmt: skip
def test_an_hour_begins_at_its_first_second(sent: str) -> None:
    assert hour_of(sent) == "2026-11-26T05:00:00+00:00"


@pytest.mark.parametrize("sent", ["", "yesterday", "2026-13-40T99+00:00:00:00", "2026-11-26"])
def test_what_is_no_hour_stops_nothing(sent: str) -> None:
    assert hour_of(sent) in (sent, f"{sent}T00:00:00+00:00")


@pytest.mark.parametrize(
    ("referrer", "stored"),
    [
        ("https://a.example/x?user=4711", "https://a.example/x"),
        ("https://a.example/x#user=4711", "https://a.example/x"),
        ("https://a.example/?a?b#c?d", "https://a.example/"),
        ("", ""),
        ("?user=4711", ""),
    ],
)
def test_a_referrer_keeps_no_query(referrer: str, stored: str) -> None:
    assert without_query(referrer) == stored


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        ({"from": "2026-11-26T00:00:00+00:00", "to": "2026-11-27T00:00:00+00:00"}, True),
        ({"from": "2026-11-26T01:00:00+01:00", "to": "2026-11-27T00:00:00Z"}, True),
        ({"from": "2026-11-26T00:00:00.400+00:00", "to": "2026-11-27T00:00:00+00:00"}, True),
        ({"from": "2026-11-26T12:00:00+00:00", "to": "2026-11-27T00:00:00+00:00"}, False),
        ({"from": "2026-11-26T00:00:00+00:00", "to": "2026-11-26T23:59:00+00:00"}, False),
        ({"from": None, "to": 5}, True),
        ({}, True),
        (None, True),
        ([], True),
    ],
)
def test_an_answer_for_another_span_is_told_apart(frame: Any, told: bool) -> None:
    assert is_of({"context": {"timeframe": frame}, "data": 1}, START, END) is told


@pytest.mark.parametrize("context", [None, [], "x", {}])
def test_an_answer_that_tells_no_span_counts_as_asked(context: Any) -> None:
    assert is_of({"context": context}, START, END)
    assert is_of({}, START, END)


@pytest.mark.parametrize(("data", "number"), [(5, 5), (5.0, 5), (0, 0), (None, 0), ("5", 5), (0.5, 0.5)])
def test_a_total_is_a_page_with_one_value(data: Any, number: float) -> None:
    page = read_answer({"data": data}, has_values=False)
    assert add_up(page.rows, lambda _: "", "plays") == {"": number}
    assert not page.has_next


@pytest.mark.parametrize(
    "body", [{}, {"context": {}}, {"data": True}, {"data": []}, {"data": "many"}, {"data": float("nan")}]
)
def test_what_is_no_total_is_not_read_as_zero(body: dict[str, Any]) -> None:
    with pytest.raises(ApiVideoServerError, match="without a number"):
        read_answer(body, has_values=False)
