"""One resource in one run: what is known of it, what is read, what is decided, what the ledger says.

Between ``source`` (how dlt asks the API), ``list_sync`` and ``detail_sync`` (what an answer means) and ``warehouse`` (what
is loaded).
"""

from __future__ import annotations

import copy
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, cast
from urllib.parse import quote, unquote

import dlt
from dlt.common.schema.utils import get_nested_tables

from include.api_video.api.answers import read_page
from include.api_video.api.client import MISSING, ODD, STOPPED, UNREAD, ApiVideoSession
from include.api_video.api.origin import DEMO, check_same, gives_way, may_be_demo
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.tables import PARTIAL
from include.api_video.catalog.values import now_utc
from include.api_video.errors import ApiVideoError
from include.api_video.load.fitting import Fitting
from include.api_video.load.redaction import Redaction
from include.api_video.load.rejected import Rejections, WithRejected, is_stand_in, why_no_detail, why_no_row, with_keys
from include.api_video.messages.progress import Progress
from include.api_video.settings.filters import filter_params
from include.api_video.settings.settings import Settings
from include.api_video.sync.detail_sync import DetailSync
from include.api_video.sync.list_sync import ListSync, is_full_due
from include.api_video.sync.lost_fields import FieldWatch
from include.api_video.sync.outcome import Outcome, hash_row
from include.api_video.sync.state import TableState
from include.api_video.warehouse.dependents import views_upon
from include.api_video.warehouse.destinations.row_files import RowFiles, takes_row_files
from include.api_video.warehouse.locks.table_lock import check_held
from include.api_video.warehouse.schema import add_only, declare_tables, keep_newest, merge_child_tables, show_delta_tables
from include.api_video.warehouse.sql import Query
from include.api_video.warehouse.warehouse import Warehouse

log = logging.getLogger("api_video")
DETAILS_PER_BATCH = 5  # one batch is one unit of work for dlt's threads


class Reading:
    """One resource in one run: its session, its sync, its row in the ledger. Nothing is read before dlt extracts."""

    def __init__(
        self,
        endpoint: Endpoint,
        settings: Settings,
        run_id: str,
        schema: dlt.Schema,
        progress: Progress,
        *,
        full_refresh: bool,
        on_stop: Callable[[ApiVideoError], object] = lambda _: None,
    ) -> None:
        self._on_stop = on_stop
        self.endpoint, self._schema, self._progress = endpoint, schema, progress
        self.settings, self._run_id, self._full_refresh = settings, run_id, full_refresh
        self.session = ApiVideoSession(
            settings,
            endpoint.host,
            missing_ok=endpoint.missing_ok or endpoint.via is not None,
            unread_ok=not endpoint.is_list,
            stops_ok=endpoint.is_list,
        )
        self._clean, self._watch = Redaction(endpoint), FieldWatch(endpoint)
        self._started_at = now_utc()
        self._unproven_since: datetime | None = None
        self._of_demo = False
        self._handed_on = 0  # rows, to be loaded: to dlt, or into files
        self._expected: int | None = None
        self._told_expected = False
        self._sync: ListSync | DetailSync | None = None
        self._rejections: Rejections  # from here on: as soon as the sync is there
        self._fit: Fitting
        self._files: RowFiles | None = None
        self._is_empty = False  # the table, when its rows are loaded
        self.is_concluded = False
        self.is_news = True

    @property
    def is_done(self) -> bool:
        """Whether everything has been read."""
        return self._sync is not None and self._sync.is_done

    # --- what happens on the way -----------------------------------------------------------------------------------

    def parent_batches(self) -> Iterator[list[dict[str, str]]]:
        """Rows that stand for the parents to ask for: batches of ``{key: value}``."""
        key, keys = self.endpoint.key, self._in_any_order(self._begin_detail().parents)
        for start in range(0, len(keys), DETAILS_PER_BATCH):
            yield [{key: quote(value, safe="")} for value in keys[start : start + DETAILS_PER_BATCH]]  # it goes into a path

    def _in_any_order(self, keys: Iterable[str]) -> list[str]:
        """Another order each run: objects that fail for good end a run early, and must not always keep out the others."""
        keys = list(keys)
        return random.Random(self._run_id).sample(keys, len(keys))

    def on_page(self, body: dict[str, Any], rows: list[Any]) -> range:
        """Takes a page of the list; returns the numbers of the next ones, as far as they are certain."""
        sync = self._begin_list()
        if MISSING in body:  # the row of the list before, such as a project, was deleted meanwhile
            sync.finish_list()
            self._count("pages", sync.lists_left)
            return range(0)
        if STOPPED in body:
            following = sync.stop(body[STOPPED])
        else:
            page = replace(read_page(body), rows=list(with_keys(self.endpoint, rows, self._clean)))
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

    def on_via_page(self, body: dict[str, Any], rows: list[Any]) -> range:
        """Takes a page of the list that leads to the lists; returns the number of the next one."""
        sync = self._begin_list()
        if STOPPED in body:
            sync.stop(body[STOPPED])
            return range(0)
        page = read_page(body)
        rows[:] = self._that_lead_on(rows)
        sync.expect_lists(len(rows))
        self._expect(sync.expected_requests)
        if not page.has_next:
            sync.finish_list()
        self._count("pages", sync.lists_left)
        return range(page.number + 1, page.number + 1 + page.has_next)

    def take(self, row: dict[str, Any]) -> dict[str, Any] | None:
        """A row of the list as it is to be loaded; None where it is no news."""
        sync, key, now = self._begin_list(), row[self.endpoint.key], now_utc()
        if is_stand_in(key):
            self._take_stand_in(sync, row, now)
            return None
        taken = sync.take(self._look_at(row), now, self._clean.written)
        if taken is None or not self._clean.is_plain or self._files is None:
            return self._fitted(taken)
        self._handed_on += 1
        self._clean.plain_rows.split(taken, self._files.load_id, self._files.write)
        return None

    def _take_stand_in(self, sync: ListSync, row: dict[str, Any], now: datetime) -> None:
        """Notes a row that cannot be one of the table; MISSING: it was read, and is not listed any more."""
        key = row[self.endpoint.key]
        taken = sync.take(row if MISSING in row else self._clean(row), now)
        if MISSING in row:
            self._rejections.resolve([key])
        elif taken is None:
            self._rejections.see(key)
        else:
            reason = why_no_row(self.endpoint, row[ODD]) or ""
            self._rejections.add(key, reason, taken[ODD], taken["_content_hash"], now)

    def take_detail(self, parent_key: str, row: dict[str, Any]) -> dict[str, Any] | None:
        """An object as it is to be loaded; ``parent_key`` is the field in which dlt put the parent's key."""
        key, sync, now = unquote(row.pop(parent_key)), self._begin_detail(), now_utc()
        reason, clean = why_no_detail(self.endpoint, key, row), self._look_at(row)
        if reason:
            sync.reject(key)
            content = clean.get(ODD, clean)
            self._rejections.add(key, reason, content, hash_row({ODD: content}), now)
            taken = None
        else:
            taken = self._fitted(sync.take({**clean, self.endpoint.key: key}, now))
            if UNREAD not in row:
                self._rejections.resolve([key])
        self._count("objects", sync.left)
        return taken

    def _fitted(self, row: dict[str, Any] | None) -> dict[str, Any] | None:
        """The row that was cleaned last, each value where the warehouse has a column that can hold it."""
        if row is not None:
            self._handed_on += 1
        return row if row is None or self._clean.is_plain else self._fit(row)

    def _that_lead_on(self, rows: list[Any]) -> list[Any]:
        """Those rows of the list that leads to the lists that have the key of one."""
        _, key = cast("tuple[str, str]", self.endpoint.via)
        leading = [row for row in rows if isinstance(row, dict) and isinstance(row.get(key), (str, int))]
        if len(leading) < len(rows):
            log.warning("%s: %d rows without %s lead nowhere", self.endpoint.name, len(rows) - len(leading), key)
        return leading

    def _count(self, unit: str, left: int | None) -> None:
        """Takes note of an answer, for who waits; ``left`` more are certain to come."""
        self._progress.count(self.endpoint.name, unit, left, self.session.least_s)

    def _look_at(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row without secrets, once it was noted which fields it has."""
        if MISSING not in row and UNREAD not in row and ODD not in row:
            self._watch.see(row)
        return self._clean(row)

    # --- what is decided --------------------------------------------------------------------------------------------

    def _begin_list(self) -> ListSync:
        if self._sync is None:
            with self._prepared_warehouse() as warehouse:
                self._rejections = Rejections(self.endpoint, warehouse.rejected(self.endpoint))
                self._sync = self._list_sync(warehouse)
                self._fit = Fitting(self.endpoint, dlt.current.source_schema())
                if takes_row_files(dlt.current.pipeline()):
                    self._files = RowFiles()
            # The first page tells how long the list is.
            self._expect(self._sync.expected_requests, is_told=False)
        return cast(ListSync, self._sync)

    def _list_sync(self, warehouse: Warehouse) -> ListSync:
        endpoint, settings = self.endpoint, self.settings
        state = warehouse.list_state(endpoint)
        if anew := self._start_anew(warehouse, state.base_url):
            state = TableState()
        self._unproven_since, self._is_empty = state.unproven_since, state.rows == 0
        known = WithRejected(warehouse, self._rejections.known)
        return ListSync(
            endpoint,
            state if anew else known.count(state),
            known,
            ask=self._ask if endpoint.one_path and not filter_params(endpoint, settings.filters) else None,
            moved=warehouse.find_moved(endpoint),
            may_have_moved=warehouse.has_exchanged(endpoint, state.last_full_at),
            anew=anew,
            full_due=not state.is_whole
            or self._rejections.are_broken
            or is_full_due(state, settings.full_check_hours, self._started_at),
            most_asked=settings.max_detail_requests,
            max_removed_share=settings.max_removed_share,
            brake_variable=settings.account.variable("max_removed_share"),
        )

    def _begin_detail(self) -> DetailSync:
        if self._sync is None:
            with self._prepared_warehouse() as warehouse:
                self._rejections = Rejections(self.endpoint, warehouse.rejected(self.endpoint))
                self._sync = self._detail_sync(warehouse)
                self._fit = Fitting(self.endpoint, dlt.current.source_schema())
            self._expect(len(self._sync.parents))
        return cast(DetailSync, self._sync)

    def _detail_sync(self, warehouse: Warehouse) -> DetailSync:
        budget = self.settings.max_detail_requests
        # Nothing was answered yet: what names the objects to ask for was read from the same place.
        self._of_demo = may_be_demo(self.settings.base_url) and warehouse.origin_of(self.endpoint.parent) == DEMO
        warehouse.remove_orphans(self.endpoint, self._started_at)
        # A 404 is believed until the next full look.
        missing_since = self._started_at - timedelta(hours=self.settings.full_check_hours)
        state = warehouse.detail_state(self.endpoint, budget, missing_since)
        if anew := self._start_anew(warehouse, state.base_url):
            state = warehouse.detail_state(self.endpoint, budget, missing_since, anew=True)
        return DetailSync(self.endpoint, state, first=anew or state.base_url is None)

    def _expect(self, requests: int, *, is_told: bool = True) -> None:
        """Takes note of how many requests there should be; says it once, when it is known how many."""
        if is_told and not self._told_expected:
            log.info(
                "%s: %s expected", self.endpoint.name, "1 request is" if requests == 1 else f"{requests:,} requests are"
            )
            self._told_expected = True
        self._expected = requests
        self.session.expect(requests)

    def _ask(self, keys: Sequence[str]) -> dict[str, dict[str, Any] | None]:
        """Single objects of a list, None where the API has none; those that it failed to give are left out."""
        endpoint, keys = self.endpoint, self._in_any_order(keys)
        path = self.settings.url_of(endpoint.host) + cast(str, endpoint.one_path)
        urls = [path.replace("{" + endpoint.key + "}", quote(key, safe="")) for key in keys]
        found: dict[str, dict[str, Any] | None] = {}
        try:
            for key, row in zip(keys, self.session.find_all(urls), strict=True):
                if row is not None and row.get(endpoint.key) != key:
                    log.warning("%s: asked for %s, api.video answered with something else", endpoint.name, key)
                    continue
                found[key] = None if row is None else next(with_keys(endpoint, [{**row, endpoint.key: key}], self._clean))
                self._count("objects", len(keys) - len(found))
        except ApiVideoError as error:
            log.warning(
                "%s: %d of %d rows could not be asked for: %s", endpoint.name, len(keys) - len(found), len(keys), error
            )
        return found

    def _start_anew(self, warehouse: Warehouse, loaded_from: str | None) -> bool:
        """Whether to forget what is loaded: on request, or because it is the demo's.

        Raises:
            SettingsError: the table was loaded from another address.
        """
        if not self._full_refresh:
            check_same(self.endpoint.name, loaded_from, self._origin)
        if self._full_refresh or gives_way(loaded_from, self._origin):
            with warehouse.connect() as query:
                drop_tables(self.endpoint, query)
            warehouse.forget_all_rejected(self.endpoint.name)
            self._rejections = Rejections(self.endpoint, {})
            return True
        return False

    @property
    def _origin(self) -> str:
        """What the ledger says was read."""
        return DEMO if self.session.is_demo or self._of_demo else self.settings.base_url

    @cached_property
    def _warehouse(self) -> Warehouse:
        return Warehouse(dlt.current.pipeline())

    @contextmanager
    def _prepared_warehouse(self) -> Iterator[Warehouse]:
        """The warehouse with its tables; all questions of the block share one connection."""
        warehouse = self._warehouse
        with warehouse.declared(self._schema):
            show_delta_tables(dlt.current.source_schema())
            merge_child_tables(dlt.current.source_schema(), warehouse.read_growth(self._schema).schema, self.endpoint)
            yield warehouse

    def conclude(self) -> dict[str, Any]:
        """The row for the ledger; marks what is proven to be gone."""
        check_held(dlt.current.pipeline().dataset_name, self.endpoint.name)
        if self._files:
            self._files.close()
        outcome = self._settle()
        if stopped_by := outcome.stopped_by or self.session.given_up:
            self._on_stop(stopped_by)
        lost = [] if outcome.mode == "first" else self._find_lost_fields()
        self.session.close()
        self._sync = None  # one entry per row of the list: not needed while dlt loads
        # A first load has tables to drop, or none; of what may lack a row, the next run must know in any case.
        is_told = outcome.mode in ("first", PARTIAL) or outcome.removed or lost or stopped_by
        self.is_news = bool(is_told or self._handed_on or self._rejections.has_records)
        log.info("%s: %s", self.endpoint.name, describe(outcome, self.session.requests_sent))
        if self._rejections.count:
            log.warning("%s: %d rows cannot be loaded; _rejected holds them", self.endpoint.name, self._rejections.count)
        self.is_concluded = True
        return {
            "run_id": self._run_id,
            "resource": self.endpoint.name,
            "mode": outcome.mode,
            "started_at": self._started_at,
            "finished_at": now_utc(),
            "items_total": outcome.items_total,
            "active_rows": outcome.active,
            "new_rows": outcome.new,
            "changed_rows": outcome.changed,
            "removed_rows": outcome.removed,
            "restored_rows": outcome.restored,
            "drifted_rows": outcome.drifted,
            "waiting_rows": outcome.waiting,
            "unread_rows": outcome.unread,
            "rejected_rows": self._rejections.count,
            "expected_requests": self._expected,
            "requests": self.session.requests_sent,
            "rate_limited": self.session.rate_limited,
            "rate_limit": self.session.rate_limit,
            "total_off": outcome.total_off,
            "is_sorted": outcome.is_sorted,
            "unproven": outcome.unproven,
            "unproven_since": (self._unproven_since or now_utc()) if outcome.unproven else None,
            "stopped_by": f"{type(stopped_by).__name__}: {stopped_by}" if stopped_by else None,
            "lost_fields": ", ".join(lost) or None,
            "load_id": dlt.current.load_package_state()["load_id"],
            "base_url": self._origin,
        }

    def rejected_rows(self) -> list[dict[str, Any]]:
        """Rows for ``_rejected``, once it is concluded."""
        return self._rejections.rows(self._run_id, str(dlt.current.load_package_state()["load_id"]))

    def _find_lost_fields(self) -> list[str]:
        """Fields that the rows of this run had when they were loaded, and none has now."""
        compared = cast("ListSync | DetailSync", self._sync).compared
        lost = self._warehouse.find_filled(self.endpoint, self._watch.unseen, compared)
        if lost:
            log.warning("%s: the API no longer sends %s", self.endpoint.name, ", ".join(lost))
        return lost

    def _settle(self) -> Outcome:
        sync = cast("ListSync | DetailSync", self._sync)
        if isinstance(sync, DetailSync):
            outcome = sync.conclude()
            if sync.asks_for_all:  # what was not asked for has no parent any more
                self._rejections.resolve(self._rejections.known.keys() - sync.parents.keys())
        else:
            outcome = self._rejections.settle(sync.conclude())
        if isinstance(sync, ListSync) and sync.has_versions:
            keep_newest(dlt.current.source_schema(), self.endpoint)
        elif self._files and self._is_empty:
            add_only(dlt.current.source_schema(), self.endpoint)
        self._warehouse.forget_rejected(self._rejections.outdated)
        if outcome.gone:
            self._warehouse.mark_removed(self.endpoint, outcome.gone, now_utc())
        return outcome


def describe(outcome: Outcome, requests: int) -> str:
    """One line for the log."""
    counted = {
        "new": outcome.new,
        "changed": outcome.changed,
        "removed": outcome.removed,
        "restored": outcome.restored,
        "waiting for the next run": outcome.waiting,
        "of them the API failed to give": outcome.unread,
    }
    news = ", ".join(f"{count} {what}" for what, count in counted.items() if count) or "nothing changed"
    sent = "1 request" if requests == 1 else f"{requests:,} requests"
    return f"{outcome.active} rows, {news} ({outcome.mode}, {sent})"


def drop_tables(endpoint: Endpoint, query: Query) -> None:
    """Has dlt drop an endpoint's tables before it loads the present package, and forget what nobody declared.

    What ``refresh="drop_resources"`` does, but for one resource: that one would take the shared ledger along. Where views
    of the user hold the tables, dlt empties them, as ``refresh="drop_data"`` would; they keep their columns.
    """
    schema, package = dlt.current.source_schema(), dlt.current.load_package_state()
    family = get_nested_tables(schema.tables, endpoint.name)  # child tables of undeclared fields, too
    names = [str(table["name"]) for table in family]
    if views := views_upon(query, names):
        log.warning("%s: emptied instead of dropped, since %s depends on it", endpoint.name, ", ".join(views))
        package["state"]["truncated_tables"] = copy.deepcopy(family)
        return
    package["state"]["dropped_tables"] = copy.deepcopy(family)
    schema.drop_tables(names)
    declare_tables(schema, endpoint)
