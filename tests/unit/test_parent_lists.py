"""The sync of a list per parent, as pure logic: which rows it loads, which are gone, what the next run asks again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.api_video.catalog.endpoints import by_name
from include.api_video.sync.outcome import Outcome
from include.api_video.sync.parent_lists import ParentLists
from include.api_video.sync.removal import RemovalBrake
from include.api_video.sync.state import KnownRow, ListedParent, ParentListState
from tests.examples import examples

CAPTIONS = by_name()["captions"]
START = datetime(2026, 6, 1, tzinfo=timezone.utc)
Lists = dict[str, dict[str, str]]  # text by language, by video


def rows_of(parent: str, texts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows as the reading passes them to the sync."""
    return [
        {"captionKey": f"{parent}/{lang}", "videoId": parent, "srclang": lang, "src": text} for lang, text in texts.items()
    ]


@dataclass
class Table:
    """The warehouse as a dictionary: what ``parent_list_queries`` asks it, and what a load does to it."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)  # by captionKey
    asked: dict[str, dict[str, Any]] = field(default_factory=dict)  # by video
    now: datetime = START
    share: float = 1

    def active(self, parent: str | None = None) -> dict[str, str]:
        """Text by key of the rows that are not removed."""
        kept = (row for row in self.rows.values() if not row["removed"] and parent in (None, row["videoId"]))
        return {row["captionKey"]: row["src"] for row in kept}

    def drop_lost(self, hashes: Mapping[str, str]) -> None:
        """Marks rows removed whose video is gone, and forgets that their list was requested."""
        for row in self.rows.values():
            row["removed"] |= row["videoId"] not in hashes
        self.asked = {parent: told for parent, told in self.asked.items() if parent in hashes}

    def waiting(self, hashes: Mapping[str, str]) -> list[str]:
        """Videos whose list is to be requested: new, changed, or with another number of rows than the list had."""
        return [
            parent
            for parent, content_hash in hashes.items()
            if (told := self.asked.get(parent)) is None
            or told["parent_hash"] != content_hash
            or told["listed_rows"] != len(self.active(parent))
        ]

    def begin(self, hashes: Mapping[str, str], also: Sequence[str] = (), budget: int = 1000) -> ParentLists:
        """The sync of the next run, which also requests the lists of ``also``, as if they were due."""
        waiting = self.waiting(hashes)
        waiting += [parent for parent in also if parent not in waiting]
        chosen, known = waiting[:budget], dict[str, dict[str, KnownRow]]()
        for key, row in self.rows.items():
            if row["videoId"] in chosen:
                known.setdefault(row["videoId"], {})[key] = KnownRow(row["_content_hash"], None, row["removed"])
        listed = {parent: told["listed_rows"] for parent, told in self.asked.items()}
        state = ParentListState(
            parents=len(hashes),
            active=len(self.active()),
            listed=sum(listed.values()),
            waiting_total=len(waiting),
            waiting=tuple(ListedParent(parent, hashes[parent], listed.get(parent, 0)) for parent in chosen),
            known=known,
        )
        brake = RemovalBrake(CAPTIONS.name, self.share, "MAX_REMOVED_SHARE")
        return ParentLists(CAPTIONS, state, brake, first=not self.rows)

    def take(self, sync: ParentLists, parent: str, rows: Sequence[dict[str, Any]], **how: bool) -> list[str]:
        """Passes a list to the sync and loads what comes back; returns the keys of the rows to load."""
        loaded = list(sync.take(parent, rows, self.now, **{"is_whole": True, **how}))
        for row in loaded:
            self.rows[row["captionKey"]] = {**row, "removed": False}
        return [row["captionKey"] for row in loaded]

    def end(self, sync: ParentLists) -> Outcome:
        """Ends the run: applies its removals, and remembers which lists were requested."""
        assert sync.is_done
        outcome = sync.outcome()
        for key in outcome.gone:
            self.rows[key]["removed"] = True
        self.asked |= {row["parent_key"]: row for row in sync.asked}
        self.now += timedelta(hours=1)
        return outcome


def run(table: Table, lists: Lists, hashes: Mapping[str, str] | None = None, also: Sequence[str] = ()) -> Outcome:
    """One run in which the API answers with ``lists``."""
    hashes = hashes or dict.fromkeys(lists, "h")
    table.drop_lost(hashes)
    sync = table.begin(hashes, also)
    for parent in sync.parents:
        table.take(sync, parent, rows_of(parent, lists[parent]))
    return table.end(sync)


def counts(outcome: Outcome) -> tuple[int, int, int, int]:
    """New, changed, removed, restored."""
    return outcome.new, outcome.changed, outcome.removed, outcome.restored


def test_each_row_of_a_list_is_new_changed_gone_or_the_same() -> None:
    table = Table()
    first = run(table, {"a": {"en": "1", "fr": "1", "de": "1"}, "b": {}})
    second = run(table, {"a": {"en": "1", "fr": "2", "es": "1"}, "b": {}}, also=["a"])

    assert (first.mode, counts(first)) == ("first", (3, 0, 0, 0))
    assert (second.mode, counts(second), second.gone) == ("changes", (1, 1, 1, 0), ["a/de"])
    assert table.active() == {"a/en": "1", "a/fr": "2", "a/es": "1"}
    assert second.active == second.items_total == 3


def test_a_row_that_comes_back_is_restored() -> None:
    table = Table()
    for texts, expected in ({"en": "1"}, (1, 0, 0, 0)), ({}, (0, 0, 1, 0)), ({"en": "1"}, (0, 0, 0, 1)):
        assert counts(run(table, {"a": dict(texts)}, also=["a"])) == expected
    assert table.active() == {"a/en": "1"}


def test_an_empty_list_is_remembered() -> None:
    table = Table()
    run(table, {"a": {}})

    assert table.asked["a"]["listed_rows"] == 0
    assert table.waiting({"a": "h"}) == []


def test_what_stands_still_loads_nothing() -> None:
    table = Table()
    run(table, {"a": {"en": "1"}})

    sync = table.begin({"a": "h"}, also=["a"])

    assert table.take(sync, "a", rows_of("a", {"en": "1"})) == []
    assert list(sync.compared) == ["a/en"]
    assert counts(table.end(sync)) == (0, 0, 0, 0)


def test_a_language_that_a_list_has_twice_is_one_row() -> None:
    table = Table()
    sync = table.begin({"a": "h"})

    assert table.take(sync, "a", [*rows_of("a", {"en": "1"}), *rows_of("a", {"en": "2"})]) == ["a/en"]
    outcome = table.end(sync)

    assert outcome.active == outcome.items_total == outcome.new == 1
    assert table.active() == {"a/en": "2"}
    assert table.waiting({"a": "h"}) == []


def test_a_list_that_moved_is_loaded_but_removes_nothing_and_is_not_proven() -> None:
    table = Table()
    run(table, {"a": {"en": "1", "fr": "1"}, "b": {"en": "1"}})

    sync = table.begin({"a": "h2", "b": "h"})
    table.take(sync, "a", rows_of("a", {"es": "1"}), is_whole=False)
    outcome = table.end(sync)

    assert sorted(table.active()) == ["a/en", "a/es", "a/fr", "b/en"]
    assert (outcome.active, outcome.waiting, list(outcome.gone)) == (4, 1, [])
    assert outcome.unproven == (
        "api.video listed 3 captions when last asked, 4 are loaded, and 1 list waits: they changed while being read."
    )
    healed = run(table, {"a": {"es": "1"}, "b": {"en": "1"}}, {"a": "h2", "b": "h"})
    assert (healed.unproven, healed.removed, healed.waiting) == (None, 2, 0)
    assert sorted(table.active()) == ["a/es", "b/en"]


def test_a_list_that_moved_is_asked_again_even_if_it_was_not_due() -> None:
    """It was read before it was due, and loaded a row: the next look was a week later, the table wrong until then."""
    table = Table()
    run(table, {"a": {"en": "1"}})
    sync = table.begin({"a": "h"}, also=["a"])
    table.take(sync, "a", rows_of("a", {"fr": "1"}), is_whole=False)
    table.end(sync)

    assert table.waiting({"a": "h"}) == ["a"]


def test_the_brake_keeps_all_rows_and_finds_them_again() -> None:
    """The lists counted as requested, so the rows that the brake had kept were not found again for a week."""
    table, full = Table(share=0.5), {f"v{n:02}": {"en": "1"} for n in range(40)}
    empty: Lists = {key: {} for key in full}
    run(table, full)

    stopped = run(table, empty, also=list(full))
    again = run(table, empty)
    table.share = 1
    allowed = run(table, empty)

    for outcome in (stopped, again):
        assert outcome.stopped_by is not None
        assert (outcome.removed, outcome.active, outcome.waiting, list(outcome.gone)) == (0, 40, 40, [])
        assert "40 of 40 rows are no longer listed" in str(outcome.unproven)
    assert (allowed.removed, allowed.active, allowed.items_total, allowed.waiting) == (40, 0, 0, 0)
    assert table.active() == {}


def test_the_brake_lets_the_lists_go_that_have_lost_nothing() -> None:
    table, full = Table(share=0.5), {f"v{n:02}": {"en": "1"} for n in range(40)}
    run(table, full)

    run(table, {key: {} if key < "v30" else {"en": "1"} for key in full}, also=list(full))

    assert table.waiting(dict.fromkeys(full, "h")) == [key for key in full if key < "v30"]


def test_a_list_that_the_api_failed_to_give_waits_and_keeps_its_rows() -> None:
    table = Table()
    run(table, {"a": {"en": "1"}, "b": {"en": "1"}})
    sync = table.begin({"a": "h2", "b": "h2"})
    sync.leave("a", "status 500")
    table.take(sync, "b", rows_of("b", {"en": "2"}))
    outcome = table.end(sync)

    assert (outcome.unread, outcome.waiting, outcome.active, outcome.items_total, outcome.changed) == (1, 1, 2, 2, 1)
    assert table.waiting({"a": "h2", "b": "h2"}) == ["a"]


def test_an_answer_that_is_no_list_waits_but_is_not_called_unread() -> None:
    """The API answered; what it said is in _rejected."""
    table = Table()
    sync = table.begin({"a": "h"})
    sync.reject("a")
    outcome = table.end(sync)

    assert (outcome.unread, outcome.waiting, outcome.items_total, outcome.active) == (0, 1, 0, 0)
    assert table.waiting({"a": "h"}) == ["a"]


def test_a_list_with_rows_that_no_table_can_hold_is_asked_again() -> None:
    table = Table()
    sync = table.begin({"a": "h"})
    table.take(sync, "a", rows_of("a", {"en": "1"}), is_open=True)
    outcome = table.end(sync)

    assert (outcome.active, outcome.items_total, outcome.unproven) == (1, 1, None)
    assert table.waiting({"a": "h"}) == ["a"]


def test_a_first_load_beyond_the_budget_goes_on_in_the_next_runs() -> None:
    table, lists = Table(), {f"v{n}": {"en": "1"} for n in range(5)}
    hashes, told = dict.fromkeys(lists, "h"), []
    for _ in range(4):
        sync = table.begin(hashes, budget=2)
        for parent in sync.parents:
            table.take(sync, parent, rows_of(parent, lists[parent]))
        outcome = table.end(sync)
        told.append((len(sync.parents), outcome.waiting, outcome.active, outcome.items_total))

    assert told == [(2, 3, 2, 2), (2, 1, 4, 4), (1, 0, 5, 5), (0, 0, 5, 5)]


def test_lists_asked_before_they_are_due_do_not_hide_others_that_wait() -> None:
    table = Table()
    run(table, {"a": {"en": "1"}, "b": {}})
    sync = table.begin({"a": "h2", "b": "h"}, also=["b"])
    sync.leave("a", "status 500")
    sync.leave("b", "status 500")

    assert table.end(sync).waiting == 2


languages = st.dictionaries(st.sampled_from(["en", "fr", "de"]), st.sampled_from("12"), max_size=3)
videos = st.sampled_from("abcde")
answers = st.sampled_from(["whole", "whole", "whole", "moving", "unread", "rejected", "some rejected"])
steps = st.lists(
    st.tuples(
        st.dictionaries(videos, st.tuples(languages, st.sampled_from("xyz")), max_size=5),  # lists and hashes
        st.lists(answers, min_size=5, max_size=5),
        st.sets(videos),  # due
        st.integers(0, 5),  # budget
    ),
    min_size=1,
    max_size=6,
)


@examples(300)
@given(steps=steps, share=st.sampled_from([0.0, 0.5, 1.0]))
def test_whatever_happens_the_table_equals_the_lists_that_were_asked(steps: Any, share: float) -> None:
    """Random worlds and answers over several runs; in the end the API answers well, and everything is equal."""
    table, world = Table(share=share), {}
    for world, kinds, due, budget in steps:
        _run_and_check(table, world, kinds, due, budget)
    _run_and_check(table, world, ["whole"] * 5, set(world), 1000)

    assert table.active() == {f"{p}/{lang}": text for p, (texts, _) in world.items() for lang, text in texts.items()}
    assert table.waiting({parent: content_hash for parent, (_, content_hash) in world.items()}) == []


def _run_and_check(table: Table, world: Any, kinds: Sequence[str], due: set[str], budget: int) -> None:
    hashes = {parent: content_hash for parent, (_, content_hash) in world.items()}
    table.drop_lost(hashes)
    before = table.active()
    sync = table.begin(hashes, [parent for parent in sorted(due) if parent in hashes], budget)
    asked_well, waits = list[str](), len(table.waiting(hashes))
    for parent, kind in zip(sync.parents, kinds, strict=False):
        listed = rows_of(parent, world[parent][0])
        if kind == "unread":
            sync.leave(parent, "status 500")
        elif kind == "rejected":
            sync.reject(parent)
        else:
            rows = listed[1:] if kind == "moving" else listed
            table.take(sync, parent, rows, is_whole=kind != "moving", is_open=kind == "some rejected")
            asked_well += [parent] if kind != "moving" else []
    outcome = table.end(sync)

    after = table.active()
    assert outcome.active == len(after) == len(before) + outcome.new + outcome.restored - outcome.removed
    assert outcome.unproven or outcome.items_total == outcome.active
    assert outcome.waiting >= max(0, waits - len(sync.parents))
    assert outcome.unread <= outcome.waiting
    for parent in asked_well:
        assert table.active(parent) == {f"{parent}/{lang}": text for lang, text in world[parent][0].items()}
    for parent in hashes.keys() - sync.parents.keys():
        assert table.active(parent) == {key: text for key, text in before.items() if key.startswith(f"{parent}/")}


@pytest.mark.parametrize(("gone", "stops"), [(19, False), (20, True)])
def test_the_brake_counts_the_rows_of_all_lists_together(gone: int, stops: bool) -> None:
    table, full = Table(share=0), {f"v{n:02}": {"en": "1"} for n in range(40)}
    run(table, full)

    outcome = run(table, {key: {} if int(key[1:]) < gone else {"en": "1"} for key in full}, also=list(full))

    assert (outcome.stopped_by is not None) is stops


def test_lists_that_are_given_up_are_told_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    table, world = Table(), {"v1": {"en": "1"}, "v2": {"en": "1"}}
    run(table, world)
    for given_up in (["v1"], ["v2", "v1"]):
        sync = table.begin(dict.fromkeys(world, "moved"), also=list(world))
        for key in world:
            if key in given_up:
                assert not list(sync.give_up(key, f"no {key}.", START))
            else:
                list(sync.take(key, rows_of(key, world[key]), START, is_whole=True))
        outcome = sync.outcome()
        assert (outcome.active, outcome.items_total, outcome.removed) == (2, 2, 0)
    assert [record.getMessage() for record in caplog.records] == [
        "captions of v1 cannot be read any more; what is loaded stays: no v1.",
        "captions: 2 lists cannot be read any more, the first that of v1; what is loaded stays: no v1.",
    ]
