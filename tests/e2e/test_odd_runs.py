"""Runs by ``airflow dags test`` in which something is wrong or missing, or set outside of the environment."""

from __future__ import annotations

import json

import pytest

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Host
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from tests.airflow_home import Airflow
from tests.e2e.conftest import world_of

pytestmark = pytest.mark.slow


def test_a_wrong_key_fails_at_once_with_one_sentence(
    airflow: Airflow, demo: Demo, demo_environment: dict[str, str]
) -> None:
    wrong = {**demo_environment, "SOURCES__API_VIDEO_SOURCE__API_KEY": "not-the-key"}
    wrong["SOURCES__API_VIDEO_SOURCE__RESOURCES"] = '["videos", "video_status", "players", "live_streams", "summaries"]'

    done = airflow.run("airflow", "dags", "test", "api_video", **wrong)

    assert done.returncode == 1
    assert demo.requests() == 1, "`prepare` has asked, the others need not"
    verdict = done.stdout[done.stdout.rindex("ValidationError") :]
    assert verdict.count("api.video refused the API key") == 1
    assert "environment 'production'" in verdict
    assert "not-the-key" not in done.stdout


def test_videos_are_loaded_though_the_bin_cannot_be(airflow: Airflow, demo: Demo, demo_environment: dict[str, str]) -> None:
    """An account without Video Restore may lack the permission for it."""
    demo.behaviour.fail("/discarded/videos", status=403, times=None)

    done = airflow.run("airflow", "dags", "test", "api_video", **demo_environment)

    assert done.returncode == 1
    assert "discarded_videos" in done.stdout[done.stdout.rindex("ValidationError") :]
    assert airflow.rows("SELECT count(*) FROM api_video_data.videos") == [(60,)]
    assert airflow.rows("SELECT count(*) FROM api_video_data.video_status") == [(60,)]


def test_a_missing_key_sends_nothing_and_names_the_settings(
    airflow: Airflow, demo: Demo, demo_environment: dict[str, str]
) -> None:
    without = {name: value for name, value in demo_environment.items() if not name.endswith("__API_KEY")}
    without.pop("SOURCES__API_VIDEO_SOURCE__ADMIN_API_KEY")

    done = airflow.run("airflow", "dags", "test", "api_video", **without)

    assert done.returncode == 1
    assert demo.requests() == 0
    verdict = done.stdout[done.stdout.rindex("ValidationError") :]
    for name in ("SOURCES__API_VIDEO_SOURCE__API_KEY", "include/.dlt/secrets.toml", 'Airflow Connection "api_video"'):
        assert name in verdict


def test_a_connection_has_the_key_and_a_form_chooses_resources(
    airflow: Airflow, demo: Demo, demo_environment: dict[str, str]
) -> None:
    connection = {"conn_type": "http", "host": demo.url, "password": demo.api_key}
    in_it = ("SOURCES__API_VIDEO_SOURCE__API_KEY", "SOURCES__API_VIDEO_SOURCE__BASE_URL")
    chosen = {name: value for name, value in demo_environment.items() if name not in in_it}
    chosen["AIRFLOW_CONN_API_VIDEO"] = json.dumps(connection)
    chosen["SOURCES__API_VIDEO_SOURCE__RESOURCES"] = '["videos", "players", "live_streams"]'
    form = json.dumps({"resources": ["players"], "full_refresh": True})

    done = airflow.run("airflow", "dags", "test", "api_video", "-c", form, **chosen)

    assert done.returncode == 0, done.stdout[-3000:]
    modes = dict(airflow.rows("SELECT resource, mode FROM api_video_data._syncs"))
    assert modes.pop("players") == "first"
    assert set(modes.values()) == {"skipped"}
    of_main = [endpoint for endpoint in ENDPOINTS if endpoint.host is Host.MAIN]
    assert len(modes) == len(of_main) - 1, "a row each, but for the Admin API, which is off"
    assert (demo.requests(), demo.requests("/players")) == (2, 1), "and one that tells a wrong key"


def test_a_connection_that_somebody_makes_wins_over_the_demo_from_the_next_run_on(airflow: Airflow, demo: Demo) -> None:
    """As with `make ui` and the compose file: Airflow was started with the demo, and goes on with it."""
    beside = {"API_VIDEO_DEMO_URL": demo.url}
    with running(world_of(20), Behaviour(rate_limit=100_000)) as account:
        connection = json.dumps({"conn_type": "http", "host": account.url, "password": account.api_key})
        command = ("airflow", "dags", "test", "api_video", "-c")

        first = airflow.run(*command, '{"resources": ["projects_api_keys"]}', **beside)
        asked = demo.requests()
        everything = {
            "resources": [endpoint.name for endpoint in ENDPOINTS]
        }  # the form's choice, from parsing without a key
        second = airflow.run(*command, json.dumps(everything), **beside, AIRFLOW_CONN_API_VIDEO=connection)

        assert (first.returncode, second.returncode) == (0, 0), second.stdout[-5000:]
        assert "This run loads demo data: no API key is set." in first.stdout
        assert asked == demo.requests() > 0
        assert account.requests("/videos") > 0
        modes = dict(airflow.rows("SELECT resource, mode FROM api_video_data._syncs ORDER BY finished_at"))
        assert {name for name, mode in modes.items() if mode == "skipped"} == {
            endpoint.name for endpoint in ENDPOINTS if not endpoint.on_by_default
        }
        assert "video was switched on for the demo only, and this run reads http://127.0.0.1" in second.stdout


def test_the_files_beside_the_source_are_read_by_the_dag(airflow: Airflow, demo: Demo) -> None:
    settings = airflow.home / "include/.dlt"
    (settings / "secrets.toml").write_text(f'[sources.api_video_source]\napi_key = "{demo.api_key}"\n', encoding="utf-8")
    config = (settings / "config.toml").read_text(encoding="utf-8")
    ours = f'[sources.api_video_source]\nbase_url = "{demo.url}"\nresources = ["players"]\n'
    (settings / "config.toml").write_text(config.replace("[sources.api_video_source]\n", ours, 1), encoding="utf-8")

    done = airflow.run("airflow", "dags", "test", "api_video")

    assert done.returncode == 0, done.stdout[-3000:]
    assert airflow.rows("SELECT count(*) FROM api_video_data.players") == [(len(demo.world.ids("players")),)]
    assert demo.api_key not in done.stdout


def test_a_failed_task_that_may_pass_is_retried(airflow: Airflow, demo: Demo, demo_environment: dict[str, str]) -> None:
    one = {**demo_environment, "SOURCES__API_VIDEO_SOURCE__RESOURCES": '["players"]'}
    structure = airflow.run(
        "python",
        "-c",
        "import sys; sys.path.insert(0, 'dags'); import api_video_errors as t\n"
        "from include.api_video.errors import ApiVideoServerError, ApiVideoKeyError\n"
        "passing = [issubclass(error, t.PassingError) for error in (ApiVideoServerError, ApiVideoKeyError)]\n"
        "print(*passing, t.RETRIES['retries'])",
        **one,
    )
    assert structure.stdout.split("\n")[-2] == "True False 2"


def test_a_task_that_hangs_is_ended_with_a_sentence_and_validate_tells(
    airflow: Airflow, demo: Demo, demo_environment: dict[str, str]
) -> None:
    """A request always ends by itself, so a hook of the task hangs here; the time limit is cut to seconds."""
    one = {**demo_environment, "SOURCES__API_VIDEO_SOURCE__RESOURCES": '["players"]'}
    with (airflow.home / "dags/api_video_timeouts.py").open("a") as timeouts:
        timeouts.write("\n\ndef load_timeout(account):\n    return timedelta(seconds=3)\n")
    with (airflow.home / "include/api_video/load/source.py").open("a") as source:
        source.write("\n\ndef permitted_source(*args, **kwargs):\n    time.sleep(600)\n")

    done = airflow.run("airflow", "dags", "test", "api_video", "-c", '{"resources": ["players"]}', **one)

    assert done.returncode == 1
    verdict = done.stdout[done.stdout.rindex("ValidationError") :]
    assert "players was ended after 3 s. Its requests have their own limits" in verdict
    assert demo.requests() == 1, "by which `prepare` would have been told of a wrong key"


@pytest.mark.parametrize(
    ("admin_on", "schedule", "planned"), [(True, "*/10 * * * *", "*/10 * * * *"), (False, "nonsense", "@hourly")]
)
def test_parsing_needs_no_key_sends_nothing_and_shows_one_task_per_resource(
    airflow: Airflow, demo: Demo, demo_environment: dict[str, str], admin_on: bool, schedule: str, planned: str
) -> None:
    """`prepare` reports a malformed schedule."""
    environment = {**(demo_environment if admin_on else {}), "SOURCES__API_VIDEO_SOURCE__SCHEDULE": schedule}
    script = (
        "from airflow.dag_processing.dagbag import DagBag\n"
        "bag = DagBag('dags')\n"
        "dag = bag.dags['api_video']\n"
        "endless = [task.task_id for task in dag.tasks if not task.execution_timeout]\n"
        "assert not endless and dag.dagrun_timeout, endless\n"
        "print(bag.import_errors, sorted(dag.task_ids), dag.schedule, sep='|')\n"
    )

    done = airflow.run("python", "-c", script, **environment)

    errors, task_ids, schedule = done.stdout.strip().split("\n")[-1].split("|")
    expected = {f"{e.group}.{e.name}" for e in ENDPOINTS if admin_on or e.host is Host.MAIN} | {"prepare", "validate"}
    assert (errors, schedule) == ("{}", planned)
    assert task_ids == str(sorted(expected))
    assert demo.requests() == 0
    assert not list((airflow.home / "tmp").iterdir())


def test_a_malformed_catalog_is_a_sentence_without_its_password(airflow: Airflow, demo_environment: dict[str, str]) -> None:
    """DuckDB repeats the password, half decoded. It reaches neither log nor XCom nor another place; nothing is retried."""
    lake = {
        "CATALOG": "postgres://loader:per%cent%20hidden@127.0.0.1:1/lake",
        "STORAGE__BUCKET_URL": str(airflow.home / "x"),
    }
    settings = {f"DESTINATION__DUCKLAKE__CREDENTIALS__{name}": value for name, value in lake.items()}
    for extension in ("ducklake", "postgres_scanner"):
        airflow.run("python", "-c", f"from duckdb_extensions import import_extension as i; i('{extension}')")
    settings |= {**demo_environment, "API_VIDEO_DESTINATION": "ducklake"}

    done = airflow.run("airflow", "dags", "test", "api_video", **settings)

    assert done.returncode == 1
    assert "hidden" not in done.stdout, done.stdout
    assert "DestinationRefusedError: The destination ducklake cannot be used: " in done.stdout
    assert "Correct the connection string in DESTINATION__DUCKLAKE__CREDENTIALS" in done.stdout
    assert not [path for path in airflow.home.rglob("*") if path.is_file() and b"hidden@" in path.read_bytes()]
