"""The connector under test: starts its runs, kills them, and reads the DuckDB file that they wrote.

The default is this project's. To test another one, set ``ACCEPTANCE_COMMAND`` to its shell command, and
``ACCEPTANCE_TABLES`` to the schema of its tables (README.md beside this file).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.naming import snake
from include.demo_api.clock import FileClock
from tests.acceptance import viewing
from tests.acceptance.api import Api
from tests.acceptance.viewing import Analytics, Viewing
from tests.forker import PROJECT, Forker

COMMAND = os.environ.get("ACCEPTANCE_COMMAND")
TABLES = os.environ.get("ACCEPTANCE_TABLES", "api_video_data")
SECTION = "SOURCES__API_VIDEO_SOURCE__"
LONGEST_RUN_S = 180.0
RESOURCES = (
    *("videos", "discarded_videos", "summaries", "players", "live_streams", "video_status"),
    *("captions", "tags", "watermarks", "webhooks", "upload_tokens"),
)
# Rows of these are requested until they are final, so their load id and time may differ between two equal warehouses.
ASKED_AGAIN = ("video_status",)


@dataclass
class Run:
    """A run of the connector: its process and its output."""

    forker: Forker
    output_file: Path
    temporary: Path
    pid: int
    process: subprocess.Popen[bytes] | None = None
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0

    @property
    def output(self) -> str:
        """Everything that the run printed so far."""
        return self.output_file.read_text(errors="replace")

    def poll(self) -> int | None:
        """Returns the exit code, or None while the run goes on."""
        return self.process.poll() if self.process else self.forker.poll(self.pid)

    def wait(self) -> int:
        """Waits for the end of the run; returns the exit code."""
        code = self.process.wait(LONGEST_RUN_S) if self.process else self.forker.wait(self.pid, LONGEST_RUN_S)
        self.seconds = time.monotonic() - self.started
        return code

    def kill(self) -> None:
        """Kills all processes of the run."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()


class Connector:
    """One warehouse, filled by runs of the connector from one API.

    Args:
        folder: an empty folder for the DuckDB file, temporary files and outputs.
        loaded: another one, whose warehouse to copy and start with.
        clock: the time of the API's analytics and of the runs; None: real time.
        zone: the time zone of the days of analytics.

    Attributes:
        viewing: what its tables of analytics must have; None if it loads none.
    """

    def __init__(
        self,
        forker: Forker,
        api: Api,
        folder: Path,
        environment: dict[str, str],
        resources: Sequence[str] = RESOURCES,
        loaded: Connector | None = None,
        clock: FileClock | None = None,
        zone: str = "UTC",
    ) -> None:
        self.api, self.folder, self.file, self.resources = api, folder, folder / "warehouse.duckdb", tuple(resources)
        self._forker, self._numbers = forker, count(1)
        folder.mkdir(parents=True, exist_ok=True)
        self._environment = {
            **environment,
            **api.settings,
            f"{SECTION}RESOURCES": json.dumps(self.resources),
            "DESTINATION__DUCKDB__CREDENTIALS": str(self.file),
            "DLT_DATA_DIR": str(folder / "data"),
        }
        self.clock, self.viewing = clock, self._viewing(loaded, zone) if clock else None
        if clock:
            self._environment |= {"ACCEPTANCE_CLOCK": str(clock.file), f"{SECTION}ANALYTICS_TIMEZONE": zone}
        if loaded:
            shutil.copyfile(loaded.file, self.file)

    def _viewing(self, loaded: Connector | None, zone: str) -> Viewing | None:
        tables = tuple(name for name in self.resources if name in viewing.TABLES)
        if not tables:
            return None
        analytics = Analytics(self.api.url, self.api.settings[f"{SECTION}API_KEY"])
        return loaded.viewing.copy(analytics) if loaded and loaded.viewing else Viewing(analytics, tables, zone)

    @property
    def now(self) -> datetime:
        """The time of the runs. It stands still until it is set."""
        assert self.clock
        return self.clock()

    @now.setter
    def now(self, moment: datetime) -> None:
        assert self.clock
        self.clock.set(moment)

    # --- runs ---------------------------------------------------------------------------------------------------------

    def start(self, *arguments: str, full: bool = False, **environment: str) -> Run:
        """Starts a run; with ``full`` it compares whole lists. ``arguments`` are for this project's command alone."""
        number = next(self._numbers)
        temporary, output = self.folder / f"tmp{number}", self.folder / f"output{number}.txt"
        temporary.mkdir()
        words = {**self._environment, "TMPDIR": str(temporary), **environment}
        if full:
            words[f"{SECTION}FULL_CHECK_HOURS"] = "0"
        if not COMMAND:
            code = (
                f"from tests.clocks import run_at; run_at({str(self.clock.file)!r}, 'include.api_video')"
                if self.clock
                else ""
            )
            pid = self._forker.start("include.api_video", arguments, words, output, code=code)
            return Run(self._forker, output, temporary, pid)
        with output.open("wb") as file:
            process = subprocess.Popen(
                COMMAND, shell=True, cwd=PROJECT, env=words, stdout=file, stderr=file, start_new_session=True
            )
        return Run(self._forker, output, temporary, process.pid, process)

    def run(self, *arguments: str, full: bool = False, **environment: str) -> Run:
        """Runs the connector to its end; it must succeed."""
        run = self.start(*arguments, full=full, **environment)
        assert run.wait() == 0, run.output
        self.see_run()
        return run

    def see_run(self, began: datetime | None = None) -> None:
        """Notes what a run that succeeded must have read of the analytics. ``run`` calls it; call it after ``start``."""
        if self.viewing:
            self.viewing.see_run(began or self.now)

    # --- what is in the warehouse -------------------------------------------------------------------------------------

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query; table names need no schema."""
        with duckdb.connect(str(self.file), read_only=True) as connection:
            connection.execute(f"SET schema '{TABLES}'; SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def columns(self) -> dict[str, list[str]]:
        """Columns of every data table, in the order of the table."""
        found: dict[str, list[str]] = {}
        for table, column in self.rows(
            "SELECT table_name, column_name FROM information_schema.columns "
            f"WHERE table_schema = '{TABLES}' ORDER BY table_name, ordinal_position"
        ):
            if not table.startswith("_"):
                found.setdefault(table, []).append(column)
        return found

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of every data table, sorted, to compare two states of a warehouse."""
        content = {}
        for table, columns in self.columns().items():
            own = [f'"{name}"' for name in columns if not (table.startswith(ASKED_AGAIN) and name.startswith("_"))]
            content[table] = self.rows(f"SELECT {', '.join(own)} FROM {table} ORDER BY ALL")
        return content

    # --- what must be true --------------------------------------------------------------------------------------------

    def assert_equal(self, *, content: bool = True) -> None:
        """Asserts that each table holds what the API lists, each row once, without orphaned or duplicate child rows."""
        for resource in (name for name in self.resources if not by_name()[name].asks):
            key = snake(by_name()[resource].key)
            active = [row[0] for row in self.rows(f"SELECT {key} FROM {resource} WHERE removed_at IS NULL ORDER BY 1")]
            listed = self.api.ids(resource)
            if by_name()[resource].sent_key != by_name()[resource].key:  # the key is a secret, stored as its SHA-256
                listed = [hashlib.sha256(key.encode()).hexdigest() for key in listed]
            assert active == sorted(listed), resource
            twice = self.rows(f"SELECT {key} FROM {resource} GROUP BY 1 HAVING count(*) > 1")
            assert not twice, resource
        if self.viewing:
            self.viewing.assert_equal(self.rows)
        self.assert_no_orphans()
        if content:
            self.assert_same_content()

    def assert_no_orphans(self) -> None:
        """Asserts that every child row has its parent, and is in its list once."""
        columns = self.columns()
        ids = " UNION ALL ".join(f"SELECT _dlt_id FROM {table}" for table in columns if "_dlt_id" in columns[table])
        for table in (table for table in columns if "_dlt_parent_id" in columns[table]):
            assert not self.rows(f"SELECT * FROM {table} WHERE _dlt_parent_id NOT IN ({ids})"), table
            groups = f"SELECT 1 FROM {table} GROUP BY _dlt_parent_id, _dlt_list_idx HAVING count(*) > 1"
            assert not self.rows(groups), table

    def assert_same_content(self) -> None:
        """Asserts that titles, names, tags and ``updated_at`` are the API's. Silent changes need a ``full`` run first."""
        for resource, name in (("videos", "title"), ("players", "name"), ("live_streams", "name"), ("summaries", "origin")):
            if resource not in self.resources:
                continue
            key = by_name()[resource].key
            text = "strftime(updated_at, '%Y-%m-%dT%H:%M:%S+00:00')"
            found = self.rows(f"SELECT {snake(key)}, {name}, {text} FROM {resource} WHERE removed_at IS NULL ORDER BY 1")
            rows = self.api.listed(resource)
            assert found == sorted((row[key], row.get(name), row.get("updatedAt")) for row in rows), resource
        if "videos" in self.resources:
            tags = self.rows(
                "SELECT v.video_id, list(t.value ORDER BY t._dlt_list_idx) FROM videos v JOIN videos__tags t "
                "ON t._dlt_parent_id = v._dlt_id WHERE v.removed_at IS NULL GROUP BY 1 ORDER BY 1"
            )
            wanted = sorted((row["videoId"], row["tags"]) for row in self.api.listed("videos") if row.get("tags"))
            assert tags == wanted
