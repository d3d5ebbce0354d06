"""Shows the progress of a long reading: a bar in a terminal, elsewhere a log line now and then."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from include.api_video.messages.progress_status import Status

if TYPE_CHECKING:
    from include.api_video.messages.progress_bar import ProgressBar

log = logging.getLogger("api_video")
LINE_EVERY_S = 10.0  # also before the first line, so that a run without changes stays quiet
BAR_AFTER_S = 1.0
# The rate limit makes requests come in bursts, one per minute. The rate averages over ten of them, including waits.
RATE_OF_S, MARK_EVERY_S = 600.0, 1.0

# Shortest time for so many more requests, in seconds, by the rate limit alone.
LeastTime = Callable[[int], float]


class Pace:
    """Counts the answers of one reading, and measures its rate from the first answer on."""

    def __init__(self, name: str) -> None:
        self._name, self._unit = name, ""
        self._done = 0
        self._total: int | None = None
        self._marks: deque[tuple[float, int]] = deque()  # (time, answers until then), the oldest first

    def count(self, unit: str, left: int | None, now: float, least_s: LeastTime) -> Status:
        """Counts an answer. A new ``unit`` starts a new count."""
        if unit != self._unit:
            self._unit, self._done, self._total = unit, 0, None
            self._marks.clear()
        self._done += 1
        if left is not None:
            self._total = self._done + left
        elif self._total is not None:
            self._total = max(self._total, self._done)
        self._mark(now)
        since_s, before = self._marks[0]
        rate = (self._done - before) / (now - since_s) if now > since_s else 0.0
        if self._total is None or not rate:
            return Status(self._name, unit, self._done, self._total, rate, None)
        to_come = self._total - self._done
        by_rate_s, by_limit_s = to_come / rate, least_s(to_come)
        left_s, is_limited = max(by_rate_s, by_limit_s), by_limit_s > by_rate_s
        return Status(self._name, unit, self._done, self._total, rate, left_s, is_limited)

    def _mark(self, now: float) -> None:
        """Keeps few marks, however many answers come. The first is the one nearest to ``RATE_OF_S`` ago."""
        if not self._marks or now - self._marks[-1][0] >= MARK_EVERY_S:
            self._marks.append((now, self._done))
        while len(self._marks) > 1 and self._marks[0][0] + self._marks[1][0] <= 2 * (now - RATE_OF_S):
            self._marks.popleft()


class Progress:
    """Shows the progress of a source's readings while its ``with`` block lasts. Thread-safe.

    Args:
        clock: the time in seconds.
        in_terminal: whether to show a bar instead of lines; None finds out.
    """

    def __init__(self, clock: Callable[[], float], *, in_terminal: bool | None = None) -> None:
        self._clock = clock
        self._in_terminal = is_terminal() if in_terminal is None else in_terminal
        self._lock = threading.Lock()
        self._paces: dict[str, Pace] = {}
        self._due_s: dict[str, float] = {}  # when to show a reading next
        self._is_open = False
        self._bar: ProgressBar | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Progress:
        """Itself: dlt copies a configuration to check it, and a lock cannot be copied."""
        return self

    def __enter__(self) -> Progress:
        self._is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock, suppress(OSError):  # the terminal may be gone
            bar, self._bar, self._is_open = self._bar, None, False
            if bar:
                bar.close()

    def count(self, name: str, unit: str, left: int | None, least_s: LeastTime) -> None:
        """Counts an answer.

        Args:
            name: the resource.
            unit: what is counted, in the plural.
            left: how many more answers are sure to come; None if unknown.
            least_s: shortest time for a number of requests.
        """
        with self._lock:
            now = self._clock()
            if name not in self._paces:
                self._paces[name] = Pace(name)
                self._due_s[name] = now + (BAR_AFTER_S if self._in_terminal else LINE_EVERY_S)
            status = self._paces[name].count(unit, left, now, least_s)
            if self._is_open and status.rate and now >= self._due_s[name]:
                self._show(status, now)

    def _show(self, status: Status, now: float) -> None:
        if not self._in_terminal:
            self._due_s[status.name] = now + LINE_EVERY_S
            log.info("%s", status)
            return
        try:
            if self._bar is None:
                from include.api_video.messages.progress_bar import (
                    ProgressBar,  # imports its library only if a bar is shown
                )

                self._bar = ProgressBar(self._clock)
            self._bar.show(status)
        except Exception as error:  # a load must not fail because of its progress bar
            self._in_terminal = False
            log.warning("This terminal cannot show a bar: %s", error)


def is_terminal() -> bool:
    """Whether standard error is a terminal that can move its cursor."""
    return bool(sys.stderr and sys.stderr.isatty()) and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")
