"""Detects fields that the API stopped sending: schema evolution that no table shows, unlike new fields and types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.api_video.catalog.model import Endpoint


def fields_of(endpoint: Endpoint) -> dict[str, str]:
    """Documented path by the name of the field that is sent, without keys; a list counts as one field."""
    keys = {endpoint.key, *endpoint.key_parts[:1]}  # of several parts, the first is the parent's key, from the path
    return {column.sent_path.split("[]")[0]: column.path for column in endpoint.columns if column.path not in keys}


class FieldWatch:
    """Finds the documented fields that no row of a run had, not even as null."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._unseen = fields_of(endpoint)
        self.rows = 0

    def see(self, row: Mapping[str, Any]) -> None:
        """Takes a row as the API sent it."""
        self.rows += 1
        if self._unseen:
            self._unseen = {field: path for field, path in self._unseen.items() if not _has(row, field.split("."))}

    @property
    def unseen(self) -> dict[str, str]:
        """Documented path by name of the fields that no row had."""
        return self._unseen if self.rows else {}


def _has(row: Any, names: list[str]) -> bool:
    for name in names:
        if not isinstance(row, Mapping) or name not in row:
            return False
        row = row[name]
    return True
