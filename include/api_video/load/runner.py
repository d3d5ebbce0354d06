"""Loads one resource, or all of them: the work of the Airflow tasks, without Airflow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from dlt.common.pipeline import LoadInfo
from dlt.pipeline.exceptions import PipelineStepFailed

from include.api_video.api.origin import DEMO, is_demo
from include.api_video.catalog.endpoints import by_name, in_load_order
from include.api_video.catalog.storable import now_utc
from include.api_video.errors import ApiVideoError, LeftOutError, UnforeseenError, find_cause
from include.api_video.load.key_check import check_key
from include.api_video.load.source import declared_schema, permitted_source
from include.api_video.settings.destination import file_format
from include.api_video.settings.settings import Settings
from include.api_video.warehouse.destinations.errors import describe
from include.api_video.warehouse.destinations.make import check_reach
from include.api_video.warehouse.ledger import LedgerRow, NothingNewError
from include.api_video.warehouse.locks.table_lock import table_lock, timeout_s
from include.api_video.warehouse.pipelines import short_lived_pipeline
from include.api_video.warehouse.upkeep import forget_old_runs
from include.api_video.warehouse.warehouse import Warehouse

T = TypeVar("T")
log = logging.getLogger("api_video")


def prepare_warehouse(settings: Settings) -> None:
    """Creates the tables of all configured resources with all documented columns; drops demo rows, deletes old history.

    Raises:
        ApiVideoKeyError: api.video refuses the key; nothing was changed.
        SettingsError: the destination lacks a package or credentials.
        DestinationError: it cannot be reached.
        DestinationRefusedError: it refuses the login or the tables.
    """
    with short_lived_pipeline("prepare", settings.account) as pipeline:
        timeout_s()  # raises on a malformed setting before anything is loaded
        check_reach(pipeline)
        warehouse, schema = Warehouse(pipeline), declared_schema(settings)
        check_key(warehouse, settings)
        drop_demo_rows(warehouse, settings)
        warehouse.declare(schema)
        forget_old_runs(warehouse, settings.history_days, now_utc())
        warehouse.tidy(schema)


def drop_demo_rows(warehouse: Warehouse, settings: Settings) -> None:
    """Drops the demo's rows, and nothing else, once another API is read."""
    if warehouse.rows_from(DEMO) and not is_demo(settings.base_url):
        counts = warehouse.drop_loaded_from(DEMO)
        told = ", ".join(f"{name} ({count})" for name, count in counts.items())
        log.warning("The demo's rows were dropped, since this run reads %s: %s", settings.base_url, told)


def load_resource(resource: str, settings: Settings, run_id: str, *, full_refresh: bool = False) -> LoadInfo | LedgerRow:
    """Loads one resource through its own pipeline; if nothing is new, returns the ledger's row for ``check_run`` to store.

    Raises:
        LeftOutError: the admin key may not read it.
        TableBusyError: another run is still loading it.
        ApiVideoError: the cause, taken out of dlt's wrapping, that the user can act on. Rows read before it are loaded.
    """
    stops: list[ApiVideoError] = []
    with (
        short_lived_pipeline(resource, settings.account) as pipeline,
        table_lock(pipeline, resource, run_id),
        in_a_sentence(resource),
    ):
        # Made only once the lock is held: its clocks start here.
        source = permitted_source(resource, settings, run_id, full_refresh=full_refresh, on_stop=stops.append)
        loaded = unless_idle(lambda: pipeline.run(source, loader_file_format=file_format()))
    if stops:
        raise stops[0]
    return loaded


def unless_idle(load: Callable[[], T]) -> T | LedgerRow:
    """Runs a load; returns the ledger's row if it ended because nothing was new."""
    try:
        return load()
    except PipelineStepFailed as error:
        idle = find_cause(error, NothingNewError)
        if idle is None:
            raise
        return idle.sync


@contextmanager
def in_a_sentence(resource: str) -> Iterator[None]:
    """Turns an unforeseen error into one sentence, and logs its traceback.

    Raises:
        UnforeseenError: extracting or normalizing rows failed for a reason that has no error class of its own.
    """
    try:
        yield
    except PipelineStepFailed as error:
        # A full disk, for example, is reported as a failure of the destination.
        if find_cause(error) or error.step not in ("extract", "normalize") or describe(error):
            raise
        log.exception("%s failed for a reason that this package does not know", resource)
        raise UnforeseenError(resource, error) from error


def load_all(
    settings: Settings, run_id: str, *, full_refresh: bool = False
) -> Iterator[tuple[str, LoadInfo | LedgerRow | Exception]]:
    """Loads all configured resources, parents before children; yields each one's load info, ledger row or error.

    A child whose parent failed is skipped; the others are still loaded.

    Raises:
        ApiVideoError: the destination cannot be used.
    """
    prepare_warehouse(settings)
    failed: set[str] = set()
    for resource in in_load_order(settings.resources):
        if by_name()[resource].parent in failed:
            failed.add(resource)
            continue
        try:
            yield resource, load_resource(resource, settings, run_id, full_refresh=full_refresh)
        except Exception as error:
            if isinstance(error, LeftOutError):
                log.warning("%s is left out: %s", resource, error)
            else:
                failed.add(resource)
            if not isinstance(error, ApiVideoError):
                log.exception("%s failed for a reason that this package does not know", resource)
            yield resource, error
