"""Rows of an endpoint without a sample, made from its declared columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from include.api_video.catalog.model import Endpoint
from include.demo_api.samples import DAY_S, FIRST_S, LAST_S, Dice, Row, make_id, timestamp

ROWS = 30


def make_row(endpoint: Endpoint, seed: int, index: int, ids: Mapping[str, Callable[[int], str]]) -> Row:
    """Row ``index`` of ``endpoint``; ``ids`` makes the values of fields such as videoId, which refer to another list."""
    dice = Dice(seed, endpoint.name, index)
    row: Row = {}
    for column in endpoint.columns:
        leaf = column.path.split(".")[-1].removesuffix("[]")
        if column.path == endpoint.key:
            value: Any = make_key(endpoint, seed, index)
        elif leaf in ids:
            value = ids[leaf](dice.below(1000))
        else:
            value = _value(column.data_type, leaf, index, dice)
        _set(row, column.path.split("."), value)
    return row


def make_key(endpoint: Endpoint, seed: int, index: int) -> str:
    """A key in the API's form: for ``watermarkId``, ``watermark_`` and 22 letters."""
    return make_id(endpoint.key.removesuffix("_id").removesuffix("Id") + "_", seed, index)


def _value(data_type: str, leaf: str, index: int, dice: Dice) -> Any:
    if data_type == "timestamp":
        latest = FIRST_S + (index + 1) * (LAST_S - FIRST_S) // (ROWS + index + 2)
        return timestamp(latest + (DAY_S if leaf.lower().startswith("updated") else 0))
    if data_type == "bool":
        return dice.one_in(2)
    if data_type == "bigint":
        return dice.below(100_000)
    if data_type == "double":
        return dice.below(1_000_000) / 1000
    return f"{leaf} {index + 1}"


def _set(row: Row, steps: list[str], value: Any) -> None:
    """Put a value at a column's path; each ``[]`` becomes a list with one item."""
    step, rest = steps[0], steps[1:]
    name = step.removesuffix("[]")
    if not rest:
        row[name] = [value] if step.endswith("[]") else value
    elif step.endswith("[]"):
        _set(row.setdefault(name, [{}])[0], rest, value)
    else:
        _set(row.setdefault(name, {}), rest, value)
