"""Cleans a row before anything else sees it: removes secrets, turns ``[]`` for an object into null, and rewrites values
that no warehouse can hold.

Runs before dlt writes its first file, so no secret ever reaches a disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from dlt.common.json import json

from include.api_video.api.odd_json import dump_json
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.places import TIME, Fields, Place
from include.api_video.catalog.storable import PLAIN_TIMESTAMP, storable, storable_number
from include.api_video.load.plain_rows import PlainRows
from include.api_video.load.private_tokens import may_hold_token, strip_token

SHORTEST_SECRET = 8  # characters; a shorter value may occur in other fields by chance


class Redaction:
    """Cleans the rows of one endpoint. Called once per row, so it looks at each value only once.

    Attributes:
        plain_rows: recognizes plain rows, and splits them into rows of tables.
        is_plain: whether every field of the last row is documented and has its documented type.
        written: the last row as JSON with its fields sorted, if it was serialized and left unchanged; else None.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._row = Place.of_row(endpoint)
        self.plain_rows = PlainRows(endpoint)
        self.is_plain = True
        self.written: bytes | None = None
        self._found: set[str] = set()
        # Made of a secret, and safe to store, even if the secret is no more than that: a URL that is but a host.
        self._derived = {column.path.rpartition(".")[2] for column in endpoint.columns if column.made_of}

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        self.is_plain, self.written = self.plain_rows.holds(row), None
        written = _written(row) if self.is_plain else None
        if written is None:
            return self.look_closely(row)
        if may_hold_token(written):
            return self.plain_rows.without_tokens(row, strip_token)
        self.written = written
        return row

    def look_closely(self, row: dict[str, Any]) -> dict[str, Any]:
        """Cleans any row, value by value."""
        if self._row.has_grown:
            self._row = Place.of_row(self._endpoint)
        self._found = set()
        clean = self._clean_object(row, self._row.fields)
        # An undocumented field may repeat the secret, for example as rtmps://.../<stream key>.
        if self._found:
            clean = cast("dict[str, Any]", _without(clean, self._found, self._derived))
        self.is_plain = self.plain_rows.holds(clean)
        return clean

    # One loop for speed: it sees each value of each row.
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
            if kind is str:  # the most frequent type
                if place.plain is TIME and PLAIN_TIMESTAMP(item):
                    clean[kept] = item
                    continue
                if not place.is_free:
                    item = strip_token(item)
                clean[kept] = item if item.isprintable() else storable(item)
            # The API sends [] for an empty object (api.video-api-client-generator, EmptyArrayFixTypeAdapterFactory).
            # Drop it: an absent object leaves its columns null and adds none of its own.
            elif item is None or (kind is list and not item):
                if not place.is_object:
                    clean[kept] = item
            elif kind is bool and place.plain is bool:
                clean[kept] = item
            else:
                clean[kept] = self._clean(item, place)
        if fields.has_rivals and not had_rivals:  # found only now: start again
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
        """A value nested too deep for tables, as JSON without its secrets."""

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
    """Serializes a row, to search all its texts at once; None if one of them needs a closer look."""
    try:
        texts = json.dumpb(row, sort_keys=True)
    except (TypeError, ValueError):  # half an emoji (a lone surrogate)
        return None
    if b"\\" in texts and b"\\u0000" in texts:  # NUL, as JSON writes it
        return None
    # The Kelvin sign lower-cases to the k of "token"; dlt's own marks begin with the last two bytes.
    if not texts.isascii() and (b"\xe2\x84\xaa" in texts or b"\xef\x80" in texts):
        return None
    return texts


def _texts(item: Any) -> Iterator[str]:
    """The texts of a secret field that are long enough to search for in other fields."""
    todo = [item]
    while todo:
        part = todo.pop()
        if isinstance(part, str) and len(part) >= SHORTEST_SECRET:
            yield storable(part)
        elif isinstance(part, (dict, list)):
            todo.extend(part.values() if isinstance(part, dict) else part)


def _without(item: Any, secrets: set[str], kept: set[str]) -> Any:
    """The item without the secrets in its texts, but for fields of the names ``kept``."""
    if isinstance(item, str):
        for secret in sorted(secrets, key=len, reverse=True):  # one may be part of another
            item = item.replace(secret, "")
        return item
    if isinstance(item, dict):
        return {name: part if name in kept else _without(part, secrets, kept) for name, part in item.items()}
    return [_without(part, secrets, kept) for part in item] if isinstance(item, list) else item
