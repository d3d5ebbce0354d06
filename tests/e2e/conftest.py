"""A real Airflow, and a demo API for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.airflow_home import Airflow, make_home, own_home


@pytest.fixture(scope="session")
def migrated_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was made once, to be copied."""
    return make_home(tmp_path_factory.mktemp("airflow")).home


@pytest.fixture
def airflow(migrated_home: Path, tmp_path: Path) -> Airflow:
    """A home of the test's own."""
    return own_home(migrated_home, tmp_path / "home")


@pytest.fixture
def demo() -> Iterator[Demo]:
    """A demo API with 60 videos."""
    with running(World(60), Behaviour(rate_limit=100_000)) as demo:
        yield demo


@pytest.fixture
def demo_environment(demo: Demo) -> dict[str, str]:
    """What points the source at the demo, all nine resources on."""
    settings = demo_settings(demo)
    assert len(json.loads(settings["SOURCES__API_VIDEO_SOURCE__RESOURCES"])) == 9
    return settings
