"""dlt's pipelines: one per resource, and one that stands for them all."""

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
    """A pipeline into the account's dataset. One per resource, all share one dataset and one schema.

    Only ``account.pipeline`` has dlt's state, for dlt's own commands: what is loaded is asked of the tables
    (``warehouse``), and to restore and store a state that nobody reads is a quarter of the time of a load without news.
    """
    pipeline: dlt.Pipeline = dlt.pipeline(name, destination=make_destination(), dataset_name=account.dataset, **kwargs)
    pipeline.config.restore_from_destination = name == account.pipeline
    if duckdb_file():
        pipeline.load = opened_once(pipeline)  # type: ignore[method-assign]
    return pipeline


def opened_once(pipeline: dlt.Pipeline) -> Any:
    """The load step with the DuckDB file open from its beginning to its end: dlt opens it anew for each of its own files.

    Each time that costs 20 ms to open, and to close it as much as to write down what changed.
    """
    load = pipeline.load

    def load_within(*args: Any, **kwargs: Any) -> LoadInfo:
        with pipeline.sql_client():
            return load(*args, **kwargs)

    return load_within


def refresh_local_view(account: Account) -> None:
    """Lets dlt's commands and ``dlt.pipeline("api_video_pipeline")`` on this machine see all tables as they are now.

    They read a local copy of state and schema. It is thrown away and fetched anew, since the newest schema counts. The
    copy is shared by all projects of this user, so a failure to renew it is no failure of the load.
    """
    try:
        make_pipeline(account.pipeline, account).drop().sync_destination()
    except Exception as error:
        log.warning("dlt's local copy of %s could not be renewed: %s", account.pipeline, sentence_of(error))


@contextmanager
def short_lived_pipeline(name: str, account: Account) -> Iterator[dlt.Pipeline]:
    """A pipeline whose working files are gone at the end of the block: all that counts is in the destination.

    Raises:
        SettingsError: the destination lacks a package or credentials.
        DestinationError: it cannot be reached.
        DestinationRefusedError: it refuses the login or a statement.
    """
    check_settings()
    for left in Path(gettempdir()).glob(f"{WORKING_FILES}*"):  # by a run that was killed
        with suppress(FileNotFoundError):  # another run ends at this moment
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
    with explained(account), TemporaryDirectory(prefix=WORKING_FILES) as folder:
        yield make_pipeline(name, account, pipelines_dir=folder)
