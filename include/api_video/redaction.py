"""What must happen to a row before anything else sees it: secrets out, ``[]`` for an object made null.

Runs before dlt writes its first file, so no secret ever reaches a disk.
"""

from __future__ import annotations

import re
from typing import Any

from include.api_video.endpoints import Endpoint

# Fields that hold a credential wherever they turn up, documented there or not.
ALWAYS_SECRET = frozenset(
    {
        "streamKey",
        "signatureSecret",
        "uploadToken",
        "apiKey",
        "accessToken",
        "refreshToken",
        "access_token",
        "refresh_token",
        "privateToken",
    }
)
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


class Redaction:
    """Cleans the rows of one endpoint. Called once per row, so it looks at each value once."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._secret = ALWAYS_SECRET | frozenset(endpoint.secrets)
        self._objects = object_paths(endpoint)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return self._clean_object(row, ())

    def _clean_object(self, value: dict[str, Any], path: tuple[str, ...], as_written: bool = False) -> dict[str, Any]:
        clean = {}
        for name, item in value.items():
            if name in self._secret:
                continue
            here = (*path, name)
            # The API sends [] where an object is empty; vendor clients carry the same workaround. Absent and null mean
            # the same here, and an absent object leaves its columns null without adding one for itself.
            if here in self._objects and (item is None or item == []):
                continue
            clean[name] = self._clean(item, here, as_written or name in FREE_TEXT)
        return clean

    def _clean(self, item: Any, path: tuple[str, ...], as_written: bool) -> Any:
        if isinstance(item, str):
            return item if as_written else strip_token(item)
        if isinstance(item, dict):
            return self._clean_object(item, path, as_written)
        if isinstance(item, list):
            return [self._clean(part, path, as_written) for part in item]
        return item
