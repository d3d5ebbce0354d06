"""Reads lists, page by page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast
from urllib.parse import quote

import dlt
from dlt.common.jsonpath import TJsonPath, compile_path

from include.api_video.api.answers import read_page
from include.api_video.api.client import MISSING, ODD, STOPPED
from include.api_video.catalog.model import MAX_PAGE_SIZE, Host
from include.api_video.catalog.storable import now_utc
from include.api_video.errors import ApiVideoError
from include.api_video.load.pages import Paginator
from include.api_video.load.reading import Reading, is_some
from include.api_video.load.rejected import WithRejected, is_stand_in, why_no_row, with_keys
from include.api_video.settings.filters import filter_params
from include.api_video.sync.list_sync import ListSync, is_full_due
from include.api_video.sync.outcome import Outcome
from include.api_video.sync.state import TableState
from include.api_video.sync.uncounted_lists import UncountedLists
from include.api_video.warehouse.destinations.row_files import RowFiles, takes_row_files
from include.api_video.warehouse.list_queries import ListQueries
from include.api_video.warehouse.schema import add_only, keep_newest
from include.api_video.warehouse.warehouse import Warehouse

ROWS, ITEMS = map(compile_path, ("data", "items"))  # compiled once: dlt would compile them for each answer
ADMIN_PARAMS = {"page_size": MAX_PAGE_SIZE}
log = logging.getLogger("api_video")


class ListReading(Reading):
    """One list in one run, or one per row of another list (``Endpoint.per_row_of``)."""

    stops_ok = True
    _sync: ListSync | None = None
    _files: RowFiles | None = None
    _is_empty = False  # whether the table is empty before this load
    _sync_class: type[ListSync] = ListSync

    # --- requests -----------------------------------------------------------------------------------------------------

    def requests(self) -> list[Any]:
        """The list; for one list per row of another, that other list first."""
        endpoint = self.endpoint
        if endpoint.host is Host.MAIN:
            return [self._entry(endpoint.path, ROWS, self._params())]
        self._sync_class = UncountedLists
        if not endpoint.per_row_of:
            return [self._entry(endpoint.path, ITEMS, ADMIN_PARAMS)]
        path, key = endpoint.per_row_of
        if not self.session.knows(self.settings.url_of(endpoint.host) + path, ADMIN_PARAMS):
            self._sync_class = ListSync
            return [self._entry(cast(str, endpoint.listed_path), ROWS, self._params())]
        name = path.strip("/")
        leading = {
            "name": name,
            "selected": False,
            "endpoint": self._pages(path, ITEMS, ADMIN_PARAMS, self.on_leading_page),
        }
        inner = endpoint.path.replace("{" + key + "}", "{resources." + name + "." + key + "}")
        return [leading, self._entry(inner, ITEMS, ADMIN_PARAMS)]

    def _params(self) -> dict[str, Any]:
        endpoint = self.endpoint
        params: dict[str, Any] = {"pageSize": MAX_PAGE_SIZE, **filter_params(endpoint, self.settings.filters)}
        if endpoint.sort_by:
            params |= {"sortBy": endpoint.sort_by, "sortOrder": "desc" if endpoint.sort_by == "updatedAt" else "asc"}
        return params

    def _entry(self, path: str, selector: TJsonPath, params: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": self.endpoint.name,
            "write_disposition": "merge",
            "primary_key": self.endpoint.key,
            "endpoint": self._pages(path, selector, params, self.on_page),
            "processing_steps": [{"map": self.take}, {"filter": is_some}],
        }

    def _pages(
        self, path: str, selector: TJsonPath, params: dict[str, Any], on_page: Callable[[dict[str, Any], list[Any]], range]
    ) -> dict[str, Any]:
        return {
            "path": path,
            "params": params,
            "data_selector": selector,
            "paginator": Paginator(self.session, on_page),
        }

    # --- answers ------------------------------------------------------------------------------------------------------

    def on_page(self, body: dict[str, Any], rows: list[Any]) -> range:
        """Takes a page of the list; returns the numbers of the next pages that are certain to be needed."""
        sync = self._begun()
        if MISSING in body:  # the parent, such as a project, was deleted during the run
            sync.finish_list()
            self._count("pages", sync.lists_left)
            return range(0)
        if STOPPED in body:
            following = sync.stop(body[STOPPED])
        else:
            page = replace(read_page(body), rows=list(with_keys(self.endpoint, map(self._derive, rows), self._clean)))
            rows[:] = page.rows
            following = sync.next_page(page)
        if sync.is_done:
            rows.extend(sync.late_rows())
        self._expect(sync.expected_requests)
        if not sync.last_wanted:
            self.session.drop_ahead()
        pages = range(0) if following is None else range(following, max(following, sync.last_wanted or following) + 1)
        self._count("pages", len(pages) if sync.last_wanted else sync.lists_left)
        return pages

    def on_leading_page(self, body: dict[str, Any], rows: list[Any]) -> range:
        """Takes a page of the parent list, whose rows each have a list; returns the number of the next page."""
        sync = cast(UncountedLists, self._begun())
        if STOPPED in body:
            sync.stop(body[STOPPED])
            return range(0)
        page = read_page(body)
        rows[:] = self._rows_with_list(rows)
        sync.expect_lists(len(rows))
        self._expect(sync.expected_requests)
        if not page.has_next:
            sync.finish_list()
        self._count("pages", sync.lists_left)
        return range(page.number + 1, page.number + 1 + page.has_next)

    def _rows_with_list(self, rows: list[Any]) -> list[Any]:
        """The rows of the parent list that have the key of their own list."""
        _, key = cast("tuple[str, str]", self.endpoint.per_row_of)
        leading = [row for row in rows if isinstance(row, dict) and isinstance(row.get(key), (str, int))]
        if len(leading) < len(rows):
            log.warning("%s: skipped %d rows without %s", self.endpoint.name, len(rows) - len(leading), key)
        return leading

    def take(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """Returns the row for dlt to load; None if it is not news, or was written to a file."""
        sync, key, now = self._begun(), row[self.endpoint.key], now_utc()
        if is_stand_in(key):
            self._take_stand_in(sync, row, now)
            return None
        taken = sync.take(self._cleaned(row), now, self._clean.written)
        if taken is None or not self._clean.is_plain or self._files is None:
            return self._fitted(taken)
        self._emitted += 1
        self._clean.plain_rows.split(taken, self._files.load_id, self._files.write)
        return None

    def _take_stand_in(self, sync: ListSync, row: dict[str, Any], now: datetime) -> None:
        """Takes what cannot be a row; MISSING marks one that was read, then withdrawn."""
        key = row[self.endpoint.key]
        taken = sync.take(row if MISSING in row else self._clean(row), now)
        if MISSING in row:
            self._rejections.resolve([key])
        elif taken is None:
            self._rejections.see(key)
        else:
            reason = why_no_row(self.endpoint, row[ODD]) or ""
            self._rejections.add(key, reason, taken[ODD], taken["_content_hash"], now)

    # --- the sync -----------------------------------------------------------------------------------------------------

    def _begun(self) -> ListSync:
        """The sync, made with the first answer: asks the warehouse for the state of the table."""
        if self._sync is None:
            with self._asked_warehouse() as warehouse:
                self._sync = self._make_sync(warehouse)
                if takes_row_files(dlt.current.pipeline()):
                    self._files = RowFiles()
            # The first page tells how long the list is.
            self._expect(self._sync.expected_requests, is_told=False)
        return self._sync

    def _make_sync(self, warehouse: Warehouse) -> ListSync:
        endpoint, settings, queries = self.endpoint, self.settings, ListQueries(warehouse, self.endpoint)
        state = queries.state()
        if full_refresh := self._starts_over(warehouse, state.base_url):
            state = TableState()
        self._unproven_since, self._is_empty = state.unproven_since, state.rows == 0
        known = WithRejected(queries, self._rejections.known)
        return self._sync_class(
            endpoint,
            state if full_refresh else known.count(state),
            known,
            fetch=self._fetch if endpoint.one_path and not filter_params(endpoint, settings.filters) else None,
            moved=queries.moved(),
            may_have_moved=queries.has_exchanged(state.last_full_at),
            full_refresh=full_refresh,
            full_due=not state.is_whole
            or self._rejections.are_broken
            or is_full_due(state, settings.full_check_hours, self._started_at),
            most_fetched=settings.max_detail_requests,
            max_removed_share=settings.max_removed_share,
            brake_variable=settings.account.variable("max_removed_share"),
        )

    def _fetch(self, keys: Sequence[str]) -> dict[str, dict[str, Any] | None]:
        """Fetches single objects of a list. None: the API has none (404). Failed requests are missing from the result."""
        endpoint, keys = self.endpoint, self._in_any_order(keys)
        path = self.settings.url_of(endpoint.host) + cast(str, endpoint.one_path)
        urls = [path.replace("{" + endpoint.key + "}", quote(key, safe="")) for key in keys]
        found: dict[str, dict[str, Any] | None] = {}
        try:
            for key, row in zip(keys, self.session.find_all(urls), strict=True):
                row = self._derive(row)
                if row is not None and row.get(endpoint.key) != key:
                    log.warning("%s: asked for %s, but api.video answered with another object", endpoint.name, key)
                    continue
                found[key] = None if row is None else next(with_keys(endpoint, [{**row, endpoint.key: key}], self._clean))
                self._count("objects", len(keys) - len(found))
        except ApiVideoError as error:
            log.warning(
                "%s: %d of %d single objects could not be read: %s", endpoint.name, len(keys) - len(found), len(keys), error
            )
        return found

    def _outcome(self) -> Outcome:
        sync = self._begun()
        if self._files:
            self._files.close()
        if sync.has_versions:
            keep_newest(dlt.current.source_schema(), self.endpoint)
        elif self._files and self._is_empty:
            add_only(dlt.current.source_schema(), self.endpoint)
        return self._rejections.leave_out(sync.outcome())
