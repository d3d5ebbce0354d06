"""Progress, rate and time left: arithmetic on counts, with a clock that the test moves."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
import threading
from itertools import count

import pytest

from include.api_video.api.answers import RateLimit
from include.api_video.api.throttle import Throttle
from include.api_video.messages.progress import RATE_OF_S, Pace, Progress, is_terminal
from include.api_video.messages.progress_status import Status, in_words, per_second
from include.demo_api.behaviour import Behaviour


def at_once(requests: int) -> float:
    return 0.0


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_line_says_how_many_of_how_many_how_fast_and_how_long_still() -> None:
    assert str(Status("videos", "pages", 50, 12_400, 8.33, 1000)) == "videos: 50 of 12,400 pages, 8.3/s, 17 min left"
    assert str(Status("videos", "pages", 50, None, 0.4, None)) == "videos: 50 pages, 0.40/s"
    limited = Status("video_status", "objects", 500, 9000, 51.2, 1020, is_limited=True)
    assert str(limited) == "video_status: 500 of 9,000 objects, 51/s, 17 min left at the rate limit"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.2, "1 s"),
        (99, "99 s"),
        (99.1, "2 min"),
        (121, "3 min"),
        (5940, "99 min"),
        (5941, "1.7 h"),
        (7200, "2 h"),
    ],
)
def test_time_is_rounded_up(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("rate", "words"), [(0.04, "0.04/s"), (0.951, "1.0/s"), (8.33, "8.3/s"), (9.96, "10/s"), (412.4, "412/s")]
)
def test_a_rate_has_two_digits(rate: float, words: str) -> None:
    assert per_second(rate) == words


def test_the_time_left_follows_the_rate() -> None:
    pace = Pace("videos")
    assert pace.count("pages", 99, 0.0, at_once).left_s is None  # one answer gives no rate
    status = [pace.count("pages", 99 - n, n / 2, at_once) for n in range(1, 21)][-1]
    assert (status.done, status.total, status.rate, status.left_s, status.is_limited) == (21, 100, 2.0, 39.5, False)


def test_where_the_end_is_not_known_no_time_is_promised() -> None:
    pace = Pace("videos")
    status = [pace.count("pages", None, float(n), at_once) for n in range(4)][-1]
    assert (status.done, status.total, status.rate, status.left_s) == (4, None, 1.0, None)


def test_a_list_that_is_read_once_more_has_more_pages() -> None:
    """More answers than expected may come: it must never say 4 of 3."""
    pace = Pace("videos")
    told = [pace.count("pages", left, 0.0, at_once) for left in (2, 1, None, None, 2, 1, None)]
    assert [(status.done, status.total) for status in told] == [(1, 3), (2, 3), (3, 3), (4, 4), (5, 7), (6, 7), (7, 7)]


def test_another_unit_is_another_count() -> None:
    pace = Pace("videos")
    pace.count("pages", None, 0.0, at_once)
    told = [pace.count("objects", left, 5.0, at_once) for left in (1, 0)]
    assert [status.counts for status in told] == ["1 of 2 objects", "2 of 2 objects"]


def test_the_rate_is_the_recent_one_and_needs_no_more_memory_for_more_answers() -> None:
    pace = Pace("videos")
    for n in range(50_000):
        pace.count("pages", None, n / 1000, at_once)  # a thousand per second for a while
    status = [pace.count("pages", None, 50 + n, at_once) for n in range(int(RATE_OF_S) + 5)][-1]
    assert status.rate == pytest.approx(1, rel=0.05)
    assert len(pace._marks) <= 602


@pytest.mark.parametrize(("limit", "window_s", "objects"), [(100, 6, 900), (500, 60, 9000), (500, 60, 1200)])
def test_under_a_rate_limit_the_end_is_promised_at_most_one_window_early_or_two_late(
    limit: int, window_s: float, objects: int
) -> None:
    """Answers come in bursts: one every five milliseconds, until the window is used up."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    api, throttle, pace = Behaviour(rate_limit=limit, rate_window_s=window_s, clock=lambda: now), Throttle(sleep), Pace("s")
    promised: list[float] = []
    for left in range(objects - 1, -1, -1):
        throttle.enter()
        now += 0.005
        headers = api.spend_read("key", counts=True)
        throttle.leave(RateLimit.from_headers(dict(headers.pairs())), answered=True)
        status = pace.count("objects", left, now, throttle.least_s)
        if status.left_s is not None:
            promised.append(now + status.left_s)

    assert now > (objects // limit - 1) * window_s
    assert now - window_s < min(promised)
    assert max(promised) < now + 2 * window_s


def test_the_least_time_counts_what_the_window_has_left_and_the_windows_after_it() -> None:
    throttle = Throttle(lambda _: None)
    assert throttle.least_s(1000) == 0
    for remaining, resets_in_s in ((499, 60), (200, 30)):
        throttle.enter()
        throttle.leave(RateLimit(500, remaining, resets_in_s), answered=True)
    assert [throttle.least_s(requests) for requests in (200, 201, 700, 701)] == [0, 30, 30, 90]


def test_the_least_time_leaves_the_reserve_to_others() -> None:
    throttle = Throttle(lambda _: None, reserve=0.5)
    throttle.enter()
    throttle.leave(RateLimit(500, 500, 60), answered=True)
    assert [throttle.least_s(requests) for requests in (250, 251, 501)] == [0, 60, 120]


def test_the_least_time_is_told_while_others_wait_for_the_window() -> None:
    """A thread that waits for the window holds the throttle's lock, for up to a minute."""
    told: list[float] = []
    throttle = Throttle(lambda _: (asking := threading.Thread(target=ask)).start() or asking.join(5))

    def ask() -> None:
        told.append(throttle.least_s(1))

    throttle.enter()
    throttle.leave(RateLimit(500, 0, 60), answered=True)
    throttle.enter()
    assert told == [60]


def test_a_short_reading_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api_video")
    with Progress(count(0, 0.09).__next__, in_terminal=False) as progress:
        for left in range(99, -1, -1):
            progress.count("videos", "pages", left, at_once)
    assert lines(caplog) == []


def test_a_long_one_says_a_line_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api_video")
    progress = Progress(count(0, 4.0).__next__, in_terminal=False)
    with progress:
        for left in range(8, -1, -1):
            progress.count("videos", "pages", left, at_once)
    progress.count("videos", "pages", 0, at_once)
    assert lines(caplog) == [
        "videos: 4 of 9 pages, 0.25/s, 20 s left",
        "videos: 7 of 9 pages, 0.25/s, 8 s left",
    ]


def test_threads_count_together(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "api_video")
    clock = iter([0.0] * 1000 + [10.0])
    with Progress(clock.__next__, in_terminal=False) as progress:

        def work() -> None:
            for _ in range(100):
                progress.count("video_status", "objects", None, at_once)

        threads = [threading.Thread(target=work) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        progress.count("video_status", "objects", 99, at_once)
    assert lines(caplog) == ["video_status: 1,001 of 1,100 objects, 100/s, 1 s left"]


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


class BrokenTerminal(Terminal):
    """A terminal whose other end is closed."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def use_terminal(monkeypatch: pytest.MonkeyPatch, terminal: Terminal, term: str = "xterm") -> None:
    """Used in a test's body: pytest replaces the stream between a fixture and the test."""
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", "80")


def test_log_lines_go_above_the_bar_and_each_handler_gets_its_stream_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of Airflow's handlers looks up sys.stderr each time, so its stream cannot be set."""
    terminal = Terminal()
    use_terminal(monkeypatch, terminal)
    ours, theirs = logging.StreamHandler(terminal), logging._StderrHandler()  # type: ignore[attr-defined]
    logger = logging.getLogger("test_progress")
    logger.handlers = [ours, theirs]
    with Progress(count(0, 2.0).__next__, in_terminal=True) as progress:
        for left in range(5, 0, -1):
            progress.count("videos", "pages", left, at_once)
        logger.handlers = [ours]
        logger.warning("A line.")
        written = terminal.getvalue()
    logger.handlers = []

    assert "of 6 pages" in written
    assert re.search(r"\x1b\[2K(\x1b\[0m)*A line\.\n", written)  # on a line that no longer has the bar
    assert ours.stream is terminal
    assert sys.stderr is terminal
    assert is_terminal()


def test_another_librarys_closed_stream_keeps_no_bar_from_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, closed = Terminal(), io.StringIO()
    use_terminal(monkeypatch, terminal)
    logger = logging.getLogger("test_progress")
    logger.handlers = [logging.StreamHandler(closed)]
    closed.close()
    with Progress(count(0, 2.0).__next__, in_terminal=True) as progress:
        for left in range(5, 0, -1):
            progress.count("videos", "pages", left, at_once)
        written = terminal.getvalue()
    logger.handlers = []
    assert "\x1b[" in written, "no bar was drawn"


def test_no_load_fails_for_a_terminal_that_is_gone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "api_video")
    use_terminal(monkeypatch, BrokenTerminal())
    with Progress(count(0, 4.0).__next__, in_terminal=True) as progress:
        for left in range(8, -1, -1):
            progress.count("videos", "pages", left, at_once)
    assert lines(caplog)[0] == "This terminal cannot show a bar: [Errno 5] Input/output error"
    assert lines(caplog)[1].startswith("videos: 3 of 9 pages")


def test_a_terminal_without_a_cursor_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    use_terminal(monkeypatch, Terminal(), "dumb")
    assert not is_terminal()
    monkeypatch.delenv("TERM")
    assert not is_terminal()


def test_the_bars_library_is_imported_for_a_bar_only() -> None:
    """Otherwise each task of the DAG would pay for that import."""
    script = "import sys, include.api_video.load.runner; print([name for name in sys.modules if name == 'rich.progress'])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
