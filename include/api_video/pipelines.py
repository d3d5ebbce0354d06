"""Where things go: the destination, the dataset, one dlt pipeline per resource, and the plain run of them all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dlt

from include.api_video.settings import PROJECT_DIR

DATASET = "api_video_data"
PIPELINE = "api_video_pipeline"  # stands for all of them: `dlt pipeline api_video_pipeline info`
DUCKDB_FILE = PROJECT_DIR / f"{PIPELINE}.duckdb"  # dlt's own default name, in the project's folder
# dlt's default format for DuckDB, insert_values, takes three times as long and up to eight times the memory.
FILE_FORMAT: Any = "jsonl"


def destination_name() -> str:
    """The destination's type, as dlt names it: duckdb, postgres, bigquery, ..."""
    return os.environ.get("API_VIDEO_DESTINATION") or dlt.config.get("api_video.destination", str) or "duckdb"


def duckdb_file() -> str:
    """Absolute path of the DuckDB file: ``DESTINATION__DUCKDB__CREDENTIALS`` or the project's own."""
    path = dlt.config.get("destination.duckdb.credentials", str) or str(DUCKDB_FILE)
    if ":" in path and not path.startswith("duckdb:///"):
        return path  # motherduck or :memory:, not a file
    return str(Path(path.removeprefix("duckdb:///")).expanduser().absolute())


def make_destination(*, waits: bool = True) -> Any:
    """The destination. DuckDB comes with an absolute path, and waits for the file unless ``waits`` is False."""
    if destination_name() != "duckdb":
        return destination_name()
    if not waits:
        return dlt.destinations.duckdb(duckdb_file())
    from include.api_video.waiting_duckdb import duckdb_that_waits

    return duckdb_that_waits(duckdb_file(), destination_name="duckdb")


def make_pipeline(name: str, **kwargs: Any) -> dlt.Pipeline:
    """The pipeline that loads one resource. Each has its own state, all share one dataset and one schema.

    Parallel tasks with one pipeline name would overwrite each other's state.
    """
    pipeline: dlt.Pipeline = dlt.pipeline(name, destination=make_destination(), dataset_name=DATASET, **kwargs)
    return pipeline


def make_umbrella(**kwargs: Any) -> dlt.Pipeline:
    """The pipeline that people look through, ``api_video_pipeline``: it knows every table, and loads ``_checks``.

    Its destination is plain DuckDB: dlt's commands read its type from the pipeline's state.
    """
    destination = make_destination(waits=False)
    pipeline: dlt.Pipeline = dlt.pipeline(PIPELINE, destination=destination, dataset_name=DATASET, **kwargs)
    return pipeline
