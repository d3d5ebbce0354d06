"""The demo's analytics routes: /data/metrics, /data/buckets, /data/timeseries (OpenAPI)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from operator import itemgetter
from random import Random
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from include.api_video.catalog.model import MAX_PAGE_SIZE
from include.api_video.catalog.storable import read_timestamp
from include.demo_api.answers import DEFAULT_PAGE_SIZE, Pairs, problem, unexpected_parameter
from include.demo_api.behaviour import Behaviour
from include.demo_api.gate import json_response
from include.demo_api.viewing import DIMENSIONS, FILTERS, METRICS, Viewing, as_rows
from include.demo_api.world import World

Handler = Callable[[Request], Awaitable[Response]]
PAIRS = {
    "play": ("count", "rate", "total"), "start": ("count",), "end": ("count",), "impression": ("count",),
    "impression-time": ("average", "sum"), "watch-time": ("average", "sum"), "ccv": ("peak", "average", "live"),
}  # fmt: skip
STEPS = {"minute": 60, "hour": 3600, "day": 86_400}
SHUFFLER = Random(7)
_FILTER = re.compile(r"filterBy\[(\w+)\](?:\[\])?")


class _Asked:
    """The query of a request for analytics, checked as the API does."""

    def __init__(self, viewing: Viewing, pairs: Pairs, *, paged: bool, series: bool = False, spans: bool = True) -> None:
        known = {"unique", "viewDuration"}
        known |= {"from", "to"} if spans else set()
        known |= {"currentPage", "pageSize", "sortBy", "sortOrder"} if paged else set()
        known |= {"interval"} if series else set()
        self.where: dict[str, list[str]] = {}
        values: dict[str, str] = {}
        for name, value in pairs:
            if (match := _FILTER.fullmatch(name)) and match[1] in FILTERS:
                self.where.setdefault(match[1], []).append(value)
            elif name in known:
                values[name] = value
            else:
                raise unexpected_parameter(name)
        now = viewing.now()
        self.end = _time(values, "to", now)
        self.start = _time(values, "from", self.end - timedelta(days=1))
        oldest = now - viewing.retention
        if self.start < oldest - timedelta(seconds=1):
            if not viewing.clamps:
                raise problem(400, name="from", detail="The maximum value is 30 days ago.")
            self.start = oldest.replace(microsecond=0)
        self.page, self.size = int(values.get("currentPage", 1)), int(values.get("pageSize", DEFAULT_PAGE_SIZE))
        if self.page < 1 or not 1 <= self.size <= MAX_PAGE_SIZE:
            raise problem(400, name="pageSize", detail="This parameter is out of the allowed range of values.")
        self.by, self.descends = values.get("sortBy"), values.get("sortOrder", "asc") == "desc"
        if self.by not in (None, "metricValue", "emittedAt" if series else "dimensionValue"):
            raise problem(400, name="sortBy", detail="This value is not one of those allowed.")
        long = self.end - self.start > timedelta(days=2)
        self.interval = values.get("interval", "day" if long else "hour")
        if self.interval not in STEPS:
            raise problem(400, name="interval", detail="Allowed values: minute, hour, day.")
        if self.interval == "minute" and self.end - self.start > timedelta(minutes=60):
            raise problem(400, name="interval", detail="This interval cannot be used with a timeframe over 60 minutes.")

    def frame(self) -> dict[str, str]:
        """The span, in the form of the answer's context."""
        return {"from": self.start.isoformat(timespec="seconds"), "to": self.end.isoformat(timespec="seconds")}

    def envelope(self, context: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
        """A page of the answer."""
        pages = -(-len(rows) // self.size)
        if self.by:
            rows = sorted(rows, key=itemgetter(self.by), reverse=self.descends)
        else:  # no order is documented for it: each answer may have another
            SHUFFLER.shuffle(rows)
        shown = rows[(self.page - 1) * self.size : self.page * self.size]
        pagination = {
            "currentPage": self.page,
            "currentPageItems": len(shown),
            "pageSize": self.size,
            "pagesTotal": pages,
            "itemsTotal": len(rows),
            "links": [],
        }
        return {"context": {**context, "timeframe": self.frame()}, "data": shown, "pagination": pagination}


def _time(values: dict[str, str], name: str, default: datetime) -> datetime:
    if name not in values:
        return default
    at = read_timestamp(values[name])
    if at is None:
        raise problem(400, name=name, detail="This value is not a valid datetime.")
    return at.astimezone(timezone.utc)


def analytics_routes(world: World, behaviour: Behaviour) -> list[Route]:
    """The three routes."""
    viewing = world.viewing

    def refuse() -> None:
        if behaviour.analytics_refused:
            raise problem(403)

    async def metrics(request: Request) -> Response:
        refuse()
        metric, aggregation = request.path_params["metric"], request.path_params["aggregation"]
        if aggregation not in PAIRS.get(metric, ()):
            raise problem(400, name="metric", detail="This combination of metric and aggregation is not available.")
        asked = _Asked(viewing, request.query_params.multi_items(), paged=False)
        with world.lock:
            number = viewing.total(metric, aggregation, asked.start, asked.end, asked.where)
        context = {"metric": metric, "aggregation": aggregation, "timeframe": asked.frame()}
        return json_response({"context": context, "data": number})

    async def buckets(request: Request) -> Response:
        refuse()
        metric, dimension = request.path_params["metric"], request.path_params["breakdown"]
        known = metric in METRICS and dimension in DIMENSIONS and (metric != "play-total" or dimension == "media-id")
        if not known:
            raise problem(400, name="metric", detail="This combination of metric and breakdown is not available.")
        asked = _Asked(viewing, request.query_params.multi_items(), paged=True, spans=metric != "play-total")
        with world.lock:
            numbers = viewing.buckets(metric, dimension, asked.start, asked.end, asked.where)
        context = {"metric": f"{metric}-5" if metric == "view" else metric, "breakdown": dimension}
        return json_response(asked.envelope(context, as_rows(numbers, "dimensionValue")))

    async def series(request: Request) -> Response:
        refuse()
        metric = request.path_params["metric"]
        if metric not in METRICS or metric == "play-total":
            raise problem(400, name="metric", detail="This metric is not available.")
        asked = _Asked(viewing, request.query_params.multi_items(), paged=True, series=True)
        with world.lock:
            numbers = viewing.series(metric, STEPS[asked.interval], asked.start, asked.end, asked.where)
        context = {"metric": f"{metric}-5" if metric == "view" else metric, "interval": asked.interval}
        return json_response(asked.envelope(context, as_rows(numbers, "emittedAt")))

    return [
        Route("/data/metrics/{metric}/{aggregation}", metrics, methods=["GET"]),
        Route("/data/buckets/{metric}/{breakdown}", buckets, methods=["GET"]),
        Route("/data/timeseries/{metric}", series, methods=["GET"]),
    ]
