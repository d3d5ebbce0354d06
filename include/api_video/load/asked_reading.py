"""Reads what the warehouse tells to request: objects and lists of its rows, and days.

A failed request costs only its object, which waits for the next run.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar, cast

import dlt
from dlt.extract import DltResource

from include.api_video.api.origin import DEMO
from include.api_video.load.reading import Reading
from include.api_video.sync.days import DaySync
from include.api_video.sync.detail_sync import DetailSync
from include.api_video.sync.parent_lists import ParentLists
from include.api_video.warehouse.warehouse import Warehouse

PER_BATCH = 5  # what is requested together; one batch is one unit of work for dlt's threads
Asked = TypeVar("Asked", DetailSync, ParentLists, DaySync)


class AskedReading(Reading, Generic[Asked]):
    """What is requested of one endpoint in one run, as the warehouse tells before the first request."""

    stops_ok = False
    _sync: Asked | None = None
    _of_demo = False  # set by the sync: no answer has told yet which API this is

    # --- for subclasses ---------------------------------------------------------------------------------------------

    @abstractmethod
    def _ask(self, warehouse: Warehouse) -> Callable[[], Asked]:
        """Asks the warehouse for the state of the table. Returns what makes the sync, without the warehouse."""

    @abstractmethod
    def _count_requests(self, sync: Asked) -> int:
        """How many requests it should need."""

    # --- the rest -----------------------------------------------------------------------------------------------------

    def _begun(self) -> Asked:
        """The sync, made at first use: asks the warehouse what to request."""
        if self._sync is None:
            with self._asked_warehouse() as warehouse:
                make_sync = self._ask(warehouse)
            self._sync = make_sync()
            self._expect(self._count_requests(self._sync))
        return self._sync

    @staticmethod
    def _stand_in(name: str, wanted: Callable[[], Iterable[list[dict[str, str]]]]) -> DltResource:
        """Stands in for the list of a parent, which is not read again: yields what to put into the path of each request.

        ``wanted`` gives the requests that belong together; they are in one batch, and so in one thread.
        """

        @dlt.resource(name=name, selected=False)
        def requests() -> Iterator[list[dict[str, str]]]:
            left = iter(wanted())
            while batch := [request for together in islice(left, PER_BATCH) for request in together]:
                yield batch

        return cast(DltResource, requests)

    @property
    def _origin(self) -> str:
        return DEMO if self._of_demo else super()._origin
