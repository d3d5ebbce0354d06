"""The check ``sums``: whether what a total is made of adds up to it.

Read for the same span, the countries, devices, ... of a day add up to its totals. Whether api.video leaves out what it does
not know is not documented: if something lacks, it fails on the demo; on an account it is measured and told. More than the
total is no fault: a number may have come late, after the total was read.
"""

from __future__ import annotations

from include.api_video.api.origin import DEMO
from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import snake
from include.api_video.sync.parent_lists import GIVEN_UP
from include.api_video.warehouse.asked_lists import last_asked, parent_column
from include.api_video.warehouse.ledger import LedgerRow
from include.api_video.warehouse.sql import Query

SUMS = "sums"
ADDED_UP = ("impressions", "plays", "starts", "ends", "views")


def has_sums(endpoint: Endpoint) -> bool:
    """Whether the numbers of the table are parts of its parent's."""
    return bool(_columns(endpoint))


def check_sums(query: Query, endpoint: Endpoint, sync: LedgerRow) -> tuple[bool, str, str, str]:
    """Compares sums with totals: whether they fit, what is expected, what was found, a note."""
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
    note = "Measured, no failure: whether what is unknown is left out is not documented." if told else ""
    does_fail = sync["base_url"] == DEMO and any(by for _, _, by in pairs)
    return not does_fail, expected, "; ".join(told) or f"equal in {rows} of {rows}", "" if does_fail else note


def _columns(endpoint: Endpoint) -> list[str]:
    """Numbers of the table that its parent has, too."""
    parent = by_name().get(endpoint.parent or "")
    if not parent or not endpoint.asks:
        return []
    of_parent = {column.path for column in parent.columns}
    return [ask.column for ask in endpoint.asks if ask.column in ADDED_UP and ask.column in of_parent]
