"""What must happen to a row before anything else sees it: secrets out, ``[]`` for an object made null, and what the
warehouse could not hold made such that it can.

Runs before dlt writes its first file, so no secret ever reaches a disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from dlt.common.json import json

from include.api_video.api.odd_json import dump_json
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.places import TIME, Fields, Place
from include.api_video.catalog.values import PLAIN_TIMESTAMP, storable, storable_number
from include.api_video.load.plain_rows import PlainRows

SHORTEST_SECRET = 8  # a shorter value of a secret field may stand elsewhere by chance

# Private videos carry a one-time token in every assets URL, new at each read: ...?token=T and .../token/T/...
# (guide, delivery/private-video-get-started). A stored one is a credential, and a change that never happened.
_TOKEN_PATH = re.compile(r"/token/[^/\s\"'<>?#]+")
_TOKEN_FIRST = re.compile(r"\?(?:token|private_token|privateToken)=[^&\s\"'<>#]*(?:&amp;|&)", re.IGNORECASE)
_TOKEN_LATER = re.compile(r"(?:\?|&amp;|&)(?:token|private_token|privateToken)=[^&\s\"'<>#]*", re.IGNORECASE)


def strip_token(text: str) -> str:
    """Removes private tokens from a URL, or from HTML that holds one; the rest stays a working URL."""
    return _strip(text) if "token" in text.lower() else text


def _strip(text: str) -> str:
    return _TOKEN_LATER.sub("", _TOKEN_FIRST.sub("?", _TOKEN_PATH.sub("", text)))


class Redaction:
    """Cleans the rows of one endpoint. Called once per row, so it looks at each value once.

    Attributes:
        plain_rows: what tells such rows, and takes them apart.
        is_plain: whether every value of the row cleaned last is documented, and of its documented type.
        written: that row as JSON, its fields sorted, where nothing of it was changed and it is known.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._row = Place.of_row(endpoint)
        self.plain_rows = PlainRows(endpoint)
        self.is_plain = True
        self.written: bytes | None = None
        self._found: set[str] = set()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        self.is_plain, self.written = self.plain_rows.holds(row), None
        written = _written(row) if self.is_plain else None
        if written is None:
            return self.look_closely(row)
        if b"token" in written.lower():
            return self.plain_rows.without_tokens(row, strip_token)
        self.written = written
        return row

    def look_closely(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row, cleaned value by value, whatever it is."""
        if self._row.has_grown:
            self._row = Place.of_row(self._endpoint)
        self._found = set()
        clean = self._clean_object(row, self._row.fields)
        # A field that nobody documented may hold the same secret, as rtmps://.../<stream key> would.
        if self._found:
            clean = cast("dict[str, Any]", _without(clean, self._found))
        self.is_plain = self.plain_rows.holds(clean)
        return clean

    # One loop, since it sees each value of each row.
    def _clean_object(self, value: dict[str, Any], fields: Fields) -> dict[str, Any]:  # noqa: C901
        had_rivals = fields.has_rivals
        apart = fields.keep_apart(value) if had_rivals else {}
        clean: dict[str, Any] = {}
        for name, item in value.items():
            place = fields[name]
            kept = place.kept
            if kept is None:
                self._found.update(_texts(item))
                continue
            if apart and name in apart:
                kept = apart[name]
            kind = type(item)
            if kind is str:  # as most values are
                if place.plain is TIME and PLAIN_TIMESTAMP(item):
                    clean[kept] = item
                    continue
                if not place.is_free and "token" in item.lower():
                    item = _strip(item)
                clean[kept] = item if item.isprintable() else storable(item)
            # The API sends [] where an object is empty; vendor clients carry the same workaround. Absent and null mean
            # the same here, and an absent object leaves its columns null without adding one for itself.
            elif item is None or (kind is list and not item):
                if not place.is_object:
                    clean[kept] = item
            elif kind is bool and place.plain is bool:
                clean[kept] = item
            else:
                clean[kept] = self._clean(item, place)
        if fields.has_rivals and not had_rivals:  # this row is the first to show it
            return self._clean_object(value, fields)
        return clean

    def _clean(self, item: Any, place: Place) -> Any:
        if isinstance(item, (dict, list)):
            if place.is_deepest:
                return self._as_json(item, place)
            if isinstance(item, dict):
                return self._clean_object(item, place.fields)
            inside = place.items
            return [self._clean(part, inside) for part in item]
        if isinstance(item, str):
            return storable(item if place.is_free else strip_token(item))
        if isinstance(item, (int, float)):
            return storable_number(item)
        return item

    def _as_json(self, item: Any, place: Place) -> str:
        """What is nested too deep for tables, without its secrets."""

        def keep(name: str, value: Any) -> bool:
            if is_secret := place.is_secret(name):
                self._found.update(_texts(value))
            return not is_secret

        def write(value: Any) -> Any:
            if isinstance(value, str):
                return value if place.is_free else strip_token(value)
            return storable_number(value) if isinstance(value, (int, float)) else value

        return storable(dump_json(item, keep, write))


def _written(row: dict[str, Any]) -> bytes | None:
    """A row as JSON, by which to tell something of all its texts at once; None where one needs a closer look."""
    try:
        texts = json.dumpb(row, sort_keys=True)
    except (TypeError, ValueError):  # half of an emoji
        return None
    if b"\\" in texts and b"\\u0000" in texts:  # NUL, as JSON has it
        return None
    # The sign of Kelvin is a letter of "token", too; dlt's own marks begin with the last two.
    if not texts.isascii() and (b"\xe2\x84\xaa" in texts or b"\xef\x80" in texts):
        return None
    return texts


def _texts(item: Any) -> Iterator[str]:
    """The texts in a secret field that are long enough to be looked for elsewhere."""
    todo = [item]
    while todo:
        part = todo.pop()
        if isinstance(part, str) and len(part) >= SHORTEST_SECRET:
            yield storable(part)
        elif isinstance(part, (dict, list)):
            todo.extend(part.values() if isinstance(part, dict) else part)


def _without(item: Any, secrets: set[str]) -> Any:
    if isinstance(item, str):
        for secret in secrets:
            item = item.replace(secret, "")
        return item
    if isinstance(item, dict):
        return {name: _without(part, secrets) for name, part in item.items()}
    return [_without(part, secrets) for part in item] if isinstance(item, list) else item
