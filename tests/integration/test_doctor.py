"""The doctor examines normal and odd APIs; its output is safe to publish."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.api_video import __main__ as command_line
from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.storable import now_utc
from include.api_video.proof.diagnosis import render
from include.api_video.proof.doctor import MOST_REQUESTS, Examination, examine
from include.api_video.proof.promises import Finding, Holds
from include.api_video.settings.settings import Settings
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.answers import problem
from include.demo_api.behaviour import Behaviour
from include.demo_api.samples import Row
from include.demo_api.server import Demo, running
from include.demo_api.world import World

ALL = tuple(endpoint.name for endpoint in ENDPOINTS)


@pytest.fixture
def demo() -> Iterator[Demo]:
    with running(World(250), Behaviour(rate_limit=100_000)) as demo:
        yield demo


def settings_of(demo: Demo, **others: Any) -> Settings:
    values: dict[str, Any] = {"api_key": demo.api_key, "base_url": demo.url, "resources": ALL}
    values |= {"admin_api_key": demo.admin_api_key, "admin_base_url": demo.url}
    return Settings(**{**values, **others})


def ask(demo: Demo, **others: Any) -> Examination:
    return examine(settings_of(demo, **others))


def odd(seen: Examination) -> list[tuple[str, str, str, str, str]]:
    """Lines about promises that do not hold."""
    found = [f for f in seen.findings if f.holds is not Holds.YES]
    return [(f.promise, f.where, f.holds.value, f.found, f.otherwise) for f in found]


def finding(seen: Examination, promise: str, where: str = "videos") -> Finding:
    (found,) = [f for f in seen.findings if (f.promise, f.where) == (promise, where)]
    return found


def test_of_an_account_that_keeps_its_promises_all_hold(demo: Demo) -> None:
    seen = ask(demo)

    assert odd(seen) == []
    assert render(seen).endswith("All promises hold.")
    assert {request.method for request in demo.log} == {"GET"}
    assert len(demo.log) == seen.adapter.sent <= MOST_REQUESTS
    asked = {f.where for f in seen.findings if f.promise == "the key may read it"}
    of_analytics = {"analytics_days", "analytics_hours", "analytics_videos"}  # one for each kind of question
    assert asked == {endpoint.name for endpoint in ENDPOINTS if endpoint.is_list} | of_analytics
    for name in of_analytics:
        assert finding(seen, "numbers of the time that was asked for", name).holds is Holds.YES
    for detail in ("video_status", "captions", "chapters", "summary_source", "delivery_usage", "hosting_usage"):
        assert finding(seen, "fields as documented", detail).holds is Holds.YES
    assert finding(seen, "the last page, asc").found == "page 3 has 50 rows of 50, all beyond those of page 1"


def test_a_key_that_may_not_read_analytics_is_told_once_and_stops_nothing(demo: Demo) -> None:
    demo.behaviour.analytics_refused = True

    seen = ask(demo)

    read = "the key may read it"
    assert odd(seen) == [(read, "analytics_days", "note", "403: the key may not read it", "leaves it out")]
    assert "The package works." in render(seen)


def test_odd_numbers_of_analytics_are_a_note(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    promise = "numbers of the time that was asked for"
    with monkeypatch.context() as patch:
        patch.setattr(demo.world.viewing, "total", lambda *_: "many")
        told = finding(ask(demo), promise, "analytics_days")
    demo.world.viewing.retention, demo.world.viewing.clamps = timedelta(minutes=30), True
    clamped = ask(demo)

    assert (told.holds, told.found, told.otherwise) == (Holds.NOTE, "no numbers", "leaves its column empty and says so")
    assert [line for line in odd(clamped) if line[0] == promise] == [
        (promise, name, "note", "of another time", "leaves the day for the next run")
        for name in ("analytics_days", "analytics_hours", "analytics_videos")
    ]


def texts(value: Any) -> Iterator[str]:
    """All texts of a payload that are too long to match other text by chance."""
    if isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
    elif isinstance(value, str) and len(value) >= 6:
        yield value


def test_what_it_prints_has_no_value_of_any_row_nor_a_key_nor_an_address(demo: Demo) -> None:
    odd_name = f"field of {demo.world.ids('videos')[0]}"

    def rewrite(resource: str, row: Row) -> Row:
        return {**row, odd_name: 1, "chapters": {odd_name: {"x": 1}}, "title": {"name": odd_name}, "createdAt": "soon"}

    demo.behaviour.rewrite = rewrite
    seen = ask(demo)
    printed = render(seen)

    assert finding(seen, "fields as documented").holds is Holds.NOTE
    assert "chapters" in printed
    assert "1 whose name is not shown" in printed
    lists = [name for name, entry in demo.world.endpoints.items() if entry.is_list]
    rows = [
        text for name in (*lists, "video_status", "captions", "summary_source") for text in texts(demo.world.listed(name))
    ]
    assert len(set(rows)) > 2000
    # The API's own words for states, not a customer's values.
    known = {"failed", "missing", "public", "uploaded", "encoded", "player"}
    words = set(re.split(r"[^\w'-]+", printed))
    assert not {text for text in rows if text in (words if text.isalpha() else printed)} - known
    for secret in (demo.api_key, demo.admin_api_key, demo.url, "127.0.0.1", odd_name, odd_name.split()[-1]):
        assert secret not in printed


def unsorted(resource: str, page: Row) -> Row:
    return {**page, "data": random.Random(1).sample(page["data"], len(page["data"]))}


def test_a_list_that_is_not_sorted_is_named_with_what_it_costs(demo: Demo) -> None:
    demo.behaviour.rewrite_page = unsorted

    seen = ask(demo)

    assert ("sorted by updatedAt, desc", "videos", "note") in [line[:3] for line in odd(seen)]
    assert finding(seen, "sorted by updatedAt, desc").otherwise == "reads the whole list to find changes, each time"
    assert "The package works." in render(seen)


def test_rows_of_one_second_that_change_places_are_seen(demo: Demo) -> None:
    demo.behaviour.rewrite = lambda resource, row: {**row, "updatedAt": "2026-01-01T00:00:00+00:00"}
    shuffle = random.Random(1)
    demo.behaviour.rewrite_page = lambda resource, page: {**page, "data": shuffle.sample(page["data"], len(page["data"]))}

    seen = ask(demo)

    again = finding(seen, "the same page twice is the same")
    assert again.holds is Holds.NOTE
    assert again.found.endswith("in another place, 99 of a second that another row has, too")
    assert finding(seen, "sorted by updatedAt, desc").holds is Holds.YES


def counted(more: int) -> Any:
    def rewrite(resource: str, page: Row) -> Row:
        total = page["pagination"]["itemsTotal"] + more
        return {**page, "pagination": {**page["pagination"], "itemsTotal": total}}

    return rewrite


@pytest.mark.parametrize("more", [1, -1])
def test_a_count_that_is_off_by_one_is_seen_in_short_and_in_long_lists(demo: Demo, more: int) -> None:
    demo.behaviour.rewrite_page = counted(more)

    seen = ask(demo)

    players = len(demo.world.ids("players"))
    assert finding(seen, "itemsTotal counts the rows", "players").holds is Holds.NOTE
    assert finding(seen, "itemsTotal counts the rows", "players").found == f"itemsTotal {players + more}, {players} rows"
    assert finding(seen, "the last page, desc").holds is Holds.NOTE
    assert finding(seen, "the last page, desc").found.startswith(f"page 3 has 50 rows of {50 + more},")


def test_pages_smaller_than_asked_for_are_seen(demo: Demo) -> None:
    def rewrite(resource: str, page: Row) -> Row:
        pagination = {**page["pagination"], "pageSize": 50, "pagesTotal": -(-page["pagination"]["itemsTotal"] // 50)}
        return {"data": page["data"][:50], "pagination": pagination}

    demo.behaviour.rewrite_page = rewrite

    seen = ask(demo)

    assert finding(seen, "100 rows a page").found == "50 rows on page 1, its pageSize says 50"
    assert finding(seen, "pagesTotal fits itemsTotal").holds is Holds.YES


def test_a_page_far_back_that_is_refused_is_a_note(demo: Demo) -> None:
    def rewrite(resource: str, page: Row) -> Row:
        if page["pagination"]["currentPage"] > 2:
            raise problem(400, name="currentPage")
        return page

    demo.behaviour.rewrite_page = rewrite

    seen = ask(demo)

    refused = [line[0] for line in odd(seen) if line[3] == "page 3: 400: not accepted"]
    assert refused == ["the last page, desc", "the last page, asc"]


def test_missing_headers_of_the_rate_limit_are_a_note(demo: Demo) -> None:
    demo.behaviour.tells_limit = False

    ((promise, *_, otherwise),) = odd(ask(demo))

    assert (promise, otherwise) == (
        "rate limit in each answer",
        "sends one request at a time for a while; a 429 says to wait",
    )


@pytest.mark.parametrize("apart", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_clocks_that_differ_are_a_note(demo: Demo, apart: timedelta) -> None:
    seen = examine(settings_of(demo), clock=lambda: now_utc() + apart)

    ((promise, _, holds, found, _),) = odd(seen)
    assert (promise, holds) == ("the clocks agree", "note")
    (seconds,) = re.findall(r"this machine's is ([+-]\d+) s", found)
    assert abs(int(seconds) - apart.total_seconds()) < 60


def test_a_status_without_its_encoding_is_a_note(demo: Demo) -> None:
    demo.behaviour.rewrite = lambda resource, row: (
        {name: value for name, value in row.items() if name != "encoding"} if resource == "video_status" else row
    )

    ((promise, where, holds, found, _),) = odd(ask(demo))

    assert (promise, where, holds) == ("fields as documented", "video_status", "note")
    assert "encoding.playable" in found


def test_a_single_object_that_differs_from_its_row_is_named_by_its_fields(demo: Demo) -> None:
    demo.behaviour.rewrite_page = lambda resource, page: {
        **page,
        "data": [{**row, "description": "another"} if resource == "videos" else row for row in page["data"]],
    }

    ((promise, where, _, found, _),) = odd(ask(demo))

    assert (promise, where) == ("a single object is its row of the list", "videos")
    assert found == "differing: description"


def test_a_refused_key_is_said_after_one_request(demo: Demo) -> None:
    seen = ask(demo, api_key="another", admin_api_key=None)

    assert odd(seen) == [("the key may read it", "videos", "NO", "401: the key is refused", "fails in its task")]
    assert demo.requests() == 1
    assert render(seen).endswith("The package cannot load videos: see the lines with NO.")


@pytest.mark.parametrize(("wanted", "holds"), [(ALL, "NO"), (("videos",), "note")])
def test_a_list_that_the_key_may_not_read_stops_the_package_where_it_is_wanted(
    demo: Demo, wanted: tuple[str, ...], holds: str
) -> None:
    demo.behaviour.fail("/summaries", status=403, times=None)

    seen = ask(demo, resources=wanted)

    assert [line[1:4] for line in odd(seen) if line[0] == "the key may read it"] == [
        ("summaries", holds, "403: the key may not read it")
    ]


@pytest.mark.parametrize(
    "body",
    [{"data": []}, {"data": [1], "pagination": {"pagesTotal": 1, "itemsTotal": 1}}, {"data": [], "pagination": [1]}, {}],
    ids=json.dumps,
)
def test_a_body_that_is_no_page_stops_the_package(demo: Demo, body: Row) -> None:
    demo.behaviour.rewrite_page = lambda resource, page: body if resource == "summaries" else page

    assert [line[1:3] for line in odd(ask(demo)) if line[2] == "NO"] == [("summaries", "NO")]


@pytest.mark.parametrize("body", [{"itemsTotal": "many"}, {"pageSize": "wide"}, {"itemsTotal": 0, "pagesTotal": 2}])
def test_odd_totals_are_no_error_of_the_doctor(demo: Demo, body: Row) -> None:
    demo.behaviour.rewrite_page = lambda resource, page: {**page, "pagination": {**page["pagination"], **body}}
    assert odd(ask(demo))


def test_no_more_requests_than_allowed_go_out_whatever_fails(demo: Demo) -> None:
    demo.behaviour.fail("/.+/.+", status=503, times=None)
    for resource in ("players", "summaries"):
        for _ in range(110):
            demo.world.add(resource)

    seen = ask(demo)

    assert demo.requests() == seen.adapter.sent == MOST_REQUESTS
    assert finding(seen, "everything was asked", "all").found == "the 35 requests are used up, by attempts that failed"


def test_a_large_account_is_asked_within_the_limit(demo: Demo) -> None:
    for resource in ("players", "summaries"):
        for _ in range(110):
            demo.world.add(resource)

    seen = ask(demo)

    assert {f.where for f in seen.findings if f.promise == "the last page, desc"} == {"videos", "players", "summaries"}
    assert len(demo.log) == seen.adapter.sent <= MOST_REQUESTS


def test_one_request_more_is_refused(demo: Demo) -> None:
    seen = examine(settings_of(demo), most=3)

    assert demo.requests() == 3
    assert finding(seen, "everything was asked", "all").holds is Holds.NOTE


def test_an_empty_account_is_no_fault() -> None:
    with running(World(0), Behaviour(rate_limit=100_000)) as demo:
        for resource in ("players", "live_streams", "summaries", "discarded_videos"):
            for key in demo.world.ids(resource):
                demo.world.delete(resource, key)
        seen = ask(demo)
    assert {line[3] for line in odd(seen)} <= {"no row to ask for"}


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["api_video", "doctor"])
    monkeypatch.setattr(command_line, "use_project_config", lambda: None)
    code = command_line.main()
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_command_prints_the_table_and_ends_by_it(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in demo_settings(demo).items():
        monkeypatch.setenv(name, value)
    code, out, _ = run(monkeypatch, capsys)
    assert (code, out.strip().splitlines()[-1]) == (0, "All promises hold.")

    demo.behaviour.fail("/videos", status=403, times=None)
    code, out, _ = run(monkeypatch, capsys)
    assert code == 1
    assert "| NO " in out


def test_without_a_key_it_says_so_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(monkeypatch, capsys)

    assert (code, out) == (1, "")
    assert err.startswith("MissingKeyError: No api.video API key is set.")
    assert len(err.strip().splitlines()) == 1


def test_the_version_is_that_of_the_project() -> None:
    from include.api_video import __version__
    from include.api_video.settings.config import PROJECT_DIR

    assert f'version = "{__version__}"' in (PROJECT_DIR / "pyproject.toml").read_text(encoding="utf-8")


def test_a_row_whose_key_is_missing_is_a_note_since_it_goes_to_rejected(demo: Demo) -> None:
    demo.behaviour.rewrite = lambda resource, row: {**row, "playerId": None} if resource == "players" else row

    (line,) = [line for line in odd(ask(demo)) if line[:2] == ("each row has its own key", "players")]
    assert (line[2], line[-1]) == ("note", "puts rows without one into _rejected, loads the others")


def test_a_list_that_moves_meanwhile_is_not_blamed(demo: Demo) -> None:
    demo.behaviour.after(1, "/videos", lambda: demo.world.add_video(title="new"))

    seen = ask(demo)

    assert {line[3] for line in odd(seen)} == {"the list changed meanwhile: ask again when it is quiet"}


def test_other_settings_of_the_account_are_named_without_their_values(demo: Demo) -> None:
    printed = render(examine(replace(settings_of(demo), filters={"videos": {"title": "their own words"}})))

    assert "their own words" not in printed
    assert "| videos " in printed.split("promise")[0]
