"""What every request passes before its route: log, faults, key and rate limit. Plain ASGI, for speed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools

import orjson
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.api_video.api.odd_json import dump_json
from include.api_video.api.origin import DEMO_HEADER
from include.api_video.settings.demo import DEMO_ADMIN_API_KEY, DEMO_API_KEY
from include.demo_api.answers import ApiError, problem, unauthorized
from include.demo_api.behaviour import TOKEN_LIFE_S, Behaviour, Fault, RateHeaders, Request
from include.demo_api.samples import Row

PROXY_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


def json_response(body: object, status: int = 200, *, as_is: bool = False) -> Response:
    """JSON as the API sends it. ``as_is`` also writes what strict parsers refuse: NaN, half an emoji, any depth."""
    content = dump_json(body, lambda *_: True, lambda value: value).encode("utf-8", "backslashreplace") if as_is else None
    return Response(content or orjson.dumps(body), status, media_type="application/json")


class Tokens:
    """Bearer tokens issued by ``/auth``, valid for an hour of the behaviour's clock."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._expiry_s: dict[str, float] = {}
        self._refresh: set[str] = set()
        self._numbers = itertools.count(1)

    def issue(self) -> Row:
        """A new pair. Source: OpenAPI, access-token."""
        number = next(self._numbers)
        access, refresh = f"demo-access-token-{number}", f"demo-refresh-token-{number}"
        self._expiry_s[access] = self._behaviour.clock() + TOKEN_LIFE_S
        self._refresh.add(refresh)
        pair = {"access_token": access, "refresh_token": refresh}
        return {"token_type": "Bearer", "expires_in": TOKEN_LIFE_S, **pair}

    def is_valid(self, token: str) -> bool:
        """Whether an access token was issued and has not expired."""
        return self._behaviour.clock() < self._expiry_s.get(token, 0)

    def exchange(self, refresh_token: object) -> Row:
        """A new pair for a refresh token, which is then used up."""
        if refresh_token not in self._refresh:
            raise wrong_credentials()
        self._refresh.discard(str(refresh_token))
        return self.issue()


def wrong_credentials() -> ApiError:
    """The answer to a wrong key on ``/auth``: 400, not 401. Source: OpenAPI, POST /auth/api-key."""
    return problem(
        400,
        type="https://docs.api.video/reference/authentication-invalid-user-credentials",
        title="The user credentials were incorrect.",
        name="",
    )


class Gate:
    """Wraps the routes. ``admin_prefixes``: prefixes of paths that need the Admin API's key."""

    def __init__(self, app: ASGIApp, behaviour: Behaviour, tokens: Tokens, admin_prefixes: tuple[str, ...]) -> None:
        self._app, self._behaviour, self._tokens = app, behaviour, tokens
        self._admin_prefixes = admin_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith("/_demo/"):
            await self._app(scope, receive, _named(send, self._behaviour))
            return
        behaviour, path = self._behaviour, scope["path"]
        entry = Request(behaviour.clock(), scope["method"], path, scope["query_string"].decode("latin-1"))
        behaviour.log.append(entry)
        fault = behaviour.take_fault(path)
        await _wait(behaviour, fault)
        if fault and fault.kind == "dropped":
            await _drop(receive, send)
            return
        answer, rate = self._admit(scope, fault)
        await answer(scope, receive, _sender(_named(send, behaviour), behaviour, entry, fault, rate))

    def _admit(self, scope: Scope, fault: Fault | None) -> tuple[ASGIApp, RateHeaders]:
        """What answers: the route, a fault or a refusal; with the rate limit's headers."""
        is_auth, key = scope["path"].startswith("/auth/"), ""
        refusal: ApiError | None = None
        try:
            key = "" if is_auth else self._read_key(scope)
        except ApiError as error:
            refusal = error
        counts = bool(key) and scope["method"] in (
            "GET",
            "HEAD",
        )  # "/auth is the only route without rate limiting" (Node.js client, README)
        rate = self._behaviour.spend_read(key, counts=counts)
        if rate.is_exceeded:
            refusal = problem(429)
        if refusal is None and fault and fault.kind == "status":
            refusal = problem(fault.status)
        if refusal is not None:
            return json_response(refusal.body, refusal.status), rate
        if fault and fault.kind == "html":
            return HTMLResponse(PROXY_PAGE, 502), rate
        return self._app, rate

    def _read_key(self, scope: Scope) -> str:
        """Which key a request has, "main" or "admin"; raises ApiError 401. The key itself is not stored."""
        is_admin = scope["path"].startswith(self._admin_prefixes)
        header = next((value for name, value in scope["headers"] if name == b"authorization"), b"").decode("latin-1")
        if not header:
            raise unauthorized("authentication-missing-authorization-header", 'The "Authorization" header is missing.')
        scheme, _, value = header.partition(" ")
        if scheme.lower() == "bearer" and not is_admin:
            if self._tokens.is_valid(value):
                return "main"
            raise unauthorized("authentication-invalid-access-token", "The access token is invalid or expired.")
        if scheme.lower() != "basic" or (user := _basic_user(value)) is None:
            title = 'The "Authorization" header value is invalid.'
            raise unauthorized("authentication-invalid-authorization-header-value", title)
        if user != (DEMO_ADMIN_API_KEY if is_admin else DEMO_API_KEY):
            raise unauthorized("authentication-invalid-api-key", "The API key is invalid.")
        return "admin" if is_admin else "main"


def _basic_user(value: str) -> str | None:
    """The user name in ``base64("<key>:")``; None if malformed. The colon is required and the password empty (guide,
    reference/basic-authentication).
    """
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return user if colon and not password else None


async def _wait(behaviour: Behaviour, fault: Fault | None) -> None:
    seconds = behaviour.latency_s + (fault.seconds if fault and fault.kind == "hang" else 0)
    if seconds:
        await asyncio.sleep(seconds)


async def _drop(receive: Receive, send: Send) -> None:
    """Close the connection without an answer. ASGI cannot say that, but uvicorn's ``send`` knows its transport."""
    send.__self__.transport.abort()  # type: ignore[attr-defined]
    while (await receive())["type"] != "http.disconnect":
        pass


def _named(send: Send, behaviour: Behaviour) -> Send:
    """A ``send`` that marks answers as the demo's: the package drops demo rows later, but no other server's."""

    async def named(message: Message) -> None:
        if message["type"] == "http.response.start" and behaviour.names_itself:
            message["headers"] = [*message["headers"], (DEMO_HEADER.lower().encode(), b"1")]
        await send(message)

    return named


def _sender(send: Send, behaviour: Behaviour, entry: Request, fault: Fault | None, rate: RateHeaders) -> Send:
    """A ``send`` that adds the rate limit's headers, runs hooks, notes the status and cuts a truncated body short."""
    headers = rate.pairs() if fault is None or fault.headers is None else fault.headers
    if not behaviour.tells_limit:
        headers = {}
    if fault and fault.kind == "html":
        headers = fault.headers or {}  # a proxy that answers does not know the rate limit

    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            entry.status = message["status"]
            message["headers"] = [*message["headers"], *((k.lower().encode(), v.encode()) for k, v in headers.items())]
            behaviour.run_hooks(entry.path)
        elif fault and fault.kind == "truncated":
            # Content-Length was sent already. The body stays incomplete, and uvicorn closes the connection.
            message = {**message, "body": message["body"][: len(message["body"]) // 2], "more_body": True}
        await send(message)

    return sender
