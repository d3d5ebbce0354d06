"""The check ``sums``: whether what a total is made of adds up to it.

Read for the same span, the countries, devices, ... of a day add up to its totals. Whether api.video leaves out what it does
not know is not documented: if something lacks, it fails on the demo; on an account it is measured and told. More than the
total is no fault: a number may have come late, after the total was read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from include.api_video.api.origin import DEMO
from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import snake
from include.api_video.sync.parent_lists import GIVEN_UP
from include.api_video.warehouse.asked_lists import last_asked, parent_column
from include.api_video.warehouse.sql import Query

SUMS = "sums"
ADDED_UP = ("impressions", "plays", "starts", "ends", "views")
DAYS, VIDEOS = "analytics_days", "analytics_videos"


@dataclass(frozen=True)
class Sums:
    """What sums were compared with, and what was found; ``lacks``: something that the totals have is in no part."""

    expected: str
    found: str
    lacks: bool

    def judged(self, base_url: str) -> tuple[bool, str, str, str]:
        """Whether they fit, what is expected, what was found, a note."""
        passed = not self.lacks or base_url != DEMO
        told = self.lacks and passed
        note = "Measured, no failure: whether what is unknown is left out is not documented." if told else ""
        return passed, self.expected, self.found, note


def sums_of(endpoint: Endpoint) -> Callable[[Query], Sums | None] | None:
    """Compares the numbers of a table with the totals that they are parts of; None if they are parts of none.

    The function returns None if the table with the totals is not loaded.
    """
    if not endpoint.asks:
        return None
    if _columns(endpoint):
        return lambda query: _sums_of_parent(query, endpoint)
    if endpoint.most_played:
        return lambda query: _sums_of_watch_time(query, endpoint)
    return None if endpoint.parent or endpoint.sync.has_days else lambda query: _sums_of_all_time(query, endpoint)


def _sums_of_parent(query: Query, endpoint: Endpoint) -> Sums:
    columns, parent = _columns(endpoint), by_name()[endpoint.parent or ""]
    column, key = parent_column(endpoint), snake(parent.key)
    sums = ", ".join(f"sum({name}) AS {name}" for name in columns)
    # No sum at all beside rows: api.video does not answer for this column.
    known = {name: f"CASE WHEN c.{column} IS NULL THEN 0 ELSE c.{name} END" for name in columns}
    differ = ", ".join(
        f"sum(CASE WHEN p.{name} <> {own} THEN 1 ELSE 0 END), "
        f"sum(CASE WHEN p.{name} > {own} THEN p.{name} - {own} ELSE 0 END)"
        for name, own in known.items()
    )
    # Only lists that were requested for the totals as they are now.
    ((rows, *found),) = query.rows(
        f"SELECT count(*), {differ} FROM {query.table(parent.name)} p "
        f"JOIN {last_asked(query)} a ON a.parent_key = p.{key} AND a.parent_hash = p._content_hash "
        f"AND a.content_hash <> '{GIVEN_UP}' "
        f"LEFT JOIN (SELECT {column}, {sums} FROM {query.table(endpoint.name)} "
        f"WHERE removed_at IS NULL GROUP BY {column}) c ON c.{column} = p.{key}",
        endpoint.name,
    )
    pairs = [
        (name, int(count or 0), int(by or 0)) for name, count, by in zip(columns, found[::2], found[1::2], strict=True)
    ]
    told = [f"{name}: {count} of {rows} differ, {by} lack in all" for name, count, by in pairs if count]
    expected = f"sums equal to those of {parent.name}"
    return Sums(expected, "; ".join(told) or f"equal in {rows} of {rows}", any(by for _, _, by in pairs))


def _sums_of_watch_time(query: Query, endpoint: Endpoint) -> Sums:
    """Of days whose played videos were all asked for: more videos than ``analytics_top_videos`` have more watch time."""
    watched = f"SELECT day, count(*) AS videos, sum(watch_time_s) AS sum_s FROM {query.table(endpoint.name)}"
    played = f"SELECT day, count(*) AS videos FROM {query.table(VIDEOS)}"
    ((days, short),) = query.rows(
        "SELECT count(*), sum(CASE WHEN w.sum_s < d.watch_time_s - 1 THEN 1 ELSE 0 END) "  # rounded to a second
        f"FROM {query.table(DAYS)} d JOIN ({watched} WHERE removed_at IS NULL GROUP BY day) w ON w.day = d.day "
        f"JOIN ({played} WHERE removed_at IS NULL AND plays > 0 GROUP BY day) v ON v.day = d.day AND v.videos = w.videos"
    )
    found = f"less in {short} of {days} days" if short else f"equal in {days} of {days} days with all videos"
    return Sums(f"sums equal to those of {DAYS}", found, bool(short))


def _sums_of_all_time(query: Query, endpoint: Endpoint) -> Sums | None:
    """The plays of all time of each video are at least those of its days that were settled before."""
    if not (query.exists(DAYS) and query.exists(VIDEOS)):
        return None
    ((asked_at,),) = query.rows(f"SELECT max(asked_at) FROM {last_asked(query)} a", endpoint.name)
    settled = (
        f"SELECT v.media_id, sum(v.plays) AS plays FROM {query.table(VIDEOS)} v "
        f"JOIN {query.table(DAYS)} d ON d.day = v.day "
        "WHERE v.removed_at IS NULL AND d.state = 'settled' AND d._read_at <= %s GROUP BY v.media_id"
    )
    ((videos, fewer),) = query.rows(
        f"SELECT count(*), sum(CASE WHEN s.plays > COALESCE(t.plays_total, 0) THEN 1 ELSE 0 END) FROM ({settled}) s "
        f"LEFT JOIN {query.table(endpoint.name)} t ON t.media_id = s.media_id AND t.removed_at IS NULL",
        asked_at,
    )
    found = f"fewer in {fewer} of {videos}" if fewer else f"as many or more in {videos} of {videos}"
    return Sums(f"at least the plays of settled days in {VIDEOS}", found, bool(fewer))


def _columns(endpoint: Endpoint) -> list[str]:
    """Numbers of the table that its parent has, too."""
    parent = by_name().get(endpoint.parent or "")
    if not parent or not endpoint.asks:
        return []
    of_parent = {column.path for column in parent.columns}
    return [ask.column for ask in endpoint.asks if ask.column in ADDED_UP and ask.column in of_parent]
