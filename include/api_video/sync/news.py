"""Decides which rows of a list to load, and their kind. No network, no SQL.

A row is new, changed, restored (it was marked removed), drifted (changed while its ``updatedAt`` stood still) or withdrawn
(emitted, then no longer listed).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from include.api_video.api.client import MISSING
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.storable import utc
from include.api_video.sync.outcome import hash_row
from include.api_video.sync.page_walk import CURSOR_OVERLAP
from include.api_video.sync.state import KnownRow


class News:
    """The rows that one run emits to be loaded.

    Args:
        cursor: newest ``updatedAt`` loaded by earlier runs.

    Attributes:
        has_versions: whether a row changed during the run, so that two versions of it were emitted.
    """

    def __init__(self, endpoint: Endpoint, cursor: datetime | None) -> None:
        self._endpoint, self._cursor = endpoint, cursor
        # A first load puts every row in here, so store little per row.
        self._taken: dict[str, bytes] = {}  # by key: hash of the emitted content
        self._kinds: dict[str, str] = {}  # by key: the kind, unless it is new
        self.has_versions = False

    @property
    def keys(self) -> Collection[str]:
        """Keys of the emitted rows."""
        return self._taken.keys()

    def take(
        self, key: str, row: dict[str, Any], known: KnownRow | None, now: datetime, written: bytes | None = None
    ) -> dict[str, Any] | None:
        """Returns the row to load; None if it is loaded or emitted already, unchanged. ``written``: see ``hash_row``."""
        if row.get(MISSING):
            self._kinds[key], self.has_versions = "withdrawn", True
            return {self._endpoint.key: key, "removed_at": now, "_read_at": now}
        content_hash = hash_row(row, written)
        short = bytes.fromhex(content_hash)
        if self._taken.get(key) == short:
            return None
        if key not in self._taken and known and not known.removed and known.content_hash == content_hash:
            return None
        self.has_versions |= key in self._taken
        self._taken[key] = short
        if (kind := self._kind(known, row)) != "new":
            self._kinds[key] = kind
        return {**row, "_content_hash": content_hash, "_read_at": now}

    def _kind(self, known: KnownRow | None, row: Mapping[str, Any]) -> str:
        if known is None:
            return "new"
        if known.removed:
            return "restored"
        cursor, at = self._cursor, utc(row.get("updatedAt"))
        unmoved = at is not None and cursor is not None and at == known.updated_at and at <= cursor - CURSOR_OVERLAP
        return "drifted" if unmoved and self._endpoint.sync.has_cursor else "changed"

    def count(self) -> Counter[str]:
        """Counts the rows of each kind."""
        return Counter({**Counter(self._kinds.values()), "new": len(self._taken) - len(self._kinds)})
