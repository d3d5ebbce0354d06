"""What answers of the analytics API mean: pure functions, no I/O. Source: OpenAPI, /data/*."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from include.api_video.api.answers import Page, read_page
from include.api_video.catalog.model import MAX_PAGE_SIZE, Ask
from include.api_video.catalog.storable import utc
from include.api_video.errors import ApiVideoServerError

PEAK = "ccvPeak"


def params_of(ask: Ask, start: datetime, end: datetime) -> dict[str, Any]:
    """Parameters of a question about a span; ``to`` is exclusive (OpenAPI). Plays of all time have no span.

    Values come in an order of their own, or a page could repeat rows of another one: none is documented.
    """
    params: dict[str, Any] = {}
    if "play-total" not in ask.path:
        params = {"from": start.isoformat(timespec="seconds"), "to": end.isoformat(timespec="seconds")}
    is_series = ask.path.startswith("timeseries/")
    if is_series:
        params["interval"] = "hour"
    if ask.has_values:
        by = "emittedAt" if is_series else "dimensionValue"
        params |= {"pageSize": MAX_PAGE_SIZE, "sortBy": by, "sortOrder": "asc"}
    return params


def read_answer(body: Mapping[str, Any], *, has_values: bool) -> Page:
    """The values of an answer as a page: ``[(value, number), ...]``; of a total, one with an empty value.

    Raises:
        ApiVideoServerError: it is no such answer.
    """
    if not has_values:
        number = body.get("data")
        if "data" not in body or (number is not None and as_number(number) is None):
            raise ApiVideoServerError(f"api.video answered without a number, but with the fields {sorted(body)}.")
        return Page([{"dimensionValue": "", "metricValue": number or 0}], 1, 1, None, has_next=False)
    return read_page(body)


def is_of(body: Mapping[str, Any], start: datetime, end: datetime) -> bool:
    """Whether an answer is about the span that was asked for, and was not cut to what api.video still has.

    An answer that does not say so counts as it was asked for.
    """
    context = body.get("context")
    frame = context.get("timeframe") if isinstance(context, Mapping) else None
    if not isinstance(frame, Mapping):
        return True
    told = [utc(frame.get(name)) for name in ("from", "to")]
    return all(at is None or abs((at - asked).total_seconds()) < 1 for at, asked in zip(told, (start, end), strict=True))


def raw_value(row: Any) -> str | None:
    """The value that a row of an answer is of, as api.video spells it; None if it names none."""
    raw = row.get("dimensionValue", row.get("emittedAt")) if isinstance(row, Mapping) else None
    return None if raw is None else str(raw)


def add_up(rows: Iterable[Any], value_of: Callable[[str], str], column: str) -> dict[str, Any]:
    """The number of each stored value: numbers of values that become equal are added up; of peaks, the highest counts.

    A value that an answer has twice counts once: its pages moved while they were read.
    """
    of_raw = {raw_value(row): number for row in rows if (number := _number_of(row)) is not None}
    numbers: dict[str, Any] = {}
    for raw, number in of_raw.items():
        value = value_of(raw) if raw is not None else ""
        before = numbers.get(value)
        numbers[value] = number if before is None else max(before, number) if column == PEAK else before + number
    return numbers


def _number_of(row: Any) -> float | int | None:
    return as_number(row.get("metricValue")) if isinstance(row, Mapping) else None


def as_number(value: Any) -> float | int | None:
    """A number, whole ones as int: counts come as floats (OpenAPI, metricValue). None if it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    if not math.isfinite(number) or isinstance(value, bool):
        return None
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
