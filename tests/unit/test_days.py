"""Which days are read, until when, and what becomes of them: pure logic, over simulated weeks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.api_video.catalog.analytics import CLOSED, GAP, OPEN, PARTIAL_DAY, SETTLED
from include.api_video.catalog.endpoints import by_name
from include.api_video.sync.day_spans import Calendar
from include.api_video.sync.days import DaysState, DaySync, KnownDay
from tests.examples import examples

DAYS = by_name()["analytics_days"]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@dataclass
class Account:
    """A table of days, and the API whose numbers it takes: it forgets them after ``retention``."""

    timezone: str = "UTC"
    retention: timedelta = timedelta(days=30)
    plays: int = 1
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    incomplete: set[str] = field(default_factory=set)
    asked_cut: int = 0
    last: DaySync | None = None

    def sync(self, now: datetime, **words: Any) -> DaySync:
        known = {
            day: KnownDay(row["state"], row["_read_at"], row["_content_hash"], day not in self.incomplete, row)
            for day, row in self.rows.items()
        }
        waiting = bool(self.last and self.last.outcome().waiting)
        state = DaysState(known, self.timezone, "url" if known else None, waiting)

        def cut() -> datetime:
            self.asked_cut += 1
            return now - self.retention

        return DaySync(DAYS, state, Calendar(self.timezone, now), cut, **{"most": 1000, **words})

    def run(
        self, now: datetime, *, takes: timedelta = timedelta(0), failing: Iterable[str] = (), **words: Any
    ) -> list[str]:
        """One run; returns the days that it read. ``takes``: how long it reads."""
        sync = self.last = self.sync(now, **words)
        loaded = [*sync.gap_rows(now), *sync.kept_rows()]
        for day, span in sync.spans.items():
            assert span.start >= (now - self.retention).replace(microsecond=0), f"{day} is forgotten: api.video answers 400"
            assert span.start < span.read_to <= span.end
            if day in failing:
                sync.leave(day, "500")
            elif row := sync.take(day, {"plays": self.plays}, now + takes):
                loaded.append(row)
        assert sync.is_done
        for row in loaded:
            self.rows[row["day"]] = row
            self.incomplete.discard(row["day"])
        return list(sync.spans)

    def states(self) -> list[str]:
        return [self.rows[day]["state"] for day in sorted(self.rows)]


# --- the calendar ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "start", "hours"),
    [
        ("UTC", "2026-11-26", "2026-11-26T00:00", 24),
        ("Europe/Paris", "2026-03-29", "2026-03-28T23:00", 23),
        ("Europe/Paris", "2026-10-25", "2026-10-24T22:00", 25),
        ("Asia/Kolkata", "2026-11-26", "2026-11-25T18:30", 24),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00", 23),  # no midnight: the day begins at 01:00
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00", 23),  # likewise
        ("America/Havana", "2026-11-01", "2026-11-01T04:00", 25),  # two midnights: it begins at the first
    ],
)
def test_a_day_is_as_long_as_its_time_zone_says(zone: str, day: str, start: str, hours: int) -> None:
    calendar = Calendar(zone, at("2026-12-24T12:00"))
    span = calendar.span(date.fromisoformat(day))
    assert (span.start, span.end - span.start) == (at(start), hours * HOUR)
    assert calendar.day_of(span.start) == calendar.day_of(span.end - timedelta(seconds=1)) == date.fromisoformat(day)
    assert calendar.day_of(span.start - timedelta(seconds=1)) == date.fromisoformat(day) - DAY


@pytest.mark.parametrize(
    "zone", ["UTC", "Europe/Paris", "Asia/Kolkata", "America/Havana", "Africa/Cairo", "Pacific/Chatham"]
)
def test_days_of_a_year_leave_no_moment_out(zone: str) -> None:
    calendar = Calendar(zone, at("2028-01-01T12:00"))
    spans = [calendar.span(date(2026, 1, 1) + number * DAY) for number in range(400)]
    assert all(one.end == following.start for one, following in itertools.pairwise(spans))


def test_numbers_are_asked_for_until_a_minute_ago() -> None:
    assert Calendar("UTC", NOON).span(NOON.date()).read_to == NOON - timedelta(seconds=60)


# --- the life of a day ----------------------------------------------------------------------------------------------


def story(account: Account, day: str, start: datetime, every: timedelta, runs: int) -> list[tuple[float, str]]:
    """Runs at a pace; returns when the day was read, in hours after its end, and its state then."""
    end = account.sync(start)._calendar.span(date.fromisoformat(day)).end
    told = []
    for number in range(runs):
        now = start + number * every
        if day in account.run(now):
            told.append((round((now - end) / HOUR, 2), account.rows[day]["state"]))
    return told


@pytest.mark.parametrize(
    ("every", "ages"),
    [
        (timedelta(minutes=10), [0, 1, 24, 72]),
        (HOUR, [0, 1, 24, 72]),
        (6 * HOUR, [0, 6, 24, 72]),
        (DAY, [6, 30, 78]),
    ],
)
def test_a_day_that_is_over_is_read_again_and_settled(every: timedelta, ages: list[float]) -> None:
    told = story(Account(), "2026-11-26", at("2026-11-26T06:00"), every, int(8 * DAY / every))
    after = [(age, state) for age, state in told if age >= 0]
    assert [round(age) for age, _ in after] == ages
    assert [state for _, state in after] == [CLOSED] * (len(ages) - 1) + [SETTLED]
    assert all(state == OPEN for age, state in told if age < 0)


def test_runs_that_begin_some_minutes_early_or_late_do_not_read_a_day_once_more() -> None:
    account, read = Account(), 0
    for hour in range(24 * 8):
        jitter = timedelta(minutes=(-3, 2, 0, 3, -2)[hour % 5])
        now = at("2026-11-26T01:00") + hour * HOUR + jitter
        read += "2026-11-26" in account.run(now) and now >= at("2026-11-27T00:00")
    assert read in (4, 5)
    assert account.rows["2026-11-26"]["state"] == SETTLED


def test_a_settled_day_is_neither_read_nor_lowered() -> None:
    account = Account(plays=9)
    story(account, "2026-11-26", NOON, HOUR, 24 * 5)
    before, account.plays = account.rows["2026-11-26"], 0
    assert before["state"] == SETTLED
    for number in range(60):
        assert "2026-11-26" not in account.run(NOON + (6 + number) * DAY)
    assert account.rows["2026-11-26"] == before


def test_a_run_that_takes_longer_than_the_last_age_settles_the_day_in_the_next() -> None:
    """It began before the 72 hours were over and noted its reading after them."""
    account = Account()
    account.run(at("2026-11-26T12:00"))
    account.run(at("2026-11-29T23:50"), takes=HOUR)
    assert account.rows["2026-11-26"]["state"] == CLOSED
    account.run(at("2026-11-30T01:00"))
    assert account.rows["2026-11-26"]["state"] == SETTLED


def settled_weeks(account: Account) -> datetime:
    """An account whose days are settled but for the last ones; returns the last run before midnight."""
    now = at("2026-11-01T23:30")
    for number in range(20 * 24):
        account.run(now + number * HOUR)
    return now + (20 * 24 - 1) * HOUR


def test_settled_days_are_audited_once_a_day() -> None:
    account = Account()
    now, audits = settled_weeks(account), []
    for number in range(1, 49):
        days = list(account.sync(now + number * HOUR).to_audit())
        account.run(now + number * HOUR)
        audits += [days] if days else []
    assert [len(days) for days in audits] == [len(set(days)) for days in audits]
    assert len(audits) == 2
    assert audits[1][:-1] == audits[0][1:], "those that api.video still has for certain: one more, one less"
    assert audits[1][-1] < "2026-11-20" < max(account.rows)


def test_a_settled_day_that_moved_keeps_its_numbers_and_says_what_api_video_counts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    account = Account(plays=100)
    now = settled_weeks(account)
    before = {day: row for day, row in account.rows.items() if row["state"] == SETTLED}
    hour = next(now + n * HOUR for n in range(1, 25) if account.sync(now + n * HOUR).to_audit())
    moved, same, *_ = account.sync(hour).to_audit()

    def audit(count: int) -> dict[str, Any]:
        caplog.clear()
        sync = account.sync(hour)
        sync.audit({moved: count, same: 100})
        rows = {row["day"]: row for row in sync.kept_rows()}
        account.rows |= rows
        return rows

    rows = audit(98)
    assert list(rows) == [moved], "only the day that moved is loaded"
    assert rows[moved] == {**before[moved], "auditedPlays": 98}, "nothing else of it changes"
    assert [record.getMessage() for record in caplog.records] == [
        f"analytics_days: api.video counts other plays of 1 day than when they were settled ({moved}); "
        "see the column audited_plays"
    ]
    assert not audit(98), "the same difference is loaded once"
    assert not caplog.records
    assert audit(100)[moved] == before[moved], "counted as before, the difference is gone"


def test_a_number_that_was_read_stays_where_api_video_does_not_answer_any_more() -> None:
    account = Account(plays=7)
    account.run(NOON)
    sync = account.sync(NOON + HOUR)
    assert sync.take("2026-11-26", {"plays": None}, NOON + HOUR) is None, "nothing new: the row keeps its 7 plays"
    sync = account.sync(NOON + DAY)
    row = sync.take("2026-11-26", {"plays": None}, NOON + DAY)
    assert row
    assert (row["plays"], row["state"]) == (7, CLOSED)


def test_an_hour_without_plays_loads_nothing() -> None:
    account = Account()
    account.run(NOON)
    sync = account.sync(NOON + HOUR)
    assert [sync.take(day, {"plays": 1}, NOON + HOUR) for day in sync.spans] == [None]
    assert sync.outcome().changed == 0
    assert list(account.sync(NOON + HOUR).spans) == ["2026-11-26"]


def test_the_first_minute_of_a_day_reads_no_empty_span() -> None:
    account = Account()
    account.run(at("2026-11-25T23:00"))
    account.run(at("2026-11-25T23:59"))
    assert account.run(at("2026-11-26T00:00"))[-1:] == ["2026-11-25"]
    assert account.run(at("2026-11-26T00:00") + timedelta(seconds=60)) == []
    assert account.run(at("2026-11-26T00:00") + timedelta(seconds=61)) == ["2026-11-26"]


# --- the first load -------------------------------------------------------------------------------------------------


def test_the_first_load_reaches_back_to_what_api_video_still_has() -> None:
    account = Account()
    assert len(account.run(NOON)) == 31
    assert account.states() == [PARTIAL_DAY] + [SETTLED] * 26 + [CLOSED] * 3 + [OPEN]
    assert account.rows["2026-10-27"]["dayStart"] == NOON - 30 * DAY
    assert account.asked_cut == 1
    account.run(NOON + HOUR)
    assert account.asked_cut == 1  # nothing is missing


@pytest.mark.parametrize("most", [1, 2, 8])
def test_the_first_load_takes_several_runs_oldest_first_and_today_always(most: int) -> None:
    account, read = Account(), []
    for number in range(40):
        days = account.run(NOON + number * timedelta(minutes=10), most=most)
        assert days[-1] == "2026-11-26"
        assert len(days) <= max(2, most)
        read += [day for day in days[:-1] if day not in read]
    assert read == sorted(read)
    assert len(account.rows) == 31


def test_the_rest_of_a_first_load_is_told() -> None:
    account = Account()
    account.run(NOON, most=11)
    assert account.last
    outcome = account.last.outcome()
    assert (outcome.items_total, outcome.active, outcome.waiting, outcome.mode) == (31, 11, 20, "first")


def test_the_oldest_day_is_asked_for_again_if_the_first_load_could_not_read_it() -> None:
    account = Account()
    account.run(NOON, failing=["2026-10-27", "2026-10-28"])
    assert "2026-10-28" not in account.rows
    account.run(NOON + HOUR)
    assert account.rows["2026-10-27"]["state"] == PARTIAL_DAY
    assert account.rows["2026-10-28"]["state"] == SETTLED


def test_a_day_that_failed_waits_for_the_next_run() -> None:
    account = Account()
    account.run(NOON, failing=["2026-11-20"])
    assert account.last
    assert (account.last.outcome().waiting, account.last.outcome().unread) == (1, 1)
    assert account.run(NOON + HOUR) == ["2026-11-20", "2026-11-26"]


# --- outages --------------------------------------------------------------------------------------------------------


def test_after_an_outage_all_days_are_read() -> None:
    account = Account()
    account.run(NOON)
    account.run(NOON + 5 * DAY)
    assert account.states() == [PARTIAL_DAY] + [SETTLED] * 31 + [CLOSED] * 3 + [OPEN]


def test_after_an_outage_longer_than_the_retention_what_is_lost_is_a_gap(caplog: pytest.LogCaptureFixture) -> None:
    account = Account()
    account.run(NOON)
    account.run(NOON + 40 * DAY)
    assert account.states() == (
        [PARTIAL_DAY] + [SETTLED] * 29 + [PARTIAL_DAY] + [GAP] * 9 + [PARTIAL_DAY] + [SETTLED] * 26 + [CLOSED] * 3 + [OPEN]
    )
    assert all(row["plays"] is None for row in account.rows.values() if row["state"] == GAP)
    told = [record.message for record in caplog.records if "forgotten" in record.message]
    assert told == [
        "analytics_days: api.video had forgotten 9 days before a run came by, 2026-11-27 to 2026-12-05; state: gap"
    ]
    asked = account.asked_cut
    for number in range(1, 24 * 4):  # what was open then is not asked for any more
        account.run(NOON + 40 * DAY + number * HOUR)
    assert account.asked_cut == asked


def test_what_was_read_of_a_forgotten_day_stays() -> None:
    account = Account(plays=7)
    account.run(NOON)
    before = dict(account.rows["2026-11-26"]), dict(account.rows["2026-11-25"])
    account.plays = 1
    account.run(NOON + 40 * DAY)
    assert account.rows["2026-11-26"] == before[0] | {"state": PARTIAL_DAY}
    assert account.rows["2026-11-25"] == before[1] | {"state": SETTLED}


def test_the_sandbox_forgets_a_day_before_it_is_over() -> None:
    account = Account(retention=DAY)
    for hour in range(24 * 6):
        state = account.sync(NOON + hour * HOUR)._state
        sync = DaySync(
            DAYS,
            DaysState(state.days, "UTC", state.base_url, kept_for=DAY - timedelta(minutes=10)),
            Calendar("UTC", NOON + hour * HOUR),
            lambda hour=hour: NOON + (hour - 24) * HOUR,
            most=1000,
        )
        for row in [*sync.gap_rows(NOON), *sync.kept_rows()]:
            account.rows[row["day"]] = row
        for day, span in sync.spans.items():
            assert span.start >= NOON + (hour - 24) * HOUR
            if row := sync.take(day, {"plays": hour}, NOON + hour * HOUR):
                account.rows[day] = row
    assert account.states()[-1] == OPEN
    assert set(account.states()[:-2]) <= {PARTIAL_DAY, SETTLED}


# --- kills, full refreshes ------------------------------------------------------------------------------------------


def test_a_day_whose_load_was_killed_is_read_again() -> None:
    account = Account()
    account.run(NOON)
    account.incomplete = {"2026-11-10", "2026-11-26"}
    assert account.run(NOON + HOUR) == ["2026-11-10", "2026-11-26"]


def test_after_a_kill_days_that_api_video_has_forgotten_keep_their_row() -> None:
    account = Account(plays=7)
    account.run(NOON)
    account.run(NOON + 40 * DAY)
    before, account.plays = {day: row["plays"] for day, row in account.rows.items()}, 1
    account.incomplete = set(account.rows)
    account.run(NOON + 40 * DAY + HOUR)
    assert not account.incomplete
    lost = [day for day in before if account.rows[day]["dayStart"] < NOON + 10 * DAY + HOUR]
    assert len(lost) == 41
    assert all(account.rows[day]["plays"] == before[day] for day in lost)
    asked = account.asked_cut
    account.run(NOON + 40 * DAY + 2 * HOUR)
    assert account.asked_cut == asked


def test_a_full_refresh_reads_what_is_there_and_keeps_the_rest() -> None:
    account = Account(plays=7)
    for number in range(41):
        account.run(NOON + number * DAY)
    account.plays = 1
    assert len(account.run(NOON + 41 * DAY, anew=True)) == 30
    assert [row["plays"] for _, row in sorted(account.rows.items())] == [7] * 42 + [1] * 30


def test_a_full_refresh_reaches_further_back_where_the_contract_does_since() -> None:
    account = Account()
    account.run(NOON)
    account.retention = 92 * DAY
    account.run(NOON + HOUR, anew=True)
    assert len(account.rows) == 93
    assert GAP not in account.states()


# --- any story ------------------------------------------------------------------------------------------------------


@examples(100)
@given(
    waits=st.lists(st.integers(5, 60 * 50), min_size=1, max_size=40),
    zone=st.sampled_from(["UTC", "Europe/Paris", "America/Havana", "Asia/Kolkata"]),
    most=st.integers(1, 40),
    kills=st.sets(st.integers(0, 39)),
    takes=st.integers(0, 90),
)
def test_each_day_ends_settled_and_is_not_read_again(
    waits: list[int], zone: str, most: int, kills: set[int], takes: int
) -> None:
    account, now = Account(zone), at("2026-10-20T08:30")
    settled: set[str] = set()
    for number, wait in enumerate(waits):
        read = account.run(now, takes=timedelta(minutes=takes), most=most)
        assert not settled & (set(read) - account.incomplete), "a settled day was read again"
        if number in kills:
            account.incomplete = set(read)
        settled = {day for day, row in account.rows.items() if row["state"] == SETTLED} - account.incomplete
        now += timedelta(minutes=wait + takes)
    for number in range(70):  # then a run every two hours
        account.run(now + number * 2 * HOUR, most=most)
    last = now + 69 * 2 * HOUR
    begin, calendar = min(account.rows), Calendar(zone, last)
    for number in range((calendar.today - date.fromisoformat(begin)).days + 1):
        day = date.fromisoformat(begin) + number * DAY
        if last - calendar.span(day).end >= 75 * HOUR:
            row = account.rows[day.isoformat()]
            assert row["state"] in (SETTLED, PARTIAL_DAY, GAP), day
            if row["state"] == SETTLED:
                assert row["readTo"] == row["dayEnd"] or account.retention < last - row["dayEnd"], day
