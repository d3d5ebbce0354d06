"""``airflow dags test api_video`` as a user types it: a first run, and a second one."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from contextlib import closing

from include.api_video.catalog.derived import sha256_of
from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.naming import snake
from tests.e2e.conftest import Loaded
from tests.webhook import SECRET


def assert_equal(loaded: Loaded) -> None:
    for endpoint in ENDPOINTS:
        table = f"api_video_data.{endpoint.name}"
        rows = loaded.airflow.rows(f"SELECT {snake(endpoint.key)} FROM {table} WHERE removed_at IS NULL ORDER BY 1")
        if endpoint.asks:
            assert rows, f"{endpoint.name}: the check sums compares its numbers"
            continue
        ids = loaded.demo.world.ids(endpoint.name)
        ids = [sha256_of(token) for token in ids] if endpoint.name == "upload_tokens" else ids
        assert [row[0] for row in rows] == sorted(ids), endpoint.name
    assert loaded.airflow.rows("SELECT count(*) FROM api_video_data._checks WHERE NOT passed") == [(0,)]


def test_the_dag_loads_tables_that_equal_the_api(loaded: Loaded) -> None:
    assert_equal(loaded)
    assert loaded.airflow.rows("SELECT count(*) FROM api_video_data._syncs WHERE mode = 'first'") == [(len(ENDPOINTS),)]


def test_a_backfill_is_refused(loaded: Loaded) -> None:
    """Fixed: five runs of a backfill ran at once despite ``max_active_runs=1``."""
    dates = ["--from-date", "2026-03-01", "--to-date", "2026-03-01T04:00"]

    done = loaded.airflow.run("airflow", "backfill", "create", "--dag-id", "api_video", *dates)

    assert done.returncode != 0
    assert "Dag with dag_id: 'api_video' does not allow backfill runs" in done.stdout
    with closing(sqlite3.connect(loaded.airflow.home / "airflow.db")) as database:
        assert database.execute("SELECT count(*) FROM backfill").fetchall() == [(0,)]
        ((serialized,),) = database.execute("SELECT data FROM serialized_dag WHERE dag_id = 'api_video'").fetchall()
    tasks = [task["__var"] for task in json.loads(serialized)["dag"]["tasks"]]
    limits = {task["task_id"]: task.get("max_active_tis_per_dag") for task in tasks}
    assert len(limits) == 2 + len(ENDPOINTS)
    assert set(limits.values()) == {1}


def test_a_run_leaves_no_folders_behind_and_logs_no_line_as_an_error(loaded: Loaded) -> None:
    assert not list((loaded.airflow.home / "tmp").glob("*dlt_*"))
    assert not list((loaded.airflow.home / "tmp").glob("api_video_*"))
    assert "task.stderr" not in loaded.output


def test_what_the_user_has_in_dlts_folders_stays(loaded: Loaded) -> None:
    """Fixed: the folder above that of the pipelines was deleted, even if it was the user's."""
    kept = sorted(path.parent.name for path in (loaded.airflow.home / "mine").glob("*/work.txt"))
    assert kept == ["dlt_data_dir", "pipelines_dir"]


def test_no_secret_is_printed_or_stored(loaded: Loaded) -> None:
    demo, home = loaded.demo, loaded.airflow.home
    secrets = [demo.api_key, demo.admin_api_key, SECRET]
    secrets += [base64.b64encode(f"{key}:".encode()).decode() for key in secrets]
    for stream in demo.world.listed("live_streams"):
        secrets += [stream["streamKey"], *(r[name] for r in stream["restreams"] for name in ("serverUrl", "streamKey"))]
    secrets += [row["value"] for row in demo.world.listed("projects_api_keys")]
    written = [path for path in home.rglob("*") if path.is_file() and path.relative_to(home).parts[0] != "include"]
    assert loaded.airflow.file in written
    for path in written:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], path
    assert not [secret for secret in secrets if secret in loaded.output]
    assert not re.search(r"/token/|[?&]token=", str(loaded.airflow.rows("SELECT * FROM api_video_data.videos")))


def test_the_next_run_brings_what_changed(loaded: Loaded, second_run: str) -> None:
    assert_equal(loaded)
    assert loaded.airflow.rows("SELECT count(*) FROM api_video_data.videos WHERE title = 'changed'") == [(1,)]
    assert "players: 4 rows, 1 removed" in second_run
    # Tasks without news passed their ledger rows to `validate`.
    told = "SELECT count(DISTINCT resource), count(*) FROM api_video_data._syncs GROUP BY run_id"
    assert loaded.airflow.rows(told) == [(len(ENDPOINTS), len(ENDPOINTS))] * 2
    stored_late = "SELECT count(DISTINCT resource) FROM api_video_data._syncs WHERE load_id IN (SELECT s.load_id FROM"
    stored_late += " api_video_data._syncs s JOIN api_video_data._dlt_loads l ON s.load_id = l.load_id AND l.status = 0"
    stored_late += " GROUP BY s.load_id HAVING count(*) > 1)"
    ((late,),) = loaded.airflow.rows(stored_late)
    assert late >= 3
