"""Fills a warehouse with years of ledger, checks and loads, as hourly runs leave them: copies of its newest run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from include.api_video.warehouse.ledger import SYNCS_COLUMNS
from include.api_video.warehouse.schema import CHECKS_COLUMNS

Ask = Callable[[str], list[tuple[Any, ...]]]
Put = Callable[[str, list[str], str], object]  # table, its columns, a query for rows
LEDGER = ("_checks", "_syncs", "_dlt_loads")


COLUMNS = {
    "_checks": [*(column.path for column in CHECKS_COLUMNS), "_dlt_load_id", "_dlt_id"],
    "_syncs": [*(column.path for column in SYNCS_COLUMNS), "_dlt_load_id", "_dlt_id"],
    "_dlt_loads": ["load_id", "schema_name", "status", "inserted_at", "schema_version_hash"],
}


def write_runs(ask: Ask, begin: datetime, end: datetime, put: Put | None = None, **checks: str) -> None:
    """One run per hour from ``begin`` to ``end``, copied from the newest run; the first of a day is a reconciliation.

    ``put`` stores rows where SQL cannot. ``checks`` are expressions for columns of ``_checks``, with the hour ``h`` and the
    copied row ``r``.
    """
    hours = (
        f"generate_series(TIMESTAMPTZ '{begin}', TIMESTAMPTZ '{end - timedelta(hours=1)}', INTERVAL '1' HOUR) AS hours(h)"
    )
    second, run = "CAST(CAST(extract(epoch FROM h) AS BIGINT) AS VARCHAR)", "'old__' || CAST(h AS VARCHAR)"
    row_id = f"md5({second} || r._dlt_id)"
    ((newest,),) = ask("SELECT run_id FROM _checks ORDER BY checked_at DESC, run_id LIMIT 1")
    load = f"{second} || '.' || r.resource"
    syncs = {
        "run_id": run, "mode": "CASE WHEN extract(hour FROM h) = 0 THEN 'full' ELSE 'changes' END", "started_at": "h",
        "finished_at": "h", "load_id": load, "_dlt_load_id": load, "_dlt_id": row_id,
        "new_rows": "0", "changed_rows": "0", "removed_rows": "0", "restored_rows": "0", "drifted_rows": "0",
    }  # fmt: skip
    made = {"run_id": run, "checked_at": "h", "_dlt_load_id": f"{second} || '.checks'", "_dlt_id": row_id, **checks}
    loads = {"load_id": load, "status": "0", "inserted_at": "h"}
    for table, values, rows in (
        ("_checks", made, f"SELECT * FROM _checks WHERE run_id = '{newest}'"),
        ("_syncs", syncs, f"SELECT * FROM _syncs WHERE run_id = '{newest}'"),
        (
            "_dlt_loads",
            loads,
            "SELECT l.*, n.resource FROM (SELECT * FROM _dlt_loads ORDER BY inserted_at DESC LIMIT 1) l, "
            f"(SELECT resource FROM _syncs WHERE run_id = '{newest}' UNION ALL SELECT 'checks') n",
        ),
    ):
        names = COLUMNS[table]
        selected = ", ".join(f"{values[name]} AS {name}" if name in values else f"r.{name}" for name in names)
        question = f"SELECT {selected} FROM {hours}, ({rows}) r"
        if put:
            put(table, names, question)
        else:
            ask(f"INSERT INTO {table} ({', '.join(names)}) {question}")


def count(ask: Ask) -> dict[str, int]:
    """Number of rows in each table of the ledger."""
    return {table: int(ask(f"SELECT count(*) FROM {table}")[0][0]) for table in LEDGER}
