"""Sets the package's clock."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from include.api_video.catalog import storable
from include.demo_api.clock import FileClock


def replace_clock(now: Callable[[], datetime], put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Replaces the clock in all imported modules of the package; modules imported later take it from them."""
    put(storable, "now_utc", now)
    for name, module in list(sys.modules.items()):
        if name.startswith("include.api_video") and hasattr(module, "now_utc"):
            put(module, "now_utc", now)


def run_at(clock: str, module: str) -> None:
    """Runs a module like ``python -m``, at the time of a file (``FileClock``)."""
    replace_clock(FileClock(Path(clock)))
    runpy.run_module(module, run_name="__main__", alter_sys=True)
