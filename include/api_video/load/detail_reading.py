"""Reads single objects: one request for each new or changed row of the parent's table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, cast
from urllib.parse import quote, unquote

from dlt.common.jsonpath import compile_path

from include.api_video.api.client import ODD, UNREAD
from include.api_video.api.origin import DEMO, may_be_demo
from include.api_video.catalog.storable import now_utc
from include.api_video.load.asked_reading import AskedReading
from include.api_video.load.reading import is_some
from include.api_video.load.rejected import why_no_detail
from include.api_video.sync.detail_sync import DetailSync
from include.api_video.sync.outcome import Outcome, hash_row
from include.api_video.warehouse.detail_queries import detail_state, remove_orphans
from include.api_video.warehouse.warehouse import Warehouse

WHOLE = compile_path("$")  # dlt would compile it for each answer


class DetailReading(AskedReading[DetailSync]):
    """The objects of one endpoint in one run."""

    def requests(self) -> list[Any]:
        """One request per parent, several at once."""
        endpoint = self.endpoint
        path = endpoint.path.replace("{", "{resources." + cast(str, endpoint.parent) + ".")
        # A video status has no id (OpenAPI, schema video-status): dlt adds the parent's, as "_videos_videoId".
        take = partial(self.take, f"_{endpoint.parent}_{endpoint.key}")
        entry = {
            "name": endpoint.name,
            "write_disposition": "merge",
            "primary_key": endpoint.key,
            # "$": without a selector dlt guesses one, and would load the byte ranges of an upload instead of its status.
            "endpoint": {"path": path, "paginator": "single_page", "data_selector": WHOLE},
            "include_from_parent": [endpoint.key],
            "parallelized": True,
            "processing_steps": [{"map": take}, {"filter": is_some}],
        }
        return [self._stand_in(cast(str, endpoint.parent), self._wanted), entry]

    def _wanted(self) -> Iterator[list[dict[str, str]]]:
        for key in self._in_any_order(self._begun().parents):
            yield [{self.endpoint.key: quote(key, safe="")}]  # part of a path

    def take(self, parent_key: str, row: dict[str, Any]) -> dict[str, Any] | None:
        """Returns the object to load, or None; ``parent_key`` is the field in which dlt put the parent's key."""
        key, sync, now = unquote(row.pop(parent_key)), self._begun(), now_utc()
        reason, clean = why_no_detail(self.endpoint, key, row), self._cleaned(self._derive(row))
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

    def _ask(self, warehouse: Warehouse) -> Callable[[], DetailSync]:
        endpoint, budget = self.endpoint, self.settings.max_detail_requests
        # No answer has told yet which API this is, but the parents were read from the same one.
        self._of_demo = may_be_demo(self.settings.base_url) and warehouse.origin_of(endpoint.parent) == DEMO
        remove_orphans(warehouse, endpoint, self._started_at)
        # A 404 counts until the next reconciliation.
        missing_since = self._started_at - timedelta(hours=self.settings.full_check_hours)
        state = detail_state(warehouse, endpoint, budget, missing_since)
        if full_refresh := self._starts_over(warehouse, state.base_url):
            state = detail_state(warehouse, endpoint, budget, missing_since, full_refresh=True)
        return partial(DetailSync, endpoint, state, first=full_refresh or state.base_url is None)

    def _count_requests(self, sync: DetailSync) -> int:
        return len(sync.parents)

    def _outcome(self) -> Outcome:
        sync = self._begun()
        if sync.asks_for_all:  # an object that was not requested has lost its parent
            self._rejections.resolve(self._rejections.known.keys() - sync.parents.keys())
        return sync.outcome()
