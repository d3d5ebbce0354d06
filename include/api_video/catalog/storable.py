"""Texts, numbers and times that every destination can hold: one rule for all of them."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone
from typing import Any

# NUL, which PostgreSQL refuses; lone surrogates, such as half an emoji, which no file can hold; and dlt's own marks: dlt
# would read a text that begins with one as a number, a time or bytes (dlt.common.json, DECODERS).
_ODD_CHARACTER = re.compile("[\x00\ud800-\udfff]|\\A[\uf026-\uf02d]")
# The form of the OpenAPI examples, and what other systems write for it. Each has one meaning, to the microsecond.
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?(?:Z|([+-])(\d\d):?(\d\d)?)?)?", re.ASCII)
# A quick test that passes most timestamps; it leaves out the end of February and the calendar's first and last years.
PLAIN_TIMESTAMP = re.compile(
    r"(?!000[01]|9999)[0-9]{4}-(?:02-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:0[1-9]|[12][0-9]|30)"
    r"|(?:0[13578]|1[02])-31)T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
).fullmatch
# One day inside the calendar's ends, so that the time exists in every time zone.
_EARLIEST = datetime(1, 1, 2, tzinfo=timezone.utc)
_LATEST = datetime(9999, 12, 31, tzinfo=timezone.utc)
INT64 = range(-(2**63), 2**63)


def storable(text: str) -> str:
    r"""The text with each character that a destination cannot hold replaced by its JSON escape: ``cut \ud83d``."""
    if "\0" not in text:
        if text.isascii():
            return text
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            if not "\uf026" <= text[0] <= "\uf02d":
                return text
    return _ODD_CHARACTER.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def storable_number(number: float) -> Any:
    """The number, or its text if neither a 64-bit integer nor a float can hold it."""
    if isinstance(number, float):
        if math.isfinite(number):
            return number
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    return number if isinstance(number, bool) or number in INT64 else str(number)


def read_timestamp(text: str) -> datetime | None:
    """The time that a text means, in UTC; None if it is no time, or one that some destination cannot hold.

    A date alone means its midnight; a time without an offset is UTC.
    """
    if text[19:] == "+00:00" and PLAIN_TIMESTAMP(text):  # how the API writes them (OpenAPI examples)
        return datetime.fromisoformat(text)
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, sign, hours, minutes = match.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{(fraction or '.').ljust(7, '0')}+00:00")
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        at = at + offset if sign == "-" else at - offset
    except (ValueError, OverflowError):
        return None
    return at if offset < timedelta(days=1) and _EARLIEST <= at < _LATEST else None


def now_utc() -> datetime:
    """The current time, aware and in UTC, like all our timestamps."""
    return datetime.now(timezone.utc)


def utc(value: Any) -> datetime | None:
    """A timestamp from the destination or the API as an aware datetime in UTC; None if it is none."""
    if isinstance(value, str):
        return read_timestamp(value)
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
