"""dlt pipelines: one per resource, and one for the whole dataset."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import dlt
from dlt.common.pipeline import LoadInfo

from include.api_video.messages.masking import sentence_of
from include.api_video.settings.accounts import Account
from include.api_video.settings.destination import duckdb_file
from include.api_video.warehouse.destinations.errors import explained
from include.api_video.warehouse.destinations.make import check_settings, make_destination

log = logging.getLogger("api_video")
WORKING_FILES = "api_video_dlt_"
ABANDONED_S = 2 * 24 * 3600


def make_pipeline(name: str, account: Account, **kwargs: Any) -> dlt.Pipeline:
    """A pipeline into the account's dataset. There is one per resource; all share one dataset and one schema.

    Only ``account.pipeline`` keeps dlt's state, for dlt's own commands. The others read the tables instead (``warehouse``):
    restoring and storing an unused state takes a quarter of the time of a load without news.
    """
    pipeline: dlt.Pipeline = dlt.pipeline(name, destination=make_destination(), dataset_name=account.dataset, **kwargs)
    pipeline.config.restore_from_destination = name == account.pipeline
    if duckdb_file():
        pipeline.load = opened_once(pipeline)  # type: ignore[method-assign]
    return pipeline


def opened_once(pipeline: dlt.Pipeline) -> Any:
    """Keeps the DuckDB file open for the whole load step; dlt would reopen it for each file it loads.

    Opening takes 20 ms, and each close writes all changes to the file (a checkpoint).
    """
    load = pipeline.load

    def load_within(*args: Any, **kwargs: Any) -> LoadInfo:
        with pipeline.sql_client():
            return load(*args, **kwargs)

    return load_within


def refresh_local_view(account: Account) -> None:
    """Lets dlt's commands and ``dlt.pipeline("api_video_pipeline")`` on this machine see the current tables.

    They read a local copy of state and schema, so drop it and fetch the newest. All projects of this user share the copy,
    so a failure to refresh it is only logged: the load has succeeded.
    """
    try:
        make_pipeline(account.pipeline, account).drop().sync_destination()
    except Exception as error:
        log.warning("dlt's local copy of %s could not be refreshed: %s", account.pipeline, sentence_of(error))


@contextmanager
def short_lived_pipeline(name: str, account: Account) -> Iterator[dlt.Pipeline]:
    """A pipeline whose working files are deleted after the block: the destination has everything that counts.

    Raises:
        SettingsError: the destination lacks a package or credentials.
        DestinationError: it cannot be reached.
        DestinationRefusedError: it refuses the login or a statement.
    """
    check_settings()
    for left in Path(gettempdir()).glob(f"{WORKING_FILES}*"):  # left by a killed run
        with suppress(FileNotFoundError):  # another run deleted it just now
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
    with explained(account), TemporaryDirectory(prefix=WORKING_FILES) as folder:
        yield make_pipeline(name, account, pipelines_dir=folder)
