"""Where things go: the destination, the dataset, one dlt pipeline per resource, and the plain run of them all."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

import dlt

from include.api_video.settings import PROJECT_DIR

log = logging.getLogger("api_video")
DATASET = "api_video_data"
PIPELINE = "api_video_pipeline"  # stands for all of them: `dlt pipeline api_video_pipeline info`
DUCKDB_FILE = PROJECT_DIR / f"{PIPELINE}.duckdb"  # dlt's own default name, in the project's folder
# dlt's default format for DuckDB, insert_values, takes three times as long and up to eight times the memory.
FILE_FORMAT: Any = "jsonl"
WORKING_FILES = "api_video_dlt_"
ABANDONED_S = 2 * 24 * 3600


def destination_name() -> str:
    """The destination's type, as dlt names it: duckdb, postgres, bigquery, ..."""
    return os.environ.get("API_VIDEO_DESTINATION") or dlt.config.get("api_video.destination", str) or "duckdb"


def duckdb_file() -> str:
    """Absolute path of the DuckDB file: ``DESTINATION__DUCKDB__CREDENTIALS`` or the project's own."""
    path = dlt.config.get("destination.duckdb.credentials", str) or str(DUCKDB_FILE)
    if ":" in path and not path.startswith("duckdb:///"):
        return path  # motherduck or :memory:, not a file
    return str(Path(path.removeprefix("duckdb:///")).expanduser().absolute())


def make_destination() -> Any:
    """The destination; DuckDB comes with an absolute path, and waits for the file where another process has it."""
    if destination_name() != "duckdb":
        return destination_name()
    from include.api_video.waiting_duckdb import duckdb_that_waits

    return duckdb_that_waits(duckdb_file())


def make_pipeline(name: str, **kwargs: Any) -> dlt.Pipeline:
    """A pipeline into the dataset. One per resource, all share one dataset and one schema.

    Only ``PIPELINE`` has dlt's state, for dlt's own commands: what is loaded is asked of the tables (``warehouse``), and to
    restore and store a state that nobody reads is a quarter of the time of a load without news.
    """
    pipeline: dlt.Pipeline = dlt.pipeline(name, destination=make_destination(), dataset_name=DATASET, **kwargs)
    pipeline.config.restore_from_destination = name == PIPELINE
    return pipeline


def refresh_local_view() -> None:
    """Lets dlt's commands and ``dlt.pipeline("api_video_pipeline")`` on this machine see all tables as they are now.

    They read a local copy of state and schema. It is thrown away and fetched anew, since the newest schema counts. The
    copy is shared by all projects of this user, so a failure to renew it is no failure of the load.
    """
    try:
        make_pipeline(PIPELINE).drop().sync_destination()
    except Exception as error:
        log.warning("dlt's local copy of %s could not be renewed: %s", PIPELINE, error)


@contextmanager
def short_lived_pipeline(name: str) -> Iterator[dlt.Pipeline]:
    """A pipeline whose working files are gone at the end of the block: all that counts is in the destination."""
    for left in Path(gettempdir()).glob(f"{WORKING_FILES}*"):  # by a run that was killed
        with suppress(FileNotFoundError):  # another run ends at this moment
            if time.time() - left.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=WORKING_FILES) as folder:
        yield make_pipeline(name, pipelines_dir=folder)
