"""Makes dlt's destination from the settings, of a class of our own where dlt's does not do.

Which destinations there are: ``settings.destination``.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from pathlib import Path
from typing import Any

from dlt.common.destination import Destination
from dlt.common.exceptions import MissingDependencyException

from include.api_video.settings.config import state_of_settings
from include.api_video.settings.destination import FOLDER, destination_name, duckdb_file, local_file
from include.api_video.warehouse.destinations.configured_once import configured_once


def check_settings() -> None:
    """Checks what is known without a connection.

    Raises:
        SettingsError: a setting of a file or of a lake is missing or malformed.
    """
    local_file()
    if destination_name() in ("duckdb", "ducklake"):
        from include.api_video.warehouse.destinations.duckdb import check_limits

        check_limits()


def make_destination() -> Any:
    """The destination. If it is a file, it waits while another process has it open; a DuckDB file has an absolute path.

    The same one for all pipelines of a process, as long as the settings stay: each would look up its configuration anew.
    """
    return _make_destination(destination_name(), duckdb_file(), *state_of_settings())


@lru_cache(maxsize=1)
def _make_destination(name: str, file: Path | None, *_: Hashable) -> Any:
    destination: Any
    if file:
        from include.api_video.warehouse.destinations.duckdb import duckdb_that_waits

        destination = duckdb_that_waits(str(file))
    elif name == "ducklake":
        from include.api_video.warehouse.destinations.ducklake import ducklake_that_waits

        destination = ducklake_that_waits()
    elif name == FOLDER:
        try:
            from include.api_video.warehouse.destinations.delta_lake import delta_lake
        except ModuleNotFoundError as error:
            raise MissingDependencyException("Delta tables", ["dlt[deltalake]"]) from error

        destination = delta_lake()
    else:
        destination = configured_once(Destination.from_reference(name))
    return destination


def check_reach(pipeline: Any) -> None:
    """Connects to the destination, to find early what a load would only find after minutes.

    Raises:
        DatabaseException: it does not answer, or refuses.
    """
    if destination_name() == "ducklake":
        from include.api_video.warehouse.destinations.ducklake import check_bucket

        check_bucket(pipeline)
