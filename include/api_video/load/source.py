"""The dlt source: turns the table of endpoints into configurations of dlt's ``rest_api``.

The path of an answer: ``client`` sends the request and checks the answer, dlt's ``rest_api`` selects the rows,
``Paginator`` passes them to the reading, whose sync names the next page. ``redaction`` cleans each row, the sync keeps new
and changed rows, dlt loads them. The ledger's row is in the same load package: both land, or neither does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import dlt
from dlt.extract import DltResource
from dlt.sources.rest_api import rest_api_resources
from dlt.sources.rest_api.typing import RESTAPIConfig

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Host
from include.api_video.catalog.naming import ASKED, REJECTED, SYNCS
from include.api_video.errors import ApiVideoError, ApiVideoPermissionError, LeftOutError
from include.api_video.load.kinds import KINDS
from include.api_video.load.reading import Reading
from include.api_video.messages.progress import Progress
from include.api_video.settings.demo import check_meant
from include.api_video.settings.settings import Settings, read_settings
from include.api_video.warehouse.ledger import NothingNewError
from include.api_video.warehouse.schema import SCHEMA_NAME, schema_of


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
        resources: names from the table of endpoints; None takes those switched on in the settings. A child resource
            fetches objects of parents that are already loaded, so load it after its parent.
        settings: None reads them from the environment and ``include/.dlt``.
        run_id: written into the ledger.
        full_refresh: drop the tables and load them again.
        on_stop: called with the error that ended a reading early. Raise it after the load: the rows read so far are
            loaded all the same.
        store_idle: load the ledger's row even if nothing is new; False raises NothingNewError, which carries the row.
        clock: seconds, for speed and time left.

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
            KINDS[endpoint.sync](endpoint, settings, run_id, schema, progress, full_refresh=full_refresh, on_stop=on_stop)
            for endpoint in chosen
        ]
        yield ledger(readings, progress, store_idle=store_idle)  # first: dlt starts with it, and it shows the progress
        yield rejected(readings)
        yield asked(readings)
        for reading in readings:
            yield from rest_api_resources(rest_api_config(reading))

    return source()


def permitted_source(
    resource: str, settings: Settings, run_id: str, *, full_refresh: bool, on_stop: Callable[[ApiVideoError], object]
) -> dlt.sources.DltSource:
    """The source of one resource. If nothing is new, it raises NothingNewError while dlt extracts.

    Raises:
        ApiVideoPermissionError: the API key may not read the resource.
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
    """The schema of all resources that this installation loads, so that all their tables exist after the first load."""
    return schema_of({*settings.resources, *more})


def ledger(readings: Sequence[Reading], progress: Progress, *, store_idle: bool) -> DltResource:
    """Resource ``_syncs``: one row per reading, emitted once that reading is done."""

    @dlt.resource(name=SYNCS, write_disposition="append")
    def rows() -> Iterator[Any]:
        with progress:  # dlt always closes this generator, which also clears the progress bar
            for reading in readings:
                # Yielding None lets dlt go on with the other resources.
                while not reading.is_done:
                    yield None
                sync = reading.conclude()
                if not reading.has_news and not store_idle:
                    raise NothingNewError({**sync, "load_id": None})
                yield sync

    return cast(DltResource, rows)


def rejected(readings: Sequence[Reading]) -> DltResource:
    """Resource ``_rejected``: what cannot be a row, emitted once each reading is done.

    Appended, not merged: all resources share the table, so two merges at once would share its staging table, too.
    """

    @dlt.resource(name=REJECTED, write_disposition="append")
    def rows() -> Iterator[Any]:
        for reading in readings:
            while not reading.is_concluded:
                yield None
            yield reading.rejected_rows()

    return cast(DltResource, rows)


def asked(readings: Sequence[Reading]) -> DltResource:
    """Resource ``_asked``: what became of the lists that were requested, emitted once each reading is done.

    Appended, for the same reason.
    """

    @dlt.resource(name=ASKED, write_disposition="append")
    def rows() -> Iterator[Any]:
        for reading in readings:
            while not reading.is_concluded:
                yield None
            yield reading.asked_rows()

    return cast(DltResource, rows)


def rest_api_config(reading: Reading) -> RESTAPIConfig:
    """Configuration for dlt's ``rest_api``."""
    client = {"base_url": reading.settings.url_of(reading.endpoint.host), "session": reading.session}
    return cast(RESTAPIConfig, {"client": client, "resources": reading.requests()})
