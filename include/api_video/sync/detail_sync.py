"""Decides about single objects: what became of those that were asked for. No network, no SQL of its own."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from include.api_video.api.client import MISSING, UNREAD
from include.api_video.catalog.model import Endpoint
from include.api_video.sync.outcome import Outcome, hash_row
from include.api_video.sync.state import DetailState, Parent

log = logging.getLogger("api_video")


class DetailSync:
    """One round of single objects: which to ask for, and what became of them."""

    def __init__(self, endpoint: Endpoint, state: DetailState, *, first: bool) -> None:
        self._endpoint, self._state, self._first = endpoint, state, first
        self.parents = {parent.key: parent for parent in state.waiting}
        self._kinds: dict[str, str] = {}
        self._gone: list[str] = []

    @property
    def left(self) -> int:
        """How many objects have not been answered yet."""
        return len(self.parents) - len(self._kinds)

    @property
    def is_done(self) -> bool:
        """Whether every object that was asked for has been answered."""
        return self.left == 0

    @property
    def asks_for_all(self) -> bool:
        """Whether all that wait are asked for in this run."""
        return self._state.waiting_total <= len(self.parents)

    @property
    def compared(self) -> Iterator[str]:
        """Keys of objects that were loaded before and asked for again."""
        return (parent.key for parent in self.parents.values() if parent.loaded and not parent.loaded.removed)

    def take(self, row: dict[str, Any], now: datetime) -> dict[str, Any] | None:
        """The row to load. A 404 becomes a row that is removed from the start: it remembers that there is none.

        None where a loaded object turned out deleted: that row keeps its content and is marked removed. None, too, where it
        is loaded as it is.
        """
        parent = self.parents[row[self._endpoint.key]]
        if UNREAD in row:
            self._kinds[parent.key] = "unread"
            log.warning("%s of %s is left for the next run: %s", self._endpoint.name, parent.key, row[UNREAD])
            return None
        gone = bool(row.get(MISSING))
        content = {} if gone else row
        content_hash = hash_row(content)
        self._kinds[parent.key] = kind = self._kind(parent, content_hash, gone)
        if kind == "removed":
            self._gone.append(parent.key)
            return None
        if kind == "same" and parent.is_current and self.asks_for_all:
            return None  # else its new _read_at puts it behind those that have to wait
        return {
            **content,
            self._endpoint.key: parent.key,
            "_content_hash": content_hash,
            "_parent_hash": parent.content_hash,
            "_is_final": gone or self._endpoint.is_final(content),
            "_read_at": now,
            "removed_at": now if gone else None,
        }

    def reject(self, key: str) -> None:
        """Takes note that the answer cannot be a row; it is asked for again at the next run."""
        self._kinds[key] = "rejected"

    @staticmethod
    def _kind(parent: Parent, content_hash: str, gone: bool) -> str:
        was_active = parent.loaded is not None and not parent.loaded.removed
        if gone:
            return "removed" if was_active else "missing"
        if parent.loaded is None:
            return "new"
        if not was_active:
            return "restored"
        return "same" if parent.loaded.content_hash == content_hash else "changed"

    def outcome(self) -> Outcome:
        """What the round came to."""
        kinds, state = Counter(self._kinds.values()), self._state
        missing = state.missing + kinds["removed"] + kinds["missing"]
        return Outcome(
            mode="first" if self._first else "changes",
            items_total=state.parents - missing,
            active=state.active + kinds["new"] + kinds["restored"] - kinds["removed"],
            new=kinds["new"],
            changed=kinds["changed"],
            removed=kinds["removed"] + state.unaccounted,
            restored=kinds["restored"],
            waiting=state.waiting_total - len(self.parents) + kinds["unread"] + kinds["rejected"],
            unread=kinds["unread"],
            gone=self._gone,
        )
