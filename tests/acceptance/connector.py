"""The connector under test: starts its runs, kills them, and reads the DuckDB file that they wrote.

By default it is this project's. ``ACCEPTANCE_COMMAND`` names another one's shell command, ``ACCEPTANCE_TABLES`` the schema
in which its tables are; see README.md beside this file.
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
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.naming import snake
from tests.acceptance.api import Api
from tests.forker import PROJECT, Forker

COMMAND = os.environ.get("ACCEPTANCE_COMMAND")
TABLES = os.environ.get("ACCEPTANCE_TABLES", "api_video_data")
SECTION = "SOURCES__API_VIDEO_SOURCE__"
LONGEST_RUN_S = 180.0
RESOURCES = (
    *("videos", "discarded_videos", "summaries", "players", "live_streams", "video_status"),
    *("captions", "tags", "watermarks", "webhooks", "upload_tokens"),
)
# These are asked for again until they are final, so that when and in which load is no part of what they say.
ASKED_AGAIN = ("video_status",)


@dataclass
class Run:
    """A run that has been started."""

    forker: Forker
    output_file: Path
    temporary: Path
    pid: int
    process: subprocess.Popen[bytes] | None = None
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0

    @property
    def output(self) -> str:
        """All that was printed."""
        return self.output_file.read_text(errors="replace")

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self.process.poll() if self.process else self.forker.poll(self.pid)

    def wait(self) -> int:
        """The exit code, once it ended."""
        code = self.process.wait(LONGEST_RUN_S) if self.process else self.forker.wait(self.pid, LONGEST_RUN_S)
        self.seconds = time.monotonic() - self.started
        return code

    def kill(self) -> None:
        """SIGKILL, to all of its processes."""
        if self.poll() is None:
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()


class Connector:
    """One warehouse, filled by runs of the connector from one API.

    Args:
        folder: for the DuckDB file, temporary files and outputs; empty.
        loaded: a warehouse to begin with a copy of.
    """

    def __init__(
        self,
        forker: Forker,
        api: Api,
        folder: Path,
        environment: dict[str, str],
        resources: Sequence[str] = RESOURCES,
        loaded: Path | None = None,
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
        if loaded:
            shutil.copyfile(loaded, self.file)

    # --- runs ---------------------------------------------------------------------------------------------------------

    def start(self, *, full: bool = False, **environment: str) -> Run:
        """Starts a run; ``full`` has it compare whole lists."""
        number = next(self._numbers)
        temporary, output = self.folder / f"tmp{number}", self.folder / f"output{number}.txt"
        temporary.mkdir()
        words = {**self._environment, "TMPDIR": str(temporary), **environment}
        if full:
            words[f"{SECTION}FULL_CHECK_HOURS"] = "0"
        if not COMMAND:
            pid = self._forker.start("include.api_video", [], words, output)
            return Run(self._forker, output, temporary, pid)
        with output.open("wb") as file:
            process = subprocess.Popen(
                COMMAND, shell=True, cwd=PROJECT, env=words, stdout=file, stderr=file, start_new_session=True
            )
        return Run(self._forker, output, temporary, process.pid, process)

    def run(self, *, full: bool = False, **environment: str) -> Run:
        """A run that must succeed."""
        run = self.start(full=full, **environment)
        assert run.wait() == 0, run.output
        return run

    # --- what is in the warehouse -------------------------------------------------------------------------------------

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a question; tables need no schema in front."""
        with duckdb.connect(str(self.file), read_only=True) as connection:
            connection.execute(f"SET schema '{TABLES}'; SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def columns(self) -> dict[str, list[str]]:
        """Columns of every data table, in order."""
        found: dict[str, list[str]] = {}
        for table, column in self.rows(
            "SELECT table_name, column_name FROM information_schema.columns "
            f"WHERE table_schema = '{TABLES}' ORDER BY table_name, ordinal_position"
        ):
            if not table.startswith("_"):
                found.setdefault(table, []).append(column)
        return found

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every data table, all of it, in an order of its own."""
        content = {}
        for table, columns in self.columns().items():
            own = [f'"{name}"' for name in columns if not (table.startswith(ASKED_AGAIN) and name.startswith("_"))]
            content[table] = self.rows(f"SELECT {', '.join(own)} FROM {table} ORDER BY ALL")
        return content

    # --- what must be true --------------------------------------------------------------------------------------------

    def assert_equal(self, *, content: bool = True) -> None:
        """Each table holds what the API lists, each row once; child rows belong to a row, each once."""
        for resource in self.resources:
            key = snake(by_name()[resource].key)
            active = [row[0] for row in self.rows(f"SELECT {key} FROM {resource} WHERE removed_at IS NULL ORDER BY 1")]
            listed = self.api.ids(resource)
            if by_name()[resource].sent_key != by_name()[resource].key:  # the key is a secret, stored as its SHA-256
                listed = [hashlib.sha256(key.encode()).hexdigest() for key in listed]
            assert active == sorted(listed), resource
            twice = self.rows(f"SELECT {key} FROM {resource} GROUP BY 1 HAVING count(*) > 1")
            assert not twice, resource
        self.assert_no_orphans()
        if content:
            self.assert_same_content()

    def assert_no_orphans(self) -> None:
        """Every child row has its parent, and stands in its list once."""
        columns = self.columns()
        ids = " UNION ALL ".join(f"SELECT _dlt_id FROM {table}" for table in columns if "_dlt_id" in columns[table])
        for table in (table for table in columns if "_dlt_parent_id" in columns[table]):
            assert not self.rows(f"SELECT * FROM {table} WHERE _dlt_parent_id NOT IN ({ids})"), table
            groups = f"SELECT 1 FROM {table} GROUP BY _dlt_parent_id, _dlt_list_idx HAVING count(*) > 1"
            assert not self.rows(groups), table

    def assert_same_content(self) -> None:
        """Titles, names, tags and times of the last change are the API's; silent changes need a full run before."""
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
