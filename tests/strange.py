"""Payloads of any shape, in documented and undocumented fields, and the values of them that tables must hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from hypothesis import strategies as st

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import MORE_FIELDS
from include.api_video.catalog.secrets import bare, secrets_of
from include.api_video.catalog.storable import read_timestamp, storable, storable_number
from include.api_video.load.private_tokens import strip_token

SECRETS = {name for endpoint in ENDPOINTS for name in secrets_of(endpoint)}
TIMES = [
    "9999-12-31T23:59:59-05:00",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "10000-01-01T00:00:00Z",
    "2016-12-31T23:59:60Z",
    "2024-02-30T00:00:00Z",
    "2024-02-29T00:00:00Z",
    "2024-01-01",
    "2024-01-01T10:00",
    "24:00:00",
    "2024-01-01T10:00:00.123456789Z",
    "2024-01-01t10:00:00z",
    "20240101T000000Z",
    "2024-W01-1",
    "P1D",
    "2024",
    "now",
    "",
    "2024-01-01 10:00:00",
    "2024-01-01T10:00:00-0330",
    "1700000000",
    "2024-01-01T10:00:00+99:99",
    "1970-01-01T00:00:00.5Z",
]
TEXTS = [
    "cut \ud83d",
    "\udc00",
    "a\0b",
    "\0",
    "\uf0261.5",
    "\uf027",
    "\uf0272024-01-01",
    "\uf02bAAAA",
    "é\r\n\t'\"\\",
    "true",
    "False",
    "yes",
    "0x1f",
    "1_000",
    " 12 ",
    "007",
    "1e5",
    "NaN",
    "inf",
    "null",
    "{}",
    "[1]",
    "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
    "12:00",
    "1.50",
    "9223372036854775808",
    "\u0660",
    "\ufeff",
    "\\u0000",
    "٣",
    "\U0001d7d9",
]
NUMBERS = [
    0,
    1,
    -1,
    7,
    2**53,
    2**53 + 1,
    2**63 - 1,
    2**63,
    -(2**63),
    -(2**63) - 1,
    2**64 + 1,
    10**30,
    0.0,
    -0.0,
    0.5,
    1.0,
    1e16,
    1e300,
    5e-324,
    1.7976931348623157e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    0.1 + 0.2,
]
NAMES = [
    "",
    " ",
    "__",
    "_",
    "___",
    "a",
    "A",
    "_a",
    "a_",
    "a__b",
    "fooBar",
    "foo_bar",
    "FooBar",
    "foo bar",
    "foo.bar",
    "list",
    "value",
    "v_text",
    "vText",
    "v_bool",
    "_dlt_id",
    "_dltId",
    "_DltId",
    "_dlt_list_idx",
    "removedAt",
    "_content_hash",
    "_more_fields",
    "Title",
    "title",
    "createdAt",
    "created_at",
    "assets",
    "Assets",
    "assets__hls",
    "hls",
    "tags",
    "metadata",
    "_missing",
    "_unread",
    "_odd",
    "日本",
    "中国",
    "a\0",
    "\ud83d",
    "1",
    "_1",
    "٣",
    "x" * 80,
    "X" * 80,
    "y" * 300,
    "playerId",
    "player_id",
    "videoId",
    "select",
    '"',
    "'",
    "%s",
    "{0}",
    "a;b",
    "api_title",
    "_empty",
    "updatedAt",
    "name",
    "public",
    "enableApi",
    "text",
]

# Secrets have their own tests: no part of them may be stored.
names = st.sampled_from(NAMES) | st.text(max_size=6).filter(lambda name: bare(name) not in SECRETS)
scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from(NUMBERS)
    | st.sampled_from(TEXTS)
    | st.sampled_from(TIMES)
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=10
)


@st.composite
def strange_rows(draw: st.DrawFn, endpoint: Endpoint, key: str) -> dict[str, Any]:
    """A row with a key, some documented fields (some with wrong values), and some unknown fields."""
    row = draw(st.dictionaries(names, values, max_size=5))
    for column in draw(st.lists(st.sampled_from(endpoint.columns), max_size=4)):
        *path, last = column.path.replace("[]", "").split(".")
        inside: Any = row
        for part in path:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                break
        else:
            inside[last] = draw(values)
    return {**row, endpoint.key: key}


def leaves(value: Any) -> Counter[Any]:
    """The values of a payload, with their number: all must be found in the tables. Nulls do not count."""
    found: Counter[Any] = Counter()
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, (dict, list)):
            todo.extend(item.values() if isinstance(item, dict) else item)
        elif item is not None:
            found[meaning(item)] += 1
    return found


def meaning(item: Any) -> Any:
    """The meaning of a value, however a column of another type spells it."""
    if isinstance(item, bool):
        return ("number", Decimal(item))  # a documented flag may come as 0 or 1
    if isinstance(item, (int, float)):
        item = storable_number(item)
    if isinstance(item, datetime):
        return item.timestamp()
    if isinstance(item, str):
        item = storable(strip_token(item))
        at = read_timestamp(item)
        if at is not None:
            return at.timestamp()
        if item in ("true", "false", "True", "False"):
            return ("number", Decimal(item.lower() == "true"))
    try:
        number = Decimal(str(item))
        # A text counts as a number only if it is that number's own spelling: 007 stays a text.
        own = {str(item), str(number)} if not isinstance(item, str) else {str(number), repr(float(number))}
        return ("number", number) if number.is_finite() and str(item) in own else item
    except (InvalidOperation, ValueError, OverflowError):
        return item


def stored(rows: Iterable[dict[str, Any]], ours: Iterable[str]) -> Counter[Any]:
    """The values in rows of tables, without the columns ``ours``."""
    left_out = set(ours)
    found: Counter[Any] = Counter()
    for row in rows:
        for name, value in row.items():
            if name not in left_out:
                found += leaves(json.loads(value) if name == MORE_FIELDS and value else value)
    return found


def sent(rows: Iterable[dict[str, Any]], key: str) -> Counter[Any]:
    """The values in rows of the API, without their key."""
    return sum((leaves({name: value for name, value in row.items() if name != key}) for row in rows), Counter[Any]())
