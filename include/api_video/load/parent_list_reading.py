"""Reads a list for each new, changed or due row of the parent's table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

import dlt
from dlt.common.jsonpath import compile_path
from dlt.extract import DltResource

from include.api_video.api.answers import read_page
from include.api_video.api.client import MISSING, ODD, UNREAD
from include.api_video.api.origin import DEMO, may_be_demo
from include.api_video.catalog.model import MAX_PAGE_SIZE
from include.api_video.catalog.storable import now_utc
from include.api_video.errors import ApiVideoServerError
from include.api_video.load.pages import ParentPaginator
from include.api_video.load.reading import Reading
from include.api_video.load.rejected import kind_of
from include.api_video.sync.outcome import Outcome, hash_row
from include.api_video.sync.parent_lists import ParentLists
from include.api_video.sync.removal import RemovalBrake
from include.api_video.warehouse.asked_lists import asked_rows, forget_all_asked
from include.api_video.warehouse.parent_list_queries import find_parents, parent_list_state, remove_rows_of_lost_parents
from include.api_video.warehouse.warehouse import Warehouse

DATA = compile_path("data")
PARENTS_PER_BATCH = 5  # one batch is one unit of work for dlt's threads


@dataclass
class OneList:
    """What was read of one parent's list; the only item that dlt gets of it.

    Attributes:
        totals: ``itemsTotal`` of each page.
        failed: why the list could not be read; empty if it could.
        odd: the answer, if it was no list.
    """

    parent: str
    rows: list[Any] = field(default_factory=list)
    pages: int = 0
    totals: set[int | None] = field(default_factory=set)
    failed: str = ""
    odd: Any = None

    @property
    def is_whole(self) -> bool:
        """Whether it stood still while it was read, and has all its rows."""
        return self.totals <= {None, len(self.rows)}


class ParentListReading(Reading):
    """The lists of one endpoint in one run."""

    stops_ok = False
    _sync: ParentLists | None = None
    _of_demo = False

    # --- requests -----------------------------------------------------------------------------------------------------

    def requests(self) -> list[Any]:
        """One list per parent, several at once."""
        endpoint = self.endpoint
        self._open: dict[str, OneList] = {}
        entry = {
            "name": endpoint.name,
            "write_disposition": "merge",
            "primary_key": endpoint.key,
            "endpoint": {
                "path": endpoint.path.replace("{", "{resources." + cast(str, endpoint.parent) + "."),
                "params": {"pageSize": MAX_PAGE_SIZE},
                "data_selector": DATA,
                "paginator": ParentPaginator(self.session, endpoint.path, self.on_page),
            },
            "parallelized": True,
            "processing_steps": [{"yield_map": self.take}],
        }
        return [self._parents(), entry]

    def _parents(self) -> DltResource:
        """Stands in for the parent's list: yields the keys whose lists to request."""
        endpoint = self.endpoint

        @dlt.resource(name=cast(str, endpoint.parent), selected=False)
        def parents() -> Iterator[list[dict[str, str]]]:
            keys = self._in_any_order(self._begun().parents)
            for start in range(0, len(keys), PARENTS_PER_BATCH):
                some = keys[start : start + PARENTS_PER_BATCH]
                yield [{endpoint.key_parts[0]: quote(value, safe="")} for value in some]  # part of a path

        return cast(DltResource, parents)

    # --- answers ------------------------------------------------------------------------------------------------------

    def on_page(self, parent: str, body: dict[str, Any], rows: list[Any]) -> range:
        """Takes a page of a parent's list; returns the number of the next one. Called by one thread for each parent.

        The rows are held back until the list has ended, and go on as one item, also if there are none.
        """
        one, page = self._open.setdefault(parent, OneList(parent)), None
        if UNREAD in body:
            one.failed = str(body[UNREAD])
        elif ODD in body:
            one.odd = body[ODD]
        elif MISSING not in body:  # else the parent is gone, and with it its list
            try:
                page = read_page(body)
            except ApiVideoServerError:
                one.odd = body
        if page is None:
            rows[:] = [self._open.pop(parent)]
            return range(0)
        one.rows += page.rows
        one.totals.add(page.items_total)
        one.pages += 1
        # Trust the requested number, not the answer's: an API that ignores currentPage would announce more pages forever.
        if page.rows and (page.has_next if page.pages_total is None else one.pages < page.pages_total):
            rows.clear()
            return range(one.pages + 1, one.pages + 2)
        rows[:] = [self._open.pop(parent)]
        return range(0)

    def take(self, one: OneList) -> Iterator[dict[str, Any]]:
        """Yields the rows to load of a list."""
        sync, now = self._begun(), now_utc()
        if one.failed:
            sync.leave(one.parent, one.failed)
        elif one.odd is not None:
            self._reject_answer(one)
            sync.reject(one.parent)
        else:
            rows = [row for row in (self._row(one.parent, item) for item in one.rows) if row is not None]
            # A list that moves between its pages can show a row twice and hide another: the count alone is no proof.
            is_whole = one.is_whole and (one.pages < 2 or len({row[self.endpoint.key] for row in rows}) == len(rows))
            has_rejected = len(rows) < len(one.rows)
            for row in sync.take(one.parent, rows, now, is_whole=is_whole, has_rejected=has_rejected):
                self._emitted += 1
                yield self._fit(row)
            if is_whole:
                self._resolve(one.parent)
        self._count("lists", sync.left)

    def _row(self, parent: str, item: Any) -> dict[str, Any] | None:
        """A row with its key, cleaned; None if it cannot be one: then it is rejected."""
        endpoint, (of_parent, *parts) = self.endpoint, self.endpoint.key_parts
        clean = self._cleaned(self._derive(item)) if isinstance(item, dict) else self._clean({ODD: item})[ODD]
        what = _why_no_row(item, parts)
        if what:
            content_hash = hash_row({ODD: clean})
            self._rejections.add(f"{parent}/~{content_hash}", what, clean, content_hash, now_utc())
            return None
        return {endpoint.key: "/".join([parent, *(clean[part] for part in parts)]), of_parent: parent, **clean}

    def _reject_answer(self, one: OneList) -> None:
        """Keeps an answer that is no list."""
        what = f"The answer is {kind_of(one.odd)}, not a list."
        content = self._clean({ODD: one.odd})[ODD]
        self._rejections.add(f"{one.parent}/", what, content, hash_row({ODD: content}), now_utc())

    def _resolve(self, parent: str) -> None:
        """Resolves what was rejected of this parent's list in earlier runs and is not listed any more."""
        known = [key for key in self._rejections.known if _parent_of(key) == parent]
        self._rejections.resolve(key for key in known if not self._rejections.is_seen(key))

    # --- the sync -----------------------------------------------------------------------------------------------------

    def _begun(self) -> ParentLists:
        """The sync, made at first use: asks the warehouse which lists to request."""
        if self._sync is None:
            with self._asked_warehouse() as warehouse:
                self._sync = self._make_sync(warehouse)
            self._expect(len(self._sync.parents))
        return self._sync

    def _make_sync(self, warehouse: Warehouse) -> ParentLists:
        endpoint, settings, now = self.endpoint, self.settings, self._started_at
        # No answer has told yet which API this is, but the parents were read from the same one.
        self._of_demo = may_be_demo(settings.base_url) and warehouse.origin_of(endpoint.parent) == DEMO
        remove_rows_of_lost_parents(warehouse, endpoint, now)
        self._resolve_lost_parents(warehouse)
        state = parent_list_state(warehouse, endpoint, settings.max_detail_requests, now)
        if full_refresh := self._starts_over(warehouse, state.base_url):
            with warehouse.connect() as query:
                forget_all_asked(query, endpoint.name)
            state = parent_list_state(warehouse, endpoint, settings.max_detail_requests, now, full_refresh=True)
        self._unproven_since = state.unproven_since
        variable = settings.account.variable("max_removed_share")
        brake = RemovalBrake(endpoint.name, settings.max_removed_share, variable)
        return ParentLists(endpoint, state, brake, first=full_refresh or state.base_url is None)

    def _resolve_lost_parents(self, warehouse: Warehouse) -> None:
        """Resolves what was rejected of lists whose parent is gone."""
        parents = {key: _parent_of(key) for key in self._rejections.known}
        if parents:
            listed = find_parents(warehouse, self.endpoint, sorted(set(parents.values())))
            self._rejections.resolve(key for key, parent in parents.items() if parent not in listed)

    @property
    def _origin(self) -> str:
        return DEMO if self._of_demo else super()._origin

    def _outcome(self) -> Outcome:
        outcome = self._begun().outcome()
        self._asked = self._begun().asked
        return outcome

    def asked_rows(self) -> list[dict[str, Any]]:
        """Rows for ``_asked``. Call it once ``is_concluded``."""
        return asked_rows(self.endpoint, self._asked, str(dlt.current.load_package_state()["load_id"]))


def _parent_of(rejected_key: str) -> str:
    """The parent whose list a row of ``_rejected`` belongs to."""
    return rejected_key.rpartition("/")[0]


def _why_no_row(item: Any, parts: Sequence[str]) -> str:
    """Why an item of a list cannot be a row of its table; empty if it can."""
    if not isinstance(item, dict):
        return f"It is {kind_of(item)}, not an object."
    for part in parts:
        if part not in item:
            return f"It has no {part}."
        if not isinstance(item[part], str) or not item[part]:
            return f"Its {part} is {kind_of(item[part])}."
    return ""
