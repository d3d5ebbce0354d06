"""Controls the demo API over HTTP, for tests whose server runs in another process.

    PATCH  /_demo/behaviour  {"rate_limit": 10, "rate_window_s": 1, "latency_s": 0.2, "link_style": "relative", ...}
    PATCH  /_demo/oddities   {"total_off": 1, "is_shuffled": true, ...}
    POST   /_demo/traffic    {"per_second": 10, "kinds": ["add", "update", "delete"], "left": 100, ...}
    DELETE /_demo/traffic
    POST   /_demo/faults     {"path": "/videos", "kind": "status", "times": 2, "status": 503}
    DELETE /_demo/faults
    POST   /_demo/changes    {"change": "update", "resource": "videos", "key": "vi...", "fields": {"title": "New"}}
    POST   /_demo/changes    {"change": "list", "resource": "captions", "key": "vi...", "rows": [...]}
    POST   /_demo/changes    {"change": "watch", "key": "vi...", "fields": {"at": "2026-11-26T05:00:00+00:00", "plays": 3}}
    POST   /_demo/changes    {"change": "time", "fields": {"now": "2026-11-27T00:00:00+00:00"}}
    POST   /_demo/hooks      {"path": "/videos", "requests": 2, "change": {"change": "discard", "key": "vi..."}}
    GET    /_demo/ids/videos, GET /_demo/listed/videos
    GET    /_demo/requests?path_prefix=/videos, DELETE /_demo/requests

The fields are those of ``Behaviour`` (only ``SETTINGS``), ``Oddities``, ``Traffic``, ``Fault`` and ``apply_change``. A
wrong request gets a 400 with a sentence.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from include.demo_api.behaviour import Behaviour
from include.demo_api.clock import FileClock
from include.demo_api.oddities import Traffic
from include.demo_api.samples import Row
from include.demo_api.world import World

Act = Callable[[Request], Awaitable[Any]]
SETTINGS = ("latency_s", "rate_limit", "rate_window_s", "link_style", "admin_style")


def apply_change(world: World, change: Row) -> str | None:
    """Make a change described in JSON; returns the key of an added row."""
    kind, key, fields = change.get("change"), str(change.get("key", "")), change.get("fields") or {}
    resource, silently = str(change.get("resource", "videos")), bool(change.get("silently", False))
    if kind == "add":
        return world.add(resource, **fields)
    if kind == "update":
        world.update(resource, key, silently=silently, **fields)
    elif kind == "delete":
        world.delete(resource, key)
    elif kind == "list":
        world.set_inner(resource, key, change.get("rows") or [])
    elif kind == "watch":
        with world.lock:
            world.viewing.watch(key, datetime.fromisoformat(fields["at"]), int(fields.get("plays", 1)))
    elif kind == "time":
        if not isinstance(clock := world.viewing.now, FileClock):
            raise ValueError("this demo's clock cannot be set: start it with --clock FILE")
        clock.set(datetime.fromisoformat(fields["now"]))
    elif kind == "discard":
        world.discard_video(key)
    elif kind == "restore":
        world.restore_video(key)
    else:
        raise ValueError(f"unknown change {kind!r}; known: add, update, delete, list, watch, time, discard, restore")
    return None


def control_routes(world: World, behaviour: Behaviour) -> list[Route]:
    """The routes below ``/_demo``. They need no key: by default only this machine reaches the demo."""
    acts = [*_behaviour_acts(behaviour), *_odd_acts(behaviour), *_world_acts(world, behaviour)]
    return [Route(f"/_demo/{path}", _answer(act), methods=[method]) for path, method, act in acts]


def _behaviour_acts(behaviour: Behaviour) -> list[tuple[str, str, Act]]:
    async def change_behaviour(request: Request) -> Any:
        settings = await request.json()
        if unknown := settings.keys() - set(SETTINGS):
            raise ValueError(f"unknown settings {sorted(unknown)}; known: {', '.join(SETTINGS)}")
        for name, value in settings.items():
            setattr(behaviour, name, value)
        return settings

    async def add_fault(request: Request) -> Any:
        behaviour.fail(**await request.json())

    async def heal(_: Request) -> Any:
        behaviour.heal()

    async def list_requests(request: Request) -> Any:
        prefix = request.query_params.get("path_prefix", "")
        found = [asdict(entry) for entry in behaviour.log if entry.path.startswith(prefix)]
        return {"count": len(found), "requests": found}

    async def reset_log(_: Request) -> Any:
        behaviour.reset_log()

    return [
        ("behaviour", "PATCH", change_behaviour),
        ("faults", "POST", add_fault),
        ("faults", "DELETE", heal),
        ("requests", "GET", list_requests),
        ("requests", "DELETE", reset_log),
    ]


def _odd_acts(behaviour: Behaviour) -> list[tuple[str, str, Act]]:
    async def change_oddities(request: Request) -> Any:
        behaviour.oddities = replace(behaviour.oddities, **await request.json())

    async def add_traffic(request: Request) -> Any:
        behaviour.traffic.append(Traffic(**await request.json()))

    async def stop_traffic(_: Request) -> Any:
        made = sum(traffic.made for traffic in behaviour.traffic)
        behaviour.traffic.clear()
        return {"made": made}

    return [
        ("oddities", "PATCH", change_oddities),
        ("traffic", "POST", add_traffic),
        ("traffic", "DELETE", stop_traffic),
    ]


def _world_acts(world: World, behaviour: Behaviour) -> list[tuple[str, str, Act]]:
    async def change_world(request: Request) -> Any:
        return {"key": apply_change(world, await request.json())}

    async def add_hook(request: Request) -> Any:
        hook = await request.json()
        behaviour.after(hook["requests"], hook["path"], partial(apply_change, world, hook["change"]))

    async def list_rows(request: Request) -> Any:
        return world.listed(request.path_params["resource"])

    async def list_ids(request: Request) -> Any:
        return world.ids(request.path_params["resource"])

    return [
        ("changes", "POST", change_world),
        ("hooks", "POST", add_hook),
        ("listed/{resource}", "GET", list_rows),
        ("ids/{resource}", "GET", list_ids),
    ]


def _answer(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            body, status = await act(request), 200
        except (KeyError, TypeError, ValueError) as error:
            body, status = {"error": str(error)}, 400
        return Response(orjson.dumps(body), status, media_type="application/json")

    return answer
