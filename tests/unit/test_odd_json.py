"""JSON that the fast parser refuses or rounds is read exactly; text that is not JSON is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.api_video.api.odd_json import dump_json, parse_json
from include.api_video.catalog.storable import read_timestamp, storable
from include.api_video.errors import PassingError, UnforeseenError


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (rb'{"a": "cut \ud83d"}', {"a": "cut \ud83d"}),
        (rb'["\ud83d\ude00", "\ud83d"]', ["\U0001f600", "\ud83d"]),
        (b"18446744073709551617", 18446744073709551617),
        (b"[-9223372036854775809, -9223372036854775808]", [-9223372036854775809, -9223372036854775808]),
        (b"1" * 5000, "1" * 5000),
        (b"[1e400, -1e400, NaN, Infinity, -Infinity]", ["1e400", "-1e400", "NaN", "Infinity", "-Infinity"]),
        (b'\xef\xbb\xbf{"a": [], "b": {}}', {"a": [], "b": {}}),
        (b'{"a": "\xed\xa0\xbd\n"}', {"a": "\udced\udca0\udcbd\n"}),
    ],
)
def test_odd_json_is_read(content: bytes, value: Any) -> None:
    assert parse_json(content) == value


@pytest.mark.parametrize(
    "content",
    ["", "<html>", "[1,]", '{"a" 1}', '{"a":1,}', "[1 2]", "{", "01", "[NaN] x", "{]", "[}", "[,NaN]", "nul", "1.", '"'],
)  # fmt: skip
def test_what_is_no_json_is_refused(content: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(content.encode())


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(value=values)
def test_it_reads_what_the_standard_library_reads_and_writes(value: Any) -> None:
    odd = ["\ud83d", value]  # makes the fast parser refuse it
    assert parse_json(json.dumps(odd).encode()) == odd
    written = storable(dump_json(odd, lambda *_: True, lambda item: item))
    assert json.loads(written, strict=False)[0] == "\ud83d"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-01-01T10:00:00+05:00", "2024-01-01T05:00:00+00:00"),
        ("2024-01-01", "2024-01-01T00:00:00+00:00"),
        ("2024-01-01 10:00:00.5Z", "2024-01-01T10:00:00.500000+00:00"),
        ("9999-12-31T23:59:59-05:00", None),
        ("0001-01-01T00:00:00Z", None),
        ("2024-02-30T00:00:00Z", None),
        ("2024-01-01T00:00:00.1234567Z", None),
        ("", None),
    ],
)
def test_a_text_is_a_time_where_every_warehouse_can_hold_it(text: str, utc: str | None) -> None:
    at = read_timestamp(text)
    assert (at and at.isoformat()) == utc


def test_an_unforeseen_failure_says_which_resource_what_and_where() -> None:
    try:
        try:
            {}["videoId"]  # type: ignore[index]
        except KeyError as error:
            raise RuntimeError("<class 'dlt.extract.exceptions.ResourceExtractionError'>") from error
    except RuntimeError as wrapped:
        said = UnforeseenError("videos", wrapped)

    assert isinstance(said, PassingError)
    assert str(said).startswith(
        "videos could not be loaded, for a reason that this package does not know: KeyError: 'videoId' ("
    )
    assert "test_odd_json.py, line " in str(said)
    assert "<class" not in str(said)
