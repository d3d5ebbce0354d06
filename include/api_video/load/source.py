"""The dlt source: turns the table of endpoints into configurations of dlt's ``rest_api``, and syncs into its rows.

One answer flows like this: ``client`` sends and checks it, dlt's ``rest_api`` selects the rows, ``Paginator`` asks the
sync for the next page, ``redaction`` cleans each row, the sync keeps what is news, dlt loads it. The ledger's row travels
in the same load package: both land, or neither does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import dlt
from dlt.common.jsonpath import TJsonPath, compile_path
from dlt.extract import DltResource
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from dlt.sources.rest_api import rest_api_resources
from dlt.sources.rest_api.typing import RESTAPIConfig
from requests import PreparedRequest, Request, Response

from include.api_video.api.client import ApiVideoSession
from include.api_video.catalog.model import MAX_PAGE_SIZE, Host
from include.api_video.catalog.table import by_name
from include.api_video.catalog.tables import REJECTED, SYNCS
from include.api_video.errors import ApiVideoError, ApiVideoPermissionError, LeftOutError
from include.api_video.load.reading import Reading
from include.api_video.messages.progress import Progress
from include.api_video.settings.demo import check_meant
from include.api_video.settings.filters import filter_params
from include.api_video.settings.settings import Settings, read_settings
from include.api_video.warehouse.ledger import NothingNewError
from include.api_video.warehouse.schema import SCHEMA_NAME, schema_of

ROWS, ITEMS, WHOLE = map(compile_path, ("data", "items", "$"))  # dlt would compile them for each answer
OPPOSITE = {"asc": "desc", "desc": "asc"}
ADMIN_PARAMS = {"page_size": MAX_PAGE_SIZE}


def api_video_source(
    resources: Sequence[str] | None = None,
    *,
    settings: Settings | None = None,
    run_id: str = "",
    full_refresh: bool = False,
    on_stop: Callable[[ApiVideoError], object] = lambda _: None,
    store_idle: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> dlt.sources.DltSource:
    """api.video as a dlt source, with the ledger ``_syncs`` beside the resources.

    Args:
        resources: names from the table of endpoints; None takes those switched on in the settings. A child asks for the
            objects of parents that an earlier load brought, so load it in a run after its parent's.
        settings: None reads them from the environment and ``include/.dlt``.
        run_id: written into the ledger.
        full_refresh: start the tables anew.
        on_stop: called with the error that ended a reading early. What was read until then is loaded all the same: raise it
            after the load.
        store_idle: load the ledger's row also where nothing is new; False raises NothingNewError with it.
        clock: seconds, to say how fast it goes and how long it will take.

    Raises:
        SettingsError: an option is missing or wrong.
    """
    settings = settings or read_settings()
    chosen = [by_name()[name] for name in resources or settings.resources]
    schema = declared_schema(settings, *(endpoint.name for endpoint in chosen))

    @dlt.source(schema=schema, section=SCHEMA_NAME)
    def source() -> Iterator[DltResource]:
        progress = Progress(clock)
        readings = [
            Reading(endpoint, settings, run_id, schema, progress, full_refresh=full_refresh, on_stop=on_stop)
            for endpoint in chosen
        ]
        yield ledger(readings, progress, store_idle=store_idle)  # first: dlt begins with it, so that progress is shown
        yield rejected(readings)
        for reading in readings:
            yield from rest_api_resources(rest_api_config(reading))

    return source()


def permitted_source(
    resource: str, settings: Settings, run_id: str, *, full_refresh: bool, on_stop: Callable[[ApiVideoError], object]
) -> dlt.sources.DltSource:
    """The source of one resource. Where nothing is new, it raises NothingNewError while dlt extracts.

    Raises:
        ApiVideoPermissionError: the main API's key may not read it.
        LeftOutError: the admin key may not read it, or only the demo had it switched on.
    """
    check_meant(resource, settings.resources, settings.base_url)
    try:
        return api_video_source(
            [resource], settings=settings, run_id=run_id, full_refresh=full_refresh, on_stop=on_stop, store_idle=False
        )
    except ApiVideoPermissionError as error:
        if by_name()[resource].host is not Host.ADMIN:
            raise
        raise LeftOutError(str(error)) from error


def declared_schema(settings: Settings, *more: str) -> dlt.Schema:
    """The schema of all resources that this installation loads, so that their tables exist from the first load on."""
    return schema_of({*settings.resources, *more})


def ledger(readings: Sequence[Reading], progress: Progress, *, store_idle: bool) -> DltResource:
    """Resource ``_syncs``: one row per reading, once everything has been read."""

    @dlt.resource(name=SYNCS, write_disposition="append")
    def rows() -> Iterator[Any]:
        with progress:  # dlt closes this generator whatever happens, and with it a bar in the terminal
            for reading in readings:
                # Yielding None lets dlt go on with the other resources.
                while not reading.is_done:
                    yield None
                sync = reading.conclude()
                if not reading.is_news and not store_idle:
                    raise NothingNewError({**sync, "load_id": None})
                yield sync

    return cast(DltResource, rows)


def rejected(readings: Sequence[Reading]) -> DltResource:
    """Resource ``_rejected``: what cannot be a row, once everything has been read.

    Appended: all resources share the table, and merges of two at once would share its staging table, too.
    """

    @dlt.resource(name=REJECTED, write_disposition="append")
    def rows() -> Iterator[Any]:
        for reading in readings:
            while not reading.is_concluded:
                yield None
            yield reading.rejected_rows()

    return cast(DltResource, rows)


def rest_api_config(reading: Reading) -> RESTAPIConfig:
    """Configuration for dlt's ``rest_api``: the resource, and unselected, what it depends on."""
    endpoint = reading.endpoint
    if not endpoint.is_list:
        entries: list[Any] = [_parents(reading), _detail_entry(reading)]
    elif endpoint.via:
        entries = _via_entries(reading, *endpoint.via)
    else:
        entries = [_list_entry(reading, endpoint.path, ROWS, _params(reading))]
    client = {"base_url": reading.settings.url_of(endpoint.host), "session": reading.session}
    return cast(RESTAPIConfig, {"client": client, "resources": entries})


def _params(reading: Reading) -> dict[str, Any]:
    sort_by = reading.endpoint.sort_by
    params: dict[str, Any] = {"pageSize": MAX_PAGE_SIZE, **filter_params(reading.endpoint, reading.settings.filters)}
    if sort_by:
        params |= {"sortBy": sort_by, "sortOrder": "desc" if sort_by == "updatedAt" else "asc"}
    return params


def _entry(reading: Reading, name: str, endpoint: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "write_disposition": "merge", "primary_key": reading.endpoint.key, "endpoint": endpoint}


def _list_entry(reading: Reading, path: str, selector: TJsonPath, params: dict[str, Any]) -> dict[str, Any]:
    entry = _entry(reading, reading.endpoint.name, {"path": path, "params": params, "data_selector": selector})
    entry["endpoint"]["paginator"] = Paginator(reading.session, reading.on_page)
    return {**entry, "processing_steps": [{"map": reading.take}, {"filter": _is_some}]}


def _via_entries(reading: Reading, path: str, key: str) -> list[Any]:
    """A list behind each row of another list, or the one that is listed where the host does not know that other one."""
    endpoint = reading.endpoint
    if not reading.session.knows(reading.settings.url_of(endpoint.host) + path, ADMIN_PARAMS):
        return [_list_entry(reading, cast(str, endpoint.listed_path), ROWS, _params(reading))]
    name = path.strip("/")
    via = _entry(reading, name, {"path": path, "params": ADMIN_PARAMS, "data_selector": ITEMS})
    via["endpoint"]["paginator"] = Paginator(reading.session, reading.on_via_page)
    inner = endpoint.path.replace("{" + key + "}", "{resources." + name + "." + key + "}")
    return [{**via, "selected": False}, _list_entry(reading, inner, ITEMS, ADMIN_PARAMS)]


def _detail_entry(reading: Reading) -> dict[str, Any]:
    endpoint = reading.endpoint
    path = endpoint.path.replace("{", "{resources." + cast(str, endpoint.parent) + ".")
    # "$": without a selector dlt guesses one, and loads the byte ranges of an upload in place of its status.
    entry = _entry(reading, endpoint.name, {"path": path, "paginator": "single_page", "data_selector": WHOLE})
    # The answer may lack the id (a status has none): dlt adds the parent's, as "_videos_videoId".
    take = partial(reading.take_detail, f"_{endpoint.parent}_{endpoint.key}")
    steps = [{"map": take}, {"filter": _is_some}]
    return {**entry, "include_from_parent": [endpoint.key], "parallelized": True, "processing_steps": steps}


def _parents(reading: Reading) -> DltResource:
    """Stands for the parent's list: the keys to ask for, from what is loaded; the list is not read again."""

    @dlt.resource(name=cast(str, reading.endpoint.parent), selected=False)
    def parents() -> Iterator[list[dict[str, str]]]:
        yield from reading.parent_batches()

    return cast(DltResource, parents)


class Paginator(BasePaginator):
    """Lets the sync count the pages: ``on_page(body, rows)`` gives the numbers of the next ones, empty at the end."""

    def __init__(self, session: ApiVideoSession, on_page: Callable[[dict[str, Any], list[Any]], range]) -> None:
        super().__init__()
        self._session, self._on_page = session, on_page
        self._next: int | None = 1
        self._parameter, self._order = "currentPage", "asc"

    def __deepcopy__(self, memo: dict[int, Any]) -> Paginator:
        """A fresh one for another list of the same sync (dlt makes one per parent)."""
        return Paginator(self._session, self._on_page)

    def init_request(self, request: Request) -> None:
        """Asks for page 1, with the parameter that goes with the page size's: main API or Admin API."""
        params = request.params or {}
        self._parameter, self._order = "page" if "page_size" in params else "currentPage", params.get("sortOrder", "")
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Hands the answer to the sync; sends for the pages that it will ask for in any case."""
        numbers = self._on_page(response.json(), data if data is not None else [])
        self._next = numbers[0] if numbers else None
        self._has_next_page = bool(numbers)
        if len(numbers) > 1:
            self._session.read_ahead(response.request, (self._url_of(response.request, number) for number in numbers))

    def _url_of(self, request: PreparedRequest, number: int) -> str:
        return re.sub(rf"([?&]{self._parameter}=)\d+", rf"\g<1>{number}", request.url or "")

    def update_request(self, request: Request) -> None:
        """Asks for the page that the sync wants; a negative number is one of the list in the opposite order."""
        if self._next is not None:
            order = {"sortOrder": self._order if self._next > 0 else OPPOSITE[self._order]} if self._order else {}
            request.params = {**(request.params or {}), **order, self._parameter: abs(self._next)}


def _is_some(row: Any) -> bool:
    return row is not None
