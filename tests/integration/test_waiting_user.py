"""Progress shown to a waiting user: in a log, in a terminal, in a pipe; its numbers match the demo API's."""

from __future__ import annotations

import logging
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from include.api_video.load.source import api_video_source
from include.api_video.settings.config import PROJECT_DIR
from include.api_video.settings.destination import file_format
from include.api_video.warehouse.pipelines import short_lived_pipeline
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.integration.conftest import Warehouse

SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """1,000 videos, so that lists have many pages."""
    file = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", str(file))
    with running(World(1000), Behaviour(rate_limit=100_000)) as demo:
        yield Warehouse(demo, file)


def told(library: Warehouse, caplog: pytest.LogCaptureFixture, resource: str, seconds: float, **settings: int) -> list[str]:
    """Loads a resource with a clock that moves so many seconds per answer; returns the lines about progress."""
    caplog.set_level(logging.INFO, "api_video")
    caplog.clear()
    source = api_video_source([resource], settings=replace(library.settings, **settings), clock=count(0, seconds).__next__)
    with short_lived_pipeline(resource, library.settings.account) as pipeline:
        pipeline.run(source, loader_file_format=file_format())
    return [record.getMessage() for record in caplog.records if "/s" in record.getMessage()]


def test_a_first_load_says_how_many_of_how_many_pages_it_has(library: Warehouse, caplog) -> None:
    assert told(library, caplog, "videos", 4) == [
        "videos: 4 of 10 pages, 0.25/s, 24 s left",
        "videos: 7 of 10 pages, 0.25/s, 12 s left",
        "videos: 10 of 11 pages, 0.25/s, 4 s left",  # a full last page: there may be another one
    ]


def test_a_list_that_changed_meanwhile_has_a_few_pages_more(library: Warehouse, caplog) -> None:
    library.demo.behaviour.after(5, "/videos", lambda: library.demo.world.add_video())

    lines = told(library, caplog, "videos", 10)

    assert lines[0] == "videos: 2 of 10 pages, 0.10/s, 80 s left"
    assert 11 < library.demo.requests("/videos") < 20  # not read from the start again
    assert lines[-1].endswith("0 s left")
    library.assert_equal("videos")


def test_details_say_how_many_of_how_many_objects_they_have(library: Warehouse, caplog) -> None:
    library.load("videos")

    lines = told(library, caplog, "video_status", 0.5, max_detail_requests=100)

    assert lines[0] == "video_status: 21 of 100 objects, 2.0/s, 40 s left"
    assert [line.split(" of ")[0] for line in lines] == [f"video_status: {done}" for done in (21, 41, 61, 81)]


def test_videos_that_moved_are_counted_while_they_are_asked_for(library: Warehouse, caplog) -> None:
    library.load("videos", "discarded_videos")
    for video_id in library.demo.world.ids("videos")[500:505]:
        library.demo.world.discard_video(video_id)
    library.load("discarded_videos")

    assert told(library, caplog, "videos", 10)[-1] == "videos: 5 of 5 objects, 0.10/s, 0 s left"


def test_a_run_in_which_nothing_changed_says_nothing_of_progress(library: Warehouse, caplog) -> None:
    library.load("videos", "players")

    assert [told(library, caplog, resource, 4) for resource in ("videos", "players")] == [[], []]


# --- the plain run -----------------------------------------------------------------------------------------------------


def plain_run(demo: Demo, folder: Path, terminal: int | None = None) -> subprocess.Popen[bytes]:
    """``python -m include.api_video`` with videos and their statuses, in a terminal if one is given."""
    environment = {
        **os.environ,
        **demo_settings(demo),
        "SOURCES__API_VIDEO_SOURCE__RESOURCES": '["videos", "video_status"]',
        "DESTINATION__DUCKDB__CREDENTIALS": str(folder / "warehouse.duckdb"),
        "TERM": "xterm",
        "COLUMNS": "100",
    }
    streams = {"stdin": terminal, "stdout": terminal or subprocess.PIPE, "stderr": terminal or subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-m", "include.api_video"], cwd=PROJECT_DIR, env=environment, **streams)


def read_terminal(process: subprocess.Popen[bytes], terminal: int, own_end: int) -> str:
    """Everything written to the terminal until the process ended."""
    os.close(own_end)
    written = b""
    while True:
        try:
            written += os.read(terminal, 65536)
        except OSError:  # no process has it open any more
            process.wait(30)
            return written.decode()


def test_a_terminal_shows_a_bar_and_is_left_as_it_was(tmp_path: Path) -> None:
    terminal, own_end = pty.openpty()
    with running(World(60), Behaviour(rate_limit=100_000, latency_s=0.25)) as demo:
        process = plain_run(demo, tmp_path, own_end)
        written = read_terminal(process, terminal, own_end)

    assert process.returncode == 0, written
    assert re.search(r"━.*\d+ of 60 objects.*/s.* s left", written)
    assert written.rindex(SHOW_CURSOR) > written.rindex(HIDE_CURSOR)
    assert "video_status: 60 rows, 60 new (first, 60 requests)\r\n" in written
    assert demo.api_key not in written


@pytest.mark.slow
def test_a_bar_that_an_error_ends_is_cleared_as_well(tmp_path: Path) -> None:
    terminal, own_end = pty.openpty()
    with running(World(60), Behaviour(rate_limit=100_000, latency_s=0.25)) as demo:
        demo.behaviour.after(45, "/videos/.*/status", lambda: demo.behaviour.fail("/videos/.*", times=None, status=403))
        process = plain_run(demo, tmp_path, own_end)
        written = read_terminal(process, terminal, own_end)

    assert process.returncode == 1
    assert "of 60 objects" in written
    assert written.rindex(SHOW_CURSOR) > written.rindex("of 60 objects")


@pytest.mark.slow
def test_a_pipe_gets_lines_beside_the_output(tmp_path: Path) -> None:
    """With twenty requests per six seconds, ten seconds have passed in the third such window."""
    with running(World(45), Behaviour(rate_limit=20, rate_window_s=6)) as demo:
        process = plain_run(demo, tmp_path)
        output, said = (stream.decode() for stream in process.communicate(timeout=120))

    assert process.returncode == 0, said
    assert "\x1b" not in output + said
    assert "of 45 objects" not in output
    (line,) = re.findall(r"^\d\d:\d\d:\d\d video_status: (\d+) of 45 objects, ([\d.]+)/s, (\d+) s left", said, re.MULTILINE)
    assert 30 <= int(line[0]) < 45
    assert float(line[1]) < 20 / 5
    assert "The rate limit is used up: waiting" in said
