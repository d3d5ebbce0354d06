"""Rejected rows: what the API lists but no table can hold, kept as JSON in ``_rejected`` until it can be loaded.

The sync counts rows by key, to compare them with ``itemsTotal``. A row without a key gets a stand-in, ``~`` and the hash of
its content, so that the sync can count it like any other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from include.api_video.api.client import MARKS, ODD, without_marks
from include.api_video.api.odd_json import dump_json
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.storable import storable
from include.api_video.load.redaction import Redaction
from include.api_video.sync.list_sync import Lookup
from include.api_video.sync.outcome import Outcome, hash_row
from include.api_video.sync.state import KnownRow, TableState

_STAND_IN = re.compile(r"~[0-9a-f]{24}(-\d+)?")


def why_no_row(endpoint: Endpoint, row: Any) -> str | None:
    """Returns why an item of a list cannot be a row of its table, or None if it can."""
    if not isinstance(row, dict):
        return f"It is {kind_of(row)}, not an object."
    if endpoint.key not in row:
        return f"It has no {endpoint.key}."
    key = row[endpoint.key]
    if isinstance(key, str) and key:
        return None
    return f"Its {endpoint.key} is {kind_of(key)}."


def why_no_detail(endpoint: Endpoint, key: str, row: Mapping[str, Any]) -> str | None:
    """Returns why an answer cannot be the requested object, or None if it can."""
    if ODD in row:
        return f"The answer is {kind_of(row[ODD])}, not an object."
    answered = row.get(endpoint.key)
    if answered in (None, key):
        return None
    return f"The answer belongs to another {endpoint.key}."


def kind_of(value: Any) -> str:
    """Names the type of a JSON value in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a flag"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a text" if value else "an empty text"
    return "a list" if isinstance(value, list) else "an object"


def with_keys(endpoint: Endpoint, rows: Iterable[Any], clean: Redaction) -> Iterator[dict[str, Any]]:
    """Yields the rows of a page, each with a key: what cannot be a row comes wrapped, under a stand-in key."""
    seen: Counter[str] = Counter()
    for row in rows:
        if why_no_row(endpoint, row) is None:
            key = storable(row[endpoint.key])
            if not MARKS.isdisjoint(row):
                row = without_marks(row)
            yield row if key == row[endpoint.key] else {**row, endpoint.key: key}
            continue
        key = f"~{hash_row(clean({ODD: row}))}"
        seen[key] += 1
        times = {"updatedAt": row["updatedAt"]} if isinstance(row, dict) and "updatedAt" in row else {}
        yield {endpoint.key: key if seen[key] == 1 else f"{key}-{seen[key]}", ODD: row, **times}


def is_stand_in(key: str) -> bool:
    """Whether a key is the stand-in of a row without one."""
    return _STAND_IN.fullmatch(key) is not None


class WithRejected:
    """The warehouse as a list sync sees it: with the rejected rows among the known ones."""

    def __init__(self, lookup: Lookup, rejected: Mapping[str, str | None]) -> None:
        self._lookup = lookup
        self._rejected = {key: KnownRow(content_hash, None, False) for key, content_hash in rejected.items()}

    def find_rows(self, keys: Sequence[str]) -> dict[str, KnownRow]:
        """The rows with these keys."""
        real = [key for key in keys if key not in self._rejected]
        found = self._lookup.find_rows(real) if real else {}
        return found | {key: self._rejected[key] for key in keys if key in self._rejected}

    def all_rows(self) -> dict[str, KnownRow]:
        """Every row, by key."""
        return self._lookup.all_rows() | self._rejected

    def count(self, state: TableState) -> TableState:
        """The table's state with the rejected rows counted as active, since the API's total counts them."""
        return replace(state, active=state.active + len(self._rejected)) if state.exists else state


class Rejections:
    """The rejected rows of one resource in one run: known ones, new ones, and those that are resolved.

    Args:
        known: content hash by key of the rows in ``_rejected`` before the run.
    """

    def __init__(self, endpoint: Endpoint, known: Mapping[str, str | None]) -> None:
        self._endpoint, self._known = endpoint, dict(known)
        self._seen: set[str] = set()  # keys rejected in this run, known before or not
        self._records: dict[str, dict[str, Any]] = {}  # to store, by key
        self._resolved: set[str] = set()  # known keys that are rejected no longer

    @property
    def known(self) -> Mapping[str, str | None]:
        """Content hash by key of what was rejected before this run."""
        return self._known

    @property
    def are_broken(self) -> bool:
        """Whether ``_rejected`` holds a key twice, or a row of a killed load: it is written again once it is read again."""
        return None in self._known.values()

    @property
    def has_records(self) -> bool:
        """Whether there are rows to add to ``_rejected``."""
        return bool(self._records)

    @property
    def count(self) -> int:
        """How many rows are rejected now."""
        return len(self._kept)

    @property
    def _kept(self) -> set[str]:
        return {*self._known, *self._seen} - self._resolved

    def is_seen(self, key: str) -> bool:
        """Whether a row was rejected in this run."""
        return key in self._seen

    def see(self, key: str) -> None:
        """Notes that a known rejected row is still listed, unchanged."""
        self._seen.add(key)

    def add(self, key: str, reason: str, content: Any, content_hash: str, now: datetime) -> None:
        """Rejects a cleaned row; stores it unless the same content is stored already."""
        self._seen.add(key)
        self._resolved.discard(key)
        if self._known.get(key) != content_hash:
            self._records[key] = {
                "reason": reason,
                "payload": storable(dump_json(content, lambda *_: True, lambda value: value)),
                "content_hash": content_hash,
                "read_at": now,
            }

    def resolve(self, keys: Iterable[str]) -> None:
        """Resolves rejected rows: they are gone, or can be loaded now."""
        for key in keys:
            self._seen.discard(key)
            self._records.pop(key, None)
            if key in self._known:
                self._resolved.add(key)

    def leave_out(self, outcome: Outcome) -> Outcome:
        """Resolves what a list no longer holds, and takes the rejected rows out of the outcome's counts."""
        gone = {key for key in outcome.gone if is_stand_in(key)}
        fresh = len(self._seen - set(self._known))
        read_whole = outcome.mode in ("first", "full") and not outcome.unproven
        self.resolve({*gone, *(set(self._known) - self._seen if read_whole else ())})
        return replace(
            outcome,
            active=(outcome.active or 0) - self.count,
            new=outcome.new - fresh,
            removed=outcome.removed - len(gone),
            gone=[key for key in outcome.gone if key not in gone],
        )

    def rows(self, run_id: str, load_id: str) -> list[dict[str, Any]]:
        """Rows to add to ``_rejected``."""
        own = {"resource": self._endpoint.name, "run_id": run_id, "load_id": load_id}
        return [{**own, "rejected_id": self._id_of(key), "row_key": key, **row} for key, row in self._records.items()]

    @property
    def outdated(self) -> list[str]:
        """``rejected_id`` of rows to delete from ``_rejected``: resolved, or about to be replaced."""
        return sorted(self._id_of(key) for key in self._resolved | (self._records.keys() & self._known.keys()))

    def _id_of(self, key: str) -> str:
        return f"{self._endpoint.name} {key}"
