"""Ways in which the demo's lists can differ from their documentation, and constant changes to them.

api.video is not known to do any of this. Other APIs do, so a client must cope with it.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from include.demo_api.answers import Query, problem
from include.demo_api.samples import Row
from include.demo_api.world import World

ALL = 10**9


@dataclass
class Oddities:
    """Oddities of the main API's lists; all are off at first.

    Attributes:
        total_off: number added to ``itemsTotal``.
        twice: number of rows listed twice in a row.
        is_shuffled: whether ``sortBy`` is ignored and the order is another one.
        last_page: pages beyond this one are refused (400); 0: none.
        most_rows: most rows on a page, whatever was requested; 0: as many as requested.
        lag_s: seconds by which ``itemsTotal`` lags behind the list.
        has_empty_page_1: whether page 1 is empty and the rows begin on page 2.
    """

    total_off: int = 0
    twice: int = 0
    is_shuffled: bool = False
    last_page: int = 0
    most_rows: int = 0
    lag_s: float = 0
    has_empty_page_1: bool = False
    clock: Callable[[], float] = time.monotonic
    _totals: dict[str, deque[tuple[float, int]]] = field(default_factory=dict)

    @property
    def is_any(self) -> bool:
        """Whether anything is odd."""
        return replace(self, clock=time.monotonic, _totals={}) != Oddities()

    def page(self, resource: str, query: Query, rows: Sequence[Row], key: str) -> tuple[int, list[Row], Query]:
        """The reported total, the rows of a page, and the query as applied.

        Raises:
            ApiError: the page is refused.
        """
        if self.last_page and query.page > self.last_page:
            raise problem(400, name="currentPage", detail="This page is out of reach.")
        listed = [row for number, row in enumerate(rows) for _ in range(1 + (number < self.twice))]
        if self.is_shuffled:
            listed.sort(key=lambda row: blake2b(str(row[key]).encode()).digest())
        size = min(query.page_size, self.most_rows or query.page_size)
        start = (query.page - 1 - self.has_empty_page_1) * size
        total = max(0, self._lagging(resource, len(listed)) + self.total_off)
        return total, listed[start : start + size] if start >= 0 else [], replace(query, page_size=size)

    def _lagging(self, resource: str, total: int) -> int:
        """The total as it was ``lag_s`` ago, among those that requests saw."""
        now, seen = self.clock(), self._totals.setdefault(resource, deque())
        seen.append((now, total))
        while len(seen) > 1 and seen[1][0] <= now - self.lag_s:
            seen.popleft()
        return seen[0][1] if self.lag_s else total


@dataclass
class Traffic:
    """Constant changes to a list: before each page, it makes the changes due by then.

    Attributes:
        per_second, per_page: rate of changes, by the clock or by pages requested.
        kinds: kinds of changes; each change draws one.
        left: number of changes left; None: no limit.
    """

    per_second: float = 0
    per_page: float = 0
    kinds: Sequence[str] = ("add", "update", "update", "delete")
    resource: str = "videos"
    seed: int = 1
    left: int | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._random, self._since, self._due, self.made = random.Random(self.seed), self.clock(), 0.0, 0

    def pass_by(self, world: World) -> None:
        """Makes the changes that are due."""
        now = self.clock()
        self._due += self.per_page + self.per_second * (now - self._since)
        self._since = now
        while self._due >= 1 and self.left != 0:
            self._due -= 1
            self.left = None if self.left is None else self.left - 1
            self.made += 1
            self._change(world)

    def _change(self, world: World) -> None:
        kind, keys = self._random.choice(list(self.kinds)), world.ids(self.resource)
        if kind == "add" or not keys:
            world.add(self.resource)
            return
        key = self._random.choice(keys)
        if kind == "delete":
            world.delete(self.resource, key)
        elif kind == "discard":
            world.discard_video(key)
        else:
            field = {"videos": "title", "discarded_videos": "title", "summaries": "origin"}.get(self.resource, "name")
            fields: Row = {field: "api" if field == "origin" else f"Change {self.made}"}
            world.update(self.resource, key, silently=False, **fields)
