"""Runs one resource, or all of them: what an Airflow task does, without Airflow."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

from dlt.common.pipeline import LoadInfo

from include.api_video.endpoints import Host, by_name
from include.api_video.errors import ApiVideoError, ApiVideoPermissionError, find_cause
from include.api_video.pipelines import FILE_FORMAT, short_lived_pipeline
from include.api_video.settings import Settings
from include.api_video.source import api_video_source, declared_schema
from include.api_video.warehouse import Warehouse

log = logging.getLogger("api_video")


def prepare_warehouse(settings: Settings) -> None:
    """Creates the tables of all resources of the settings, with all documented columns."""
    with short_lived_pipeline("prepare") as pipeline:
        Warehouse(pipeline).declare(declared_schema(settings))


def load_resource(resource: str, settings: Settings, run_id: str, *, full_refresh: bool = False) -> LoadInfo:
    """Loads one resource through its own pipeline.

    Raises:
        ApiVideoError: what the user can act on, taken out of dlt's wrapping.
    """
    make_source = partial(api_video_source, [resource], settings=settings, run_id=run_id)
    with short_lived_pipeline(resource) as pipeline:
        try:
            return pipeline.run(make_source(full_refresh=full_refresh), loader_file_format=FILE_FORMAT)
        except ApiVideoPermissionError as error:
            if by_name()[resource].host is not Host.ADMIN:
                raise
            log.warning("%s is left out: %s", resource, error)
            return pipeline.run(make_source(skipped=True), loader_file_format=FILE_FORMAT)
        except Exception as error:
            cause = find_cause(error)
            if cause is None:
                raise
            raise cause from None


def load_all(
    settings: Settings, run_id: str, *, full_refresh: bool = False
) -> Iterator[tuple[str, LoadInfo | ApiVideoError]]:
    """Loads all resources of the settings, each parent before its children; gives each one's load info or error.

    A child whose parent failed is left out; other resources go on.
    """
    failed: set[str] = set()
    for resource in settings.resources:
        if by_name()[resource].parent in failed:
            failed.add(resource)
            continue
        try:
            yield resource, load_resource(resource, settings, run_id, full_refresh=full_refresh)
        except ApiVideoError as error:
            failed.add(resource)
            yield resource, error
