"""A Singer tap (``singer_tap``) with target-duckdb, in an environment of its own, which the benchmark makes."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.measure import PROJECT

FOLDER = PROJECT / ".venv-singer"
REQUIREMENTS = Path(__file__).with_name("singer.txt")
TAP = Path(__file__).with_name("singer_tap.py")
INSTALL_TIMEOUT_S = 600


class NoSingerError(Exception):
    """The environment of the Singer tap cannot be made here; the message says why."""


def environment() -> Path:
    """The folder with its commands; makes it if it is missing or differs from ``singer.txt``.

    Raises:
        NoSingerError: the packages cannot be installed.
    """
    ready, wanted = FOLDER / "ready", REQUIREMENTS.read_text()
    if not ready.exists() or ready.read_text() != wanted:
        shutil.rmtree(FOLDER, ignore_errors=True)
        for command in _install():
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
            if done.returncode:
                reason = (done.stderr or done.stdout).strip().splitlines()[-1:]
                raise NoSingerError(f"Singer's packages (tests/benchmarks/singer.txt) cannot be installed: {reason}")
        ready.write_text(wanted)
    return FOLDER / "bin"


def _install() -> list[list[str]]:
    python, packages = str(FOLDER / "bin" / "python"), ["--requirement", str(REQUIREMENTS)]
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        into = ["--python", python, "--compile-bytecode", "--quiet"]
        return [[uv, "venv", "--quiet", "--python", sys.executable, str(FOLDER)], [uv, "pip", "install", *into, *packages]]
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[sys.executable, "-m", "venv", str(FOLDER)], [*pip, *packages]]


def command(file: Path, url: str, key: str, lists: Sequence[str]) -> list[str]:
    """The command that loads the lists into ``file``: two processes with a pipe between them, as usual with Singer.

    Raises:
        NoSingerError: see ``environment``.
    """
    programs, tap, target = environment(), file.with_suffix(".tap.json"), file.with_suffix(".target.json")
    tap.write_text(json.dumps({"url": url, "key": key, "lists": list(lists)}))
    target.write_text(json.dumps({"path": str(file), "default_target_schema": "main"}))
    reads = shlex.join([str(programs / "python"), str(TAP), "--config", str(tap)])
    loads = shlex.join([str(programs / "target-duckdb"), "--config", str(target)])
    return ["bash", "-c", f"set -o pipefail; {reads} | {loads}"]
