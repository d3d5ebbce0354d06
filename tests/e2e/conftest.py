"""Fixtures: a real Airflow, and a demo API for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from include.api_video.catalog.endpoints import ENDPOINTS
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.airflow_home import Airflow, forking, make_home, own_home
from tests.browser import NoBrowserError, browsing
from tests.integration.conftest import change
from tests.lacking import leave_out
from tests.webhook import running_webhook


def world_of(videos: int) -> World:
    """A company's account with two days of viewing: a first load of 30 days is what ``make run`` is tested with."""
    world = World(videos)
    world.viewing.retention = timedelta(days=2)
    return world


@pytest.fixture(scope="session")
def migrated_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Airflow home, made once per session; tests get copies."""
    return make_home(tmp_path_factory.mktemp("airflow")).home


@dataclass(frozen=True)
class Loaded:
    """A first run of the DAG by ``airflow dags test``, with its settings and its output."""

    airflow: Airflow
    demo: Demo
    settings: dict[str, str]
    output: str


@pytest.fixture(scope="session")
def loaded(migrated_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """The first run that several test files examine: its tables, and what Airflow shows of it."""
    airflow = own_home(migrated_home, tmp_path_factory.mktemp("loaded") / "home")
    with running(world_of(60), Behaviour(rate_limit=100_000)) as demo, running_webhook() as webhook:
        settings = {**demo_settings(demo), "API_VIDEO__ALERTS__WEBHOOK_URL": webhook.url}
        settings["API_VIDEO_ACCOUNTS"] = '["default", "training"]'
        for name in ("DLT_DATA_DIR", "PIPELINES_DIR"):  # dlt's own settings for folders
            settings[name] = str(airflow.home / "mine" / name.lower() / "pipelines")
            (airflow.home / "mine" / name.lower()).mkdir(parents=True)
            (airflow.home / "mine" / name.lower() / "work.txt").write_text("of the user")
        done = airflow.run("airflow", "dags", "test", "api_video", **settings)
        assert done.returncode == 0, done.stdout[-5000:]
        assert webhook.posts == [], "a good run is not told"
        yield Loaded(airflow, demo, settings, done.stdout)


@pytest.fixture(scope="session")
def second_run(loaded: Loaded) -> str:
    """The output of a second run in the same home, after changes of every kind."""
    change(loaded.demo.world)
    loaded.demo.world.delete("players", loaded.demo.world.ids("players")[0])
    done = loaded.airflow.run("airflow", "dags", "test", "api_video", **loaded.settings)
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser; without one, the test is skipped."""
    lacking = ""
    try:
        with browsing() as browser:
            yield browser
    except NoBrowserError as none:
        lacking = str(none)
    if lacking:
        leave_out(lacking)


@pytest.fixture(scope="session")
def warm_airflow(migrated_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """A home whose commands start fast; tests use it one after another."""
    with forking(own_home(migrated_home, tmp_path_factory.mktemp("warm") / "home")) as airflow:
        yield airflow


@pytest.fixture
def airflow(migrated_home: Path, warm_airflow: Airflow) -> Airflow:
    """A new home, used by one test."""
    shutil.rmtree(warm_airflow.home)
    own_home(migrated_home, warm_airflow.home)
    return warm_airflow


@pytest.fixture
def demo() -> Iterator[Demo]:
    """A demo API with 60 videos."""
    with running(world_of(60), Behaviour(rate_limit=100_000)) as demo:
        yield demo


@pytest.fixture
def demo_environment(demo: Demo) -> dict[str, str]:
    """Environment that points the source at the demo API, with all resources switched on."""
    settings = demo_settings(demo)
    assert len(json.loads(settings["SOURCES__API_VIDEO_SOURCE__RESOURCES"])) == len(ENDPOINTS)
    return settings
