"""Writes the archive of the version that is checked out."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from include.api_video.endpoints import ENDPOINTS
from include.api_video.report import check_run
from include.api_video.runner import load_all
from include.api_video.settings import Settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World

HERE = Path(__file__).parent


def load(demo: Demo) -> None:
    """Two runs of all resources, as the plain run does them."""
    resources = tuple(endpoint.name for endpoint in ENDPOINTS)
    login = {"api_key": demo.api_key, "admin_api_key": demo.admin_api_key}
    settings = Settings(base_url=demo.url, admin_base_url=demo.url, resources=resources, **login)
    for run_id in ("run1", "run2"):
        said = {name: str(end) for name, end in load_all(settings, run_id) if isinstance(end, Exception)}
        check_run(settings.account, run_id, resources, said).raise_if_failed()
        demo.world.delete_video(demo.world.ids("videos")[0])


def main(version: str) -> None:
    """Loads, exports, archives."""
    with TemporaryDirectory() as folder, running(World(8), Behaviour(rate_limit=100_000)) as demo:
        file, export = Path(folder) / "warehouse.duckdb", Path(folder) / "export"
        os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = str(file)
        load(demo)
        with duckdb.connect(str(file)) as connection:
            connection.execute(f"EXPORT DATABASE '{export}' (FORMAT parquet, COMPRESSION zstd)")
        shutil.make_archive(str(HERE / version), "zip", export)


if __name__ == "__main__":
    main(sys.argv[1])
