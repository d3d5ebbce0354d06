"""The DAG loads other warehouses than DuckDB, twice, with changes in between; their credentials come from Airflow.

Without Airflow, more of them are loaded in ``tests/integration/test_destinations.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.server import Demo
from tests.airflow_home import Airflow
from tests.services import (
    BUCKET_SECRET,
    ask,
    bucket_credentials,
    new_bucket,
    new_database,
    postgres_server,
    s3_server,
)

pytestmark = pytest.mark.slow

PASSWORD = "s3cret-of-the-warehouse"
RESOURCES = '["videos", "video_status", "players"]'


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres_server(tmp_path_factory.mktemp("postgres") / "data", PASSWORD) as server:
        yield server


def test_the_dag_of_an_account_loads_into_postgresql(airflow: Airflow, demo: Demo, postgres: str) -> None:
    general = demo_settings(demo)
    key = general.pop("SOURCES__API_VIDEO_SOURCE__API_KEY")
    environment = {
        **general,
        "API_VIDEO_DESTINATION": "postgres",
        "AIRFLOW_CONN_API_VIDEO_WAREHOUSE": json.dumps({"conn_type": "postgres", "password": postgres}),
        "API_VIDEO_ACCOUNTS": '["default", "training"]',
        "SOURCES__API_VIDEO_SOURCE__TRAINING__API_KEY": key,
        "SOURCES__API_VIDEO_SOURCE__RESOURCES": RESOURCES,
    }

    first = airflow.run("airflow", "dags", "test", "api_video_training", **environment)
    assert first.returncode == 0, first.stdout
    gone, *_ = videos = demo.world.ids("videos")
    demo.world.delete_video(gone)
    demo.world.update_video(videos[1], title="changed")
    second = airflow.run("airflow", "dags", "test", "api_video_training", **environment)
    assert second.returncode == 0, second.stdout

    dataset = "api_video_data_training"
    for table in ("videos", "video_status"):
        loaded = ask(postgres, f"SELECT video_id FROM {dataset}.{table} WHERE removed_at IS NULL ORDER BY 1")
        assert [row[0] for row in loaded] == sorted(demo.world.ids("videos"))
    assert ask(postgres, f"SELECT title FROM {dataset}.videos WHERE video_id = '{videos[1]}'") == [("changed",)]
    assert ask(postgres, f"SELECT count(*) FROM {dataset}._checks WHERE NOT passed") == [(0,)]
    assert ask(postgres, f"SELECT obj_description('{dataset}.players'::regclass)")[0][0]
    assert not airflow.file.exists(), "no DuckDB file is made"
    assert not any(secret in run.stdout for run in (first, second) for secret in (key, PASSWORD))
    assert not find(airflow.home, key, PASSWORD)


@pytest.fixture(params=["ducklake in postgres on s3", "filesystem on s3"])
def lake(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A lake: the destination's name, and the extra of its Connection."""
    name, *_ = request.param.split()
    with s3_server() as s3:
        new_bucket(s3, "videos")
        storage = {"bucket_url": "s3://videos/lake", "credentials": bucket_credentials(s3)}
        if name == "filesystem":
            yield {"destination": name, "extra": storage}
        else:
            catalog = new_database(request.getfixturevalue("postgres"), "lake")
            yield {"destination": name, "extra": {"catalog": catalog, "storage": storage}}


def test_a_secrets_backend_has_the_keys_and_a_lake_is_loaded_twice(
    airflow: Airflow, demo: Demo, tmp_path: Path, lake: dict[str, Any]
) -> None:
    """Airflow finds the Connection in a secrets backend. No log, XCom, rendered template or serialized DAG shows it."""
    airflow = replace(airflow, forker=None)  # Airflow sets up its secrets backends when it is imported
    general = {**demo_settings(demo), "SOURCES__API_VIDEO_SOURCE__RESOURCES": '["videos", "players"]'}
    key = general.pop("SOURCES__API_VIDEO_SOURCE__API_KEY")
    install = "from duckdb_extensions import import_extension as install\n"
    install += "for name in ('ducklake', 'postgres_scanner', 'httpfs'): install(name)"
    assert airflow.run("python", "-c", install).returncode == 0
    connections = {
        "api_video": {"conn_type": "api_video", "password": key},
        "api_video_warehouse": {"conn_type": "generic", "extra": lake["extra"]},
    }
    (tmp_path / "vault.json").write_text(json.dumps(connections), encoding="utf-8")
    environment = {
        **general,
        "API_VIDEO_DESTINATION": lake["destination"],
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(tmp_path / "vault.json")}),
    }

    first = airflow.run("airflow", "dags", "test", "api_video", **environment)
    gone, changed, *_ = demo.world.ids("players")
    demo.world.delete("players", gone)
    demo.world.update("players", changed, enableApi=False)
    demo.world.update_video(demo.world.ids("videos")[0], tags=["changed"])
    second = airflow.run("airflow", "dags", "test", "api_video", **environment)

    said = first.stdout + second.stdout
    assert (first.returncode, second.returncode) == (0, 0), said
    assert "videos: 60 rows, 60 new" in first.stdout
    assert "videos: 60 rows, 1 changed" in second.stdout
    assert "players: 5 rows, 5 new" in first.stdout
    assert "players: 4 rows, 1 changed, 1 removed" in second.stdout
    assert not any(secret in said for secret in (key, BUCKET_SECRET, PASSWORD))
    assert not find(airflow.home, key, BUCKET_SECRET, PASSWORD)


def find(folder: Path, *secrets: str) -> list[str]:
    """Files that contain one of these texts."""
    wanted = [secret.encode() for secret in secrets]
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")]
    return [str(file) for file in files if any(secret in file.read_bytes() for secret in wanted)]
