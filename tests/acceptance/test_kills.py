"""A run is killed at any moment: a plain rerun makes the tables equal, without duplicates or orphans."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import CLOCKS_GO_BACK, Stage
from tests.acceptance.connector import COMMAND, Connector, Run
from tests.acceptance.viewing import FEW

pytestmark = pytest.mark.slow

RESOURCES = ("videos", "video_status")
# Files of each of dlt's stages, in the working folder of a pipeline. Extraction is killed between answers instead.
STAGES = {
    "normalize": "load/new/*/new_jobs/*",
    "load": "load/normalized/*/started_jobs/*",
    "loaded": "load/loaded/*",
}
PARTS = 4
FRACTIONS = [(part + random.Random(part).random()) / PARTS for part in range(PARTS)]  # the same in each run of the tests


def killed(connector: Connector, is_time: Callable[[Run], bool]) -> tuple[Connector, bool]:
    """Kills a run as soon as ``is_time`` is true; returns whether it was still running."""
    run = connector.start()
    while not is_time(run) and run.poll() is None:
        time.sleep(0.002)
    run.kill()
    return connector, run.wait() == -9


def with_changes(connector: Connector) -> Connector:
    """Changes a part of the API's content after it was loaded."""
    api = connector.api
    for number, key in enumerate(api.ids("videos")[:60]):
        if number < 40:
            api.change("update", key=key, title=f"Changed {number}", tags=["changed", str(number)])
        else:
            api.change("delete" if number % 2 else "discard", key=key)
    for _ in range(5):
        api.change("add")
    return connector


def with_viewing(connector: Connector) -> Connector:
    """Closes a day that was read while open: 27 hours pass, plays come late, and the watched video is deleted."""
    api, first = connector.api, connector.api.ids("videos")[0]
    connector.now += timedelta(hours=27)
    for hours in (0.5, 26, 50):
        api.change("watch", key=first, at=(connector.now - timedelta(hours=hours)).isoformat(), plays=3)
    api.change("delete", key=first)
    return connector


def kill_after_answers(stage: Stage, kind: str, answers: int) -> tuple[Connector, bool]:
    connector = begin(stage, kind)
    connector.api.forget_requests()
    connector.api.behave(latency_s=0.02)
    done = killed(connector, lambda _: sum(entry["status"] > 0 for entry in connector.api.requests()) >= answers)
    connector.api.behave(latency_s=0)
    return done


def kill_at_stage(stage: Stage, kind: str, pipeline: str, name: str) -> tuple[Connector, bool]:
    """Kills a run within a stage. Some last a few hundredths of a second, so it tries until the kill hits the stage."""
    for _ in range(MOST_TRIES):
        connector, was_running = killed(begin(stage, kind), lambda run: has_files(run.temporary, pipeline, STAGES[name]))
        if has_files(connector.folder / "tmp1", pipeline, STAGES[name]):
            break
    return connector, was_running


def kill_after_time(stage: Stage, kind: str, fraction: float, seconds: float) -> tuple[Connector, bool]:
    """Kills a run after a part of its time. A run may be quicker than the measured one, so it tries earlier each time."""
    for attempt in range(MOST_TRIES):
        wait_s = fraction * seconds * 0.8**attempt
        connector, was_running = killed(begin(stage, kind), lambda run, s=wait_s: time.monotonic() - run.started >= s)
        if was_running:
            break
    return connector, was_running


def begin(stage: Stage, kind: str) -> Connector:
    if kind == "viewing":
        return with_viewing(stage.loaded(("videos", *FEW), begin=CLOCKS_GO_BACK))
    return stage.empty(RESOURCES) if kind == "first" else with_changes(stage.loaded(RESOURCES))


def has_files(temporary: Path, pipeline: str, pattern: str) -> bool:
    try:
        return any(temporary.glob(f"api_video_*/{pipeline}/{pattern}"))
    except FileNotFoundError:  # dlt moved the folder meanwhile
        return False


MOST_TRIES = 5
KINDS = ("first", "changes")
BY_ANSWERS = [("changes", 1), ("changes", 2), ("first", 2), ("first", 100)]
BY_STAGE = [(kind, "videos", name) for kind in KINDS for name in STAGES]
BY_STAGE += [("first", "video_status", name) for name in ("normalize", "load")]


@pytest.fixture(scope="module")
def outcomes(whole_stage: Stage) -> Iterator[dict[Any, Future[tuple[Connector, bool]]]]:
    """Makes all kills, two at a time, each with an API and a warehouse of its own."""
    kills = {case: partial(kill_after_answers, whole_stage, *case) for case in BY_ANSWERS}
    stages = {case: partial(kill_at_stage, whole_stage, *case) for case in BY_STAGE if not COMMAND}
    with whole_stage.side_by_side({**kills, **stages}, at_once=2) as found:
        yield found


@pytest.mark.parametrize(("kind", "answers"), BY_ANSWERS)
def test_killed_while_it_reads(outcomes: Any, kind: str, answers: int) -> None:
    connector, was_running = outcomes[kind, answers].result()

    assert was_running
    rerun(connector)


@pytest.mark.skipif(bool(COMMAND), reason="another connector's working folders are not known")
@pytest.mark.parametrize(("kind", "pipeline", "name"), BY_STAGE)
def test_killed_in_a_stage(outcomes: Any, kind: str, pipeline: str, name: str) -> None:
    connector, was_running = outcomes[kind, pipeline, name].result()

    assert was_running
    left = connector.folder / "tmp1"
    assert has_files(left, pipeline, STAGES[name]), "the stage was over before the kill"
    rerun(connector)


@pytest.mark.parametrize("fraction", FRACTIONS, ids=lambda fraction: f"{fraction:.2f}")
def test_killed_at_a_random_moment(stage: Stage, fraction: float, whole_run_s: float) -> None:
    connector, was_running = kill_after_time(stage, "changes", fraction, whole_run_s)

    assert was_running
    rerun(connector)


@pytest.fixture(scope="module")
def whole_run_s(whole_stage: Stage) -> float:
    """Seconds that a whole run takes."""
    with whole_stage.act() as stage:
        return begin(stage, "changes").run().seconds


@pytest.fixture(scope="module")
def whole_run_of_viewing_s(whole_stage: Stage) -> float:
    """Seconds that a whole run with analytics takes."""
    with whole_stage.act() as stage:
        return begin(stage, "viewing").run().seconds


@pytest.mark.parametrize("fraction", FRACTIONS[1::2], ids=lambda fraction: f"{fraction:.2f}")
def test_killed_at_a_random_moment_of_viewing(stage: Stage, fraction: float, whole_run_of_viewing_s: float) -> None:
    connector, was_running = kill_after_time(stage, "viewing", fraction, whole_run_of_viewing_s)

    assert was_running
    rerun(connector)


def rerun(connector: Connector) -> None:
    connector.run()
    connector.assert_equal()
