"""The decisions of a sync as pure logic: pages go in, rows to load and an outcome come out; the warehouse is a dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.api_video.api.answers import Page
from include.api_video.api.client import MISSING
from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.storable import utc
from include.api_video.errors import ApiVideoError, ApiVideoRequestError, ApiVideoServerError, RemovalBrakeError
from include.api_video.sync.detail_sync import DetailSync
from include.api_video.sync.list_sync import ListSync, is_full_due
from include.api_video.sync.outcome import Outcome, hash_row
from include.api_video.sync.state import DetailState, KnownRow, Parent, TableState
from include.api_video.sync.uncounted_lists import UncountedLists
from tests.examples import examples

START = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
NOW = datetime(2026, 3, 2, tzinfo=timezone.utc)
VIDEOS, LIVE_STREAMS, DISCARDED = by_name()["videos"], by_name()["live_streams"], by_name()["discarded_videos"]
STATUS, SOURCE = by_name()["video_status"], by_name()["summary_source"]


def at(second: int) -> str:
    """A timestamp as the API writes it: UTC, no fraction."""
    return (START + timedelta(seconds=second)).isoformat()


def video(key: str, second: int, title: str = "") -> dict[str, Any]:
    return {"videoId": key, "updatedAt": at(second), "title": title}


def videos(*seconds: int) -> list[dict[str, Any]]:
    """One video per second: ``videos(3, 1)`` are v3 and v1."""
    return [video(f"v{second}", second) for second in seconds]


def page(rows: list[dict[str, Any]], total: int | None, number: int = 1, pages: int = 1) -> Page:
    return Page(rows, number, pages, total, number < pages)


@dataclass
class Table:
    """A warehouse table as a dictionary: it answers a sync's queries, and stores the rows that it emits."""

    endpoint: Endpoint = VIDEOS
    rows: dict[str, KnownRow] = field(default_factory=dict)
    loaded: bool = False
    questions: list[str] = field(default_factory=list)
    ledger: Outcome | None = None  # of the last run
    first_is_due: bool = True  # no reading has been completed yet

    def find_rows(self, keys: Sequence[str]) -> dict[str, KnownRow]:
        self.questions.append("find_rows")
        return {key: self.rows[key] for key in keys if key in self.rows}

    def all_rows(self) -> dict[str, KnownRow]:
        self.questions.append("all_rows")
        return dict(self.rows)

    def state(self) -> TableState:
        times = [row.updated_at for row in self.rows.values() if row.updated_at]
        is_told = self.loaded and not (self.ledger and self.ledger.mode == "partial" and self.first_is_due)
        full_at = START if is_told else None
        active = self.active()
        undated = sum(self.rows[key].updated_at is None for key in active)
        told = {}
        if last := self.ledger:
            told = {"total_off": last.total_off, "is_sorted": last.is_sorted, "unproven": last.unproven}
            told["is_whole"] = last.mode != "partial" or bool(last.stopped_by)
        return TableState(self.loaded, len(active), max(times, default=None), full_at, undated=undated, **told)

    def active(self) -> set[str]:
        return {key for key, row in self.rows.items() if not row.removed}

    def hold(self, rows: Sequence[Mapping[str, Any]]) -> Table:
        """Makes these rows loaded already."""
        self.loaded, self.first_is_due = True, False
        for row in rows:
            self.rows[row[self.endpoint.key]] = KnownRow(hash_row(row), utc(row.get("updatedAt")), removed=False)
        return self

    def remove(self, *keys: str) -> Table:
        for key in keys:
            self.rows[key] = KnownRow(self.rows[key].content_hash, self.rows[key].updated_at, removed=True)
        return self

    def sync(self, **options: Any) -> ListSync:
        return ListSync(self.endpoint, self.state(), self, **options)

    def load(self, read: Callable[[int], Page], **options: Any) -> Outcome:
        """One run: reads what the sync requests, and merges the rows that it emits, as one load package does.

        Pages that are sure to be requested are prefetched, the last ones first.
        """
        sync, news, number = self.sync(**options), [], 1
        ahead: dict[int, Page | ApiVideoError] = {}
        while True:
            answer = ahead.pop(number) if number in ahead else read_or_fail(read, number)
            stopped = isinstance(answer, ApiVideoError)
            following = sync.stop(answer) if stopped else sync.next_page(answer)
            rows = [] if stopped else list(answer.rows)
            rows += sync.late_rows() if sync.is_done else []
            news += [taken for row in rows if (taken := sync.take(row, NOW)) is not None]
            if following is None:
                break
            number = following
            if not sync.last_wanted:
                ahead.clear()
            for page_ahead in range(min(sync.last_wanted, number + getattr(read, "ahead", 1) - 1), number - 1, -1):
                if page_ahead not in ahead:
                    ahead[page_ahead] = read_or_fail(read, page_ahead)
        outcome = self.ledger = sync.outcome()
        self.first_is_due &= outcome.mode not in ("first", "full")
        for row in news:
            removed = row.get("removed_at") is not None
            key = row[self.endpoint.key]
            self.rows[key] = KnownRow(row.get("_content_hash"), utc(row.get("updatedAt")), removed)
        self.loaded = True
        self.remove(*outcome.gone)
        return outcome


def read_or_fail(read: Callable[[int], Page], number: int) -> Page | ApiVideoError:
    try:
        return read(number)
    except ApiVideoError as error:
        if number == 1:
            raise
        return error


class Pages:
    """Returns prepared answers, and logs which pages were requested."""

    def __init__(self, *answers: Page) -> None:
        self._answers = list(answers)
        self.asked: list[int] = []

    def __call__(self, number: int) -> Page:
        self.asked.append(number)
        answer = self._answers.pop(0)
        assert answer.number == number
        return answer

    @property
    def left(self) -> int:
        return len(self._answers)


def load(table: Table, *answers: Page, **options: Any) -> Outcome:
    """One run over these answers, all of which it must request."""
    pages = Pages(*answers)
    outcome = table.load(pages, **options)
    assert pages.left == 0, "the run ended before it had read everything"
    return outcome


# --- lists: what is read -----------------------------------------------------------------------------------------------


def test_the_first_load_reads_every_page():
    table = Table()
    first = page(videos(3, 2), 3, 1, 2)
    outcome = load(table, first, page(videos(1), 3, 2, 2), first)  # page 1 again: nothing new meanwhile
    assert outcome == Outcome("first", items_total=3, active=3, new=3, gone=[])
    assert table.active() == {"v1", "v2", "v3"}


def test_an_empty_account_is_a_first_load_without_rows():
    assert load(Table(), page([], 0)) == Outcome("first", items_total=0, active=0, gone=[])


def test_when_nothing_changed_the_first_page_is_enough_however_many_there_are():
    table = Table().hold(videos(*range(250)))
    outcome = load(table, page(videos(249, 248), 250, 1, 125))
    assert outcome == Outcome("changes", items_total=250, active=250, gone=[])
    assert "all_rows" not in table.questions


def test_a_new_and_a_changed_row_are_told_apart():
    table = Table().hold(videos(3, 2, 1))
    outcome = load(table, page([video("v5", 5), video("v1", 4, "renamed"), *videos(3, 2)], 4))
    assert outcome == Outcome("changes", items_total=4, active=4, new=1, changed=1, gone=[])


def test_a_row_that_did_not_change_is_not_loaded_again():
    table = Table().hold(videos(2, 1))
    sync = table.sync()
    sync.next_page(page(videos(2, 1), 2))
    assert [sync.take(row, NOW) for row in videos(2, 1)] == [None, None]


def test_a_row_that_is_news_goes_on_with_its_hash_and_the_time_it_was_read():
    sync = Table().hold(videos(1)).sync()
    sync.next_page(page(videos(2, 1), 2))
    row = video("v2", 2)
    assert sync.take(row, NOW) == {**row, "_content_hash": hash_row(row), "_read_at": NOW}


def test_reading_ends_at_the_first_row_older_than_the_cursors_second():
    table = Table().hold(videos(3, 2, 1))
    first = page(videos(6, 5), 6, 1, 3)
    outcome = load(table, first, page([*videos(4), *videos(3)], 6, 2, 3), page(videos(2, 1), 6, 3, 3), first)
    assert outcome.new == 3


def test_rows_of_the_cursors_own_second_are_read_again_also_across_a_page_border():
    """Timestamps have no fraction: after the last run, another row may have come in the cursor's second."""
    held = [video("a", 9), video("b", 9), video("old", 1)]
    table = Table().hold(held)
    late = video("late", 9)
    first = page([held[0], held[1]], 4, 1, 2)
    outcome = load(table, first, page([late, held[2]], 4, 2, 2), first)
    assert outcome == Outcome("changes", items_total=4, active=4, new=1, gone=[])


def test_a_row_changed_twice_within_the_cursors_second_is_changed():
    table = Table().hold([video("a", 9, "first"), video("b", 1)])
    outcome = load(table, page([video("a", 9, "second"), video("b", 1)], 2))
    assert (outcome.changed, outcome.drifted) == (1, 0)


def test_a_list_without_a_cursor_is_read_whole_each_time():
    streams = [{"liveStreamId": f"li{n}", "updatedAt": at(n), "broadcasting": False} for n in range(3)]
    table = Table(LIVE_STREAMS).hold(streams)
    on_air = {**streams[2], "broadcasting": True}
    outcome = load(table, page(streams[:2], 3, 1, 2), page([on_air], 3, 2, 2))
    assert outcome == Outcome("full", items_total=3, active=3, changed=1, gone=[])


def test_a_row_without_its_key_is_a_server_error_that_names_the_fields_only():
    with pytest.raises(ApiVideoServerError, match=r"/videos came without its videoId; fields: \['title'\]") as raised:
        Table().sync().next_page(page([{"title": "s3cret"}], 1))
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("last_full_at", "hours", "due"),
    [
        (None, 24, True),
        (NOW - timedelta(hours=24), 24, True),
        (NOW - timedelta(hours=23, minutes=59), 24, False),
        (NOW, 0, True),
        (NOW - timedelta(minutes=45), 0.5, True),
    ],
)
def test_a_full_look_is_due_after_so_many_hours_and_0_means_every_run(last_full_at, hours, due):
    assert is_full_due(TableState(last_full_at=last_full_at), hours, NOW) is due


def test_the_hash_of_a_row_does_not_depend_on_the_order_of_its_fields():
    assert hash_row({"a": 1, "b": {"c": [1], "d": None}}) == hash_row({"b": {"d": None, "c": [1]}, "a": 1})
    assert hash_row({"tags": ["a", "b"]}) != hash_row({"tags": ["b", "a"]})


# --- lists: removals ---------------------------------------------------------------------------------------------------


def test_where_the_count_does_not_fit_the_same_run_goes_on_and_finds_what_is_gone():
    table = Table().hold(videos(4, 3, 2, 1))
    whole = (page(videos(4, 3), 3, 1, 2), page(videos(1), 3, 2, 2))
    outcome = load(table, *whole, whole[0])  # page 1 again: nothing new meanwhile
    assert outcome == Outcome("full", items_total=3, active=3, removed=1, gone=["v2"])
    assert table.active() == {"v1", "v3", "v4"}


def test_one_that_went_and_one_that_came_are_both_seen():
    """The number of rows stays the same."""
    table = Table().hold(videos(3, 2, 1))
    whole = (page(videos(4, 3), 3, 1, 2), page(videos(1), 3, 2, 2))
    outcome = load(table, *whole, whole[0], whole[0])
    assert outcome == Outcome("full", items_total=3, active=3, new=1, removed=1, gone=["v2"])
    assert table.active() == {"v1", "v3", "v4"}


def test_the_last_row_that_goes_is_removed():
    table = Table().hold(videos(1))
    assert load(table, page([], 0)) == Outcome("full", items_total=0, active=0, removed=1, gone=["v1"])


def test_a_row_that_is_removed_already_is_not_removed_again():
    table = Table().hold(videos(3, 2, 1)).remove("v2")
    outcome = load(table, page(videos(3, 1), 2), full_due=True)
    assert outcome == Outcome("full", items_total=2, active=2, gone=[])


def test_a_row_that_came_back_unchanged_is_restored():
    table = Table().hold(videos(9, 8, 2, 1)).remove("v1")
    first = page(videos(9, 8), 4, 1, 2)
    outcome = load(table, first, page(videos(2, 1), 4, 2, 2), first)
    assert outcome == Outcome("full", items_total=4, active=4, restored=1, gone=[])
    assert table.active() == {"v1", "v2", "v8", "v9"}


def test_a_row_that_came_back_on_the_first_page_needs_no_second_one():
    table = Table().hold(videos(3, 2, 1)).remove("v3")
    outcome = load(table, page([video("v3", 4), video("v2", 2)], 3, 1, 2))
    assert outcome == Outcome("changes", items_total=3, active=3, restored=1, gone=[])


def test_a_row_that_changed_while_updated_at_stood_still_has_drifted():
    table = Table().hold(videos(9, 2, 1))
    silent = video("v2", 2, "changed in silence")
    outcome = load(table, page([*videos(9), silent, *videos(1)], 3), full_due=True)
    assert outcome == Outcome("full", items_total=3, active=3, changed=1, drifted=1, gone=[])


def test_starting_anew_forgets_what_is_loaded():
    table = Table().hold(videos(2, 1))
    sync = ListSync(VIDEOS, TableState(), table, full_refresh=True)
    assert sync.next_page(page(videos(2), 1)) is None
    assert sync.take(video("v2", 2), NOW) is not None
    assert sync.outcome() == Outcome("first", items_total=1, active=1, new=1, gone=[])


# --- lists: the brake --------------------------------------------------------------------------------------------------


def braked(outcome: Outcome) -> str:
    assert isinstance(outcome.stopped_by, RemovalBrakeError)
    return str(outcome.stopped_by)


def test_a_run_that_would_remove_more_than_the_allowed_share_stops_and_removes_nothing():
    table = Table().hold(videos(*range(40)))
    rows = [*videos(41), *videos(*range(39, 20, -1))]
    outcome = load(table, page(rows, 20), max_removed_share=0.5)
    assert "videos: 21 of 40 " in braked(outcome)
    assert 'with "Allow a mass removal in this run" (without Airflow: SOURCES__API_VIDEO_SOURCE__' in braked(outcome)
    assert (outcome.mode, outcome.new, outcome.removed, outcome.active) == ("partial", 1, 0, 41)
    assert len(table.active()) == 41, "what was read is loaded all the same"
    assert "api.video says 20" in outcome.unproven


def test_a_run_that_removes_just_the_allowed_share_goes_on():
    table = Table().hold(videos(*range(40)))
    outcome = load(table, page(videos(*range(39, 19, -1)), 20), max_removed_share=0.5)
    assert (outcome.removed, outcome.active) == (20, 20)


def test_fewer_than_20_removals_never_stop_a_run():
    table = Table().hold(videos(*range(19)))
    assert load(table, page([], 0), max_removed_share=0.5).removed == 19


def test_20_removals_can_stop_a_run():
    assert braked(load(Table().hold(videos(*range(20))), page([], 0), max_removed_share=0.5))


def test_a_share_of_1_is_no_brake():
    assert load(Table().hold(videos(*range(100))), page([], 0), max_removed_share=1).removed == 100


def test_the_brake_counts_active_rows_only():
    table = Table().hold(videos(*range(100))).remove(*(f"v{n}" for n in range(60)))
    outcome = load(table, page(videos(*range(99, 80, -1)), 19), max_removed_share=0.5)
    assert "21 of 40" in braked(outcome)


# --- lists that shift while they are read ------------------------------------------------------------------------------


def test_a_list_whose_total_moved_is_read_again():
    table = Table()
    first = (page(videos(4, 3), 4, 1, 2), page(videos(1), 3, 2, 2))
    again = (page(videos(4, 3), 3, 1, 2), page(videos(1), 3, 2, 2))
    assert load(table, *first, *again, again[0]) == Outcome("first", items_total=3, active=3, new=3, gone=[])


def test_a_row_that_comes_twice_tells_of_another_that_is_on_top_now():
    """v5 was added and v1 deleted at once: the total stays the same, and v3 moved to the second page."""
    table = Table()
    first = (page(videos(4, 3), 4, 1, 2), page(videos(3, 2), 4, 2, 2), page([], 4, 3, 2))
    again = (page(videos(5, 4), 4, 1, 2), page(videos(3, 2), 4, 2, 2))
    assert load(table, *first, *again, again[0]).new == 4
    assert table.active() == {"v2", "v3", "v4", "v5"}


def test_pages_that_disagree_about_the_total_are_not_believed_where_only_changes_are_read():
    """v8 was deleted between the pages and v6 moved to page 1: as many rows as listed, but v6 is missing."""
    table = Table().hold(videos(5, 4, 3))
    now = page(videos(7, 6), 5, 1, 3), page(videos(5, 4), 5, 2, 3), page(videos(3), 5, 3, 3)
    changes = (page(videos(8, 7), 6, 1, 3), now[1], now[0], now[1], now[0])
    assert load(table, *changes, *now, now[0]).unproven is None
    assert table.active() == {"v3", "v4", "v5", "v6", "v7"}


class Live:
    """A list with pages of two rows, newest first; ``then`` has its content from the n-th request on."""

    def __init__(self, rows: list[dict[str, Any]], then: dict[int, list[dict[str, Any]]]) -> None:
        self._rows, self._then, self.asked = rows, then, list[int]()

    def __call__(self, number: int) -> Page:
        self.asked.append(number)
        self._rows = self._then.get(len(self.asked), self._rows)
        pages = -(-len(self._rows) // 2)
        return page(self._rows[2 * number - 2 : 2 * number], len(self._rows), number, pages)

    def ask(self, keys: Sequence[str]) -> dict[str, dict[str, Any] | None]:
        listed = {row["videoId"]: row for row in self._rows}
        return {key: listed.get(key) for key in keys}


def test_a_new_row_that_went_while_the_list_was_read_is_not_active():
    table = Table().hold(videos(1))
    live = Live(videos(4, 3, 1), {2: videos(3, 1)})
    outcome = table.load(live, full_due=True, fetch=live.ask)
    assert outcome == Outcome("full", items_total=2, active=2, new=1, gone=[])
    assert table.active() == {"v1", "v3"}


def test_a_changed_row_that_went_while_the_list_was_read_is_removed_once():
    table = Table().hold(videos(2, 1, 0))
    live = Live([video("v2", 5, "changed"), *videos(1, 0)], {2: videos(1, 0)})
    outcome = table.load(live, full_due=True, fetch=live.ask)
    assert outcome == Outcome("full", items_total=2, active=2, removed=1, gone=[])
    assert table.active() == {"v0", "v1"}


def test_a_restored_row_that_went_while_the_list_was_read_stays_removed():
    table = Table().hold(videos(2, 1, 0)).remove("v2")
    live = Live([video("v2", 5), *videos(1, 0)], {2: videos(1, 0)})
    outcome = table.load(live, full_due=True, fetch=live.ask)
    assert outcome == Outcome("full", items_total=2, active=2, gone=[])
    assert table.active() == {"v0", "v1"}


def test_a_row_that_changed_while_the_list_was_read_is_loaded_as_it_is_now():
    table = Table()
    live = Live([video("a", 1, "early"), *videos(0, -1)], {2: [video("a", 5, "late"), *videos(0, -1)]})
    assert table.load(live, fetch=live.ask).new == 3
    assert table.rows["a"].content_hash == hash_row(video("a", 5, "late"))


def test_an_older_version_from_a_server_that_lags_behind_does_not_win():
    table = Table()
    late, early = video("a", 5, "late"), video("a", 1, "early")
    live = Live([late, *videos(0, -1)], {2: [early, *videos(0, -1)]})
    assert table.load(live, fetch=live.ask).new == 3
    assert table.rows["a"].content_hash == hash_row(late)


# --- lists that are not as they say --------------------------------------------------------------------------------------


def cut(rows: list[dict[str, Any]], total: int, size: int = 2) -> Callable[[int], Page]:
    """A list that does not change, whatever total it reports."""
    pages = -(-len(rows) // size)
    return lambda number: page(rows[size * (number - 1) : size * number], total, number, pages)


@pytest.mark.parametrize("off", [-2, -1, 1, 3])
def test_a_total_that_is_always_off_is_told_with_both_figures_and_costs_no_reading_more(off):
    table, rows = Table(), videos(*range(5, 0, -1))
    outcome = table.load(cut(rows, 5 + off), fetch=lambda keys: {key: {} for key in keys})
    assert (outcome.new, outcome.total_off, outcome.mode) == (5, off, "first")
    assert outcome.unproven == f"api.video says {5 + off}, three readings listed 5 different videos."

    idle = load(table, cut(rows, 5 + off)(1))
    assert (idle.mode, idle.unproven, idle.total_off) == ("changes", outcome.unproven, off)


def test_the_next_full_look_believes_a_known_offset_at_once():
    table, rows = Table(), videos(*range(5, 0, -1))
    table.load(cut(rows, 6))
    pages = Pages(*(cut(rows, 6)(number) for number in (1, 2, 3, 1)))
    assert table.load(pages, full_due=True).total_off == 1
    assert pages.left == 0


def test_a_total_that_is_right_again_is_proven_by_a_whole_reading():
    table, rows = Table(), videos(*range(5, 0, -1))
    table.load(cut(rows, 6))
    outcome = table.load(cut(rows, 5))
    assert (outcome.mode, outcome.unproven, outcome.total_off) == ("full", None, 0)


def test_a_row_that_goes_from_a_list_whose_total_is_off_is_found():
    table, rows = Table(), videos(*range(5, 0, -1))
    table.load(cut(rows, 6))
    without = [row for row in rows if row["videoId"] != "v3"]
    outcome = table.load(cut(without, 5), fetch=dict.fromkeys)
    assert outcome.gone == ["v3"]
    assert outcome.total_off == 1


def test_a_loaded_row_that_a_list_with_a_wrong_total_lacks_is_kept_where_the_api_still_has_it():
    table = Table().hold(videos(5, 4, 3, 2, 1))
    without = [row for row in videos(5, 4, 3, 2, 1) if row["videoId"] != "v3"]
    outcome = table.load(cut(without, 7), fetch=lambda keys: {key: video(key, 3) for key in keys}, full_due=True)
    assert (outcome.removed, outcome.active, outcome.total_off) == (0, 5, 2)


def test_a_loaded_row_that_a_list_with_a_wrong_total_lacks_is_kept_where_nobody_can_be_asked():
    table = Table().hold(videos(5, 4, 3, 2, 1))
    without = [row for row in videos(5, 4, 3, 2, 1) if row["videoId"] != "v3"]
    outcome = table.load(cut(without, 7), full_due=True)
    assert (outcome.removed, outcome.active) == (0, 5)
    assert "1 more are loaded and could not be checked one by one" in outcome.unproven


def test_rows_that_are_listed_twice_are_loaded_once():
    table = Table()
    rows = [*videos(5, 4), video("v4", 4), *videos(3), video("v3", 3), *videos(2, 1)]
    outcome = table.load(cut(rows, 7))
    assert (outcome.new, outcome.total_off) == (5, 2)
    assert outcome.unproven == "api.video says 7, three readings listed 5 different videos."


def test_a_list_that_ignores_the_order_is_read_whole_each_time():
    table, rows = Table(), videos(3, 9, 1, 7, 5, 2)
    assert table.load(cut(rows, 6)).is_sorted is False

    rows[4] = video("v5", 20, "changed on the last page")
    outcome = table.load(cut(rows, 6))

    assert (outcome.mode, outcome.changed, outcome.unproven) == ("full", 1, None)


def test_a_list_that_is_sorted_again_is_read_down_to_the_cursor_again():
    table = Table()
    table.load(cut(videos(3, 9, 1, 7, 5, 2), 6))
    assert table.load(cut(videos(9, 7, 5, 3, 2, 1), 6)).is_sorted
    assert load(table, page(videos(9, 7), 6, 1, 3)).mode == "changes"


def test_a_list_that_is_sorted_at_its_top_only_is_known_by_the_next_run():
    table, rows = Table(), videos(9, 8, 7, 6, 1, 5)
    table.load(cut(rows, 6))
    rows[5] = video("v5", 20, "changed on the last page")
    assert table.load(cut(rows, 6)).changed == 1


def test_rows_without_a_time_of_change_are_read_each_time():
    table, rows = Table(), [*videos(3), {"videoId": "a"}, {"videoId": "b"}]
    table.load(cut(rows, 3))
    rows[2] = {"videoId": "b", "title": "changed"}
    outcome = table.load(cut(rows, 3))
    assert (outcome.changed, outcome.unproven) == (1, None)


def test_an_empty_first_page_that_claims_a_second_one():
    rows = videos(2, 1)
    outcome = Table().load(lambda number: page([] if number == 1 else rows, 2, number, 2))
    assert (outcome.new, outcome.unproven) == (2, None)
    assert Table().load(lambda number: page([], 0, number, 2)).active == 0


def test_a_total_that_lags_behind_a_full_last_page():
    """The list announces two pages, but has three."""
    rows = videos(5, 4, 3, 2, 1)
    table = Table()
    outcome = table.load(lambda number: page(rows[2 * number - 2 : 2 * number], 5, number, 2))
    assert (outcome.new, outcome.unproven) == (5, None)


@pytest.mark.parametrize("error", [ApiVideoRequestError("no", 400), ApiVideoServerError("down")])
def test_nothing_after_the_last_page_is_no_fault(error):
    rows = videos(4, 3, 2, 1)

    def read(number: int) -> Page:
        if number == 3:
            raise error
        return page(rows[2 * number - 2 : 2 * number], 5, number, 2)

    outcome = Table().load(read)
    assert (outcome.stopped_by, outcome.new, outcome.total_off) == (None, 4, 1)


class Refusing:
    """A list that refuses pages beyond the ``last`` one, from either end."""

    def __init__(self, rows: list[dict[str, Any]], last: int) -> None:
        self._rows, self._last, self.asked = rows, last, list[int]()

    def __call__(self, number: int) -> Page:
        self.asked.append(number)
        if abs(number) > self._last:
            raise ApiVideoRequestError("Page out of range.", 400)
        rows = self._rows if number > 0 else self._rows[::-1]
        start = 2 * abs(number) - 2
        return page(rows[start : start + 2], len(rows), abs(number), -(-len(rows) // 2))


def test_pages_that_are_refused_are_read_from_the_other_end():
    refusing = Refusing(videos(*range(12, 0, -1)), 4)
    outcome = Table().load(refusing)
    assert (outcome.new, outcome.unproven, outcome.stopped_by) == (12, None, None)
    assert refusing.asked == [1, 2, 3, 4, 5, -1, -2, -3, 1]


def test_what_is_reached_from_neither_end_is_told():
    table, refusing = Table(), Refusing(videos(*range(20, 0, -1)), 3)
    outcome = table.load(refusing)
    assert (outcome.new, outcome.total_off, outcome.mode) == (12, 8, "first")
    assert "no page from number 4 on, and 8 of 20 rows are reached from neither end. Page out of range." in outcome.unproven

    refusing.asked.clear()
    idle = table.load(refusing)
    assert (refusing.asked, idle.unproven) == ([1], outcome.unproven)


@pytest.mark.parametrize("full_due", [True, False])
def test_what_was_read_before_the_api_went_down_is_loaded_and_the_rest_by_the_next_run(full_due):
    held = videos(2, 1)
    table, rows = Table().hold(held), videos(*range(9, 0, -1))

    def read(number: int) -> Page:
        if number == 3:
            raise ApiVideoServerError("down")
        return page(rows[2 * number - 2 : 2 * number], 9, number, 5)

    outcome = table.load(read, full_due=full_due)

    assert (outcome.mode, outcome.new, outcome.removed) == ("partial", 4, 0)
    assert str(outcome.stopped_by) == "down"
    assert outcome.unproven == "api.video says 9, 4 were read. down"


class Blip:
    """A list that answers one page differently, once."""

    def __init__(
        self, rows: list[dict[str, Any]], number: int, answer: list[dict[str, Any]], *, always: bool = False
    ) -> None:
        self._right, self._number, self._answer, self._always = cut(rows, len(rows)), number, answer, always

    def __call__(self, number: int) -> Page:
        page = self._right(number)
        if number != self._number:
            return page
        self._number = 0
        return Page(self._answer, number, page.pages_total, page.items_total, page.has_next)


@pytest.mark.parametrize(
    "answer", [[], [video("v18", 28)], [video("v20", 30), video("v19", 29)]], ids=["empty", "short", "page 1 again"]
)
def test_a_page_that_is_wrong_once_hides_no_change(answer):
    """Updates change no count: only the pages themselves show them."""
    table = Table()
    table.load(cut(videos(*range(20, 0, -1)), 20))
    changed = [video(f"v{number}", number + 10) for number in range(20, 10, -1)]
    rows = [*changed, *videos(*range(10, 0, -1))]
    outcome = table.load(Blip(rows, 2, answer))
    assert (outcome.changed, outcome.unproven) == (10, None)


def test_pages_that_are_always_empty_are_read_from_the_other_end():
    refusing = Refusing(videos(*range(12, 0, -1)), 4)

    def read(number: int) -> Page:
        if number <= 4:
            return refusing(number)
        return page([], 12, number, 6)

    assert Table().load(read).new == 12


def test_a_total_that_stops_at_a_round_number_is_not_believed_where_pages_go_on():
    rows = videos(*range(550, 0, -1))

    def read(number: int) -> Page:
        return page(rows[100 * number - 100 : 100 * number], 400, number, 4)

    outcome = Table().load(read)
    assert (outcome.new, outcome.total_off) == (550, -150)
    assert "api.video says 400, three readings listed 550 different videos." in outcome.unproven


def test_a_list_without_a_total_is_loaded_and_not_proven():
    rows = videos(*range(250, 0, -1))

    def read(number: int) -> Page:
        return Page(rows[100 * number - 100 : 100 * number], number, None, None, number < 3)

    table = Table()
    outcome = table.load(read)
    assert (outcome.new, outcome.unproven) == (250, "api.video does not say how many videos there are, 250 are known.")
    assert table.load(read).unproven == outcome.unproven


def test_an_hour_with_changes_where_pages_are_refused_reads_from_the_other_end():
    rows = videos(*range(12, 0, -1))
    table = Table()
    table.load(Refusing(rows, 4))
    rows = [row for row in [*videos(20, 19), *rows] if row["videoId"] != "v3"]
    refusing = Refusing(rows, 4)
    outcome = table.load(refusing, fetch=lambda keys: {key: None for key in keys if key == "v3"})
    assert (outcome.stopped_by, outcome.new, outcome.gone) == (None, 2, ["v3"])


# --- many lists ----------------------------------------------------------------------------------------------------------


def test_lists_without_a_total_are_complete_when_each_has_been_read_to_its_end():
    """The Admin API reports no total; its keys come as one list per project."""
    keys = by_name()["projects_api_keys"]
    sync = UncountedLists(keys, TableState(), Table(keys))
    sync.expect_lists(2)
    sync.finish_list()
    assert sync.next_page(Page([{"api_key_id": "k1"}], 1, None, None, has_next=True)) == 2
    assert sync.next_page(Page([{"api_key_id": "k2"}], 2, None, None, has_next=False)) is None
    assert not sync.is_done
    assert sync.next_page(Page([{"api_key_id": "k3"}], 1, None, None, has_next=False)) is None
    assert sync.is_done
    assert sync.outcome().items_total == 3


# --- a simulated list that changes between pages -----------------------------------------------------------------------


NEWEST_FIRST = ("updatedAt",)  # sorted descending by the source (source._params); all others ascending


class Listing:
    """api.video's list of one resource, sorted and split into pages as the source requests.

    ``between`` has the changes just before each request, ``moments`` the rows listed at each, and ``moved`` the rows
    updated, which are at the top of the list now, where the next run finds them.
    """

    ahead = 3  # pages requested in parallel

    def __init__(self, endpoint: Endpoint, page_size: int) -> None:
        self.endpoint, self.page_size, self.time, self.made, self.asked = endpoint, page_size, 0, 0, 0
        self.rows: dict[str, dict[str, Any]] = {}
        self.between: list[list[tuple[str, int]]] = []
        self.moments: list[frozenset[str]] = []
        self.moved: set[str] = set()
        self.sort_by, self.descending = endpoint.sort_by or "", endpoint.sort_by in NEWEST_FIRST

    def change(self, kind: str, number: int) -> None:
        """One change by the customer; ``number`` picks a row. Two changes may happen in the same second."""
        self.time += number % 2
        keys = sorted(self.rows)
        if kind in ("add", "add in the middle"):
            self.made += 1
            # A discarded video keeps its old createdAt, so it may appear anywhere in the list.
            created = at(number * 7 % (self.time + 1)) if kind == "add in the middle" else at(self.time)
            row = {"createdAt": created, "updatedAt": at(self.time), "title": ""}
            self.rows[f"id{self.made:03}"] = {self.endpoint.key: f"id{self.made:03}", **row}
        elif keys and kind == "delete":
            del self.rows[keys[number % len(keys)]]
        elif keys and kind == "update":
            row = self.rows.pop(keys[number % len(keys)])
            self.moved.add(row[self.endpoint.key])
            self.rows[row[self.endpoint.key]] = {**row, "updatedAt": at(self.time), "title": f"{number} at {self.time}"}

    def __call__(self, number: int) -> Page:
        for kind, which in self.between.pop(0) if self.between else ():
            self.change(kind, which)
        self.moments.append(frozenset(self.rows))
        rows = list(self.rows.values())  # in the order of their last change, also within the same second
        rows.sort(key=lambda row: row[self.sort_by])
        if self.descending:
            rows.reverse()
        first = (number - 1) * self.page_size
        pages = max(1, -(-len(rows) // self.page_size))
        return page(rows[first : first + self.page_size], len(rows), number, pages)

    def ask(self, keys: Sequence[str]) -> dict[str, dict[str, Any] | None]:
        self.asked += len(keys)
        return {key: self.rows.get(key) for key in keys}

    def hashes(self) -> dict[str, str]:
        return {key: hash_row(row) for key, row in self.rows.items()}


def run_while_it_changes(table: Table, listing: Listing, *, full_due: bool) -> None:
    """One run over a changing list, then the proof: no row is lost or wrongly removed, no claim is untrue, and a quiet run
    makes both equal.
    """
    before = table.active()
    listing.moments.clear()
    listing.moved.clear()
    outcome = table.load(listing, fetch=listing.ask, full_due=full_due)
    lost = frozenset.intersection(*listing.moments) - table.active()
    assert not lost & before, "a row was marked removed that was listed all the time"
    assert not lost - listing.moved, "a row was not loaded that was listed all the time, and did not change"
    if outcome.unproven is None:
        assert table.active() in listing.moments, "equal to what was listed at no moment, and said to be"
        assert outcome.active == len(table.active())
    listing.between.clear()
    table.load(listing, fetch=listing.ask)
    held = {key: row.content_hash for key, row in table.rows.items() if not row.removed}
    assert held == listing.hashes()


def fewer_than_a_page(between: list[list[tuple[str, int]]], page_size: int) -> list[list[tuple[str, int]]]:
    """Between two requests, fewer changes happen than fill a page (100 rows). Otherwise a new row may hide a missed one."""
    return [happening[: page_size - 1] for happening in between]


kinds = st.sampled_from(["add", "delete", "update"])
changes = st.lists(st.tuples(kinds, st.integers(0, 50)), max_size=4)


@examples(200)
@given(
    page_size=st.integers(2, 5),
    at_first=st.integers(0, 12),
    before=st.lists(st.tuples(kinds, st.integers(0, 50)), max_size=10),
    between=st.lists(changes, max_size=10),
    full_due=st.booleans(),
)
def test_a_newest_first_list_that_changes_while_it_is_read_ends_equal_or_says_that_it_is_not_proven(
    page_size, at_first, before, between, full_due
):
    listing, table = Listing(VIDEOS, page_size), Table()
    for _ in range(at_first):
        listing.change("add", 1)
    table.load(listing)
    for kind, which in before:
        listing.change(kind, which)
    listing.between = [[], *fewer_than_a_page(between, page_size)]
    run_while_it_changes(table, listing, full_due=full_due)


@examples(200)
@given(page_size=st.integers(2, 5), at_first=st.integers(0, 12), between=st.lists(changes, max_size=10))
@example(3, 4, [[("update", 0)], [], [], [("update", 1)], [("add", 0), ("delete", 0)]])  # two readings with the same keys
def test_a_first_load_of_a_list_that_changes_ends_equal_or_says_that_it_is_not_proven(page_size, at_first, between):
    listing = Listing(VIDEOS, page_size)
    for _ in range(at_first):
        listing.change("add", 1)
    listing.between = [[], *fewer_than_a_page(between, page_size)]
    run_while_it_changes(Table(), listing, full_due=False)


@pytest.mark.parametrize(
    ("endpoint", "kind_of_add"),
    [(LIVE_STREAMS, "add"), (DISCARDED, "add in the middle")],
    ids=["live_streams", "discarded"],
)
@examples(200)
@given(
    page_size=st.integers(1, 3),
    at_first=st.integers(0, 8),
    when=st.integers(1, 4),
    numbers=st.tuples(st.integers(0, 20), st.integers(0, 20)),
)
def test_one_that_goes_while_another_comes_never_hides_a_row_of_a_list_read_whole(
    endpoint, kind_of_add, page_size, at_first, when, numbers
):
    """The total stays the same, and rows behind the deleted one move up: one of them is on no page that was read."""
    listing, table = Listing(endpoint, page_size), Table(endpoint)
    for _ in range(at_first):
        listing.change("add", 1)
    table.load(listing)
    listing.between = [[]] * when + [[("delete", numbers[0]), (kind_of_add, numbers[1])]]
    run_while_it_changes(table, listing, full_due=False)


# --- finding what is gone without reading the whole list ---------------------------------------------------------------


@examples(200)
@given(
    rows=st.integers(20, 150),
    seconds=st.integers(1, 12),
    deleted=st.sets(st.integers(0, 149), min_size=1, max_size=4),
    added=st.integers(0, 3),
)
def test_deleted_rows_are_found_wherever_they_were_and_whatever_came_at_the_same_time(rows, seconds, deleted, added):
    """``seconds``: number of rows that share a second, up to whole pages, whose timestamps tell nothing."""
    listing, table = Listing(VIDEOS, 5), Table()
    for number in range(rows):
        listing.change("add", number % seconds == 0)
    table.load(listing, fetch=listing.ask)
    for number in deleted:
        listing.change("delete", number)
    for _ in range(added):
        listing.change("add", 1)
    outcome = table.load(listing, fetch=listing.ask)
    held = {key: row.content_hash for key, row in table.rows.items() if not row.removed}
    assert held == listing.hashes()
    assert (outcome.removed, outcome.new) == (len(deleted), added)
    assert outcome.active == len(listing.rows)


def test_one_deleted_row_among_many_costs_a_few_requests():
    listing, table = Listing(VIDEOS, 100), Table()
    for _ in range(5_000):
        listing.change("add", 1)
    table.load(listing)
    listing.moments.clear()
    listing.change("delete", 1_234)
    outcome = table.load(listing, fetch=listing.ask)
    assert (outcome.mode, outcome.removed, outcome.active) == ("changes", 1, 4_999)
    assert len(listing.moments) <= 8
    assert listing.asked == 1


def test_a_row_that_the_list_lacks_and_the_api_still_has_is_kept_and_not_proven():
    listing, table = Listing(VIDEOS, 5), Table()
    for _ in range(100):
        listing.change("add", 1)
    table.load(listing)
    listing.change("delete", 50)
    outcome = table.load(listing, fetch=lambda keys: {key: {} for key in keys})
    assert (outcome.removed, outcome.active, outcome.total_off) == (0, 100, -1)
    assert "api.video says 99" in outcome.unproven


def test_a_row_on_a_page_that_nobody_announced_is_not_taken_for_gone():
    """The total lags behind a list with full pages: after one more row, the last row is on one page more."""
    table = Table().hold(videos(4, 3, 2, 1))
    rows = videos(9, 4, 3, 2, 1)

    def read(number: int) -> Page:
        return page(rows[2 * number - 2 : 2 * number], 4, number, 2)

    outcome = table.load(read, fetch=lambda keys: {row["videoId"]: row for row in rows if row["videoId"] in keys})
    assert (outcome.removed, outcome.new) == (0, 1)
    assert outcome.unproven


@pytest.mark.parametrize("total", [5, 20])
def test_an_api_that_takes_no_notice_of_the_page_is_not_read_for_ever(total):
    rows, asked = videos(2, 1), list[int]()

    def read(number: int) -> Page:
        asked.append(number)
        return page(rows, total, 1, total // 2)

    outcome = Table().load(read)
    assert (outcome.new, bool(outcome.unproven)) == (2, True)
    assert len(asked) <= 3 * (total + 2)


def test_a_new_offset_of_a_long_list_is_believed_by_the_next_run_that_finds_it_again():
    rows, table = videos(*range(39, 0, -1)), Table()
    asked = list[int]()

    def read(number: int) -> Page:
        asked.append(number)
        return cut(rows, 40)(number)

    assert (table.load(read).mode, len(asked)) == ("partial", 21)
    assert (table.load(read).mode, len(asked)) == ("first", 42)
    asked.clear()
    table.load(read)
    assert asked == [1]


def test_many_deleted_rows_have_the_whole_list_read():
    listing, table = Listing(VIDEOS, 5), Table()
    for _ in range(100):
        listing.change("add", 1)
    table.load(listing)
    for _ in range(30):
        listing.change("delete", 7)
    outcome = table.load(listing, fetch=listing.ask)
    assert (outcome.mode, outcome.removed, listing.asked) == ("full", 30, 0)
    assert table.active() == set(listing.rows)


# --- rows that go to another list and come back --------------------------------------------------------------------------


def test_a_row_that_came_back_while_another_went_is_asked_for_though_the_count_stands_still():
    """Neither change moved updatedAt, so page 1 is as before."""
    table = Table().hold(videos(*range(250))).remove("v7")
    back = video("v7", 7)
    outcome = table.load(
        Pages(page(videos(249, 248), 249, 1, 125)),
        moved=["v7", "v9"],
        fetch=lambda keys: {key: back if key == "v7" else None for key in keys},
    )
    assert outcome == Outcome("changes", items_total=249, active=249, restored=1, removed=1, gone=["v9"])
    assert "v7" in table.active()
    assert "v9" not in table.active()


def test_a_row_that_left_the_bin_for_good_is_no_news():
    table = Table().hold(videos(3, 2, 1)).remove("v1")
    outcome = table.load(Pages(page(videos(3, 2), 2)), moved=["v1"], fetch=dict.fromkeys)
    assert outcome == Outcome("changes", items_total=2, active=2, gone=[])


def test_what_was_read_on_page_1_is_not_asked_for():
    def ask(keys: Sequence[str]) -> dict[str, Any]:
        raise AssertionError(f"asked for {keys}")

    table = Table().hold(videos(3, 2, 1)).remove("v3")
    assert table.load(Pages(page([video("v3", 4), *videos(2, 1)], 3)), moved=["v3"], fetch=ask).restored == 1


# --- lists that are read whole where they may have changed ---------------------------------------------------------------


def bin_of(*seconds: int) -> Table:
    return Table(DISCARDED).hold(videos(*seconds))


def test_a_bin_that_seems_as_it_was_costs_one_request():
    outcome = load(bin_of(1, 2, 3, 4), page(videos(1, 2), 4, 1, 2))
    assert outcome == Outcome("changes", items_total=4, active=4, gone=[])


@pytest.mark.parametrize(
    ("first", "options"),
    [
        (page(videos(1, 2), 5, 1, 3), {}),
        (page(videos(1, 9), 4, 1, 2), {}),
        (page([video("v1", 9), *videos(2)], 4, 1, 2), {}),
        (page(videos(1, 2), 4, 1, 2), {"may_have_moved": True}),
        (page(videos(1, 2), 4, 1, 2), {"full_due": True}),
    ],
    ids=["its count moved", "another row", "an updated row", "a video left or came back", "a full look"],
)
def test_a_bin_that_may_have_changed_is_read_whole(first, options):
    pages = Pages(first)
    with pytest.raises(IndexError):
        bin_of(1, 2, 3, 4).load(pages, **options)
    assert pages.asked == [1, 2]


def test_a_bin_of_one_page_is_compared_each_time():
    outcome = load(bin_of(1, 2), page(videos(1, 3), 2))
    assert outcome == Outcome("full", items_total=2, active=2, new=1, removed=1, gone=["v2"])


# --- details -----------------------------------------------------------------------------------------------------------


def waiting(*parents: Parent, parents_total: int | None = None, **state: int) -> DetailState:
    total = len(parents) if parents_total is None else parents_total
    return DetailState(**{"parents": total, "waiting_total": len(parents), **state}, waiting=parents)


def known(row: Mapping[str, Any], *, removed: bool = False) -> KnownRow:
    return KnownRow(hash_row(row), None, removed)


def status(key: str, ingest: str = "uploaded", quality: str = "encoded") -> dict[str, Any]:
    return {"videoId": key, "ingest": {"status": ingest}, "encoding": {"qualities": [{"status": quality}]}}


def missing(key: str) -> dict[str, Any]:
    return {MISSING: True, "videoId": key}


def test_a_new_detail_is_loaded_with_what_decides_whether_to_ask_again():
    sync = DetailSync(STATUS, waiting(Parent("v1", "hash of the video", None)), first=True)
    row = status("v1")
    assert sync.take(row, NOW) == {
        **row,
        "_content_hash": hash_row(row),
        "_parent_hash": "hash of the video",
        "_is_final": True,
        "_read_at": NOW,
        "removed_at": None,
    }
    assert sync.outcome() == Outcome("first", items_total=1, active=1, new=1, gone=[])


def test_a_status_that_can_still_change_is_not_final():
    sync = DetailSync(STATUS, waiting(Parent("v1", "h", None)), first=False)
    assert sync.take(status("v1", quality="encoding"), NOW)["_is_final"] is False


def test_new_changed_unchanged_and_restored_details_are_told_apart():
    parents = (
        Parent("new", "h", None),
        Parent("changed", "h", known(status("changed", quality="encoding"))),
        Parent("same", "h", known(status("same"))),
        Parent("back", "h", known(status("back"), removed=True)),
    )
    sync = DetailSync(STATUS, waiting(*parents, active=2), first=False)
    rows = [sync.take(status(parent.key), NOW) for parent in parents]
    assert [row["removed_at"] for row in rows] == [None] * 4
    assert sync.outcome() == Outcome("changes", items_total=4, active=4, new=1, changed=1, restored=1, gone=[])


@pytest.mark.parametrize(("all_of_them", "is_current", "loaded"), [(2, True, False), (3, True, True), (2, False, True)])
def test_what_is_loaded_as_it_is_is_loaded_again_only_where_its_place_in_the_queue_counts(all_of_them, is_current, loaded):
    """Or if it belongs to another version of its parent: it would be requested again."""
    parents = [Parent(key, "h", known(status(key, quality="encoding")), is_current) for key in ("v1", "v2")]
    sync = DetailSync(STATUS, waiting(*parents, waiting_total=all_of_them, active=2), first=False)
    rows = [sync.take(status(parent.key, quality="encoding"), NOW) for parent in parents]
    assert [row is not None for row in rows] == [loaded, loaded]
    assert sync.outcome().active == 2


def test_a_detail_that_never_was_becomes_a_row_that_is_removed_and_not_asked_for_again():
    sync = DetailSync(STATUS, waiting(Parent("v1", "h", None)), first=False)
    assert sync.take(missing("v1"), NOW) == {
        "videoId": "v1",
        "_content_hash": hash_row({}),
        "_parent_hash": "h",
        "_is_final": True,
        "_read_at": NOW,
        "removed_at": NOW,
    }
    assert sync.outcome() == Outcome("changes", items_total=0, active=0, gone=[])


def test_a_detail_that_is_gone_keeps_its_content_and_is_marked_removed():
    loaded = Parent("v1", "h", known(status("v1", quality="encoding")))
    sync = DetailSync(STATUS, waiting(loaded, parents_total=2, active=2), first=False)
    assert sync.take(missing("v1"), NOW) is None
    assert sync.outcome() == Outcome("changes", items_total=1, active=1, removed=1, gone=["v1"])


def test_a_source_is_missing_without_an_error():
    sync = DetailSync(SOURCE, waiting(Parent("su1", "h", None), Parent("su2", "h", None)), first=True)
    sync.take({MISSING: True, "summaryId": "su1"}, NOW)
    sync.take({"summaryId": "su2", "abstract": "...", "takeaways": ["one"]}, NOW)
    assert sync.outcome() == Outcome("first", items_total=1, active=1, new=1, gone=[])


def test_a_round_is_done_when_every_object_has_been_answered():
    sync = DetailSync(STATUS, waiting(Parent("v1", "h", None), Parent("v2", "h", None)), first=False)
    sync.take(status("v1"), NOW)
    assert not sync.is_done
    sync.take(missing("v2"), NOW)
    assert sync.is_done


def test_a_round_without_objects_is_done_at_once():
    sync = DetailSync(STATUS, DetailState(parents=3, active=2, missing=1), first=False)
    assert sync.is_done
    assert sync.outcome() == Outcome("changes", items_total=2, active=2, gone=[])


def test_what_is_beyond_the_budget_waits_for_the_next_run():
    state = DetailState(parents=10, waiting_total=10, waiting=(Parent("v1", "h", None), Parent("v2", "h", None)))
    sync = DetailSync(STATUS, state, first=True)
    for parent in state.waiting:
        sync.take(status(parent.key), NOW)
    assert sync.outcome() == Outcome("first", items_total=10, active=2, new=2, waiting=8, gone=[])


def test_details_whose_parents_are_gone_count_as_removed():
    sync = DetailSync(STATUS, DetailState(parents=1, active=1, unaccounted=3), first=False)
    assert sync.outcome() == Outcome("changes", items_total=1, active=1, removed=3, gone=[])
