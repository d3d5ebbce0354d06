"""What must happen to a row before anything else sees it: secrets out, ``[]`` for an object made null, and what the
warehouse could not hold made such that it can.

Runs before dlt writes its first file, so no secret ever reaches a disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from include.api_video.endpoints import Endpoint
from include.api_video.schema import DETAIL_COLUMNS, OWN_COLUMNS, snake

# Fields that hold a credential wherever they turn up, documented there or not; any spelling of them.
ALWAYS_SECRET = frozenset(
    {"streamkey", "signaturesecret", "uploadtoken", "apikey", "accesstoken", "refreshtoken", "privatetoken", "password"}
)
SHORTEST_SECRET = 8  # a shorter value of a secret field may stand elsewhere by chance
# What customers write themselves is stored as they wrote it.
FREE_TEXT = frozenset({"title", "description", "name", "tags", "metadata", "abstract", "takeaways"})

# Private videos carry a one-time token in every assets URL, new at each read: ...?token=T and .../token/T/...
# (guide, delivery/private-video-get-started). A stored one is a credential, and a change that never happened.
_TOKEN_PATH = re.compile(r"/token/[^/\s\"'<>?#]+")
_TOKEN_FIRST = re.compile(r"\?(?:token|private_token|privateToken)=[^&\s\"'<>#]*(?:&amp;|&)", re.IGNORECASE)
_TOKEN_LATER = re.compile(r"(?:\?|&amp;|&)(?:token|private_token|privateToken)=[^&\s\"'<>#]*", re.IGNORECASE)


def strip_token(text: str) -> str:
    """Removes private tokens from a URL, or from HTML that holds one; the rest stays a working URL."""
    if "token" not in text.lower():
        return text
    return _TOKEN_LATER.sub("", _TOKEN_FIRST.sub("?", _TOKEN_PATH.sub("", text)))


def object_paths(endpoint: Endpoint) -> frozenset[tuple[str, ...]]:
    """Paths of all fields documented as objects: ``{("ingest",), ("ingest", "receivedParts"), ...}``."""
    paths = set()
    for column in endpoint.columns:
        parts = column.path.split(".")
        for depth in range(1, len(parts)):
            if not any(part.endswith("[]") for part in parts[:depth]):
                paths.add(tuple(parts[:depth]))
    return frozenset(paths)


def bare(name: str) -> str:
    """A field's name without case, ``_`` and ``-``: ``stream_key`` and ``streamKey`` are one field."""
    return name.replace("_", "").replace("-", "").lower()


def reserved_columns(endpoint: Endpoint) -> frozenset[str]:
    """Names of columns, of an endpoint's documented fields and of ours, that a new field of the API must not take."""
    documented = {snake(part) for column in endpoint.columns for part in column.path.replace("[]", "").split(".")}
    return frozenset({*documented, *(column.path for column in OWN_COLUMNS + DETAIL_COLUMNS)})


class Redaction:
    """Cleans the rows of one endpoint. Called once per row, so it looks at each value once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._secret = ALWAYS_SECRET | {bare(name) for name in endpoint.secrets}
        self._objects = object_paths(endpoint)
        self._documented = {part for column in endpoint.columns for part in column.path.replace("[]", "").split(".")}
        self._reserved = reserved_columns(endpoint)
        self._flags = {column.path for column in endpoint.columns if column.data_type == "bool"}
        self._names: dict[str, str | None] = {}  # by field name, as it was decided before; None: a secret

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        found: set[str] = set()
        clean = self._clean_object(row, (), found)
        # A field that nobody documented may hold the same secret, as rtmps://.../<stream key> would.
        return cast("dict[str, Any]", _without(clean, found)) if found else clean

    def _clean_object(
        self, value: dict[str, Any], path: tuple[str, ...], found: set[str], as_written: bool = False
    ) -> dict[str, Any]:
        clean = {}
        for name, item in value.items():
            if name not in self._names:
                self._names[name] = self._name_of(name)
            kept = self._names[name]
            if kept is None:
                found.update(_texts(item))
                continue
            free = as_written or name in FREE_TEXT
            if isinstance(item, str):  # as most values are
                clean[kept] = item if free else strip_token(item)
                continue
            here = (*path, name)
            # The API sends [] where an object is empty; vendor clients carry the same workaround. Absent and null mean
            # the same here, and an absent object leaves its columns null without adding one for itself.
            if here in self._objects and (item is None or item == []):
                continue
            clean[kept] = self._clean(item, here, found, free)
        return clean

    def _name_of(self, name: str) -> str | None:
        """The name to store a field under; None for a secret one.

        A new field whose column would be one of ours (``removedAt``), or that of another field (``Title``), or one of
        dlt's, is stored beside it, as ``api_...``.
        """
        if bare(name) in self._secret:
            return None
        if name in self._documented or not (snake(name) in self._reserved or name.startswith("_dlt")):
            return name
        return f"api_{name.lstrip('_')}"

    def _clean(self, item: Any, path: tuple[str, ...], found: set[str], as_written: bool) -> Any:
        if isinstance(item, str):
            return item if as_written else strip_token(item)
        if isinstance(item, dict):
            return self._clean_object(item, path, found, as_written)
        if isinstance(item, list):
            return [self._clean(part, path, found, as_written) for part in item]
        if isinstance(item, int) and not isinstance(item, bool):
            # dlt would take 7 for True where a flag is documented, and no warehouse's integer holds more than 64 bits.
            is_flag = ".".join(path) in self._flags
            return str(item) if (is_flag and item not in (0, 1)) or not -(2**63) <= item < 2**63 else item
        return item


def _texts(item: Any) -> Iterator[str]:
    """The texts in a secret field that are long enough to be looked for elsewhere."""
    if isinstance(item, str) and len(item) >= SHORTEST_SECRET:
        yield item
    for part in item.values() if isinstance(item, dict) else item if isinstance(item, list) else ():
        yield from _texts(part)


def _without(item: Any, secrets: set[str]) -> Any:
    if isinstance(item, str):
        for secret in secrets:
            item = item.replace(secret, "")
        return item
    if isinstance(item, dict):
        return {name: _without(part, secrets) for name, part in item.items()}
    return [_without(part, secrets) for part in item] if isinstance(item, list) else item
