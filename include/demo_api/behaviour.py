"""How the demo API behaves: how slow and how strict it is, and which requests fail."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from include.demo_api.oddities import Oddities, Traffic
from include.demo_api.samples import Row

FaultKind = Literal["status", "html", "truncated", "dropped", "hang"]
Clock = Callable[[], float]
TOKEN_LIFE_S = 3600  # OpenAPI, access-token: "expires_in": 3600


@dataclass
class Fault:
    """A failure of the next ``times`` requests whose path matches; None: until ``heal()``.

    Attributes:
        kind: status (the documented body), html (a proxy's page), truncated (fewer bytes than Content-Length says), dropped
            (closed without an answer), hang (answered after ``seconds``).
        headers: headers instead of the rate limit's.
    """

    path: str
    kind: FaultKind = "status"
    times: int | None = 1
    status: int = 500
    seconds: float = 0
    headers: Mapping[str, str] | None = None


@dataclass
class Hook:
    """Runs ``change`` once, when the ``requests``-th answer on a matching path is ready, but not yet sent."""

    path: str
    requests: int
    change: Callable[[], object]


@dataclass
class Request:
    """An entry of the log. It keeps no headers, and so no keys. ``status`` is 0 as long as no answer was sent."""

    time_s: float
    method: str
    path: str
    query: str
    status: int = 0


@dataclass
class RateHeaders:
    """The state of a key's rate limit window, sent with every answer. Source: OpenAPI, response headers."""

    limit: int
    remaining: int
    retry_after_s: int
    is_exceeded: bool = False

    def pairs(self) -> dict[str, str]:
        """The three headers. The seconds are relative: "until the current window resets"."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Retry-After": str(self.retry_after_s),
        }


@dataclass
class Behaviour:
    """Settings that a test may change at any time, faults and hooks that wait for their request, and the log.

    Attributes:
        latency_s: delay before each answer.
        rate_limit, rate_window_s: reads per key and window. Production has 500 and 60 (guide, reference/README).
        link_style: form of pagination links; "documented" differs from list to list, as in OpenAPI's examples.
        admin_style: "documented" answers on /projects and /projects/{project_id}/api-keys, "listed" on /projects/api-keys
            alone.
        analytics_refused: whether the key may not read analytics (403).
        oddities: how lists differ from their documentation.
        traffic: changes that are made all the time.
        names_itself: whether answers have the header by which the package recognises the demo.
        rewrite: changes a row before it is sent: (resource, row) -> row.
        rewrite_page: changes a page of a list before it is sent: (resource, body) -> body.
        tells_limit: whether answers have the rate limit's headers.
        clock: the time in seconds; a test passes its own to move the rate limit's window.
    """

    latency_s: float = 0
    rate_limit: int = 500
    rate_window_s: float = 60
    link_style: Literal["documented", "relative", "absolute"] = "documented"
    admin_style: Literal["documented", "listed"] = "documented"
    analytics_refused: bool = False
    oddities: Oddities = field(default_factory=Oddities)
    traffic: list[Traffic] = field(default_factory=list)
    names_itself: bool = True
    rewrite: Callable[[str, Row], Row] | None = None
    rewrite_page: Callable[[str, Row], Row] | None = None
    tells_limit: bool = True
    clock: Clock = time.monotonic
    faults: list[Fault] = field(default_factory=list)
    hooks: list[Hook] = field(default_factory=list)
    log: list[Request] = field(default_factory=list)
    _windows: dict[str, tuple[float, int]] = field(default_factory=dict)  # key: start, requests used

    def fail(
        self,
        path: str,
        kind: FaultKind = "status",
        *,
        times: int | None = 1,
        status: int = 500,
        seconds: float = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Fail the next requests whose path matches the regular expression; see ``Fault``."""
        self.faults.append(Fault(path, kind, times, status, seconds, headers))

    def heal(self) -> None:
        """Forget all faults."""
        self.faults.clear()

    def after(self, requests: int, path: str, change: Callable[[], object]) -> None:
        """Run ``change`` when so many requests on a matching path were answered; the next one sees it."""
        self.hooks.append(Hook(path, requests, change))

    def requests(self, path_prefix: str = "") -> int:
        """Number of requests whose path begins with the prefix."""
        return sum(request.path.startswith(path_prefix) for request in self.log)

    def reset_log(self) -> None:
        """Forget the requests made so far."""
        self.log.clear()

    def take_fault(self, path: str) -> Fault | None:
        """The fault for this request, if any; it counts as used."""
        for fault in self.faults:
            if re.fullmatch(fault.path, path) and fault.times != 0:
                fault.times = None if fault.times is None else fault.times - 1
                return fault
        return None

    def run_hooks(self, path: str) -> None:
        """Count an answer on ``path``, and run the changes that waited for it."""
        for hook in [hook for hook in self.hooks if re.fullmatch(hook.path, path)]:
            hook.requests -= 1
            if hook.requests == 0:
                self.hooks.remove(hook)
                hook.change()

    def spend_read(self, key: str, *, counts: bool) -> RateHeaders:
        """Take one read from a key's window, which opens with the first read; ``counts`` is False for a write."""
        now = self.clock()
        start, used = self._windows.get(key, (now, 0))
        if now >= start + self.rate_window_s:
            start, used = now, 0
        is_exceeded = counts and used >= self.rate_limit
        used += counts and not is_exceeded
        self._windows[key] = start, used
        # Rounded up, so that a new window is open after that wait.
        retry_after_s = math.ceil(start + self.rate_window_s - now)
        return RateHeaders(self.rate_limit, max(0, self.rate_limit - used), retry_after_s, is_exceeded)
