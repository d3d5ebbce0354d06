"""The demo API's routes: one per endpoint of the table, the Admin API's lists, /auth, and /_demo to control it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from include.api_video.catalog.model import Endpoint, Host
from include.api_video.settings.demo import DEMO_API_KEY
from include.demo_api.analytics import analytics_routes
from include.demo_api.answers import (
    NO_ROUTE,
    ApiError,
    admin_page,
    admin_problem,
    envelope,
    matcher,
    problem,
    read_query,
    unexpected_parameter,
    uses_relative_links,
)
from include.demo_api.behaviour import Behaviour
from include.demo_api.control import control_routes
from include.demo_api.gate import Gate, Tokens, json_response, wrong_credentials
from include.demo_api.oddities import ALL
from include.demo_api.samples import Row
from include.demo_api.world import World, via_name

Handler = Callable[[Request], Awaitable[Response]]


def build_app(world: World, behaviour: Behaviour) -> ASGIApp:
    """The ASGI application; its endpoints are the world's."""
    tokens = Tokens(behaviour)
    routes = [*_auth_routes(tokens), *control_routes(world, behaviour), *analytics_routes(world, behaviour)]
    for entry in world.endpoints.values():
        if entry.asks:
            continue
        if entry.host is Host.ADMIN and entry.sync.is_list_per_parent:
            routes.append(Route(entry.path, _usage_handler(world, behaviour, entry), methods=["GET"]))
        elif entry.host is Host.ADMIN:
            routes += _admin_routes(world, behaviour, entry)
        elif entry.is_list:
            routes.append(Route(entry.path, _list_handler(world, behaviour, entry), methods=["GET"]))
            if entry.one_path:
                routes.append(Route(entry.one_path, _object_handler(world, behaviour, entry), methods=["GET"]))
        elif entry.sync.is_list_per_parent:
            routes.append(Route(entry.path, _inner_handler(world, behaviour, entry), methods=["GET"]))
        else:
            routes.append(Route(entry.path, _object_handler(world, behaviour, entry), methods=["GET"]))
    handlers: dict[Any, Any] = {ApiError: _on_api_error, HTTPException: _on_no_route}
    admin = {"/" + entry.path.split("/")[1] for entry in world.endpoints.values() if entry.host is Host.ADMIN}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Gate(app, behaviour, tokens, tuple(admin))


def _rewritten(behaviour: Behaviour, resource: str, rows: list[Row]) -> list[Row]:
    return [behaviour.rewrite(resource, row) for row in rows] if behaviour.rewrite else rows


def _page(world: World, behaviour: Behaviour, entry: Endpoint, request: Request) -> Response:
    """A page of the main API's list."""
    query = read_query(entry, request.query_params.multi_items())
    is_odd = behaviour.oddities.is_any
    start, count = (0, ALL) if is_odd else ((query.page - 1) * query.page_size, query.page_size)
    with world.lock:
        for traffic in behaviour.traffic:
            traffic.pass_by(world)
        total, rows = world.page(
            entry.name, start, count, query.sort_by, query.descending, matcher(entry, query), query.filters
        )
    if is_odd:
        total, rows, query = behaviour.oddities.page(entry.name, query, rows, entry.sent_key)
    is_relative = behaviour.link_style == "relative" or (
        behaviour.link_style == "documented" and uses_relative_links(entry)
    )
    # Absolute links name this server instead of api.video: following one must not leave the machine.
    host = None if is_relative else str(request.base_url).rstrip("/")
    page = envelope(entry, query, total, _rewritten(behaviour, entry.name, rows), host)
    page = behaviour.rewrite_page(entry.name, page) if behaviour.rewrite_page else page
    return json_response(page, as_is=bool(behaviour.rewrite))


def _list_handler(world: World, behaviour: Behaviour, entry: Endpoint) -> Handler:
    async def answer(request: Request) -> Response:
        return _page(world, behaviour, entry, request)

    return answer


def _inner_handler(world: World, behaviour: Behaviour, entry: Endpoint) -> Handler:
    async def answer(request: Request) -> Response:
        query = read_query(entry, request.query_params.multi_items())
        (name, key), *_ = request.path_params.items()
        rows = world.inner(entry.name, key)
        if rows is None:
            raise problem(404, name=name)
        rows = _rewritten(behaviour, entry.name, rows)
        start = (query.page - 1) * query.page_size
        page = envelope(entry, query, len(rows), rows[start : start + query.page_size], None, request.url.path)
        page = behaviour.rewrite_page(entry.name, page) if behaviour.rewrite_page else page
        return json_response(page, as_is=bool(behaviour.rewrite))

    return answer


def _usage_handler(world: World, behaviour: Behaviour, entry: Endpoint) -> Handler:
    """The usage of a project: a list without pages (``admin-api.yaml``)."""

    async def answer(request: Request) -> Response:
        _require(behaviour, "documented")
        values = dict(request.query_params.multi_items())
        interval = values.pop("interval", None)
        if interval not in ("month", "week") or values:
            raise admin_problem(min(values) if values else "interval")
        (name, key), *_ = request.path_params.items()
        rows = world.inner(entry.name, key)
        if rows is None:
            raise problem(404, name=name)
        rows = _rewritten(behaviour, entry.name, rows[-7:] if interval == "week" else rows)
        return json_response({"items": rows}, as_is=bool(behaviour.rewrite))

    return answer


def _object_handler(world: World, behaviour: Behaviour, entry: Endpoint) -> Handler:
    async def answer(request: Request) -> Response:
        for unknown in request.query_params:
            raise unexpected_parameter(unknown)
        (name, key), *_ = request.path_params.items()
        body = world.one(entry.name, key) if entry.is_list else world.body(entry.name, key)
        if body is None:
            raise problem(404, name=name)
        return json_response(_rewritten(behaviour, entry.name, [body])[0], as_is=bool(behaviour.rewrite))

    return answer


def _admin_routes(world: World, behaviour: Behaviour, entry: Endpoint) -> list[Route]:
    """The Admin API's list, at its documented path and at ``listed_path``."""

    async def answer_whole(request: Request) -> Response:
        _require(behaviour, "documented")
        rows = _rewritten(behaviour, entry.name, world.listed(entry.name))
        page = admin_page(request.url.path, request.query_params.multi_items(), rows, entry.key)
        return json_response(page, as_is=bool(behaviour.rewrite))

    if not entry.per_row_of:
        return [Route(entry.path, answer_whole, methods=["GET"])]
    via_path, via_key = entry.per_row_of

    async def answer_via(request: Request) -> Response:
        _require(behaviour, "documented")
        rows = _rewritten(behaviour, via_name(entry), world.listed(via_name(entry)))
        return json_response(
            admin_page(request.url.path, request.query_params.multi_items(), rows, via_key), as_is=bool(behaviour.rewrite)
        )

    async def answer_one(request: Request) -> Response:
        _require(behaviour, "documented")
        if any(request.path_params[via_key] == key for key in world.ids(via_name(entry))):
            rows = [row for row in world.listed(entry.name) if row[via_key] == request.path_params[via_key]]
            rows = _rewritten(behaviour, entry.name, rows)
            return json_response(
                admin_page(request.url.path, request.query_params.multi_items(), rows, entry.key),
                as_is=bool(behaviour.rewrite),
            )
        raise problem(404, name=via_key)

    async def answer_all(request: Request) -> Response:
        _require(behaviour, "listed")
        return _page(world, behaviour, entry, request)

    routes = [(entry.listed_path, answer_all), (via_path, answer_via), (entry.path, answer_one)]
    return [Route(path, handler, methods=["GET"]) for path, handler in routes if path]


def _require(behaviour: Behaviour, style: str) -> None:
    if behaviour.admin_style != style:
        raise ApiError(404, NO_ROUTE)


def _auth_routes(tokens: Tokens) -> list[Route]:
    async def log_in(request: Request) -> Response:
        if await _field(request, "apiKey") != DEMO_API_KEY:
            raise wrong_credentials()
        return json_response(tokens.issue())

    async def refresh(request: Request) -> Response:
        return json_response(tokens.exchange(await _field(request, "refreshToken")))

    return [Route("/auth/api-key", log_in, methods=["POST"]), Route("/auth/refresh", refresh, methods=["POST"])]


async def _field(request: Request, name: str) -> object:
    """A field of a JSON body; None if there is no such body."""
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None
    return body.get(name) if isinstance(body, dict) else None


async def _on_api_error(_: Request, error: ApiError) -> Response:
    return json_response(error.body, error.status)


async def _on_no_route(_: Request, error: HTTPException) -> Response:
    body = problem(405).body if error.status_code == 405 else NO_ROUTE
    return json_response(body, error.status_code)
