"""What a process of our own can do without, where nobody else's code runs in it: the plain command."""

from __future__ import annotations

import gc
import sys
import warnings

RARELY = (100_000, 50, 100)  # objects, and younger collections, before a collection


def leave_pandas_out() -> None:
    """Keeps pandas and NumPy out of this process, which has no use for them.

    DuckDB would import both, where they are installed, to ask of each parameter whether it is one of theirs: 0.2 s, 50 MB.
    """
    sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]  # Python's own way to say that there is none


def leave_dlthub_out() -> None:
    """Keeps dltHub's package, which comes with dlt's dashboard, out of this process: dlt would import all of it, 0.5 s."""
    sys.modules.setdefault("dlthub", None)  # type: ignore[arg-type]
    warnings.filterwarnings("ignore", "Plugin dlthub from dlthub failed to load")


def collect_rarely() -> None:
    """Has Python look for cycles rarely: rows have none, and to go through all objects takes a twelfth of a first load."""
    gc.freeze()
    gc.set_threshold(*RARELY)
