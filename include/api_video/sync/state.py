"""What the warehouse holds before a run, as the syncs need to know it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)  # one per row of a table
class KnownRow:
    """A loaded row: hash of its content, ``updatedAt``, and whether it is marked removed."""

    content_hash: str | None
    updated_at: datetime | None
    removed: bool


@dataclass(frozen=True)
class TableState:
    """What a list's table holds before a run.

    Attributes:
        cursor: newest ``updated_at`` among rows whose load is complete.
        last_full_at: when the whole list was last read.
        base_url: where the rows were loaded from.
        is_whole: False if only a reading of the whole list can show what is missing: a load was killed halfway, a key was
            stored twice, or a reading may have missed a row.
        undated: rows without ``updated_at``.
        unaccounted: rows marked removed by a run that left no row in the ledger.
        total_off, is_sorted, unproven, unproven_since: from the last run's row in the ledger.
        rows: all rows, removed or not.
    """

    exists: bool = False
    active: int = 0
    cursor: datetime | None = None
    last_full_at: datetime | None = None
    base_url: str | None = None
    is_whole: bool = True
    undated: int = 0
    unaccounted: int = 0
    total_off: int = 0
    is_sorted: bool = True
    unproven: str | None = None
    unproven_since: datetime | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Parent:
    """An object to fetch: its key, the hash of its parent's row, and its loaded row (None if there is none).

    ``is_current``: the parent has not changed since the object was fetched.
    """

    key: str
    content_hash: str | None
    loaded: KnownRow | None
    is_current: bool = False


@dataclass(frozen=True, slots=True)
class ListedParent:
    """A parent whose list is to be requested: its key, the hash of its row, and how many rows its list had (0: unknown)."""

    key: str
    content_hash: str | None
    listed: int = 0


@dataclass(frozen=True)
class ParentListState:
    """What the table of a list per parent holds before a run, and which lists to request.

    Attributes:
        parents: parents that have such a list.
        active: rows that are not removed.
        listed: rows of these lists, as of when each was last requested.
        waiting_total: lists to request, all together; ``waiting`` are those within this run's budget, and some before they
            are due.
        known: loaded rows of the lists to request, by parent and key.
        unaccounted: rows marked removed by a run that left no row in the ledger.
        unproven_since: from the last run's row in the ledger.
    """

    parents: int = 0
    active: int = 0
    listed: int = 0
    waiting_total: int = 0
    waiting: tuple[ListedParent, ...] = ()
    known: Mapping[str, Mapping[str, KnownRow]] = field(default_factory=dict)
    base_url: str | None = None
    unaccounted: int = 0
    unproven_since: datetime | None = None


@dataclass(frozen=True)
class DetailState:
    """What a detail table holds before a run, and which objects to fetch.

    Attributes:
        parents: parents that should have such an object.
        missing: those for which the API answered that there is none.
        waiting_total: objects to fetch, all together.
        waiting: those within this run's budget, longest waiting first.
        unaccounted: rows marked removed by a run that left no row in the ledger.
    """

    parents: int = 0
    active: int = 0
    missing: int = 0
    waiting_total: int = 0
    waiting: tuple[Parent, ...] = ()
    base_url: str | None = None
    unaccounted: int = 0
