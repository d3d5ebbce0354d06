"""Formats numbers and times for people."""

from __future__ import annotations

from datetime import datetime, timezone

MINUTE, HOUR, DAY = 60, 3600, 86400
NOTHING = "\N{EN DASH}"


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(timezone.utc)


def number(value: float | None) -> str:
    """``12345`` becomes ``12,345``, None a dash."""
    return NOTHING if value is None else f"{value:,}"


def count(value: int, word: str) -> str:
    """``1 run``, ``2 runs``."""
    return f"{value:,} {word}{'' if value == 1 else 's'}"


def seconds(value: float | None) -> str:
    """A duration: ``4.2 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if value is None:
        return NOTHING
    if value < MINUTE:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    if value < HOUR:
        return f"{int(value // MINUTE)} min {int(value % MINUTE)} s"
    return f"{int(value // HOUR)} h {int(value % HOUR // MINUTE)} min"


def hours(value: float) -> str:
    """A longer duration, rounded: ``40 min``, ``7 h``, ``3 days``."""
    if value < HOUR:
        return f"{int(value // MINUTE)} min"
    return f"{int(value // HOUR)} h" if value < 3 * DAY else f"{int(value // DAY)} days"


def age(value: float | None) -> str:
    """How long ago: ``just now``, ``5 min ago``."""
    if value is None:
        return "never"
    return "just now" if value < MINUTE else f"{hours(value)} ago"


def moment(value: datetime | None) -> str:
    """``2026-11-24 23:05 UTC``."""
    return NOTHING if value is None else f"{value.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
