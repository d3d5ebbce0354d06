"""Two accounts in one destination: each has its own tables, ledger and state, and no row of the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dlt
import pytest

from include.api_video.proof.report import read_last_report
from include.api_video.settings.accounts import DEFAULT_ACCOUNT, Account
from include.api_video.warehouse.pipelines import short_lived_pipeline
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import running
from include.demo_api.world import World
from tests.integration.conftest import Warehouse

TRAINING = Account("training")


@pytest.fixture
def training(warehouse: Warehouse) -> Iterator[Warehouse]:
    """Another account with other videos, into the same file."""
    with running(World(12, seed=7), Behaviour(rate_limit=100_000)) as demo:
        other = Warehouse(demo, warehouse.file)
        other.settings = replace(other.settings, account=TRAINING)
        yield other


@pytest.mark.slow
def test_each_account_has_its_own_rows_and_goes_on_from_its_own_state(warehouse: Warehouse, training: Warehouse) -> None:
    ours, theirs = set(warehouse.demo.world.ids("videos")), set(training.demo.world.ids("videos"))
    assert not ours & theirs

    names = ("videos", "video_status")
    for _ in range(2):  # the second run finds a state
        assert not warehouse.load(*names).report.failed
        assert not training.load(*names).report.failed
        warehouse.demo.world.delete_video(warehouse.demo.world.ids("videos")[0])
        training.demo.world.update_video(training.demo.world.ids("videos")[0], title="changed")
    run, their_run = warehouse.load(*names), training.load(*names)

    warehouse.assert_equal(*names)
    training.assert_equal(*names)
    for table in ("videos", "videos__tags", "video_status"):
        assert {row[0] for row in warehouse.rows(f"SELECT video_id FROM {table}")} <= ours
        assert {row[0] for row in training.rows(f"SELECT video_id FROM {table}")} <= theirs
    assert run.sync("videos")["removed_rows"] == 1
    assert their_run.sync("videos")["changed_rows"] == 1
    assert {"run1", "run2", "run3"} == {row[0] for row in training.rows("SELECT run_id FROM _checks")}


def test_a_restored_state_of_one_account_does_not_lead_into_the_dataset_of_the_other(
    warehouse: Warehouse, training: Warehouse, tmp_path: Path
) -> None:
    """The dataset name in dlt's restored state wins over the one given to the pipeline."""
    warehouse.load("players")
    training.load("players")

    for account, loaded in ((TRAINING, training), (DEFAULT_ACCOUNT, warehouse), (TRAINING, training)):
        with short_lived_pipeline(account.pipeline, account) as pipeline:
            pipeline.sync_destination()
            assert pipeline.dataset_name == account.dataset
        report = read_last_report(account)
        assert report is not None
        assert [sync["active_rows"] for sync in report.syncs] == [len(loaded.demo.world.ids("players"))]
        # As a user's own code: dlt finds its local copy by the pipeline's name alone.
        players = dlt.attach(account.pipeline).dataset().players.df()
        assert sorted(players["player_id"]) == sorted(loaded.demo.world.ids("players"))


def test_a_full_refresh_of_one_account_leaves_the_other_as_it_is(warehouse: Warehouse, training: Warehouse) -> None:
    warehouse.begin("videos", "video_status")
    training.load("videos", "video_status")
    before = warehouse.rows("SELECT * FROM videos ORDER BY video_id")

    training.load("videos", "video_status", full_refresh=True)

    assert warehouse.rows("SELECT * FROM videos ORDER BY video_id") == before
    training.assert_equal("videos", "video_status")
