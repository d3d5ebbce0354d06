"""One resource in one run: its session, the way of each answer, its row in the ledger.

``Reading`` is the base class. A subclass says which requests dlt's ``rest_api`` sends, and passes each answer to the sync,
which decides: ``list_reading`` for lists, ``detail_reading`` for single objects, ``parent_list_reading`` for lists of a
parent's rows. ``kinds`` maps each sync to its class.
"""

from __future__ import annotations

import logging
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

import dlt

from include.api_video.api.client import MISSING, ODD, UNREAD, ApiVideoSession
from include.api_video.api.origin import DEMO, check_same, was_demo_only
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import PARTIAL
from include.api_video.catalog.storable import now_utc
from include.api_video.errors import ApiVideoError
from include.api_video.load.derived import Derived
from include.api_video.load.fitting import Fitting
from include.api_video.load.full_refresh import drop_tables
from include.api_video.load.redaction import Redaction
from include.api_video.load.rejected import Rejections
from include.api_video.messages.progress import Progress
from include.api_video.settings.settings import Settings
from include.api_video.sync.detail_sync import DetailSync
from include.api_video.sync.list_sync import ListSync
from include.api_video.sync.lost_fields import FieldWatch
from include.api_video.sync.outcome import Outcome
from include.api_video.sync.parent_lists import ParentLists
from include.api_video.warehouse.ledger import LedgerRow, outcome_columns
from include.api_video.warehouse.locks.table_lock import check_held
from include.api_video.warehouse.rejected_rows import forget_all_rejected, forget_rejected, rejected
from include.api_video.warehouse.schema import merge_child_tables, show_delta_tables
from include.api_video.warehouse.warehouse import Warehouse

log = logging.getLogger("api_video")


class Reading(ABC):
    """One resource in one run. Sends no request before dlt extracts.

    Attributes:
        is_concluded: whether ``conclude`` has made the ledger's row.
        has_news: whether there is anything to load; known once concluded.
    """

    _sync: ListSync | DetailSync | ParentLists | None = None  # once the warehouse was asked
    stops_ok: ClassVar[bool]  # whether a failed request ends the reading; if not, it costs only its object

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
        self.endpoint, self.settings = endpoint, settings
        self._run_id, self._schema, self._progress = run_id, schema, progress
        self._full_refresh, self._on_stop = full_refresh, on_stop
        self.session = ApiVideoSession(
            settings,
            endpoint.host,
            missing_ok=endpoint.missing_ok or endpoint.per_row_of is not None,
            unread_ok=not self.stops_ok,
            stops_ok=self.stops_ok,
        )
        self._derive, self._clean, self._watch = Derived(endpoint), Redaction(endpoint), FieldWatch(endpoint)
        self._started_at = now_utc()
        self._rejections: Rejections  # set, as the next, by _asked_warehouse
        self._fit: Fitting
        self._unproven_since: datetime | None = None
        self._emitted = 0  # rows to load, passed to dlt or written to files
        self._expected: int | None = None
        self._told_expected = False
        self.is_concluded, self.has_news = False, True

    # --- for subclasses ---------------------------------------------------------------------------------------------

    @abstractmethod
    def requests(self) -> list[Any]:
        """Entries for dlt's ``rest_api``: the resource, after any unselected resource it depends on."""

    @abstractmethod
    def _outcome(self) -> Outcome:
        """The sync's outcome, once everything was read."""

    # --- the sync -----------------------------------------------------------------------------------------------------

    @property
    def is_done(self) -> bool:
        """Whether everything has been read."""
        return self._sync is not None and self._sync.is_done

    def _compared(self) -> Iterable[str]:
        """Keys of loaded rows that were read again."""
        return self._sync.compared if self._sync else ()

    def _forget(self) -> None:
        """Frees the sync's memory, which grows with the rows and is not needed while dlt loads."""
        self._sync = None

    # --- on the way ---------------------------------------------------------------------------------------------------

    def _in_any_order(self, keys: Iterable[str]) -> list[str]:
        """Shuffles the keys, differently in each run: objects that always fail must not keep the others out every time."""
        keys = list(keys)
        return random.Random(self._run_id).sample(keys, len(keys))

    def _cleaned(self, row: dict[str, Any]) -> dict[str, Any]:
        """Notes which fields the row has, then removes its secrets."""
        if MISSING not in row and UNREAD not in row and ODD not in row:
            self._watch.see(row)
        return self._clean(row)

    def _fitted(self, row: dict[str, Any] | None) -> dict[str, Any] | None:
        """Fits the row that was cleaned last to the columns of the warehouse."""
        if row is not None:
            self._emitted += 1
        return row if row is None or self._clean.is_plain else self._fit(row)

    def _count(self, unit: str, left: int | None) -> None:
        """Counts an answer for the progress; ``left`` more are certain to come."""
        self._progress.count(self.endpoint.name, unit, left, self.session.least_s)

    def _expect(self, requests: int, *, is_told: bool = True) -> None:
        """Sets the expected number of requests; logs it once it is known."""
        if is_told and not self._told_expected:
            log.info(
                "%s: %s expected", self.endpoint.name, "1 request is" if requests == 1 else f"{requests:,} requests are"
            )
            self._told_expected = True
        self._expected = requests
        self.session.expect(requests)

    # --- the warehouse ------------------------------------------------------------------------------------------------

    @cached_property
    def _warehouse(self) -> Warehouse:
        return Warehouse(dlt.current.pipeline())

    @contextmanager
    def _asked_warehouse(self) -> Iterator[Warehouse]:
        """The warehouse, its tables created, before anything is read; all queries of the block share one connection."""
        warehouse, schema = self._warehouse, dlt.current.source_schema()
        with warehouse.declared(self._schema) as query:
            show_delta_tables(schema)
            merge_child_tables(schema, warehouse.read_growth(self._schema).schema, self.endpoint)
            self._rejections = Rejections(self.endpoint, rejected(query, self.endpoint))
            yield warehouse
            self._fit = Fitting(self.endpoint, schema)

    def _starts_over(self, warehouse: Warehouse, loaded_from: str | None) -> bool:
        """Drops what is loaded for a full refresh, or if it is the demo's. Returns whether it did.

        Raises:
            SettingsError: the table was loaded from another address.
        """
        if not self._full_refresh:
            check_same(self.endpoint.name, loaded_from, self._origin)
        if not self._full_refresh and not was_demo_only(loaded_from, self._origin):
            return False
        with warehouse.connect() as query:
            drop_tables(self.endpoint, query)
            forget_all_rejected(query, self.endpoint.name)
        self._rejections = Rejections(self.endpoint, {})
        return True

    @property
    def _origin(self) -> str:
        """The API that was read, as stored in the ledger."""
        return DEMO if self.session.is_demo else self.settings.base_url

    # --- the end ------------------------------------------------------------------------------------------------------

    def conclude(self) -> LedgerRow:
        """Makes the ledger's row, and marks the rows removed that are proven to be gone.

        Raises:
            LockLostError: another run may have begun to load the table.
        """
        check_held(dlt.current.pipeline().dataset_name, self.endpoint.name)
        outcome = self._outcome()
        self._mark(outcome)
        if stopped_by := outcome.stopped_by or self.session.given_up:
            self._on_stop(stopped_by)
        lost = [] if outcome.mode == "first" else self._find_lost_fields()
        self.session.close()
        self._forget()
        # Always store the row of a first load, which may have tables to drop, and of a partial one: the next run must know.
        is_told = outcome.mode in ("first", PARTIAL) or outcome.removed or lost or stopped_by
        self.has_news = bool(is_told or self._emitted or self._rejections.has_records or self.asked_rows())
        log.info("%s: %s", self.endpoint.name, describe(outcome, self.session.requests_sent))
        if self._rejections.count:
            log.warning("%s: %d rows cannot be loaded; they are in _rejected", self.endpoint.name, self._rejections.count)
        self.is_concluded = True
        return {
            **outcome_columns(outcome),
            "run_id": self._run_id,
            "resource": self.endpoint.name,
            "started_at": self._started_at,
            "finished_at": now_utc(),
            "rejected_rows": self._rejections.count,
            "expected_requests": self._expected,
            "requests": self.session.requests_sent,
            "rate_limited": self.session.rate_limited,
            "rate_limit": self.session.rate_limit,
            "unproven_since": (self._unproven_since or now_utc()) if outcome.unproven else None,
            "stopped_by": f"{type(stopped_by).__name__}: {stopped_by}" if stopped_by else None,
            "lost_fields": ", ".join(lost) or None,
            "load_id": dlt.current.load_package_state()["load_id"],
            "base_url": self._origin,
        }

    def _mark(self, outcome: Outcome) -> None:
        """Marks rows removed that are proven to be gone, and deletes outdated rows of ``_rejected``."""
        if outdated := self._rejections.outdated:
            with self._warehouse.connect() as query:
                forget_rejected(query, outdated)
        if outcome.gone:
            self._warehouse.mark_removed(self.endpoint, outcome.gone, now_utc())

    def _find_lost_fields(self) -> list[str]:
        """Fields that these rows had when they were loaded, and that none of them has now."""
        lost = self._warehouse.find_filled(self.endpoint, self._watch.unseen, self._compared())
        if lost:
            log.warning("%s: the API no longer sends %s", self.endpoint.name, ", ".join(lost))
        return lost

    def asked_rows(self) -> list[dict[str, Any]]:
        """Rows for ``_asked``, of resources that have a list per parent. Call it once ``is_concluded``."""
        return []

    def rejected_rows(self) -> list[dict[str, Any]]:
        """Rows for ``_rejected``. Call it once ``is_concluded``."""
        return self._rejections.rows(self._run_id, str(dlt.current.load_package_state()["load_id"]))


def describe(outcome: Outcome, requests: int) -> str:
    """One line for the log."""
    counted = {
        "new": outcome.new,
        "changed": outcome.changed,
        "removed": outcome.removed,
        "restored": outcome.restored,
        "waiting for the next run": outcome.waiting,
        "of them failed at the API": outcome.unread,
    }
    news = ", ".join(f"{count} {what}" for what, count in counted.items() if count) or "nothing changed"
    sent = "1 request" if requests == 1 else f"{requests:,} requests"
    return f"{outcome.active} rows, {news} ({outcome.mode}, {sent})"


def is_some(row: Any) -> bool:
    """Whether a row is to be loaded."""
    return row is not None
