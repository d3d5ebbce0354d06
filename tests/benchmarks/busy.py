"""The cost of a list that changes all the time while it is read: ``python -m tests.benchmarks.busy``.

For each size and rate: a first load and a full look, each while videos are added, changed, deleted and discarded; then one
more run after the changes have stopped, which must leave the table equal to the list.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import duckdb
from tabulate import tabulate

from include.api_video.load.runner import load_all
from include.api_video.proof.report import check_run
from include.api_video.settings.config import use_project_config
from include.api_video.settings.settings import Settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.oddities import Traffic
from include.demo_api.server import Demo, running
from include.demo_api.world import World

KINDS = ("add", "update", "update", "delete", "discard")


def main() -> None:
    """Prints a row of the table for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, nargs="+", default=[5_000, 50_000])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 2, 10], help="changes a second")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds an answer takes")
    options = parser.parse_args()
    use_project_config()
    lines = [line for videos in options.videos for rate in options.rates for line in measure(videos, rate, options.latency)]
    headers = ["videos", "a second", "run", "seconds", "changes", "pages", "requests", "asked", "kept", "outcome"]
    print(tabulate(lines, headers))


def measure(videos: int, rate: float, latency_s: float) -> list[list[object]]:
    """Measures the runs over one library."""
    world = World(videos)
    world.step_s = 1 / rate
    behaviour = Behaviour(rate_limit=10**9, latency_s=latency_s)
    with running(world, behaviour) as demo, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "busy.duckdb"
        os.environ["DESTINATION__DUCKDB__CREDENTIALS"] = str(file)
        lines = []
        for run in ("first", "full", "after"):
            traffic = Traffic(per_second=rate, kinds=KINDS)
            behaviour.traffic[:] = [] if run == "after" else [traffic]
            lines.append([videos, rate, run, *load(demo, file, traffic, is_full=run == "full")])
        assert active(file) == set(world.ids("videos")), "not equal after the changes have stopped"
    return lines


def load(demo: Demo, file: Path, traffic: Traffic, *, is_full: bool) -> list[object]:
    """One run: seconds, changes, pages of the list, requests for pages and for single videos, whether all rows that were
    listed all the time are there, and what is proven.
    """
    settings = Settings(demo.api_key, base_url=demo.url, resources=("videos",), full_check_hours=0 if is_full else 24)
    before, started = set(demo.world.ids("videos")), time.monotonic()
    demo.reset_log()
    results = dict(load_all(replace(settings), f"{time.time()}"))
    seconds = time.monotonic() - started
    demo.behaviour.traffic.clear()
    errors = {name: str(result) for name, result in results.items() if isinstance(result, Exception)}
    idle = [result for result in results.values() if isinstance(result, dict)]
    report = check_run(settings.account, "", settings.resources, errors, (), idle)
    lists = sum(request.path == "/videos" for request in demo.log)
    kept = before & set(demo.world.ids("videos")) <= active(file)
    outcome = next(check.outcome for check in report.checks if check.name == "complete")
    pages = -(-len(demo.world.ids("videos")) // 100)
    return [f"{seconds:.1f}", traffic.made, pages, lists, len(demo.log) - lists, kept, outcome]


def active(file: Path) -> set[str]:
    """Keys of the rows that are loaded and not removed."""
    with duckdb.connect(str(file)) as connection:
        sql = "SELECT video_id FROM api_video_data.videos WHERE removed_at IS NULL"
        return {key for (key,) in connection.execute(sql).fetchall()}


if __name__ == "__main__":
    main()
