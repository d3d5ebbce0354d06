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

GIVEN_UP = "given up"  # stands for the hash of a list that api.video refuses
log = logging.getLogger("api_video")


class ParentLists:
    """One run over the lists of an endpoint: which to request, and what to load of each.

    Attributes:
        asked: the lists that were read, as rows for ``_asked``. Read it after ``outcome``. Without ``parent_hash``, the
            next run requests the list again.
    """

    def __init__(self, endpoint: Endpoint, state: ParentListState, brake: RemovalBrake, *, first: bool) -> None:
        self._endpoint, self._state, self._brake, self._first = endpoint, state, brake, first
        self.parents: Mapping[str, ListedParent] = {parent.key: parent for parent in state.waiting}
        self.asked: list[dict[str, Any]] = []
        self._kinds: Counter[str] = Counter()
        self._gone: dict[str, list[str]] = {}  # by parent
        self._given_up: dict[str, str] = {}  # why, by parent
        self._compared: list[str] = []
        self._answered: set[str] = set()
        self._unread = self._moving = self._rejected = 0
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
        self,
        parent_key: str,
        rows: Sequence[Mapping[str, Any]],
        now: datetime,
        *,
        is_whole: bool,
        is_open: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Yields the rows to load of one list.

        ``is_whole``: all its pages were read, and they have as many rows as the API counts. If not, what was read is
        loaded, nothing is removed, and the next run requests the list again. It does so, too, if ``is_open``: the list has
        rows that the table cannot hold, or an answer is still to come.
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
        if is_whole:
            gone = [key for key, row in known.items() if not row.removed and key not in listed]
            if gone and not self._endpoint.keeps_rows:
                self._gone[parent_key] = gone
        else:
            self._moving += 1
            log.warning(
                "%s: the list of %s changed while being read; the next run reads it again", self._endpoint.name, parent_key
            )
        self._remember(parent, hashes, now, is_whole=is_whole, is_final=is_whole and not is_open)

    def _remember(
        self, parent: ListedParent, hashes: Mapping[str, str], now: datetime, *, is_whole: bool, is_final: bool
    ) -> None:
        """Notes a list that was read. ``is_final``: the next run need not request it again."""
        known = self._state.known.get(parent.key, {})
        kept = sum(not row.removed and key not in hashes for key, row in known.items()) if self._endpoint.keeps_rows else 0
        listed_rows = len(hashes) + kept if is_whole else parent.listed
        self._note(parent, hash_row(hashes), listed_rows, now, is_final=is_final)

    def give_up(
        self, parent_key: str, reason: str, now: datetime, stored: Sequence[Mapping[str, Any]] = ()
    ) -> Iterator[dict[str, Any]]:
        """Gives up a list that api.video refuses to give, such as that of a day that it has forgotten: its rows stay.

        Yields the ``stored`` rows, whose load was killed, to load them once more: nobody else has them.
        """
        self._given_up[parent_key] = reason
        known = self._state.known.get(parent_key, {}).values()
        self._note(self.parents[parent_key], GIVEN_UP, sum(not row.removed for row in known), now)
        for row in stored:
            yield {**row, "_content_hash": hash_row(row), "_read_at": now}

    def _note(self, parent: ListedParent, content_hash: str, listed: int, now: datetime, *, is_final: bool = True) -> None:
        self._answered.add(parent.key)
        self._listed += listed - parent.listed
        self.asked.append(
            {
                "parent_key": parent.key,
                "parent_hash": parent.content_hash if is_final else None,
                "content_hash": content_hash,
                "listed_rows": listed,
                "asked_at": now,
            }
        )

    def leave(self, parent_key: str, reason: str) -> None:
        """Leaves a list that the API failed to give for the next run."""
        self._answered.add(parent_key)
        self._unread += 1
        log.warning("%s: %s is left for the next run: %s", self._endpoint.name, parent_key, reason)

    def reject(self, parent_key: str) -> None:
        """Records that the answer is no list; the next run requests it again."""
        self._answered.add(parent_key)
        self._rejected += 1

    def outcome(self) -> Outcome:
        """Returns the counts of this run. Call it once ``is_done``."""
        self._tell_given_up()
        state, kinds, kept = self._state, self._kinds, 0
        gone = [key for keys in self._gone.values() for key in keys]
        stopped_by: RemovalBrakeError | None = self._brake.find(len(gone), state.active)
        if stopped_by:
            # The next run must find these rows again, so it has to request their lists.
            self.asked = [{**row, "parent_hash": None} if row["parent_key"] in self._gone else row for row in self.asked]
            gone, kept = [], len(self._gone)
        active = state.active + kinds["new"] + kinds["restored"] - len(gone)
        waiting = max(0, state.waiting_total - len(self._answered)) + self._unread + self._moving + self._rejected + kept
        return Outcome(
            mode="first" if self._first else "changes",
            items_total=self._listed,
            active=active,
            new=kinds["new"],
            changed=kinds["changed"],
            removed=len(gone) + state.unaccounted,
            restored=kinds["restored"],
            waiting=waiting,
            unread=self._unread,
            gone=gone,
            unproven=self._why_unproven(active, waiting, stopped_by),
            stopped_by=stopped_by,
        )

    def _tell_given_up(self) -> None:
        """Logs which lists were given up, once: after an outage they may be thousands."""
        if not self._given_up:
            return
        (first, reason), name, many = min(self._given_up.items()), self._endpoint.name, len(self._given_up)
        what = f"{name} of {first}" if many == 1 else f"{name}: {many} lists"
        which = "" if many == 1 else f", the first that of {first}"
        log.warning("%s cannot be read any more%s; what is loaded stays: %s", what, which, reason)

    def _why_unproven(self, active: int, waiting: int, stopped_by: RemovalBrakeError | None) -> str | None:
        name = self._endpoint.name
        if stopped_by:
            return f"api.video lists {self._listed} {name}. {stopped_by}"
        if not self._moving and (active == self._listed or not waiting):
            return None
        why = "they changed while being read" if self._moving else "they go beyond this run's budget"
        what = "1 list waits" if waiting == 1 else f"{waiting} lists wait"
        return f"api.video listed {self._listed} {name} when last asked, {active} are loaded, and {what}: {why}."
