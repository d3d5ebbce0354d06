"""From a clone to the first tables: `make run` in a fresh clone of the last commit, beside a later `make run`.

    python -m tests.benchmarks.first_minute

Both load the demo into an empty warehouse. Packages come from uv's cache, or over the network. Exit code 1: the first run
takes more than ``MOST`` times as long as a later one.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).resolve().parents[2]
MOST = 2.5
LATER = 3
OURS = ("SOURCES__", "DESTINATION__", "API_VIDEO", "AIRFLOW", "DLT_", "PYTHON", "VIRTUAL_ENV", "MAKE", "MFLAGS")


def user_environment(folder: Path) -> dict[str, str]:
    """The environment of somebody who has just cloned the project, with this machine's settings of pip and uv."""
    path = [part for part in os.environ.get("PATH", "").split(os.pathsep) if not part.startswith(str(PROJECT))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**kept, "PATH": os.pathsep.join(path), "DLT_DATA_DIR": str(folder / "dlt")}


def make_run(clone: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and processor seconds of one `make run` that loads into an empty warehouse.

    Raises:
        SystemExit: it failed; its output is printed.
    """
    (clone / "api_video_pipeline.duckdb").unlink(missing_ok=True)
    python = Path(sys.base_prefix, "bin", "python3")
    began, used = time.monotonic(), processor_s()
    done = subprocess.run(
        ["make", "run", f"PYTHON={python}"], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode or "projects_api_keys  first" not in done.stdout:
        raise SystemExit(f"make run failed ({done.returncode}):\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return time.monotonic() - began, processor_s() - used


def processor_s() -> float:
    """Processor seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Measures both, prints the ratio, and compares it with the limit."""
    with TemporaryDirectory() as folder:
        clone = Path(folder, "a b ü", "clone")  # no name is special to make, sh or Airflow
        subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)
        environment = user_environment(Path(folder))
        first = make_run(clone, environment)
        later = [make_run(clone, environment) for _ in range(LATER)]
        size = sum(path.lstat().st_size for path in (clone / ".venv").rglob("*") if path.is_file())
        with_uv = "this machine's uv" if shutil.which("uv", path=environment["PATH"]) else "uv put into .venv by pip"
    seconds, processor = (median(run[i] for run in later) for i in (0, 1))
    ratio = first[0] / seconds
    print(
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores, Python {sys.version.split()[0]}, {with_uv}: the "
        f"first `make run` took {ratio:.1f} x as long as a later one (at most {MOST}): {first[0]:.1f} s and {seconds:.1f} "
        f"s, of the processor {first[1]:.1f} s and {processor:.1f} s. .venv has {size / 1e6:.0f} MB."
    )
    return int(ratio > MOST)


if __name__ == "__main__":
    sys.exit(main())
