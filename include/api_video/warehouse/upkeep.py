"""Deletes old runs from ledger and checks, so that they do not grow over the years.

Every run adds one row per resource to ``_syncs``, one per check to ``_checks`` and one per load to ``_dlt_loads``. All rows
of the last ``history_days`` stay. An older run is deleted as a whole, unless one of its rows still matters:

- in ``_checks``: the newest row of a day per table and check, or one whose outcome differs from the one before.
- in ``_syncs``: the newest row of a day per resource, mode, API and whether its load finished; one with lost fields; the
  newest that restored rows. So every query of the ledger has the same answer as before.

``_dlt_loads`` says which loads finished: an id stays as long as a row of any table has it.

The SQL is plain: read the keys, then delete by key, in batches.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from dlt.common.json import json

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.naming import CHECKS, SYNCS
from include.api_video.catalog.storable import utc
from include.api_video.messages.masking import sentence_of
from include.api_video.warehouse.ledger import RATED_OVER
from include.api_video.warehouse.schema import OWN_TABLES, SCHEMA_NAME
from include.api_video.warehouse.sql import Query
from include.api_video.warehouse.warehouse import Warehouse

LOADS, VERSIONS, STATES = "_dlt_loads", "_dlt_version", "_dlt_pipeline_state"
LONGEST_DAYS = 36_500  # more could overflow a timestamp
KEYS_AT_ONCE = 20_000
LONGEST_S = 60.0  # per table and day: a long history in a slow warehouse is deleted over several days
log = logging.getLogger("api_video")


def forget_old_runs(warehouse: Warehouse, history_days: int, now: datetime) -> None:
    """Deletes runs older than ``history_days``, once a day (UTC); 0 keeps everything. Failures are logged, not raised."""
    if not history_days:
        return
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        with warehouse.connect() as query:
            if _is_first_of_day(query, midnight):
                _forget(query, midnight, timedelta(days=min(history_days, LONGEST_DAYS)))
    except Exception as error:  # each driver raises its own
        log.warning(
            "Old rows of %s, %s and %s were not deleted; the run goes on, and the next one tries again. Grant the loading "
            "user DELETE on them, or set history_days = 0. %s",
            *(SYNCS, CHECKS, LOADS, sentence_of(error)),
        )


def _is_first_of_day(query: Query, midnight: datetime) -> bool:
    """Whether no run was checked since midnight; False if none ever was."""
    if not query.exists(CHECKS):
        return False
    ((checked_at,),) = query.rows(f"SELECT max(checked_at) FROM {query.table(CHECKS)}")
    newest = utc(checked_at)
    return newest is not None and newest < midnight


def _forget(query: Query, midnight: datetime, history: timedelta) -> None:
    """Deletes from checks and ledger first: their rows refer to loads, too."""
    # The check `cursor` sums the ledger's rows over RATED_OVER.
    before, before_rated = midnight - history, midnight - max(history, RATED_OVER)
    forgotten = {
        CHECKS: _delete(query, CHECKS, "run_id", old_checks(query), before),
        SYNCS: _delete(query, SYNCS, "run_id", old_syncs(query), before_rated),
        LOADS: _delete(query, LOADS, "load_id", old_loads(query, find_carriers(query)), before),
    }
    if any(forgotten.values()):
        log.info("Deleted from the history, older than %d days: %s", history.days, _told(forgotten))


def _delete(query: Query, table: str, key: str, old: str, before: datetime) -> int:
    keys = [str(value) for (value,) in query.rows(old, before)]
    begin, deleted = time.monotonic(), 0
    while deleted < len(keys) and time.monotonic() < begin + LONGEST_S:
        some = keys[deleted : deleted + KEYS_AT_ONCE]
        query.delete(table, key, some)
        deleted += len(some)
    return deleted


def _told(forgotten: dict[str, int]) -> str:
    return ", ".join(
        f"{count:,} {'loads' if table == LOADS else 'runs'} in {table}" for table, count in forgotten.items() if count
    )


def old_checks(query: Query) -> str:
    """Query for the runs to delete from ``_checks``, oldest first; its parameter is a time."""
    outcome = "CASE WHEN passed THEN 2 WHEN NOT passed THEN 0 ELSE 1 END"  # 1: not proven
    return (
        f"SELECT run_id FROM (SELECT run_id, checked_at, {outcome} AS outcome, "
        f"LAG({outcome}) OVER (PARTITION BY table_name, check_name ORDER BY checked_at) AS outcome_before, "
        "ROW_NUMBER() OVER (PARTITION BY table_name, check_name, CAST(checked_at AS DATE) ORDER BY checked_at DESC) AS nth "
        f"FROM {query.table(CHECKS)}) made GROUP BY run_id "
        "HAVING max(checked_at) < %s "
        "AND max(CASE WHEN nth = 1 OR outcome <> outcome_before THEN 1 ELSE 0 END) = 0 ORDER BY max(checked_at)"
    )


def old_syncs(query: Query) -> str:
    """Query for the runs to delete from ``_syncs``, oldest first; its parameter is a time."""
    restored_at = "CASE WHEN s.restored_rows > 0 THEN s.started_at END"
    finished = "CASE WHEN l.load_id IS NULL THEN 0 ELSE 1 END"
    return (
        "SELECT run_id FROM (SELECT s.run_id, s.finished_at, s.lost_fields, "
        f"CASE WHEN {restored_at} = max({restored_at}) OVER (PARTITION BY s.resource) THEN 1 ELSE 0 END AS restored_last, "
        f"ROW_NUMBER() OVER (PARTITION BY s.resource, s.mode, s.base_url, {finished}, CAST(s.finished_at AS DATE) "
        "ORDER BY s.finished_at DESC) AS nth "
        f"FROM {query.table(SYNCS)} s LEFT JOIN (SELECT DISTINCT load_id FROM {query.table(LOADS)} WHERE status = 0) l "
        "ON l.load_id = s.load_id) told GROUP BY run_id HAVING max(finished_at) < %s "
        "AND max(CASE WHEN nth = 1 OR restored_last = 1 OR lost_fields IS NOT NULL THEN 1 ELSE 0 END) = 0 "
        "ORDER BY max(finished_at)"
    )


def old_loads(query: Query, carriers: Sequence[str]) -> str:
    """Query for the loads that no row of the tables ``carriers`` refers to, oldest first; its parameter is a time."""
    # UNION ALL: BigQuery accepts no bare UNION.
    carried = " UNION ALL ".join(f"SELECT DISTINCT _dlt_load_id AS load_id FROM {query.table(name)}" for name in carriers)
    return (
        f"SELECT l.load_id FROM {query.table(LOADS)} l LEFT JOIN ({carried}) c ON c.load_id = l.load_id "
        f"WHERE c.load_id IS NULL AND l.schema_name = '{SCHEMA_NAME}' AND l.inserted_at < %s ORDER BY l.inserted_at"
    )


def find_carriers(query: Query) -> list[str]:
    """Tables whose rows refer to their load: those of this version, and those that older versions loaded."""
    names = {STATES, *OWN_TABLES, *(endpoint.name for endpoint in ENDPOINTS)}
    stored = query.rows(
        f"SELECT {query.column('schema')} FROM {query.table(VERSIONS)} WHERE schema_name = %s",
        SCHEMA_NAME,
    )
    for (text,) in stored:
        names |= {name for name, table in json.loads(text)["tables"].items() if "_dlt_load_id" in table["columns"]}
    return [name for name in sorted(names) if query.exists(name)]
