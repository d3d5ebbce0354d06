"""The progress of a reading, as a value and in words, for the log (``progress``) and the bar (``progress_bar``)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Status:
    """Progress of one resource's reading at its latest answer.

    Attributes:
        total: answers in all; None if unknown.
        rate: answers per second, including waits.
        left_s: seconds to go; None if unknown.
        is_limited: whether the rate limit, not the current rate, decides the time left.
    """

    name: str
    unit: str
    done: int
    total: int | None
    rate: float
    left_s: float | None
    is_limited: bool = False

    @property
    def counts(self) -> str:
        of_total = "" if self.total is None else f" of {self.total:,}"
        return f"{self.done:,}{of_total} {self.unit}"

    def after(self, seconds: float) -> Status:
        """The status so many seconds later, without a new answer: the next one may wait for the rate limit."""
        return self if self.left_s is None else replace(self, left_s=max(0.0, self.left_s - seconds))

    def __str__(self) -> str:
        left = "" if self.left_s is None else f", {in_words(self.left_s)} left"
        return f"{self.name}: {self.counts}, {per_second(self.rate)}{left}{' at the rate limit' * self.is_limited}"


def per_second(rate: float) -> str:
    """16/s, 8.3/s, 0.25/s."""
    return f"{rate:.{0 if rate >= 9.95 else 1 if rate >= 0.95 else 2}f}/s"


def in_words(seconds: float) -> str:
    """A duration, rounded up so as not to promise too much: 95 s, 17 min, 2.5 h."""
    if seconds <= 99:
        return f"{math.ceil(seconds)} s"
    if seconds <= 99 * 60:
        return f"{math.ceil(seconds / 60)} min"
    return f"{math.ceil(seconds / 360) / 10:g} h"
