"""Savings for processes that run only our code, such as the plain command."""

from __future__ import annotations

import gc
import sys
import warnings

RARELY = (100_000, 50, 100)  # Python's thresholds: new objects, then collections of the younger generation


def leave_pandas_out() -> None:
    """Keeps pandas and NumPy out of this process, which does not use them.

    If they are installed, DuckDB imports both to check whether a parameter is one of their types: 0.2 s, 50 MB.
    """
    sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]  # None makes an import fail


def leave_dlthub_out() -> None:
    """Keeps dltHub's package, which comes with dlt's dashboard, out of this process: dlt would import it, 0.5 s."""
    sys.modules.setdefault("dlthub", None)  # type: ignore[arg-type]
    warnings.filterwarnings("ignore", "Plugin dlthub from dlthub failed to load")


def collect_rarely() -> None:
    """Makes Python collect cycles rarely. Rows have no cycles, and looking for them takes a twelfth of a first load."""
    gc.freeze()
    gc.set_threshold(*RARELY)
