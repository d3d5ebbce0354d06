"""What must happen to a row before anything else sees it: secrets out, ``[]`` for an object made null.

Runs before dlt writes its first file, so no secret ever reaches a disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from include.api_video.endpoints import Endpoint

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


class Redaction:
    """Cleans the rows of one endpoint. Called once per row, so it looks at each value once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._secret = ALWAYS_SECRET | {bare(name) for name in endpoint.secrets}
        self._objects = object_paths(endpoint)
        self._is_secret: dict[str, bool] = {}  # by field name, as it was decided before

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
            if name not in self._is_secret:
                self._is_secret[name] = bare(name) in self._secret
            if self._is_secret[name]:
                found.update(_texts(item))
                continue
            here = (*path, name)
            # The API sends [] where an object is empty; vendor clients carry the same workaround. Absent and null mean
            # the same here, and an absent object leaves its columns null without adding one for itself.
            if here in self._objects and (item is None or item == []):
                continue
            clean[name] = self._clean(item, here, found, as_written or name in FREE_TEXT)
        return clean

    def _clean(self, item: Any, path: tuple[str, ...], found: set[str], as_written: bool) -> Any:
        if isinstance(item, str):
            return item if as_written else strip_token(item)
        if isinstance(item, dict):
            return self._clean_object(item, path, found, as_written)
        if isinstance(item, list):
            return [self._clean(part, path, found, as_written) for part in item]
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
