"""The DAG into PostgreSQL, for two accounts, twice, with changes in between; and where its credentials are missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.server import Demo
from tests.airflow_home import Airflow
from tests.services import BUCKET_SECRET, ask, bucket_credentials, new_bucket, postgres_server, s3_server

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

    other = airflow.run("airflow", "dags", "test", "api_video", **environment)
    assert other.returncode != 0
    assert "Set the environment variable SOURCES__API_VIDEO_SOURCE__API_KEY" in other.stdout, "never another account's key"


def test_missing_credentials_stop_the_run_before_any_request(airflow: Airflow, demo: Demo) -> None:
    demo.reset_log()

    done = airflow.run("airflow", "dags", "test", "api_video", **demo_settings(demo), API_VIDEO_DESTINATION="postgres")

    assert done.returncode != 0
    assert "The destination postgres lacks database, password, username, host: set DESTINATION__POSTGRES__" in done.stdout
    assert demo.requests() == 0


@pytest.mark.parametrize("destination", ["ducklake", "filesystem"])
def test_a_secrets_backend_has_the_keys_and_the_bucket_is_loaded_twice(
    airflow: Airflow, demo: Demo, tmp_path: Path, destination: str
) -> None:
    """Airflow looks there for Connections; what it finds is in no log, XCom, rendered template or serialized DAG."""
    general = {**demo_settings(demo), "SOURCES__API_VIDEO_SOURCE__RESOURCES": '["players"]'}
    key = general.pop("SOURCES__API_VIDEO_SOURCE__API_KEY")
    install = "from duckdb_extensions import import_extension as install\n"
    install += "for name in ('ducklake', 'sqlite_scanner', 'httpfs'): install(name)"
    assert airflow.run("python", "-c", install).returncode == 0
    with s3_server() as s3:
        new_bucket(s3, "videos")
        bucket = {"bucket_url": "s3://videos/lake", "credentials": bucket_credentials(s3)}
        lake = {"catalog": f"sqlite:///{tmp_path}/lake.sqlite", "storage": bucket}
        extra = lake if destination == "ducklake" else bucket
        connections = {
            "api_video": {"conn_type": "api_video", "password": key},
            "api_video_warehouse": {"conn_type": "generic", "extra": extra},
        }
        (tmp_path / "vault.json").write_text(json.dumps(connections), encoding="utf-8")
        environment = {
            **general,
            "API_VIDEO_DESTINATION": destination,
            "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
            "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps({"connections_file_path": str(tmp_path / "vault.json")}),
        }

        first = airflow.run("airflow", "dags", "test", "api_video", **environment)
        gone, changed, *_ = demo.world.ids("players")
        demo.world.delete("players", gone)
        demo.world.update("players", changed, enableApi=False)
        second = airflow.run("airflow", "dags", "test", "api_video", **environment)

    said = first.stdout + second.stdout
    assert (first.returncode, second.returncode) == (0, 0), said
    assert "players: 5 rows, 5 new" in first.stdout
    assert "players: 4 rows, 1 changed, 1 removed" in second.stdout
    assert not any(secret in said for secret in (key, BUCKET_SECRET))
    assert not find(airflow.home, key, BUCKET_SECRET)


def find(folder: Path, *secrets: str) -> list[str]:
    """Files that hold one of these."""
    wanted = [secret.encode() for secret in secrets]
    files = [file for file in folder.rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")]
    return [str(file) for file in files if any(secret in file.read_bytes() for secret in wanted)]
