"""What a run did and proved, as data.

It is rendered as a table for logs and terminals, as JSON for Airflow's XCom, as rows of ``_checks`` and as an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import dlt
from tabulate import tabulate

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.naming import CHECKS, SKIPPED, SYNCS
from include.api_video.catalog.storable import now_utc, utc
from include.api_video.errors import RefusedError
from include.api_video.proof.checks import AS_DOCUMENTED, FIELDS, NOT_PROVEN, PASSED, Check, RunFacts, run_checks
from include.api_video.settings.accounts import Account
from include.api_video.settings.destination import file_format
from include.api_video.settings.schedule import schedule_or_hourly
from include.api_video.settings.settings import DEFAULT_UNPROVEN_HOURS
from include.api_video.warehouse.ledger import SUMMED, LedgerRow, is_newer, read_run, skipped, to_json
from include.api_video.warehouse.pipelines import refresh_local_view, short_lived_pipeline
from include.api_video.warehouse.schema import CHECKS_COLUMNS, SCHEMA_NAME, schema_of, show_delta_tables
from include.api_video.warehouse.warehouse import Warehouse

SHOWN = ("active_rows", "new_rows", "changed_rows", "removed_rows", "requests", "expected_requests")


class ValidationError(RefusedError):
    """A check failed. Running the checks again cannot help."""


@dataclass(frozen=True)
class Report:
    """One run: the ledger's rows (``_syncs``), the checks, and how long they stay fresh (None: for ever)."""

    run_id: str
    checked_at: datetime
    syncs: Sequence[dict[str, Any]]
    checks: Sequence[Check]
    fresh_for: timedelta | None = None

    @property
    def failed(self) -> list[Check]:
        """The failed checks."""
        return [check for check in self.checks if check.passed is False]

    @property
    def unproven(self) -> list[Check]:
        """The checks that are not proven: neither passed nor failed."""
        return [check for check in self.checks if check.passed is None]

    def to_json(self) -> dict[str, Any]:
        """The report in plain values; times as ISO 8601."""
        return {
            "run_id": self.run_id,
            "checked_at": self.checked_at.isoformat(),
            "passed": not self.failed,
            "proven": not self.failed and not self.unproven,
            "fresh_for_s": self.fresh_for.total_seconds() if self.fresh_for else None,
            "groups": {str(sync["resource"]): by_name()[str(sync["resource"])].group for sync in self.syncs},
            "syncs": [to_json(sync) for sync in self.syncs],
            "checks": [vars(check) for check in self.checks],
        }

    def proof(self) -> dict[str, Any]:
        """The proof in short, with the number of tables read. The page counts its row of proven runs by it."""
        read = [sync for sync in self.syncs if sync["mode"] != SKIPPED]
        return {
            "checked_at": self.checked_at.isoformat(),
            "passed": not self.failed,
            "proven": not self.failed and not self.unproven,
            "tables": len(read),
            "source": next((str(sync["base_url"]) for sync in read if sync["base_url"]), None),
        }

    def summary(self) -> dict[str, Any]:
        """What consumers of a load may want to know: rows, changes, load ids, checks."""
        sums = {name: sum(int(sync[name] or 0) for sync in self.syncs) for name in SUMMED}
        loads = [str(sync["load_id"]) for sync in self.syncs if sync["load_id"]]
        passed = sum(check.passed is True for check in self.checks)
        checks = {"passed": passed, "not_proven": _lines(self.unproven), "failed": _lines(self.failed)}
        return {"run_id": self.run_id, **sums, "load_ids": loads, "checks": checks}

    def rows(self) -> list[dict[str, Any]]:
        """The rows for ``_checks``."""
        return [
            {
                "run_id": self.run_id,
                "checked_at": self.checked_at,
                "table_name": check.table,
                "check_name": check.name,
                "passed": check.passed,
                "outcome": check.outcome,
                "expected": check.expected,
                "found": check.found,
                "note": check.note,
            }
            for check in self.checks
        ]

    def raise_if_failed(self) -> None:
        """Raises ValidationError if a check failed, with table, check, expected and found value."""
        if self.failed:
            lines = [f"  {line}" for line in _lines(self.failed)]
            raise ValidationError("\n".join([f"{len(self.failed)} of {len(self.checks)} checks failed:", *lines]))

    def __str__(self) -> str:
        headers = ["resource", "mode", "rows", "new", "changed", "removed", "requests", "expected", "seconds", "checks"]
        right = ("left", "left", *["right"] * 7, "left")
        table = tabulate([self._line(sync) for sync in self.syncs], headers, colalign=right if self.syncs else None)
        head = f"Run {self.run_id}, checked at {self.checked_at:%Y-%m-%d %H:%M:%S} UTC"
        fields = [f"NOTE {check}" for check in self.checks if check.name == FIELDS and check.found != AS_DOCUMENTED]
        unproven = [f"NOT PROVEN {line}" for line in _lines(self.unproven)]
        return "\n".join([head, table, *fields, *unproven, *(f"FAILED {line}" for line in _lines(self.failed))])

    def _line(self, sync: dict[str, Any]) -> list[Any]:
        checks = [check for check in self.checks if check.table == sync["resource"]]
        counts = Counter(check.outcome for check in checks)
        started_at, finished_at = utc(sync["started_at"]), utc(sync["finished_at"])
        seconds = f"{(finished_at - started_at).total_seconds():.1f}" if started_at and finished_at else ""
        numbers = [sync[name] for name in SHOWN]
        verdict = f"{counts[PASSED]}/{len(checks)} passed" if checks else ""
        if sync["mode"] == SKIPPED and counts[PASSED] == len(checks):
            verdict = "not checked"  # the checks passed, but on rows of an earlier run
        verdict += f", {counts[NOT_PROVEN]} not proven" if counts[NOT_PROVEN] else ""
        return [sync["resource"], sync["mode"], *("" if n is None else n for n in numbers), seconds, verdict]


def _lines(checks: Sequence[Check]) -> list[str]:
    return by_sentence(checks, lambda check: check.verdict)


def by_sentence(checks: Sequence[Check], say: Callable[[Check], str]) -> list[str]:
    """One line per kind of failure, with all tables that failed so."""
    tables: dict[str, list[str]] = {}
    for check in checks:
        tables.setdefault(say(check), []).append(check.table)
    return [f"{', '.join(names)}: {sentence}" for sentence, names in tables.items()]


def check_run(
    account: Account,
    run_id: str,
    resources: Sequence[str],
    errors: Mapping[str, str],
    left_out: Collection[str] = (),
    idle: Iterable[LedgerRow] = (),
    *,
    unproven_hours: float = DEFAULT_UNPROVEN_HOURS,
) -> Report:
    """Makes all checks and stores them in ``_checks``; completes the ledger with resources left out or without changes.

    Args:
        account: account whose tables are checked.
        run_id: run to check.
        resources: tables to check.
        errors: error message by resource whose task failed.
        left_out: resources that the run did not load.
        idle: ledger rows of resources without changes, which no load has stored.
        unproven_hours: how long a table may stay not proven.
    """
    schema = schema_of(resources)
    with short_lived_pipeline(account.pipeline, account) as pipeline:
        warehouse, now = Warehouse(pipeline), now_utc()
        with warehouse.declared(schema) as query:
            growth = warehouse.read_growth(schema)
            stored = read_run(query, run_id)
            # If the run is validated a second time, the ledger has them already.
            noted = {sync["resource"]: sync for sync in idle if is_newer(sync, stored.get(sync["resource"]))}
            syncs = {**stored, **noted}
            noted |= {
                name: skipped(name, run_id, warehouse.count_active(name), now) for name in left_out if name not in syncs
            }
            base_url = next((sync["base_url"] for sync in syncs.values() if sync["mode"] != SKIPPED), None)
            fresh_for, unproven_for = schedule_or_hourly(account).fresh_for, timedelta(hours=unproven_hours)
            facts = RunFacts(run_id, now, errors, noted, growth.first_seen, base_url, unproven_for, fresh_for)
            checks = run_checks(warehouse, resources, facts)
            report = Report(run_id, now, _in_order({**syncs, **noted}), checks, fresh_for)

        @dlt.source(schema=growth.schema, section=SCHEMA_NAME)
        def checks_source() -> Any:
            def rows() -> Any:
                show_delta_tables(dlt.current.source_schema())
                yield report.rows()

            def noted_rows() -> Any:
                load_id = dlt.current.load_package_state()["load_id"]
                yield [{**sync, "load_id": load_id} for sync in noted.values()]

            yield dlt.resource(rows, name=CHECKS, write_disposition="append")
            yield dlt.resource(noted_rows, name=SYNCS, write_disposition="append")

        pipeline.run(checks_source(), loader_file_format=file_format())
    refresh_local_view(account)
    return report


def check_resource(account: Account, resource: str, run_id: str) -> Report:
    """Checks one table right after its load; stores nothing."""
    with short_lived_pipeline(account.pipeline, account) as pipeline:
        warehouse, now = Warehouse(pipeline), now_utc()
        with warehouse.connect() as query:
            growth = warehouse.read_growth(schema_of([resource]))
            checks = run_checks(warehouse, [resource], RunFacts(run_id, now, {}, {}, growth.first_seen))
            syncs = read_run(query, run_id)
    return Report(run_id, now, [sync for name, sync in syncs.items() if name == resource], checks)


def read_last_report(account: Account) -> Report | None:
    """The report of the latest checked run, read from the destination; None if there is none."""
    with short_lived_pipeline(account.pipeline, account) as pipeline:
        warehouse = Warehouse(pipeline)
        names = [column.path for column in CHECKS_COLUMNS]
        with warehouse.connect() as query:
            table = query.table(CHECKS)
            if not query.exists(CHECKS):
                return None
            last = f"(SELECT max(checked_at) FROM {table})"
            rows = query.rows(f"SELECT {', '.join(names)} FROM {table} WHERE checked_at = {last}")
            if not rows:
                return None
            checks = [_check_of(dict(zip(names, row, strict=True))) for row in rows]
            run_id, checked_at = str(rows[0][0]), utc(rows[0][1])
            return Report(run_id, checked_at or now_utc(), _in_order(read_run(query, run_id)), checks)


def _check_of(row: Mapping[str, Any]) -> Check:
    passed = None if row["passed"] is None else bool(row["passed"])
    return Check(row["table_name"], row["check_name"], passed, row["expected"], row["found"], row["note"] or "")


def _in_order(syncs: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [syncs[name] for name in by_name() if name in syncs]
