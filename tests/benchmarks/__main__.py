"""``python -m tests.benchmarks``: this package beside a plain dlt pipeline and the floor, in one run on one machine.

Rows are compared with the API before a time counts. Writes ``results.md`` and ``results.json`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import duckdb

from tests.benchmarks.measure import PROJECT, Measured, measure, serving
from tests.demo_client import DemoClient

HERE = Path(__file__).parent
OURS, PLAIN, FLOOR, READING = "api_video", "plain dlt", "floor", "reading only"
SECTION = "SOURCES__API_VIDEO_SOURCE__"


@dataclass
class Result:
    """A contender in a scenario: the runs that were measured, and whether its rows were the API's."""

    scenario: str
    contender: str
    runs: list[Measured] = field(default_factory=list)
    note: str = ""

    @property
    def seconds(self) -> float:
        """Median."""
        return statistics.median(run.seconds for run in self.runs)


class Bench:
    """Files and results of one run of the benchmark."""

    def __init__(self, folder: Path, repeat: int) -> None:
        self.folder, self.repeat = folder, repeat
        self.results: dict[tuple[str, str], Result] = {}

    def run(self, scenario: str, contender: str, api: DemoClient, *resources: str, fresh: bool = False) -> None:
        """Runs a contender once and notes it; ``fresh`` starts it from nothing."""
        file = self.folder / f"{contender.replace(' ', '_')}.duckdb"
        if fresh:
            for left in (file, file.with_suffix(".duckdb.wal")):
                left.unlink(missing_ok=True)
            shutil.rmtree(f"{file}.dlt", ignore_errors=True)  # what plain dlt keeps beside its file
        environment = {
            **api.settings,
            "BENCH_URL": api.url,
            "BENCH_KEY": api.settings[SECTION + "API_KEY"],
            "DESTINATION__DUCKDB__CREDENTIALS": str(file),
            SECTION + "RESOURCES": json.dumps(resources or ["videos"]),
            "DLT_DATA_DIR": str(self.folder / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        commands = {
            OURS: ["-m", "include.api_video", "run"],
            PLAIN: ["-m", "tests.benchmarks.plain_dlt", str(file), *resources],
            FLOOR: ["-m", "tests.benchmarks.floor", str(file)],
            READING: ["-c", "from tests.benchmarks.floor import main; main('', load=False)"],
        }
        # The baselines run with the defaults of dlt, not with this project's configuration.
        place = PROJECT if contender == OURS else self.folder
        measured = measure(api, [sys.executable, *commands[contender]], environment, place)
        result = self.results.setdefault((scenario, contender), Result(scenario, contender))
        result.runs.append(measured)
        if contender != READING:
            result.note = compare(file, contender, api)
        print(f"{scenario:34} {contender:12} {measured.seconds:7.1f} s {measured.peak_mb:6.0f} MB", result.note, flush=True)


def compare(file: Path, contender: str, api: DemoClient) -> str:
    """Why the rows that a contender loaded are not the API's; empty where they are."""
    dataset = {OURS: "api_video_data.videos WHERE removed_at IS NULL", PLAIN: "plain.videos"}.get(contender, "main.videos")
    key = "videoId" if contender == FLOOR else "video_id"
    with duckdb.connect(str(file)) as connection:
        rows = connection.execute(f"SELECT {key}, title FROM {dataset}").fetchall()
    listed = {row["videoId"]: row["title"] for row in api.listed("videos")}
    if len(rows) != len(dict(rows)):
        return f"rows differ: {len(rows) - len(dict(rows))} twice"
    wrong = sum(listed.get(key) != title for key, title in rows) + len(listed.keys() - dict(rows).keys())
    return f"rows differ: {wrong}" if wrong else ""


def first_load(bench: Bench, videos: int) -> None:
    """From nothing, then once more although nothing changed, then after changes."""
    with serving(videos) as api:
        repeat = bench.repeat if videos <= 20_000 else 1
        for _ in range(repeat):
            for contender in (OURS, FLOOR, PLAIN):
                bench.run(f"first load, {videos:,} videos", contender, api, fresh=True)
        for _ in range(repeat):
            for contender in (OURS, PLAIN):
                bench.run(f"nothing changed, {videos:,} videos", contender, api)
        ids = api.ids("videos")
        for video_id in ids[: videos // 100]:
            api.change("update", key=video_id, title="changed")
        for contender in (OURS, PLAIN):
            bench.run(f"1% changed, {videos:,} videos", contender, api)
        api.change("delete", key=ids[videos // 2])
        for contender in (OURS, PLAIN):
            bench.run(f"one deleted, {videos:,} videos", contender, api)


def first_load_with_latency(bench: Bench, videos: int) -> None:
    """With 0.1 s an answer, beside reading the pages one after another with nothing else."""
    with serving(videos) as api:
        api.behave(latency_s=0.1)
        for contender in (OURS, READING):
            bench.run(f"first load, {videos:,} videos, 0.1 s", contender, api, fresh=True)


def details_under_a_limit(bench: Bench, videos: int) -> None:
    """A status per video at 100 requests per 6 s; the limit allows ``(n / 100 - 1) * 6`` seconds for n requests."""
    with serving(videos) as api:
        bench.run("(warm)", OURS, api, "videos", fresh=True)  # the list is not what is measured
        bench.results.pop(("(warm)", OURS))
        api.behave(rate_limit=100, rate_window_s=6)
        for contender in (OURS, PLAIN):
            bench.run(f"{videos} statuses, 100 per 6 s", contender, api, "videos", "video_status", fresh=contender == PLAIN)


SCENARIOS: dict[str, Callable[[Bench, int], None]] = {
    "first": first_load,
    "latency": first_load_with_latency,
    "details": details_under_a_limit,
}


def table(results: list[Result]) -> str:
    """The results as Markdown."""
    lines = [
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"dlt {version('dlt')}, duckdb {version('duckdb')}. Seconds are medians and include the start of Python.",
        "",
        "| scenario | contender | requests | 429 | seconds | x floor | peak MB | rows |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for result in results:
        floor = next((r for r in results if r.scenario == result.scenario and r.contender in (FLOOR, READING)), None)
        ratio = f"{result.seconds / floor.seconds:.1f}" if floor else ""
        peak = max(run.peak_mb for run in result.runs)
        last = result.runs[-1]
        rows = "" if result.contender == READING else result.note or "equal"
        cells = [
            result.scenario,
            result.contender,
            last.requests,
            last.refused,
            f"{result.seconds:.1f}",
            ratio,
            f"{peak:.0f}",
        ]
        lines.append("| " + " | ".join(map(str, [*cells, rows])) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Parses the command line, runs the scenarios, writes the results."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--sizes", default="1,2000,20000,100000", help="videos of the first loads (default: %(default)s)")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="default: %(default)s")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, up to 20,000 videos (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for results.md and results.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.repeat)
        sizes = [int(size) for size in options.sizes.split(",")]
        for name in options.scenarios.split(","):
            for videos in {"first": sizes, "latency": [max(size for size in sizes if size <= 20_000)], "details": [900]}[
                name
            ]:
                SCENARIOS[name](bench, videos)
    results = list(bench.results.values())
    (options.output / "results.json").write_text(json.dumps([asdict(result) for result in results], indent=1))
    (options.output / "results.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
