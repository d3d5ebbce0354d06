"""The pinned versions can be installed on every supported Python, not only on the one that runs the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.local.install import find_uv
from include.local.pip_settings import read_pip_options, uv_environment
from tests.airflow_home import PROJECT
from tests.lacking import leave_out

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_all_requirements_fit_together(python: str) -> None:
    if (uv := find_uv(Path(sys.prefix))) is None:
        leave_out("tests of the pinned versions need uv: pip install uv")
    environment = dict(os.environ)
    environment |= uv_environment(read_pip_options(sys.executable, environment), environment)
    command = [str(uv), "pip", "compile", "--quiet", "--no-header", "--python-version", python, "requirements-dev.txt"]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if "error sending request" in done.stderr.lower():
        leave_out("tests of the pinned versions need a network")
    assert done.returncode == 0, done.stderr
    assert "apache-airflow==" in done.stdout
