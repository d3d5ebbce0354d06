"""Adds the columns that are made of a secret (``Column.made_of``), before the secret is removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.api_video.catalog.model import Column, Endpoint


class Derived:
    """Adds the derived columns of one endpoint to its rows."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._columns = [(column.path.split("."), column) for column in endpoint.columns if column.made_of]

    def __call__(self, row: Any) -> Any:
        """Returns the row with the derived columns; what is no object comes back as it is."""
        for steps, column in self._columns:
            row = _with(row, steps, column)
        return row


def _with(value: Any, steps: Sequence[str], column: Column) -> Any:
    if not isinstance(value, dict):
        return value
    step, *rest = steps
    if not rest:
        secret = value.get(column.made_of)
        made = column.made_by(secret) if column.made_by and isinstance(secret, str) and secret else None
        return {**value, step: made}
    name = step.removesuffix("[]")
    inside = value.get(name)
    if step.endswith("[]"):
        return {**value, name: [_with(part, rest, column) for part in inside]} if isinstance(inside, list) else value
    return {**value, name: _with(inside, rest, column)} if inside is not None else value
