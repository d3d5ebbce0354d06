"""Modules that the package's own processes leave out, checked in a process as users start it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from include.api_video.settings.config import PROJECT_DIR

LOOK = "import gc, sys; print(gc.get_threshold()[0] > 10_000, bool(sys.modules.get('dlthub')))"


@pytest.mark.parametrize(("module", "told"), [("__main__", "True False"), ("load.runner", "False True")])
def test_a_plain_run_imports_nothing_of_the_dashboard(module: str, told: str) -> None:
    """With the dashboard installed, as for tests, the plain runner would import it."""
    command = [sys.executable, "-c", f"import include.api_video.{module}; {LOOK}"]

    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == (f"{told}\n", ""), "also no warning of what was left out"
