"""The doctor's judgments that need no server: the rate limit's headers, field names that may be shown."""

from __future__ import annotations

import pytest

from include.api_video.api.answers import RateLimit
from include.api_video.proof.promises import Holds, is_plain, judge_limit


def limits(*remaining: int | None, resets_in_s: float = 30) -> list[RateLimit | None]:
    return [None if left is None else RateLimit(500, left, resets_in_s) for left in remaining]


@pytest.mark.parametrize(
    ("told", "holds", "found"),
    [
        (limits(499, 498, 490), Holds.YES, "3 of 3 answers, 500 a window, 490 left, 30 s to go, less each time"),
        (limits(499, 499), Holds.NOTE, "2 of 2 answers, 500 a window, 499 left, 30 s to go, 1 of them not less"),
        (limits(499, None), Holds.NOTE, "1 of 2 answers, 500 a window, 499 left, 30 s to go, less each time"),
        (limits(None, None), Holds.NOTE, "none of 2 answers has the headers"),
        # A new window began.
        ([*limits(3), *limits(499, resets_in_s=60)], Holds.YES, "2 of 2 answers, 500 a window, 499 left, 60 s to go, less each time"),  # noqa: E501
    ],
)  # fmt: skip
def test_each_answer_has_to_say_less_until_the_window_ends(told: list[RateLimit | None], holds: Holds, found: str) -> None:
    judged = judge_limit(told)
    assert (judged.holds, judged.found) == (holds, found)


@pytest.mark.parametrize("name", ["title", "mp4Support", "assets.mp4", "source.liveStream.links", "chapters_new", "x" * 40])
def test_names_of_fields_are_shown(name: str) -> None:
    assert is_plain(name)


@pytest.mark.parametrize(
    "name",
    ["vi4k0jvEUuaTdRAEjQ4Jfagz", "jane@example.com", "Jane Doe", "https://x.example/a", "", "x" * 41, "a.secret-7", "a:b"],
)  # fmt: skip
def test_names_that_may_hold_more_are_not(name: str) -> None:
    assert not is_plain(name)
