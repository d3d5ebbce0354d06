"""What is loaded before a run, as syncs need to know it; ``warehouse`` answers with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)  # one per row of a table
class KnownRow:
    """A row of a table as loaded: hash of its content, ``updatedAt``, and whether it is marked removed."""

    content_hash: str | None
    updated_at: datetime | None
    removed: bool


@dataclass(frozen=True)
class TableState:
    """What a list's table holds before a run.

    ``cursor`` is the newest ``updated_at`` of rows whose load is complete, ``last_full_at`` when the whole list was last
    read, ``base_url`` where from. ``is_whole`` is False where only a whole reading shows what is missing: a load was killed
    halfway, a key stood twice, or a row may have slipped through a reading. ``undated`` counts rows without ``updated_at``,
    ``unaccounted`` those marked removed by a run that left no line in the ledger, ``rows`` all of them, removed or not.
    ``total_off``, ``is_sorted``, ``unproven`` and ``unproven_since`` are as the last run left them there.
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
    """An object to ask for: its key, the hash of the parent's row, and how it is already loaded (None: not at all).

    ``is_current``: what is loaded was asked for when the parent was as it is now.
    """

    key: str
    content_hash: str | None
    loaded: KnownRow | None
    is_current: bool = False


@dataclass(frozen=True)
class DetailState:
    """What a detail table holds before a run, and which objects are to be asked for, longest waiting first.

    ``parents`` counts the parents that have such an object, ``missing`` those for which the API said there is none,
    ``waiting_total`` all that wait, of which ``waiting`` are those within the budget. ``unaccounted`` are marked removed,
    and no line of the ledger says so yet.
    """

    parents: int = 0
    active: int = 0
    missing: int = 0
    waiting_total: int = 0
    waiting: tuple[Parent, ...] = ()
    base_url: str | None = None
    unaccounted: int = 0
