"""The series of the page's charts. No I/O: runs in, plain values out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api_video_airflow.runs import Run

MOST_LINES = 9  # of a chart: there are as many colours
CHANGES = ("new_rows", "changed_rows", "removed_rows", "drifted_rows")


def series(oldest_first: Sequence[Run], names: Sequence[str]) -> dict[str, Any]:
    """Rows of the largest tables per run, and sums over the tables that each run read."""
    last: dict[str, Any] = {}
    rows: dict[str, list[Any]] = {name: [] for name in names}
    sums: dict[str, list[int]] = {name: [] for name in (*CHANGES, "requests", "expected_requests")}
    for run in oldest_first:
        for name in names:
            last[name] = run.syncs.get(name, {}).get("active_rows", last.get(name))
            rows[name].append(last[name])
        for name, values in sums.items():
            values.append(sum(int(sync.get(name) or 0) for sync in run.read.values()))
    largest = sorted(names, key=lambda name: rows[name][-1] or 0 if rows[name] else 0, reverse=True)[:MOST_LINES]
    # drifted_rows are part of changed_rows, and the chart stacks the two.
    pairs = zip(sums["changed_rows"], sums["drifted_rows"], strict=True)
    sums["changed_rows"] = [changed - drifted for changed, drifted in pairs]
    return {
        "runs": [moment.isoformat() if (moment := run.started_at or run.ended_at) else "" for run in oldest_first],
        "failed": [run.state == "failed" for run in oldest_first],
        "rows": {name: rows[name] for name in names if name in largest},
        "seconds": [run.length_s for run in oldest_first],
        **sums,
    }
