"""``python -m tests.benchmarks``: this package beside plain dlt, a Singer tap and the floor, in one run on one machine.

Rows are compared with the API before a time counts. Writes the table of ``docs/benchmarks.md``, and a picture.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.naming import snake
from tests.benchmarks import hourly, singer
from tests.benchmarks.lists import TEXTS
from tests.benchmarks.measure import PROJECT, Measured, measure, serving
from tests.benchmarks.results import EMPTY, FLOOR, OURS, PLAIN, READING, SINGER, Result, read, table, write
from tests.demo_client import DemoClient

SECTION = "SOURCES__API_VIDEO_SOURCE__"


class Bench:
    """Files and results of one run of the benchmark."""

    def __init__(self, folder: Path, repeat: int) -> None:
        self.folder, self.repeat = folder, repeat
        self.results: dict[tuple[str, str], Result] = {}

    def run(self, scenario: str, contender: str, api: DemoClient, *resources: str, fresh: bool = False) -> None:
        """Runs a contender once and records the result; ``fresh`` starts it with an empty warehouse."""
        file = self.folder / f"{contender.replace(' ', '_')}.duckdb"
        if fresh:
            for left in (file, file.with_suffix(".duckdb.wal")):
                left.unlink(missing_ok=True)
            shutil.rmtree(f"{file}.dlt", ignore_errors=True)  # plain dlt's working folder
        environment = {
            **api.settings,
            "BENCH_URL": api.url,
            "BENCH_KEY": api.settings[SECTION + "API_KEY"],
            "DESTINATION__DUCKDB__CREDENTIALS": str(file),
            SECTION + "RESOURCES": json.dumps(resources or ["videos"]),
            "DLT_DATA_DIR": str(self.folder / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        # The baselines run with the defaults of dlt, not with this project's configuration.
        place = PROJECT if contender == OURS else self.folder
        measured = measure(api, self._command(contender, file, environment, resources or ("videos",)), environment, place)
        lists = [name for name in resources or ("videos",) if by_name()[name].is_list]
        self.note(scenario, contender, measured, "" if contender == READING else compare(file, contender, api, lists))

    def _command(self, contender: str, file: Path, environment: dict[str, str], resources: Sequence[str]) -> list[str]:
        """The command of a contender."""
        if contender == SINGER:
            return singer.command(file, environment["BENCH_URL"], environment["BENCH_KEY"], resources)
        paths = [f"{name}={by_name()[name].path}" for name in resources]
        command = {
            OURS: ["-m", "include.api_video", "run"],
            PLAIN: ["-m", "tests.benchmarks.plain_dlt", str(file), *map(in_words, resources)],
            FLOOR: ["-m", "tests.benchmarks.floor", str(file), *paths],
            READING: ["-c", "from tests.benchmarks.floor import main; main('', 'videos=/videos', load=False)"],
        }
        return [sys.executable, *command[contender]]

    def note(self, scenario: str, contender: str, measured: Measured, note: str = "") -> None:
        """Records a run, and prints it."""
        result = self.results.setdefault((scenario, contender), Result(scenario, contender))
        result.runs.append(measured)
        result.note = note
        print(f"{scenario:38} {contender:12} {measured.seconds:7.1f} s {measured.peak_mb:6.0f} MB", note, flush=True)


def in_words(resource: str) -> str:
    """A list as an argument of the plain pipeline: name, path, key, sort field."""
    endpoint = by_name()[resource]
    return "=".join([resource, endpoint.path, endpoint.key, endpoint.sort_by or ""]) if endpoint.is_list else resource


def compare(file: Path, contender: str, api: DemoClient, lists: Sequence[str]) -> str:
    """How the rows of a contender differ from the API's; empty if they are equal."""
    wrong = twice = 0
    with duckdb.connect(str(file)) as connection:
        for name in lists:
            key, text = by_name()[name].key, TEXTS[name]
            table = {OURS: f"api_video_data.{name} WHERE removed_at IS NULL", PLAIN: f"plain.{name}"}.get(contender, name)
            columns = f"{snake(key)}, {text}" if contender in (OURS, PLAIN) else f"{key}, {text}"
            rows = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
            listed = {row[key]: row.get(text) for row in api.listed(name)}
            twice += len(rows) - len(dict(rows))
            wrong += len({found for found, _ in set(rows) ^ set(listed.items())})
    if twice:
        return f"rows differ: {twice} twice"
    return f"rows differ: {wrong}" if wrong else ""


def first_load(bench: Bench, videos: int) -> None:
    """A first load, then a run without changes, then runs after changes."""
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


def five_lists(bench: Bench, videos: int) -> None:
    """Whole runs of five lists: a first load, then a run without changes."""
    with serving(videos) as api:
        scenario = f"{videos:,} videos and four lists"
        for _ in range(bench.repeat if videos <= 20_000 else 1):
            for contender in (OURS, FLOOR, PLAIN, SINGER):
                bench.run(f"first load, {scenario}", contender, api, *TEXTS, fresh=True)
        for contender in (OURS, PLAIN, SINGER):
            bench.run(f"nothing changed, {scenario}", contender, api, *TEXTS)


def first_load_with_latency(bench: Bench, videos: int) -> None:
    """A first load with a latency of 0.1 s, beside only reading the pages one after another."""
    with serving(videos) as api:
        api.behave(latency_s=0.1)
        for contender in (OURS, READING):
            bench.run(f"first load, {videos:,} videos, 0.1 s", contender, api, fresh=True)


def details_under_a_limit(bench: Bench, videos: int) -> None:
    """A status per video at 100 requests per 6 s; the limit allows ``(n / 100 - 1) * 6`` seconds for n requests."""
    with serving(videos) as api:
        bench.run("(warm)", OURS, api, "videos", fresh=True)  # the list is not measured
        bench.results.pop(("(warm)", OURS))
        api.behave(rate_limit=100, rate_window_s=6)
        for contender in (OURS, PLAIN):
            bench.run(f"{videos} statuses, 100 per 6 s", contender, api, "videos", "video_status", fresh=contender == PLAIN)


def hour_in_airflow(bench: Bench, videos: int) -> None:
    """An hour without changes, by ``airflow dags test`` and by a scheduler, beside a DAG of as many empty tasks."""
    contenders = dict(zip(hourly.DAG_IDS, (OURS, EMPTY), strict=True))
    with serving(videos) as api, hourly.both_dags(bench.folder / "airflow") as airflow:
        hourly.dags_test(airflow, api, OURS)  # the first load is not measured
        for _ in range(bench.repeat):
            for dag_id, contender in contenders.items():
                measured = hourly.dags_test(airflow, api, dag_id)
                bench.note("an hour without changes, dags test", contender, measured)
        with hourly.scheduler(airflow, api) as server:
            for dag_id in contenders:
                server.trigger(dag_id)  # the first run waits until the scheduler knows the DAG
            for _ in range(bench.repeat):
                for dag_id, contender in contenders.items():
                    bench.note("an hour without changes, scheduler", contender, hourly.scheduled(server, api, dag_id))


def large_library(bench: Bench, videos: int) -> None:
    """A million videos: a first load, hours of each kind, the first two runs of details."""
    with serving(videos) as api:
        bench.run(f"first load, {videos:,} videos", OURS, api, fresh=True)
        bench.run(f"nothing changed, {videos:,} videos", OURS, api)
        ids = api.ids("videos")
        for video_id in ids[: videos // 1000]:
            api.change("update", key=video_id, title="changed")
        bench.run(f"0.1% changed, {videos:,} videos", OURS, api)
        api.change("delete", key=ids[videos // 2])
        bench.run(f"one deleted, {videos:,} videos", OURS, api)
        for number in (1, 2):
            bench.run(f"statuses of {videos:,} videos, run {number}", OURS, api, "videos", "video_status")


SCENARIOS: dict[str, Callable[[Bench, int], None]] = {
    "first": first_load,
    "lists": five_lists,
    "latency": first_load_with_latency,
    "details": details_under_a_limit,
    "hour": hour_in_airflow,
    "large": large_library,
}
ON_REQUEST = ("large",)


def main() -> None:
    """Parses the command line, runs the scenarios, writes the results."""
    usual = [name for name in SCENARIOS if name not in ON_REQUEST]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--sizes", default="1,2000,20000,100000", help="videos of the first loads (default: %(default)s)")
    parser.add_argument("--scenarios", default=",".join(usual), help=f"default: %(default)s; also: {', '.join(ON_REQUEST)}")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, up to 20,000 videos (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=PROJECT / "docs", help="folder for the results (default: docs)")
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw what was measured before")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # imports would cost two to three times as much
    results = read(options.output) if options.draw else measure_all(options)
    if not options.draw and (options.output / "benchmarks.json").exists():
        results = renewed(read(options.output), results)
    write(results, options.output)
    print(table(results))


def renewed(before: list[Result], measured: list[Result]) -> list[Result]:
    """Merges new results with earlier ones: a scenario is replaced as a whole, and one that was not run stays."""
    new = {(result.scenario, result.contender): result for result in measured}
    return [new.pop((result.scenario, result.contender), result) for result in before] + list(new.values())


def measure_all(options: argparse.Namespace) -> list[Result]:
    """Runs the chosen scenarios."""
    sizes = [int(size) for size in options.sizes.split(",")]
    videos = {
        "first": sizes,
        "lists": [size for size in sizes if size >= 20_000] or sizes[-1:],
        "latency": [max(size for size in sizes if size <= 20_000)],
        "details": [900],
        "hour": [300],
        "large": [1_000_000],
    }
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.repeat)
        for name in options.scenarios.split(","):
            for count in videos[name]:
                SCENARIOS[name](bench, count)
    return list(bench.results.values())


if __name__ == "__main__":
    main()
