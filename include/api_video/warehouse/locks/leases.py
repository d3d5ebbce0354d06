"""Leases: locks that expire unless renewed, for destinations that cannot tell whether the holder is alive.

Whoever finds an expired lease takes it over. The holder stops relying on it a little earlier: a renewal may be under way.
"""

from __future__ import annotations

import json
import random
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from dlt.common.schema.typing import TColumnSchema
from dlt.destinations.exceptions import DatabaseException, DatabaseTransientException, DatabaseUndefinedRelation
from dlt.destinations.sql_client import SqlClientBase

from include.api_video.warehouse.locks.session_locks import Claim, Holder, utc

READ_BACK = 3  # times that the smallest of several claims checks whether the others are gone
LOCKS = "_locks"
COLUMNS: dict[str, Any] = {
    "table_name": "text",
    "holder": "text",
    "run_id": "text",
    "taken_at": "timestamp",
    "expires_at": "timestamp",
}


class Lease:
    """How long a lease lasts: ``lease_s`` for others, ``lasts_s`` for its holder."""

    ask_again_s, renew_s, lease_s, lasts_s = 3.0, 60.0, 300.0, 240.0

    @property
    def proof_s(self) -> float:
        """Long enough not to ask while renewals succeed: others wait for the lease to expire anyway."""
        return 2 * self.renew_s

    @property
    def grace_s(self) -> float:
        """Seconds between ``lasts_s`` and ``lease_s``."""
        return self.lease_s - self.lasts_s


class SqlLease(Lease):
    """A row in the dataset's table ``_locks``, in SQL that any destination knows, without unique constraints.

    Insert a claim, read back, and hold the lock only if there is no other claim: of two simultaneous claims at least the
    later sees the other. Of several, the smallest stays and checks again while the others withdraw, so one gets the lock.
    Times are the server's, so the machines' clocks need not agree.
    """

    def __init__(self, client: SqlClientBase[Any], claim: Claim) -> None:
        self._client, self._claim = client, claim
        self._table = client.make_qualified_table_name(LOCKS)
        self._ahead = timedelta()  # of the server's clock to ours

    def take(self) -> Holder | None:
        """Takes the lock without waiting; returns the holder if somebody else has it."""
        with self._client:
            self._read_clock()
            try:
                if others := self._others():
                    return others[0]
            except DatabaseUndefinedRelation:
                self._create()
            try:
                return self._claim_it()
            except DatabaseTransientException:  # a concurrent statement on the table
                with suppress(DatabaseException):
                    self._delete()
                return Holder()

    def _claim_it(self) -> Holder | None:
        self._run(
            f"INSERT INTO {self._table} ({', '.join(COLUMNS)}) VALUES (%s, %s, %s, %s, %s)",
            self._claim.table,
            self._claim.holder,
            self._claim.run_id,
            self._now(),
            self._end(),
        )
        for _ in range(READ_BACK):
            others = self._others()
            if not others:
                left = f"DELETE FROM {self._table} WHERE table_name = %s AND expires_at <= %s"
                self._run(left, self._claim.table, self._now())
                return None
            if min(self._holders) < self._claim.holder:
                break
            time.sleep(random.uniform(0.1, 0.5))
        self._delete()
        return others[0]

    def _others(self) -> list[Holder]:
        """Others who hold or claim the lock, oldest first."""
        rows = self._run(
            f"SELECT holder, run_id, taken_at FROM {self._table} "
            "WHERE table_name = %s AND holder <> %s AND expires_at > %s ORDER BY taken_at, holder",
            self._claim.table,
            self._claim.holder,
            self._now(),
        )
        self._holders = [str(holder) for holder, _, _ in rows]
        return [Holder(run_id or None, utc(taken_at)) for _, run_id, taken_at in rows]

    def renew(self) -> bool:
        """Extends the lease, unless it has expired for its holder."""
        mine = "table_name = %s AND holder = %s"
        with self._client:
            self._run(
                f"UPDATE {self._table} SET expires_at = %s WHERE {mine} AND expires_at > %s",
                self._end(),
                self._claim.table,
                self._claim.holder,
                self._now() + timedelta(seconds=self.grace_s),
            )
            kept = self._run(
                f"SELECT count(*) FROM {self._table} WHERE {mine} AND expires_at > %s",
                self._claim.table,
                self._claim.holder,
                self._now() + timedelta(seconds=self.grace_s),
            )
        return bool(kept[0][0])

    def release(self) -> None:
        """Releases the lock."""
        with self._client:
            self._delete()

    def _delete(self) -> None:
        self._run(f"DELETE FROM {self._table} WHERE holder = %s", self._claim.holder)

    def _run(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self._client.execute_sql(sql, *args) or ()]

    def _read_clock(self) -> None:
        ((now,),) = self._run("SELECT CURRENT_TIMESTAMP")
        if server := utc(now):
            self._ahead = server - datetime.now(timezone.utc)

    def _now(self) -> datetime:
        return datetime.now(timezone.utc) + self._ahead

    def _end(self) -> datetime:
        return self._now() + timedelta(seconds=self.lease_s)

    def _create(self) -> None:
        """Creates the table, and the dataset of a first load; another run may do so at the same moment."""
        types = self._client.capabilities.get_type_mapper()
        columns = []
        for name, data_type in COLUMNS.items():
            column: TColumnSchema = {"name": name, "data_type": data_type}
            columns.append(f"{name} {types.to_destination_type(column, {'name': LOCKS})}")
        for left in reversed(range(3)):
            try:
                if not self._client.has_dataset():
                    self._client.create_dataset()
                self._run(f"CREATE TABLE IF NOT EXISTS {self._table} ({', '.join(columns)})")
            except DatabaseException:
                if not left:
                    raise
                time.sleep(random.uniform(0.1, 0.5))
            else:
                return


class DeltaLease(Lease):
    """A Delta table without rows, ``_locks/<table>`` in the dataset's folder, whose properties name the holder.

    Each change is a commit, and of two commits on the same version the store accepts one: the lock is as safe as Delta
    tables are, in every bucket. The machines' clocks must agree to a minute (``grace_s``).
    """

    PROPERTY = "api_video.lock"
    # The log has one small file per change; without this, it would keep those of a month.
    PROPERTIES: ClassVar = {"delta.checkpointInterval": "10", "delta.logRetentionDuration": "interval 1 hours"}

    def __init__(self, client: Any, claim: Claim) -> None:
        self._client, self._claim = client, claim
        self._delta: Any = None
        self._since = 0.0

    def take(self) -> Holder | None:
        """Takes the lock without waiting; returns the holder if somebody else has it."""
        self._open()
        said = self._read()
        if said.get("expires_at", 0.0) > time.time():
            return Holder(said["run_id"] or None, datetime.fromtimestamp(said["since"], timezone.utc))
        self._since = time.time()
        return None if self._write(self._lease()) else Holder()

    def renew(self) -> bool:
        """Extends the lease, unless it has expired for its holder or somebody else has it."""
        self._delta.update_incremental()
        said = self._read()
        if said.get("holder") != self._claim.holder or said["expires_at"] - self.grace_s <= time.time():
            return False
        return self._write(self._lease())

    def release(self) -> None:
        """Releases the lock, if it is still ours."""
        self._delta.update_incremental()
        if self._read().get("holder") == self._claim.holder:
            self._write({})

    def _lease(self) -> dict[str, Any]:
        lease = {"holder": self._claim.holder, "run_id": self._claim.run_id, "since": self._since}
        return {**lease, "expires_at": time.time() + self.lease_s}

    def _open(self) -> None:
        if self._delta is not None:
            self._delta.update_incremental()
            return
        import pyarrow as pa
        from deltalake import DeltaTable
        from deltalake.exceptions import CommitFailedError, TableNotFoundError

        where = f"{self._client.get_open_table_location('delta', LOCKS).rstrip('/')}/{self._claim.table}"
        options = self._client.storage_options
        try:
            self._delta = DeltaTable(where, storage_options=options)
        except TableNotFoundError:
            schema = pa.schema([pa.field("nothing", pa.string())])
            with suppress(CommitFailedError):  # another run created it at the same moment
                DeltaTable.create(where, schema, mode="ignore", configuration=self.PROPERTIES, storage_options=options)
            self._delta = DeltaTable(where, storage_options=options)

    def _read(self) -> dict[str, Any]:
        said = json.loads(self._delta.metadata().configuration.get(self.PROPERTY) or "{}")
        return said if isinstance(said, dict) else {}

    def _write(self, said: dict[str, Any]) -> bool:
        """Commits on top of the version that was read; False if another commit came first."""
        from deltalake import CommitProperties
        from deltalake.exceptions import CommitFailedError

        try:
            self._delta.alter.set_table_properties(
                {self.PROPERTY: json.dumps(said)},
                raise_if_not_exists=False,
                commit_properties=CommitProperties(max_commit_retries=0),
            )
        except CommitFailedError:
            return False
        return True
