"""What a sync came to, and how two versions of a row are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlt.common.json import json

from include.api_video.errors import ApiVideoError


@dataclass
class Outcome:
    """What a sync did, as the ledger tells it. ``gone`` are keys still to be marked removed; ``removed`` counts them.

    ``unproven`` says with both figures why the table may differ from the API's list, ``stopped_by`` what ended the reading
    early. ``total_off`` and ``is_sorted`` are what the newest reading of the whole list found out about it.
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
    """Hash of a cleaned row, the same whatever the order of its fields.

    ``written`` is the row as ``Redaction`` wrote it.
    """
    return hashlib.blake2b(written or json.dumpb(row, sort_keys=True), digest_size=12).hexdigest()
