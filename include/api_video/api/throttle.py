"""Keeps the requests of several threads within the API's rate limit, as its answers state it.

After a 429 all threads wait here until the window ends; where the answer does not tell when, ``client`` pauses as after
other failures. A window is a minute. Source: the headers ``X-RateLimit-*`` of each answer (OpenAPI; guide,
reference/too-many-requests).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from include.api_video.api.answers import RateLimit

log = logging.getLogger("api_video")
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0
SHARERS = 3  # tasks that may read at the same time: each takes at most a third of what is left
SILENT = 3  # good answers in a row without the headers, after which the host counts as one that sends none


class Throttle:
    """Lets a request go if the window has room for it and for those still under way.

    When the window is used up, all threads wait together for as long as the API said. Then one request goes ahead, to learn
    what the new window allows. Other tasks and programs with the same account show only in these headers, so fewer requests
    run in parallel as a window runs out. A host whose good answers never carry the headers (Admin API) is limited by
    ``per_second`` alone. A single answer without them, such as a proxy's, counts as one request of the window.

    Args:
        sleep: waits for seconds; an argument, so that tests need not wait.
        reserve: share of the limit, 0 to 1, to leave for others; one request per window is always sent.
        per_second: requests that may begin within a second; None: no such limit.
        clock: the time in seconds.
    """

    def __init__(
        self,
        sleep: Callable[[float], None],
        reserve: float = 0.0,
        *,
        per_second: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sleep, self._reserve, self._clock = sleep, reserve, clock
        self._begun: deque[float] | None = (
            deque(maxlen=per_second) if per_second else None
        )  # start times of the latest requests
        self._changed = threading.Condition()
        self._limit: RateLimit | None = None  # from the latest answer of this window
        self._under_way = 0
        self._own = 0  # answers to us in this window
        self._used_before = 0  # requests of others before our first answer in this window
        self._silent = 0  # good answers in a row without the headers
        self.allowed: int | None = None  # requests per window, from the latest answer
        self._window_s = 0.0  # length of a window: the longest remaining time seen

    def enter(self) -> None:
        """Returns when a request may be sent; ``leave`` must follow."""
        with self._changed:
            while not self._has_room():
                if self._under_way:
                    self._changed.wait()  # the next answer updates the limit
                else:
                    self._wait_for_window()
            self._keep_pace()
            self._under_way += 1

    def _keep_pace(self) -> None:
        """Waits until the last second has room for another request; other threads wait behind it."""
        if self._begun is None:
            return
        if len(self._begun) == self._begun.maxlen and (wait_s := self._begun[0] + 1.0 - self._clock()) > 0:
            self._sleep(wait_s)
        self._begun.append(self._clock())

    def _has_room(self) -> bool:
        if self._limit is None:
            return self._under_way == 0 or self._silent >= SILENT
        left = self._limit.remaining - self._reserve * self._limit.limit
        if self._used_by_others(self._limit) > self._used_before:
            left -= SHARERS  # others are reading now: all could take the last requests at once
        return left >= 1 and self._under_way < max(1, left // SHARERS)

    def _used_by_others(self, limit: RateLimit) -> int:
        """Requests of the window that others used: those neither answered to us nor under way."""
        return limit.limit - limit.remaining - self._own - self._under_way

    def _wait_for_window(self) -> None:
        if self._limit:
            log.info("The rate limit is used up: waiting %.0f s for the next window.", self._limit.resets_in_s)
            # The header has whole seconds: 0 means less than one. A wait of many minutes would be an error of the header.
            self._sleep(min(max(self._limit.resets_in_s, SHORTEST_WAIT_S), LONGEST_WAIT_S))
        self._limit, self._own = None, 0

    def least_s(self, requests: int) -> float:
        """Shortest time for so many more requests, in seconds, by the limit alone; 0 if this window has room for them."""
        limit = self._limit  # without the lock: a thread that waits for the next window holds it
        if limit is None:
            return 0.0
        kept = self._reserve * limit.limit
        beyond = requests - max(0.0, limit.remaining - kept)
        if beyond <= 0:
            return 0.0
        windows = math.ceil(beyond / max(1.0, limit.limit - kept))
        return limit.resets_in_s + (windows - 1) * self._window_s

    def leave(self, limit: RateLimit | None, *, answered: bool, good: bool = True) -> None:
        """Ends a request, with the limit from its answer; None if the answer had none, or none came (``answered`` False).

        Only ``good`` answers without headers show that the host sends none: a refusal may come from a proxy.
        """
        with self._changed:
            self._under_way -= 1
            self._own += answered
            if limit:
                self._learn(limit)
            elif answered:
                self._silent += good
                if self._limit:
                    self._limit = replace(self._limit, remaining=max(0, self._limit.remaining - 1))
            self._changed.notify_all()

    def _learn(self, limit: RateLimit) -> None:
        self._silent = 0
        if limit.limit:
            self.allowed = limit.limit
        if self._is_outdated(limit):
            return
        if self._limit is None:
            self._used_before = self._used_by_others(limit)
        self._limit = limit
        self._window_s = max(self._window_s, limit.resets_in_s)

    def _is_outdated(self, limit: RateLimit) -> bool:
        """Whether a later answer of this window arrived before this one."""
        known = self._limit
        return known is not None and limit.remaining > known.remaining and limit.resets_in_s <= known.resets_in_s
