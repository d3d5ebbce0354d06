"""The benchmark itself works: every contender loads the same rows, and this package with the fewest requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import singer
from tests.benchmarks.__main__ import Bench, first_load, five_lists
from tests.benchmarks.results import DOCUMENT, FLOOR, OURS, PLAIN, SINGER, picture, read, table, write

pytestmark = pytest.mark.slow


def test_a_small_benchmark_compares_rows_and_counts_requests(tmp_path: Path) -> None:
    bench = Bench(tmp_path, repeat=1)

    first_load(bench, 250)

    requests = {key: result.runs[-1].requests for key, result in bench.results.items()}
    assert requests["first load, 250 videos", FLOOR] == requests["first load, 250 videos", PLAIN] == 3
    assert requests["first load, 250 videos", OURS] == 5  # one to ask whether the key is good
    assert requests["nothing changed, 250 videos", OURS] == requests["1% changed, 250 videos", OURS] == 1
    notes = {key: result.note for key, result in bench.results.items() if result.note}
    assert notes == {("one deleted, 250 videos", PLAIN): "rows differ: 1"}, "plain dlt keeps what was deleted"
    assert all(run.peak_mb > 20 for result in bench.results.values() for run in result.runs)
    assert "| nothing changed, 250 videos | api_video | 1 | 0 |" in table(list(bench.results.values()))
    write(list(bench.results.values()), tmp_path / "docs")
    assert table(read(tmp_path / "docs")) == table(list(bench.results.values()))
    assert "first load, 250 videos" in picture(read(tmp_path / "docs"))
    document = tmp_path / "docs" / DOCUMENT
    assert table(read(tmp_path / "docs")) in document.read_text(encoding="utf-8")
    document.write_text(document.read_text(encoding="utf-8") + "What people wrote.\n", encoding="utf-8")
    write(list(bench.results.values())[:1], tmp_path / "docs")
    assert document.read_text(encoding="utf-8").endswith("<!-- end of benchmarks -->\nWhat people wrote.\n")
    assert "nothing changed, 250 videos" not in document.read_text(encoding="utf-8")


def test_all_contenders_load_the_same_rows_of_five_lists(tmp_path: Path) -> None:
    try:
        singer.environment()
    except singer.NoSingerError as error:
        pytest.skip(str(error))
    bench = Bench(tmp_path, repeat=1)

    five_lists(bench, 250)

    first, again = (f"{when}, 250 videos and four lists" for when in ("first load", "nothing changed"))
    assert {key: result.note for key, result in bench.results.items() if result.note} == {}
    requests = {key: result.runs[-1].requests for key, result in bench.results.items()}
    assert requests[first, FLOOR] == requests[first, PLAIN] == requests[first, SINGER] == 7
    assert requests[first, OURS] == 9
    assert requests[again, OURS] == 5
    assert requests[again, SINGER] == 7, "it reads all of it again"
    assert "singer" in picture(list(bench.results.values()))
