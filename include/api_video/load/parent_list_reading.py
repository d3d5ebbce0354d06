"""Reads a list for each new, changed or due row of the parent's table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from urllib.parse import urlencode

import dlt

from include.api_video.api.analytics import add_up
from include.api_video.api.client import ODD
from include.api_video.api.origin import DEMO, check_same, may_be_demo, was_demo_only
from include.api_video.catalog.analytics import ALL_TIME
from include.api_video.catalog.model import MAX_PAGE_SIZE, Ask, Host
from include.api_video.catalog.storable import now_utc, utc
from include.api_video.load.rejected import kind_of
from include.api_video.load.unit_reading import Question, Unit, UnitReading
from include.api_video.sync.day_spans import AGES
from include.api_video.sync.days import SHORTEST
from include.api_video.sync.outcome import Outcome, hash_row
from include.api_video.sync.parent_lists import ParentLists
from include.api_video.sync.removal import RemovalBrake
from include.api_video.sync.state import ListedParent
from include.api_video.warehouse.asked_lists import asked_rows, forget_all_asked, forget_recent_asked
from include.api_video.warehouse.parent_list_queries import (
    find_parents,
    parent_list_state,
    remove_rows_of_lost_parents,
    stored_rows,
)
from include.api_video.warehouse.warehouse import Warehouse

LAST_READING = timedelta(hours=25) + AGES[-1]  # the longest day, and how long after its end it is read again


class ParentListReading(UnitReading[ParentLists]):
    """The lists of one endpoint in one run."""

    # --- requests -----------------------------------------------------------------------------------------------------

    def _units(self) -> Iterator[tuple[str, list[Question]]]:
        sync = self._begun()
        parents = sync.parents
        # Analytics are forgotten: oldest first, as they come. Others in any order.
        for key in parents if self.endpoint.asks else self._in_any_order(parents):
            if questions := list(self._questions_of(parents[key])):
                yield key, questions
            else:  # its totals say that it is empty
                list(sync.take(key, [], now_utc(), is_whole=True))

    def _questions_of(self, parent: ListedParent) -> Iterator[Question]:
        endpoint = self.endpoint
        if not endpoint.asks:
            params = {**({} if endpoint.host is Host.ADMIN else {"pageSize": MAX_PAGE_SIZE}), **endpoint.params}
            yield Question(parent.key, f"{endpoint.path_of_list(parent.key)}?{urlencode(params)}")
            return
        start, end = utc(parent.fields.get("dayStart")) or self._started_at, utc(parent.fields.get("readTo"))
        for ask in self._asks_of(parent):
            only_of = (ask.only_of[0], str(parent.fields.get(ask.only_of[1]))) if ask.only_of else None
            yield self._question(parent.key, ask, start, end or self._started_at, only_of)

    def _asks_of(self, parent: ListedParent) -> list[Ask]:
        """Without those whose answer is known to be empty."""
        return [ask for ask in self.endpoint.asks if not ask.only_if or parent.fields.get(ask.only_if) != 0]

    # --- answers ------------------------------------------------------------------------------------------------------

    def take(self, unit: Unit) -> Iterator[dict[str, Any]]:
        """Yields the rows to load of a list."""
        self._check_allowed(unit)
        for row in self._taken(unit, self._begun(), now_utc()):
            self._emitted += 1
            yield self._fit(row)
        self._count("lists", self._begun().left)

    def _taken(self, unit: Unit, sync: ParentLists, now: datetime) -> Iterator[dict[str, Any]]:
        reason = unit.failed or next(iter(unit.refused.values()), "")
        if unit.is_refused and unit.odd:
            self._reject_answers(unit)
            sync.reject(unit.key)
        elif unit.failed or (unit.is_refused and not unit.is_refused_with(400)):
            sync.leave(unit.key, reason)
        elif unit.is_refused:
            stored = stored_rows(self._warehouse, self.endpoint, unit.key, of_killed=True) if self.endpoint.parent else []
            yield from sync.give_up(unit.key, reason, now, stored)
        else:
            stored = stored_rows(self._warehouse, self.endpoint, unit.key) if unit.refused else []
            items = self._rows_of_values(unit, stored) if self.endpoint.asks else _rows_of(unit)
            rows = [row for row in (self._row(unit.key, item) for item in items) if row is not None]
            # A list that moves between its pages can show a row twice and hide another: the count alone is no proof.
            has_pages = any(answer.pages > 1 for answer in unit.answers.values())
            is_whole = unit.is_whole and not (has_pages and len({row[self.endpoint.key] for row in rows}) < len(rows))
            self._reject_answers(unit)
            is_open = len(rows) < len(items) or bool(unit.odd) or (bool(stored) and self._is_young(unit.key, now))
            yield from sync.take(unit.key, rows, now, is_whole=is_whole, is_open=is_open)
            if is_whole:
                self._resolve(unit.key)
            self._tell_refused(unit)

    def _is_young(self, parent: str, now: datetime) -> bool:
        """Whether the day of a list is not settled yet: until then, what api.video refused once is requested again."""
        start = utc(self._begun().parents[parent].fields.get("dayStart"))
        return start is not None and now - start < LAST_READING

    def _rows_of_values(self, unit: Unit, stored: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """A row per value, of several answers: 0 where an answer does not have the value.

        Where there is no answer, the ``stored`` number stays; null if there is none. Values without viewing have no row.
        """
        endpoint = self.endpoint
        if len(endpoint.key_parts) == 1:  # no values, but numbers of the parent's row
            return [{ask.column: self._number(unit, ask) for ask in endpoint.asks}]
        name = endpoint.key_parts[1]
        kept = {_text(row[name]): row for row in stored}
        columns: dict[str, Mapping[str, Any]] = {}
        for ask in endpoint.asks:
            answer = unit.answers.get(ask.column)  # none: not asked, since the day's total is 0
            if answer and answer.refused:
                columns[ask.column] = defaultdict(lambda: None, {value: row[ask.column] for value, row in kept.items()})
            else:
                columns[ask.column] = Counter(add_up(answer.rows, endpoint.value_of, ask.column) if answer else {})
        values = sorted({value for numbers in columns.values() for value in numbers})
        rows = [{name: value, **{column: numbers[value] for column, numbers in columns.items()}} for value in values]
        return [row for row in rows if any(row[column] for column in columns)]

    def _row(self, parent: str, item: Any) -> dict[str, Any] | None:
        """A row with its key, cleaned; None if it cannot be one: then it is rejected."""
        endpoint, (of_parent, *parts) = self.endpoint, self.endpoint.key_parts
        clean = self._cleaned(self._derive(item)) if isinstance(item, dict) else self._clean({ODD: item})[ODD]
        if what := _why_no_row(item, parts, empty_ok=bool(endpoint.asks)):
            content_hash = hash_row({ODD: clean})
            self._rejections.add(f"{parent}/~{content_hash}", what, clean, content_hash, now_utc())
            return None
        if parent == ALL_TIME:
            return cast("dict[str, Any]", clean)
        fields = self._begun().parents[parent].fields
        carried = {name: fields.get(name) for name in endpoint.carried}
        row = {
            endpoint.key: "/".join([parent, *(clean[part] for part in parts)]),
            of_parent: parent,
            **carried,
            **clean,
        }
        self._watch.see(row)  # the fields of the parent, too, or they would seem lost
        return row

    def _reject_answers(self, unit: Unit) -> None:
        """Keeps the answers that are no list."""
        for column, odd in unit.odd.items():
            content = self._clean({ODD: odd})[ODD]
            what = f"The answer is {kind_of(odd)}, and not as api.video documents it."
            self._rejections.add(f"{unit.key}/{column}", what, content, hash_row({ODD: content}), now_utc())

    def _resolve(self, parent: str) -> None:
        """Resolves what was rejected of this parent's list in earlier runs and is not listed any more."""
        known = [key for key in self._rejections.known if _parent_of(key) == parent]
        self._rejections.resolve(key for key in known if not self._rejections.is_seen(key))

    # --- the sync -----------------------------------------------------------------------------------------------------

    def _ask(self, warehouse: Warehouse) -> Callable[[], ParentLists]:
        endpoint, settings, now = self.endpoint, self.settings, self._started_at
        # No answer has told yet which API this is, but the parents were read from the same one.
        parent = endpoint.parent or "analytics_days"
        # If they were never read, nothing is read here: what the ledger says of it must stand in no later run's way.
        self._of_demo = may_be_demo(settings.base_url) and warehouse.origin_of(parent) in (DEMO, None)
        remove_rows_of_lost_parents(warehouse, endpoint, now)
        self._resolve_lost_parents(warehouse)
        budget = settings.max_detail_requests // max(1, len(endpoint.asks))
        most = settings.analytics_top_videos
        state = parent_list_state(warehouse, endpoint, budget, now, most=most)
        if (endpoint.asks or endpoint.keeps_rows) and not was_demo_only(state.base_url, self._origin):
            check_same(endpoint.name, state.base_url, self._origin)
            full_refresh = False  # nobody else has what api.video has forgotten: its rows stay
            if self._full_refresh:
                with warehouse.connect() as query:
                    forget_recent_asked(query, endpoint, now - SHORTEST)
                state = parent_list_state(warehouse, endpoint, budget, now, most=most)
        elif full_refresh := self._starts_over(warehouse, state.base_url):
            with warehouse.connect() as query:
                forget_all_asked(query, endpoint.name)
            state = parent_list_state(warehouse, endpoint, budget, now, most=most, full_refresh=True)
        self._unproven_since = state.unproven_since
        variable = settings.account.variable("max_removed_share")
        brake = RemovalBrake(endpoint.name, settings.max_removed_share, variable)
        return partial(ParentLists, endpoint, state, brake, first=full_refresh or state.base_url is None)

    def _count_requests(self, sync: ParentLists) -> int:
        if not self.endpoint.asks:
            return len(sync.parents)
        return sum(len(self._asks_of(parent)) for parent in sync.parents.values())

    def _resolve_lost_parents(self, warehouse: Warehouse) -> None:
        """Resolves what was rejected of lists whose parent is gone."""
        parents = {key: _parent_of(key) for key in self._rejections.known}
        if parents and self.endpoint.parent:
            listed = find_parents(warehouse, self.endpoint, sorted(set(parents.values())))
            self._rejections.resolve(key for key, parent in parents.items() if parent not in listed)

    def _outcome(self) -> Outcome:
        outcome = self._begun().outcome()
        self._asked = self._begun().asked
        return outcome

    def asked_rows(self) -> list[dict[str, Any]]:
        """Rows for ``_asked``. Call it once ``is_concluded``."""
        return asked_rows(self.endpoint, self._asked, str(dlt.current.load_package_state()["load_id"]))


def _rows_of(unit: Unit) -> list[Any]:
    """The rows of a list that is one question."""
    return unit.answers[""].rows if unit.answers else []


def _text(value: Any) -> str:
    """A stored value as an answer has it."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _parent_of(rejected_key: str) -> str:
    """The parent whose list a row of ``_rejected`` belongs to."""
    return rejected_key.rpartition("/")[0]


def _why_no_row(item: Any, parts: Sequence[str], *, empty_ok: bool) -> str:
    """Why an item of a list cannot be a row of its table; empty if it can."""
    if not isinstance(item, dict):
        return f"It is {kind_of(item)}, not an object."
    for part in parts:
        if part not in item:
            return f"It has no {part}."
        if not isinstance(item[part], str) or not (item[part] or empty_ok):
            return f"Its {part} is {kind_of(item[part])}."
    return ""
