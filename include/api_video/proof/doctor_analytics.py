"""What the doctor asks of analytics: a question of each kind, about the last day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from include.api_video.api.analytics import is_of, params_of, read_answer
from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Ask, Endpoint
from include.api_video.errors import ApiVideoServerError
from include.api_video.proof.promises import Finding, Holds

SPAN = timedelta(hours=1)  # of which numbers are asked for; the sandbox keeps a day
ANSWERED = "numbers of the time that was asked for"


def questions() -> Iterator[tuple[Endpoint, Ask]]:
    """The first question of each kind: a total, a number for each value, a number for each hour."""
    kinds = set[str]()
    for endpoint in ENDPOINTS:
        for ask in endpoint.asks[:1]:
            kind = ask.path.partition("/")[0]
            if kind not in kinds:
                kinds.add(kind)
                yield endpoint, ask


def ask_one(
    get: Callable[[str, Mapping[str, Any]], Mapping[str, Any]], endpoint: Endpoint, ask: Ask, now: datetime
) -> Finding:
    """Asks a question, as a load would, and judges its answer.

    Raises:
        ApiVideoError: there is no answer.
    """
    end = now.replace(microsecond=0)
    start = end - SPAN
    body = get(f"/data/{ask.path}", params_of(ask, start, end))
    try:
        page = read_answer(body, has_values=ask.has_values)
    except ApiVideoServerError:
        return Finding(ANSWERED, endpoint.name, Holds.NOTE, "no numbers", "leaves its column empty and says so")
    if not is_of(body, start, end):
        return Finding(ANSWERED, endpoint.name, Holds.NOTE, "of another time", "leaves the day for the next run")
    return Finding(ANSWERED, endpoint.name, Holds.YES, f"{len(page.rows)} for the last hour", "")
