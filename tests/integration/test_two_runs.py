"""Two full runs at the same time have the same result as one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.server import Demo
from include.demo_api.world import World
from tests.integration.conftest import change
from tests.integration.test_destinations import AnyWarehouse, anywhere, database, places, postgres

__all__ = ["anywhere", "database", "postgres"]  # fixtures
RESOURCES = ("videos", "video_status", "discarded_videos")


def run_twice(demo: Demo, *arguments: str) -> list[str]:
    """Output of two plain runs that began together and both succeeded."""
    demo.behaviour.latency_s = 0.02
    command = [sys.executable, "-W", "ignore", "-m", "include.api_video", *arguments]
    chosen = {"SOURCES__API_VIDEO_SOURCE__RESOURCES": json.dumps(RESOURCES)}
    environment = {**os.environ, **demo_settings(demo), **chosen}
    runs = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    outputs = [run.communicate(timeout=180)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n\n".join(outputs)
    return outputs


def assert_children_equal(warehouse: AnyWarehouse, world: World) -> None:
    dataset = warehouse.settings.account.dataset
    told = Counter(str(row["videoId"]) for row in world.listed("videos") for _ in row["tags"])
    sql = f"SELECT video_id, count(*) FROM {dataset}.videos__tags c WHERE EXISTS (SELECT 1 FROM {dataset}.videos v "
    rows = warehouse.rows(f"{sql}WHERE v.removed_at IS NULL AND v._dlt_id = c._dlt_parent_id) GROUP BY 1")
    assert Counter(dict(rows)) == told


@pytest.mark.slow
@places("postgres", "duckdb")
def test_two_first_runs_at_once_leave_what_one_does(anywhere: AnyWarehouse) -> None:
    outputs = run_twice(anywhere.demo)

    anywhere.assert_equal(*RESOURCES)
    assert_children_equal(anywhere, anywhere.demo.world)
    assert "waiting, for at most 600 s" in "".join(outputs)
    runs = anywhere.rows(f"SELECT DISTINCT run_id FROM {anywhere.settings.account.dataset}._syncs")
    assert len(runs) == 2
    assert all(re.fullmatch(r"plain__\S+\+00:00_[0-9a-f]{8}", run_id) for (run_id,) in runs)


@pytest.mark.slow
@places("postgres")
def test_two_full_refreshes_at_once_leave_what_one_does(anywhere: AnyWarehouse) -> None:
    anywhere.load(*RESOURCES)
    change(anywhere.demo.world)

    run_twice(anywhere.demo, "--full-refresh")

    anywhere.assert_equal(*RESOURCES)
    assert_children_equal(anywhere, anywhere.demo.world)
