"""Which texts and times every warehouse can hold, by one rule for all destinations."""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta, timezone
from typing import Any

# NUL (PostgreSQL refuses it) and lone surrogates, such as half of an emoji (no file can hold them). The third are marks
# of dlt's own: a text that begins with one would be read as a number, a time or bytes (dlt.common.json, DECODERS).
_ODD_CHARACTER = re.compile("[\x00\ud800-\udfff]|\\A[\uf026-\uf02d]")
# The forms that the API documents, with what other systems write for them: one meaning each, and exact to the microsecond.
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(\.\d{1,6})?(?:Z|([+-])(\d\d):?(\d\d)?)?)?", re.ASCII)
# Most of them at a glance: no end of February, no year at either end of the calendar.
PLAIN_TIMESTAMP = re.compile(
    r"(?!000[01]|9999)[0-9]{4}-(?:02-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:0[1-9]|[12][0-9]|30)"
    r"|(?:0[13578]|1[02])-31)T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
).fullmatch
# A day within the calendar's ends, so that each is a time in every time zone that somebody reads it in.
_EARLIEST = datetime(1, 1, 2, tzinfo=timezone.utc)
_LATEST = datetime(9999, 12, 31, tzinfo=timezone.utc)
INT64 = range(-(2**63), 2**63)


def storable(text: str) -> str:
    r"""The text, with the JSON escape of each character that a warehouse cannot hold in its place: ``cut \ud83d``."""
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
    """A number, or its text where neither 64 bits nor a float can hold it."""
    if isinstance(number, float):
        if math.isfinite(number):
            return number
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    return number if isinstance(number, bool) or number in INT64 else str(number)


def read_timestamp(text: str) -> datetime | None:
    """The time that a text means, in UTC; None where it is none that every warehouse can hold.

    A date alone is its midnight; without an offset it is UTC.
    """
    if text[19:] == "+00:00" and PLAIN_TIMESTAMP(text):  # as the API writes each
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
    """The present, as all our time stamps have it."""
    return datetime.now(timezone.utc)


def utc(value: Any) -> datetime | None:
    """A time stamp from the destination or the API as an aware datetime in UTC; None where it is none."""
    if isinstance(value, str):
        return read_timestamp(value)
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
