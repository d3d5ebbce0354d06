"""After random changes, faults and kills, between runs and during them, the tables equal what the API lists.

The tables of analytics equal what the API answered when each day was last due, whatever was watched or deleted since.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from include.api_video.catalog.endpoints import by_name
from tests.acceptance.conftest import CLOCKS_GO_BACK, CLOCKS_GO_FORWARD, Begin, Stage
from tests.acceptance.connector import Connector
from tests.acceptance.viewing import FEW

pytestmark = pytest.mark.slow

PATHS = {name: by_name()[name].path for name in ("videos", "discarded_videos", "summaries", "players", "live_streams")}
# A story takes half a minute, so a push runs few, and GitHub's weekly run more. Hypothesis begins with the simplest one. By
# default the stories are the same each time; with a larger number they are new.
STORIES = int(os.environ.get("STORIES", "1"))
BEGINS = (CLOCKS_GO_BACK,) if STORIES == 1 else (CLOCKS_GO_BACK, CLOCKS_GO_FORWARD)  # each costs a first load
RETRIED = ({"status": 500}, {"status": 502}, {"status": 503}, {"status": 504})
PROPERTY = settings(
    derandomize=STORIES == 1,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # shrinking a failure would need a run of the connector for each attempt
)


@dataclass(frozen=True)
class Change:
    """A change of the API's content; ``place`` (0 to 1) chooses the row."""

    kind: str
    resource: str
    place: float
    silently: bool = False

    def words(self, connector: Connector) -> dict[str, Any] | None:
        """The change as the demo API takes it; None if the list is empty."""
        resource = "discarded_videos" if self.kind == "restore" else self.resource
        words: dict[str, Any] = {"change": self.kind, "resource": resource}
        if self.kind != "add":
            keys = connector.api.ids(resource)
            if not keys:
                return None
            words["key"] = keys[int(self.place * (len(keys) - 1))]
        if self.kind == "update":
            field = {"videos": "title", "discarded_videos": "title", "summaries": "origin"}.get(resource, "name")
            words[field] = "api" if field == "origin" else f"Changed {self.place}"
            words["silently"] = self.silently
        return words

    def apply(self, connector: Connector) -> None:
        if words := self.words(connector):
            connector.api.change(**words)


@dataclass(frozen=True)
class Plays:
    """Plays of a video, also on earlier days: the API counts those late. ``place`` (0 to 1) chooses the video."""

    place: float
    ago: timedelta
    times: int
    is_deleted_then: bool

    def apply(self, connector: Connector) -> None:
        keys = connector.api.ids("videos")
        key = keys[int(self.place * (len(keys) - 1))]
        connector.api.change("watch", key=key, at=(connector.now - self.ago).isoformat(), plays=self.times)
        if self.is_deleted_then:
            connector.api.change("delete", key=key)


@dataclass(frozen=True)
class Round:
    """One run: the changes before it, and what happens during it.

    Attributes:
        during: a change after the first page.
        per_page: changes with each page that is read, on average.
        fault: a failing answer.
        kill_after: answers after which the run is killed.
        passes: time that passes before all this, in stories of viewing.
    """

    before: Sequence[Change]
    during: Change | None
    per_page: float
    fault: tuple[str, dict[str, Any]] | None
    kill_after: int | None
    passes: timedelta = timedelta(0)
    plays: Sequence[Plays] = ()


def changes(resources: Sequence[str]) -> st.SearchStrategy[Change]:
    lists = st.sampled_from([name for name in resources if name in PATHS and name != "discarded_videos"])
    kinds = ["add", "update", "update", "delete"]
    strategy = st.builds(Change, st.sampled_from(kinds), lists, st.floats(0, 1, width=16), st.booleans())
    if "discarded_videos" not in resources:
        return strategy
    moved = st.builds(
        Change, st.sampled_from(["discard", "restore", "restore"]), st.just("videos"), st.floats(0, 1, width=16)
    )
    deleted = st.builds(Change, st.just("delete"), st.just("discarded_videos"), st.floats(0, 1, width=16))
    return strategy | moved | moved | deleted


def rounds(resources: Sequence[str]) -> st.SearchStrategy[list[Round]]:
    change = changes(resources)
    fault = st.tuples(st.sampled_from(["status", "html", "truncated", "dropped"]), st.sampled_from(RETRIED))
    one = st.builds(
        Round,
        st.lists(change, min_size=1, max_size=12),
        st.none() | change,
        st.sampled_from([0.0, 0.5, 2.0]),
        st.none() | st.none() | fault,
        st.none() | st.none() | st.integers(1, 4),
    )
    return st.lists(one, min_size=2, max_size=3)


def rounds_of_viewing() -> st.SearchStrategy[list[Round]]:
    """Rounds that last minutes to days: over the close of a day, and over each time at which it is read again."""
    hours = st.sampled_from([26, 8, 1, 0.5, 5, 49, 74, 100])
    ago = st.floats(0.125, 90, width=16).map(lambda hours: timedelta(hours=hours))
    plays = st.builds(Plays, st.floats(0, 1, width=16), ago, st.integers(1, 5), st.booleans())
    fault = st.tuples(st.sampled_from(["status", "html", "truncated", "dropped"]), st.sampled_from(RETRIED))
    told = changes(["videos"]).map(lambda change: replace(change, silently=False))  # silent ones would need one more run
    one = st.builds(
        Round,
        st.lists(told, max_size=4),
        st.none(),
        st.just(0.0),
        st.none() | st.none() | fault,
        st.none() | st.integers(1, 60),
        hours.map(lambda hours: timedelta(hours=hours)),
        st.lists(plays, min_size=1, max_size=8),
    )
    return st.lists(one, min_size=1, max_size=3)


VIDEOS = ("videos", "discarded_videos", "video_status")
OTHERS = ("videos", "summaries", "players", "live_streams")


@given(story=rounds(VIDEOS))
@settings(PROPERTY, max_examples=1 + 2 * STORIES)
def test_videos_their_bin_and_their_states(whole_stage: Stage, story: list[Round]) -> None:
    with whole_stage.act() as stage:
        play(stage.loaded(VIDEOS), story)


@given(story=rounds(OTHERS))
@settings(PROPERTY, max_examples=1 + STORIES)
def test_the_other_lists(whole_stage: Stage, story: list[Round]) -> None:
    with whole_stage.act() as stage:
        play(stage.loaded(OTHERS), story)


@given(begin=st.sampled_from(BEGINS), story=rounds_of_viewing())
@settings(PROPERTY, max_examples=1 + STORIES)
def test_viewing_beside_changes(whole_stage: Stage, begin: Begin, story: list[Round]) -> None:
    with whole_stage.act() as stage:
        play(stage.loaded(("videos", *FEW), begin=begin), story)


def play(connector: Connector, story: Sequence[Round]) -> None:
    """Plays all rounds. Then a reconciliation finds silent changes, and a run after it changes no byte."""
    for part in story:
        play_round(connector, part)
    if any(change.silently for part in story for change in (*part.before, part.during) if change):
        connector.run(full=True)
        connector.assert_equal()
    before = connector.content()
    connector.run()
    assert connector.content() == before
    connector.assert_no_orphans()


def let_pass(connector: Connector, part: Round) -> None:
    """Lets time pass and makes the changes before the run."""
    if part.passes:
        connector.now += part.passes
        for days in range(5):  # each day's numbers move, so that a reading too few or too many shows
            Plays(0.5, timedelta(days=days, hours=0.25), 1, is_deleted_then=False).apply(connector)
    for step in (*part.plays, *part.before):
        step.apply(connector)


def play_round(connector: Connector, part: Round) -> None:
    api = connector.api
    let_pass(connector, part)
    if part.during and (words := part.during.words(connector)):
        api.change_after(1, PATHS[connector.resources[0]], **words)
    lists = [name for name in connector.resources if name in PATHS and name != "discarded_videos"]
    for resource in lists if part.per_page else ():
        bin_too = ["discard"] if resource == "videos" and "discarded_videos" in connector.resources else []
        kinds = ["add", "update", "delete", *bin_too]
        api.begin_traffic(per_page=part.per_page / len(lists), resource=resource, kinds=kinds)
    if part.fault:
        kind, words = part.fault
        api.fail("|".join(["/data/.*"] if connector.viewing else PATHS.values()), kind, **words)
    api.forget_requests()
    run = connector.start()
    if part.kill_after:
        while run.poll() is None and sum(request["status"] > 0 for request in api.requests()) < part.kill_after:
            time.sleep(0.005)
        run.kill()
    code = run.wait()
    api.heal()
    moved = api.stop_traffic() > 0 or part.during
    if code != 0 or moved:  # a change during the reading may have come too late for this run
        connector.run()
    else:
        connector.see_run()
    connector.assert_equal(content=False)
    if not any(change.silently for change in part.before):
        connector.assert_no_orphans()
