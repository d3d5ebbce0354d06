"""The outcome of a sync, and the hash that tells versions of a row apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlt.common.json import json

from include.api_video.errors import ApiVideoError


@dataclass
class Outcome:
    """What a sync did, as stored in the ledger.

    Attributes:
        drifted: rows that changed while their ``updatedAt`` stood still; ``changed`` counts them, too.
        waiting: objects left to the next run; ``unread`` are those of them that the API failed to give.
        gone: keys still to be marked removed; ``removed`` counts them, too.
        total_off: by how much ``itemsTotal`` exceeds the rows listed, as of the latest reading of the whole list.
        is_sorted: whether that reading found the list sorted.
        unproven: why the table may differ from the API's list, with both figures.
        stopped_by: the error that ended the reading early.
    """

    mode: str
    items_total: int | None = None
    active: int | None = None
    new: int = 0
    changed: int = 0
    removed: int = 0
    restored: int = 0
    drifted: int = 0
    waiting: int = 0
    unread: int = 0
    gone: Sequence[str] = ()
    total_off: int = 0
    is_sorted: bool = True
    unproven: str | None = None
    stopped_by: ApiVideoError | None = None


def hash_row(row: Mapping[str, Any], written: bytes | None = None) -> str:
    """Hashes a cleaned row, whatever the order of its fields.

    ``written`` is the row as JSON, if ``Redaction`` has serialized it already.
    """
    return hashlib.blake2b(written or json.dumpb(row, sort_keys=True), digest_size=12).hexdigest()
