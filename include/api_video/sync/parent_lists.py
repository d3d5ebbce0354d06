"""Syncs lists that each row of a parent has: decides what each list means for its rows. No network, no SQL.

A list that was read to its end, and has as many rows as the API counts, is a proof: a loaded row that it lacks is gone.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from include.api_video.catalog.model import Endpoint
from include.api_video.errors import RemovalBrakeError
from include.api_video.sync.outcome import Outcome, hash_row
from include.api_video.sync.removal import RemovalBrake
from include.api_video.sync.state import KnownRow, ListedParent, ParentListState

log = logging.getLogger("api_video")


class ParentLists:
    """One run over the lists of an endpoint: which to request, and what to load of each.

    Attributes:
        asked: the lists that were read whole, as rows for ``_asked``.
    """

    def __init__(self, endpoint: Endpoint, state: ParentListState, brake: RemovalBrake, *, first: bool) -> None:
        self._endpoint, self._state, self._brake, self._first = endpoint, state, brake, first
        self.parents: Mapping[str, ListedParent] = {parent.key: parent for parent in state.waiting}
        self.asked: list[dict[str, Any]] = []
        self._kinds: Counter[str] = Counter()
        self._gone: list[str] = []
        self._compared: list[str] = []
        self._answered: set[str] = set()
        self._unread = self._moving = 0
        self._listed = state.listed

    @property
    def left(self) -> int:
        """How many lists have no answer yet."""
        return len(self.parents) - len(self._answered)

    @property
    def is_done(self) -> bool:
        """Whether every requested list has an answer."""
        return self.left == 0

    @property
    def compared(self) -> Iterator[str]:
        """Keys of loaded rows that were read again."""
        return iter(self._compared)

    def take(
        self, parent_key: str, rows: Sequence[Mapping[str, Any]], now: datetime, *, is_whole: bool
    ) -> Iterator[dict[str, Any]]:
        """Yields the rows to load of one list.

        ``is_whole``: all its pages were read, and they have as many rows as the API counts. If not, what was read is
        loaded, nothing is removed, and the next run requests the list again.
        """
        parent = self.parents[parent_key]
        known: Mapping[str, KnownRow] = self._state.known.get(parent_key, {})
        listed = {row[self._endpoint.key]: row for row in rows}
        hashes = {key: hash_row(row) for key, row in listed.items()}
        for key, row in listed.items():
            before = known.get(key)
            if before and not before.removed:
                self._compared.append(key)
                if before.content_hash == hashes[key]:
                    continue
            self._kinds["new" if before is None else "restored" if before.removed else "changed"] += 1
            yield {**row, "_content_hash": hashes[key], "_read_at": now}
        self._answered.add(parent_key)
        if not is_whole:
            self._moving += 1
            log.warning("%s of %s changed while it was read; the next run reads it again", self._endpoint.name, parent_key)
            return
        self._gone += [key for key, row in known.items() if not row.removed and key not in listed]
        self._listed += len(listed) - parent.listed
        self.asked.append(
            {
                "parent_key": parent_key,
                "parent_hash": parent.content_hash,
                "content_hash": hash_row(hashes),
                "listed_rows": len(listed),
                "asked_at": now,
            }
        )

    def leave(self, parent_key: str, reason: str) -> None:
        """Leaves a list that the API failed to give for the next run."""
        self._answered.add(parent_key)
        self._unread += 1
        log.warning("%s of %s are left for the next run: %s", self._endpoint.name, parent_key, reason)

    def outcome(self) -> Outcome:
        """Returns the counts of this run. Call it once ``is_done``."""
        state, kinds = self._state, self._kinds
        gone: list[str] = self._gone
        stopped_by: RemovalBrakeError | None = self._brake.find(len(gone), state.active)
        unproven = None
        if stopped_by:
            gone, unproven = [], f"api.video lists {self._listed} {self._endpoint.name}. {stopped_by}"
        requested = len(self.asked) + self._unread + self._moving
        return Outcome(
            mode="first" if self._first else "changes",
            items_total=self._listed,
            active=state.active + kinds["new"] + kinds["restored"] - len(gone),
            new=kinds["new"],
            changed=kinds["changed"],
            removed=len(gone) + state.unaccounted,
            restored=kinds["restored"],
            waiting=max(0, state.waiting_total - requested) + self._unread + self._moving,
            unread=self._unread,
            gone=gone,
            unproven=unproven,
            stopped_by=stopped_by,
        )
