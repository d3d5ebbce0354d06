"""Writes the archive of the checked-out version."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from include.demo_api.behaviour import Behaviour
from include.demo_api.server import running
from include.demo_api.world import World
from tests.integration.conftest import Warehouse

HERE = Path(__file__).parent


def main(version: str) -> None:
    """Runs all resources twice, then exports and archives the tables."""
    with TemporaryDirectory() as folder, running(World(8), Behaviour(rate_limit=100_000)) as demo:
        file, export = Path(folder) / "warehouse.duckdb", Path(folder) / "export"
        os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = str(file)
        warehouse = Warehouse(demo, file)
        for _ in range(2):
            warehouse.load().report.raise_if_failed()
            demo.world.delete_video(demo.world.ids("videos")[0])
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"EXPORT DATABASE '{export}' (FORMAT parquet, COMPRESSION zstd)")
        shutil.make_archive(str(HERE / version), "zip", export)


if __name__ == "__main__":
    main(sys.argv[1])
