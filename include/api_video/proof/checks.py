"""The checks of a load: what must hold for every table, checked in the destination with plain SQL.

Results are data (``Check``); ``report`` renders them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from dlt.destinations.exceptions import DatabaseUndefinedRelation

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import REJECTED, SKIPPED, columns_of, snake, table_and_column, tables_of
from include.api_video.catalog.storable import utc
from include.api_video.proof.analytics_checks import SUMS, sums_of
from include.api_video.proof.completeness import EXPECTED
from include.api_video.settings.schedule import ON_THE_HOUR
from include.api_video.settings.settings import DEFAULT_UNPROVEN_HOURS
from include.api_video.sync.lost_fields import fields_of
from include.api_video.warehouse.asked_lists import parent_column
from include.api_video.warehouse.ledger import RATED_OVER, LedgerRow, newest, read_syncs
from include.api_video.warehouse.sql import Query
from include.api_video.warehouse.warehouse import Warehouse

FIELDS, AS_DOCUMENTED = "fields", "as documented"
SYNCED = "synced"  # the check whose note says why a table's task failed
NO_ROW = "no row in _syncs"
OF_EARLIER = "Checked on rows that an earlier run read."


PASSED, FAILED, NOT_PROVEN = "passed", "failed", "not proven"
DIFFERS = "The table differs from the API's list; a full refresh reloads it."
OUTCOMES = {True: PASSED, False: FAILED, None: NOT_PROVEN}


@dataclass(frozen=True)
class Check:
    """One check of one table. ``note`` says what the result means.

    ``passed`` is None for "not proven": the rows are loaded, but nothing shows that they are all.
    """

    table: str
    name: str
    passed: bool | None
    expected: str
    found: str
    note: str = ""

    @property
    def outcome(self) -> str:
        """``passed`` in words."""
        return OUTCOMES[self.passed]

    def __str__(self) -> str:
        return f"{self.table}: {self.verdict}"

    @property
    def verdict(self) -> str:
        """The check in words, without the table."""
        return f"{self.name}: expected {self.expected}, found {self.found}. {self.note}".strip()


@dataclass(frozen=True)
class RunFacts:
    """Facts about the checked run that its tables do not hold.

    Attributes:
        errors: error message by resource whose task failed.
        noted: ledger rows to store with the checks, of resources left out or without changes.
        first_seen: when undeclared columns first came, by table and column (``Growth``).
        base_url: API that the run read, if it read any: what was loaded from the demo proves nothing about an account.
        unproven_for: how long a table may stay not proven.
        fresh_for: how old a table may be; None: any age.
    """

    run_id: str
    now: datetime
    errors: Mapping[str, str]
    noted: Mapping[str, LedgerRow]
    first_seen: Mapping[str, Mapping[str, datetime]]
    base_url: str | None = None
    unproven_for: timedelta = timedelta(hours=DEFAULT_UNPROVEN_HOURS)
    fresh_for: timedelta | None = ON_THE_HOUR.fresh_for


@dataclass(frozen=True)
class Synced:
    """The ledger's rows of one resource: that of this run (None: its task left none), and the newest that read anything."""

    this_run: LedgerRow | None
    newest: LedgerRow | None

    @property
    def is_left_out(self) -> bool:
        """Whether this run skipped it on purpose."""
        return self.this_run is not None and self.this_run["mode"] == SKIPPED


def run_checks(warehouse: Warehouse, resources: Sequence[str], facts: RunFacts) -> list[Check]:
    """All checks of ``resources``, in the order of the table of endpoints."""
    checks: list[Check] = []
    with warehouse.connect() as query:
        for endpoint in by_name().values():
            if endpoint.name in resources:
                checks.extend(_tell_apart(_check_resource(query, endpoint, facts)))
    return checks


def _tell_apart(checks: Iterable[Check]) -> Iterator[Check]:
    """Marks checks that prove nothing about this run, because it did not read their table."""
    synced, *others = checks
    yield synced
    is_read = synced.found not in (SKIPPED, NO_ROW)
    yield from others if is_read else (replace(check, note=f"{check.note} {OF_EARLIER}".strip()) for check in others)


def _check_resource(query: Query, endpoint: Endpoint, facts: RunFacts) -> Iterator[Check]:
    def stored(condition: str, *args: str | None) -> LedgerRow | None:
        return next(iter(read_syncs(query, f"WHERE resource = %s AND {condition}", endpoint.name, *args)), None)

    noted = facts.noted.get(endpoint.name)
    read = noted if noted and noted["mode"] != SKIPPED else None
    reading = stored(f"mode <> '{SKIPPED}' AND base_url = COALESCE(%s, base_url)", facts.base_url)
    synced = Synced(noted or stored("run_id = %s", facts.run_id), newest(read, reading))
    lost = f"Not run, since {endpoint.parent} failed." if endpoint.parent in facts.errors else None
    yield _check_synced(endpoint, synced, None if synced.is_left_out else facts.errors.get(endpoint.name, lost))
    if synced.newest is None:
        return  # never loaded: nothing to check yet
    yield _check_fresh(endpoint, synced, facts)
    yield _check_columns(query, endpoint)
    for check in (
        _check_loads,
        partial(_check_complete, facts),
        partial(_check_rejected, facts),
        _check_unique,
        _check_keys,
        _check_orphans,
    ):
        try:
            yield check(query, endpoint, synced.newest)
        except DatabaseUndefinedRelation:
            function = check.func if isinstance(check, partial) else check
            name = function.__name__.removeprefix("_check_")
            yield Check(endpoint.name, name, False, "a table", "none", "It was dropped.")
    yield from _check_sums(query, endpoint, str(synced.newest["base_url"]))
    yield from _check_evolution(query, endpoint, facts)


def _check_synced(endpoint: Endpoint, synced: Synced, error: str | None) -> Check:
    mode = str(synced.this_run["mode"]) if synced.this_run else NO_ROW
    passed = synced.this_run is not None and error is None
    note = error or ("" if passed else "Its task failed or did not run: see the task's log.")
    return Check(endpoint.name, SYNCED, passed, "a sync of this run", mode, note)


def _check_fresh(endpoint: Endpoint, synced: Synced, facts: RunFacts) -> Check:
    finished_at = utc(synced.newest and synced.newest["finished_at"])
    age = facts.now - finished_at if finished_at else timedelta.max
    note = "Left out of this run." if synced.is_left_out else ""
    found = f"{age.total_seconds() / 3600:.1f} h"
    if facts.fresh_for is None:
        return Check(endpoint.name, "fresh", True, "any age, since runs have no schedule", found, note)
    expected = f"at most {facts.fresh_for.total_seconds() / 3600:.3g} h old"
    return Check(endpoint.name, "fresh", synced.is_left_out or age <= facts.fresh_for, expected, found, note)


def _check_columns(query: Query, endpoint: Endpoint) -> Check:
    missing = []
    for table, columns in columns_of(endpoint).items():
        try:
            present = query.columns(table)
        except DatabaseUndefinedRelation:
            present = []
        missing += [f"{table}.{name}" for name in columns if name not in present]
    found = "all there" if not missing else "without " + ", ".join(missing)
    return Check(endpoint.name, "columns", not missing, "all documented columns", found)


def _check_loads(query: Query, endpoint: Endpoint, sync: dict[str, Any]) -> Check:
    ledger = 1
    if sync["load_id"]:  # else it is stored with the checks
        loads = query.table("_dlt_loads")
        ((ledger,),) = query.rows(f"SELECT count(*) FROM {loads} WHERE load_id = %s AND status = 0", sync["load_id"])
    ((rows,),) = query.rows(
        f"SELECT count(*) FROM {query.table(endpoint.name)} "
        f"WHERE removed_at IS NULL AND _dlt_load_id NOT IN {query.complete_loads}"
    )
    found = f"{rows} rows of unfinished loads" + ("" if ledger else ", last load package unfinished")
    note = "" if ledger and not rows else "A load was killed halfway; the next run repairs it."
    return Check(endpoint.name, "loads", bool(ledger) and not rows, "0 rows of unfinished loads", found, note)


def _check_complete(facts: RunFacts, query: Query, endpoint: Endpoint, sync: dict[str, Any]) -> Check:
    ((rows,),) = query.rows(f"SELECT count(*) FROM {query.table(endpoint.name)} WHERE removed_at IS NULL")
    active, expected = int(rows), EXPECTED[endpoint.sync](sync)
    check = partial(Check, endpoint.name, "complete", found=f"{active} rows")
    if unread := int(sync["unread_rows"] or 0):
        note = (
            f"The API did not give {unread} of what was requested: the task's log names it, the next run requests it again."
        )
        return check(passed=False, expected=f"{expected.most} rows", note=note)
    if sync["unproven"]:
        since = utc(sync["unproven_since"]) or facts.now
        note = f"{sync['unproven']} Not proven since {since:%Y-%m-%d %H:%M}."
        # Even without proof, the rows that were loaded must be there.
        is_overdue = facts.now - since >= facts.unproven_for or active != int(sync["active_rows"] or 0)
        return check(passed=False if is_overdue else None, expected=f"{expected.most} rows", note=note)
    is_there = active in expected
    note = expected.note if is_there or expected.least < expected.most else f"{expected.note} {DIFFERS}".strip()
    return check(passed=is_there, expected=str(expected), note=note)


def _check_rejected(facts: RunFacts, query: Query, endpoint: Endpoint, _: dict[str, Any]) -> Check:
    """Rows that the API lists and the table cannot hold."""
    reasons = query.rows(
        f"SELECT reason, count(*), min(read_at) FROM {query.table(REJECTED)} WHERE resource = %s "
        "GROUP BY reason ORDER BY 2 DESC, 1",
        endpoint.name,
    )
    note = "They are in _rejected and are requested again at each run; all other rows are loaded. " if reasons else ""
    note += " ".join(f"{reason} ({count})" for reason, count, _ in reasons)
    note += " Nothing is lost: if it stays so, tell api.video's support which rows these are." if reasons else ""
    rows = sum(int(count) for _, count, _ in reasons)
    is_overdue = any(facts.now - (utc(since) or facts.now) >= facts.unproven_for for _, _, since in reasons)
    passed = True if not rows else False if is_overdue else None
    return Check(endpoint.name, "rejected", passed, "0 rows that cannot be loaded", str(rows), note)


def _check_unique(query: Query, endpoint: Endpoint, _: dict[str, Any]) -> Check:
    key = snake(endpoint.key)
    ((twice,),) = query.rows(f"SELECT count({key}) - count(DISTINCT {key}) FROM {query.table(endpoint.name)}")
    return Check(endpoint.name, "unique", not twice, f"0 rows with a {key} seen before", str(twice))


def _check_keys(query: Query, endpoint: Endpoint, _: dict[str, Any]) -> Check:
    key, without = snake(endpoint.key), 0
    for table in tables_of(endpoint):  # child tables have a copy of their parent's key
        ((count,),) = query.rows(f"SELECT count(*) FROM {query.table(table)} WHERE {key} IS NULL")
        without += int(count)
    return Check(endpoint.name, "keys", not without, f"0 rows without {key}", str(without))


def _check_orphans(query: Query, endpoint: Endpoint, _: dict[str, Any]) -> Check:
    """Counts details without their parent's row, and rows of child tables without the row they belong to."""
    orphans = 0
    if endpoint.parent and query.exists(endpoint.parent):
        parent = by_name()[endpoint.parent]
        column = parent_column(endpoint) if endpoint.sync.is_list_per_parent else snake(endpoint.key)
        ids = column, parent.name, snake(parent.key)
        orphans += _count_lost(query, endpoint.name, *ids, only="c.removed_at IS NULL AND ")
    for child in tables_of(endpoint)[1:]:
        orphans += _count_lost(query, child, "_dlt_parent_id", endpoint.name, "_dlt_id")
    return Check(endpoint.name, "orphans", not orphans, "0 rows without their parent", str(orphans))


def _count_lost(query: Query, table: str, column: str, parent: str, parent_column: str, only: str = "") -> int:
    ((count,),) = query.rows(
        f"SELECT count(*) FROM {query.table(table)} c WHERE {only}NOT EXISTS "
        f"(SELECT 1 FROM {query.table(parent)} p WHERE p.{parent_column} = c.{column})"
    )
    return int(count)


def _check_sums(query: Query, endpoint: Endpoint, base_url: str) -> Iterator[Check]:
    """Whether numbers add up to the totals that they are parts of."""
    compare = sums_of(endpoint)
    try:
        sums = compare(query) if compare else None
    except DatabaseUndefinedRelation:
        return  # another check tells that a table was dropped
    if sums:
        yield Check(endpoint.name, SUMS, *sums.judged(base_url))


def _check_evolution(query: Query, endpoint: Endpoint, facts: RunFacts) -> Iterator[Check]:
    """Schema evolution (new and lost fields), and how far updatedAt can be trusted. Reported, never a failure."""
    changes = [*_new_fields(endpoint, facts.first_seen), *_lost_fields(query, endpoint)]
    note = "Every value was kept." if changes else ""
    yield Check(endpoint.name, FIELDS, True, AS_DOCUMENTED, "; ".join(changes) or AS_DOCUMENTED, note)
    if endpoint.sync.has_cursor:
        yield _check_cursor(query, endpoint, facts)


def _new_fields(endpoint: Endpoint, first_seen: Mapping[str, Mapping[str, datetime]]) -> Iterator[str]:
    declared = tables_of(endpoint)
    for table, columns in first_seen.items():
        if table in declared:
            for column, seen_at in columns.items():
                base, is_variant, data_type = column.partition("__v_")
                what = f"{table}.{base} also comes as {data_type}" if is_variant else f"new field {table}.{column}"
                yield f"{what} (first seen {seen_at:%Y-%m-%d %H:%M})"
        elif table.startswith(f"{endpoint.name}__"):
            yield f"new list {table} (first seen {min(columns.values()):%Y-%m-%d %H:%M})"


def _lost_fields(query: Query, endpoint: Endpoint) -> Iterator[str]:
    lost: dict[str, datetime | None] = {}
    for sync in reversed(read_syncs(query, "WHERE resource = %s AND lost_fields IS NOT NULL", endpoint.name)):
        for field in str(sync["lost_fields"]).split(", "):
            lost.setdefault(field, utc(sync["finished_at"]))
    paths = fields_of(endpoint)
    for field, lost_at in lost.items():
        if lost_at and field in paths and not _came_back(query, endpoint, paths[field], lost_at):
            yield f"{field} is no longer sent (first seen {lost_at:%Y-%m-%d %H:%M})"


def _came_back(query: Query, endpoint: Endpoint, path: str, lost_at: datetime) -> bool:
    """Whether a row read after ``lost_at`` has a value in the field."""
    table, column = table_and_column(endpoint.name, path)
    key = snake(endpoint.key)
    try:
        ((count,),) = query.rows(
            f"SELECT count(*) FROM {query.table(table)} c JOIN {query.table(endpoint.name)} r ON r.{key} = c.{key} "
            f"WHERE c.{column} IS NOT NULL AND r._read_at > %s",
            lost_at,
        )
    except DatabaseUndefinedRelation:
        return False  # another check reports that the table was dropped
    return bool(count)


def _check_cursor(query: Query, endpoint: Endpoint, facts: RunFacts) -> Check:
    """How many rows reconciliations found changed although their updatedAt stayed the same."""
    syncs = read_syncs(query, "WHERE resource = %s AND finished_at > %s", endpoint.name, facts.now - RATED_OVER)
    if noted := facts.noted.get(endpoint.name):
        syncs.insert(0, noted)
    drifted = sum(int(sync["drifted_rows"] or 0) for sync in syncs)
    rows = sum(int(sync["active_rows"] or 0) for sync in syncs if sync["mode"] == "full")
    found = f"{drifted} of {rows} rows ({drifted / rows:.3%})" if rows else f"{drifted} rows, no reconciliation yet"
    expected = f"rows that changed while updatedAt stayed the same, {RATED_OVER.days} days"
    notes = ["They were merged all the same."] if drifted else []
    if syncs and syncs[0]["is_sorted"] is False:
        notes.append("The API does not sort this list by updatedAt, so each run reads it whole and misses no change.")
    return Check(endpoint.name, "cursor", True, expected, found, " ".join(notes))
