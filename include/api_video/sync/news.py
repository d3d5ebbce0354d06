"""Which rows of a list are news, and of which kind: new, changed, restored, drifted, or withdrawn. No network, no SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from include.api_video.api.client import MISSING
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.values import utc
from include.api_video.sync.outcome import hash_row
from include.api_video.sync.page_walk import REFETCHED
from include.api_video.sync.state import KnownRow


class News:
    """The rows that a reading hands on to be loaded.

    Args:
        cursor: newest ``updatedAt`` that was loaded before.

    Attributes:
        has_versions: whether a row was handed on twice, since it changed while the list was read.
    """

    def __init__(self, endpoint: Endpoint, cursor: datetime | None) -> None:
        self._endpoint, self._cursor = endpoint, cursor
        # Of a first load every row is in here: as little as possible for each.
        self._taken: dict[str, bytes] = {}  # by key: hash of the content handed on
        self._kinds: dict[str, str] = {}  # of those, what is not new
        self.has_versions = False

    @property
    def keys(self) -> Collection[str]:
        """Keys of the rows that were handed on."""
        return self._taken.keys()

    def take(
        self, key: str, row: dict[str, Any], known: KnownRow | None, now: datetime, written: bytes | None = None
    ) -> dict[str, Any] | None:
        """The row to load; None where it is loaded already, or was handed on as it is. ``written``: see ``hash_row``."""
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
        unmoved = at is not None and cursor is not None and at == known.updated_at and at <= cursor - REFETCHED
        return "drifted" if unmoved and self._endpoint.sync.has_cursor else "changed"

    def count(self) -> Counter[str]:
        """How many rows there are of each kind."""
        return Counter({**Counter(self._kinds.values()), "new": len(self._taken) - len(self._kinds)})
