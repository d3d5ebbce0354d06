"""A DuckDB file cannot serve workers on several machines."""

from __future__ import annotations

import sys

import pytest

from tests.airflow_home import PROJECT

sys.path += [str(PROJECT / "dags")]
import api_video_workers

from include.api_video.errors import SettingsError


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch):
    def are(**found: int | None) -> None:
        monkeypatch.setattr(api_video_workers, "_remote_workers", lambda: found)

    return are


def test_the_local_executor_is_no_worker_elsewhere() -> None:
    assert api_video_workers._remote_workers() == {}


@pytest.mark.parametrize(("found", "told"), [(2, "2 workers"), (None, "a machine of its own for each task")])
def test_a_file_and_several_machines_are_refused_with_what_to_choose(workers, found: int | None, told: str) -> None:
    workers(SomeExecutor=found)
    with pytest.raises(SettingsError) as caught:
        api_video_workers.check_workers()
    for word in (f"SomeExecutor has {told}", ".duckdb", "API_VIDEO_DESTINATION", "postgres", "LocalExecutor"):
        assert word in str(caught.value)


def test_one_worker_may_have_a_file(workers) -> None:
    workers(CeleryExecutor=1)
    api_video_workers.check_workers()


def test_a_warehouse_that_all_reach_has_any_number(workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_VIDEO_DESTINATION", "postgres")
    workers(CeleryExecutor=5, KubernetesExecutor=None)
    api_video_workers.check_workers()
