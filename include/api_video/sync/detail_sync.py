"""Syncs single objects: decides what each answer means for its row. No network, no SQL."""

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
    """One run over the single objects of an endpoint: which to fetch, and what to load of each."""

    def __init__(self, endpoint: Endpoint, state: DetailState, *, first: bool) -> None:
        self._endpoint, self._state, self._first = endpoint, state, first
        self.parents = {parent.key: parent for parent in state.waiting}
        self._kinds: dict[str, str] = {}
        self._gone: list[str] = []

    @property
    def left(self) -> int:
        """How many objects have no answer yet."""
        return len(self.parents) - len(self._kinds)

    @property
    def is_done(self) -> bool:
        """Whether every requested object has an answer."""
        return self.left == 0

    @property
    def asks_for_all(self) -> bool:
        """Whether this run fetches every waiting object, so that none is left to the next run."""
        return self._state.waiting_total <= len(self.parents)

    @property
    def compared(self) -> Iterator[str]:
        """Keys of objects that were loaded before and fetched again."""
        return (parent.key for parent in self.parents.values() if parent.loaded and not parent.loaded.removed)

    def take(self, row: dict[str, Any], now: datetime) -> dict[str, Any] | None:
        """Returns the row to load, or None if there is nothing to load.

        A 404 for an object that was never loaded becomes a row that is marked removed, so that the next run does not ask
        again. A 404 for a loaded object gives None: its row keeps its content and is soft-deleted. An unchanged object
        gives None, too.
        """
        parent = self.parents[row[self._endpoint.key]]
        if UNREAD in row:
            self._kinds[parent.key] = "unread"
            log.warning("%s: %s is left for the next run: %s", self._endpoint.name, parent.key, row[UNREAD])
            return None
        gone = bool(row.get(MISSING))
        content = {} if gone else row
        content_hash = hash_row(content)
        self._kinds[parent.key] = kind = self._kind(parent, content_hash, gone)
        if kind == "removed":
            self._gone.append(parent.key)
            return None
        if kind == "same" and parent.is_current and self.asks_for_all:
            return None  # else load it all the same: its new _read_at sends it to the end of the queue
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
        """Records that the answer cannot be a row; the next run fetches it again."""
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
        """Returns the counts of this run."""
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
