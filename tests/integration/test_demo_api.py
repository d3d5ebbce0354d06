"""The demo API over HTTP: the behaviour that a client relies on, and the faults that a test can request."""

from __future__ import annotations

import base64
import itertools
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests

from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.catalog.model import Column, Endpoint, Host, Sync
from include.demo_api.__main__ import main
from include.demo_api.behaviour import Behaviour
from include.demo_api.clock import FileClock
from include.demo_api.server import DEMO_ADMIN_API_KEY, DEMO_API_KEY, Demo, running
from include.demo_api.world import World

LISTS = [entry for entry in ENDPOINTS if entry.is_list and entry.host is Host.MAIN]
OBJECTS = [entry for entry in ENDPOINTS if not entry.is_list and not entry.asks]
QUESTIONS = sorted({ask.path for entry in ENDPOINTS for ask in entry.asks})  # of analytics
CLOCK = [1000.0]  # seconds; tests move it
DOCS = "https://docs.api.video/reference/"


@pytest.fixture(scope="module")
def steady() -> Iterator[Demo]:
    """One server for tests that only read."""
    with running(World(videos=70), Behaviour(rate_limit=100_000)) as demo:
        yield demo


@pytest.fixture
def demo() -> Iterator[Demo]:
    """A server for a test that changes something."""
    with running(World(videos=70), Behaviour(clock=lambda: CLOCK[0])) as demo:
        yield demo


def get(demo: Demo, path: str, query: Any = None, key: str = DEMO_API_KEY, **options: Any) -> requests.Response:
    return requests.get(demo.url + path, params=query, auth=(key, ""), timeout=10, **options)


def walk(demo: Demo, path: str, **query: Any) -> list[dict[str, Any]]:
    """All pages of a list, read by the loop of the vendor's examples."""
    rows: list[dict[str, Any]] = []
    for page in itertools.count(1):
        answer = get(demo, path, {"currentPage": page, "pageSize": 20, **query}).json()
        rows += answer["data"]
        if page >= answer["pagination"]["pagesTotal"]:
            break
    return rows


@pytest.mark.parametrize("entry", LISTS, ids=lambda entry: entry.name)
def test_the_pages_of_a_list_hold_every_row_once(steady: Demo, entry: Endpoint) -> None:
    rows = walk(steady, entry.path, sortBy=entry.sort_by, sortOrder="desc")
    assert sorted(row[entry.sent_key] for row in rows) == sorted(steady.world.ids(entry.name))
    if entry.sort_by is None:  # the API sorts nothing, and refuses a sort
        return
    values = [row.get(entry.sort_by, "") for row in rows]
    assert values == sorted(values, reverse=True)


def test_a_page_says_where_it_stands(steady: Demo) -> None:
    """No rows beyond the last page. This is our choice: the API does not document it."""
    beyond = get(steady, "/videos", {"currentPage": 99, "pageSize": 100}).json()
    assert (beyond["data"], beyond["pagination"]["itemsTotal"]) == ([], 70)
    answer = get(steady, "/live-streams", {"currentPage": 1, "pageSize": 10}).json()
    links = [{"rel": rel, "uri": "/live-streams?currentPage=1&pageSize=10"} for rel in ("self", "first", "last")]
    counts = {"currentPage": 1, "currentPageItems": 7, "pageSize": 10, "pagesTotal": 1, "itemsTotal": 7}
    assert answer["pagination"] == {**counts, "links": links}


def test_the_links_of_a_parents_list_name_the_parent(steady: Demo) -> None:
    """They named ``/videos/{videoId}/captions``, as no address can be."""
    path = f"/videos/{steady.world.ids('videos')[0]}/captions"
    links = get(steady, path).json()["pagination"]["links"]
    assert {link["uri"] for link in links} == {f"{path}?currentPage=1&pageSize=25"}


@pytest.mark.parametrize("entry", OBJECTS, ids=lambda entry: entry.name)
def test_each_object_is_found_by_its_parents_key(steady: Demo, entry: Endpoint) -> None:
    field = by_name()[entry.parent or ""].key
    name = steady.world.listed(entry.name)[0][field]
    key = DEMO_ADMIN_API_KEY if entry.host is Host.ADMIN else DEMO_API_KEY
    assert get(steady, entry.path.replace(f"{{{field}}}", name), entry.params, key).status_code == 200
    missing = get(steady, entry.path.replace(f"{{{field}}}", "unknown"), entry.params, key)
    title = "The requested resource was not found."
    assert missing.json() == {"type": DOCS + "resource-not-found", "title": title, "name": field, "status": 404}


@pytest.mark.parametrize("path", QUESTIONS)
def test_each_question_of_analytics_is_answered(steady: Demo, path: str) -> None:
    answer = get(steady, f"/data/{path}").json()
    number = answer["data"] if path.startswith("metrics/") else answer["data"][0]["metricValue"]
    assert number > 0
    unknown = get(steady, f"/data/{path.replace(path.split('/')[1], 'unknown')}")
    assert (unknown.status_code, unknown.json()["name"]) == (400, "metric")


def test_a_list_added_to_the_table_is_served_without_another_line() -> None:
    columns = (Column("playlistId", "text", "Identifier"), Column("createdAt", "timestamp", "When created"))
    entry = Endpoint("playlists", "/playlists", "playlistId", "videos", Sync.WHOLE, "Playlists", columns)
    with running(World(videos=3, endpoints=(*ENDPOINTS, entry))) as demo:
        assert len(walk(demo, "/playlists", sortBy="createdAt")) == 30


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("/videos", {"sortBy": "discardedAt"}, "sortBy"),
        ("/players", {"sortBy": "title"}, "sortBy"),
        ("/videos", {"sortOrder": "down"}, "sortOrder"),
        ("/summaries", {"sourceStatus": "available"}, "sourceStatus"),
        ("/videos", {"updatedAfter": "2026-01-01"}, "updatedAfter"),
        ("/videos/vi0/status", {"verbose": "1"}, "verbose"),
    ],
)
def test_a_query_that_the_api_does_not_know_is_refused(steady: Demo, path: str, query: Any, name: str) -> None:
    answer = get(steady, path, query)
    assert (answer.status_code, answer.json()["name"], answer.json()["status"]) == (400, name, 400)


def test_a_page_out_of_range_is_refused_with_the_range(steady: Demo) -> None:
    answer = get(steady, "/videos", {"currentPage": 0, "pageSize": 9})
    title = "This parameter is out of the allowed range of values."
    page = {"title": title, "name": "page", "range": {"min": 1}}
    page_size = {"title": title, "name": "pageSize", "range": {"min": 10, "max": 100}}
    assert answer.json() == {**page, "status": 400, "problems": [page, page_size]}


def test_unknown_addresses_and_methods_are_refused_as_documented(steady: Demo) -> None:
    assert get(steady, "/vidoes").json()["title"] == "Unrecognized request URL."
    assert get(steady, "/videos/").status_code == 404
    answer = requests.post(steady.url + "/videos", auth=(DEMO_API_KEY, ""), timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (405, 405)


@pytest.mark.parametrize(
    ("authorization", "title"),
    [
        (None, 'The "Authorization" header is missing.'),
        ("Basic !", 'The "Authorization" header value is invalid.'),
        ("Basic " + base64.b64encode(DEMO_API_KEY.encode()).decode(), 'The "Authorization" header value is invalid.'),
        ("Basic " + base64.b64encode(b"wrong:").decode(), "The API key is invalid."),
        ("Basic " + base64.b64encode(f"{DEMO_ADMIN_API_KEY}:".encode()).decode(), "The API key is invalid."),
        ("Bearer wrong", "The access token is invalid or expired."),
    ],
)
def test_a_wrong_key_is_refused_with_the_reason(steady: Demo, authorization: str | None, title: str) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = requests.get(steady.url + "/videos", headers=headers, timeout=10)
    assert (answer.status_code, answer.json()["title"]) == (401, title)


def test_the_log_holds_no_key(demo: Demo) -> None:
    get(demo, "/videos", {"title": "a"})
    (line,) = demo.log
    assert (line.method, line.path, line.query, line.status) == ("GET", "/videos", "title=a", 200)
    assert DEMO_API_KEY not in repr(demo.log)


def test_the_admin_api_lists_projects_and_their_keys(steady: Demo) -> None:
    projects = get(steady, "/projects", {"page_size": 1, "sort_by": "name"}, DEMO_ADMIN_API_KEY).json()
    assert projects["pagination"] == {"page": 1, "page_size": 1, "item_count": 2}
    assert projects["links"] == [
        {"rel": "self", "href": "/projects?page_size=1&page=1"},
        {"rel": "next", "href": "/projects?page_size=1&page=2"},
    ]
    found = []
    for project_id in steady.world.ids("projects"):
        keys = get(steady, f"/projects/{project_id}/api-keys", key=DEMO_ADMIN_API_KEY).json()["items"]
        assert {key["project_id"] for key in keys} == {project_id}
        found += [key["api_key_id"] for key in keys]
    assert sorted(found) == sorted(steady.world.ids("projects_api_keys"))
    assert all(row["value"].startswith("demo-secret-") for row in steady.world.listed("projects_api_keys"))


def test_the_admin_api_needs_its_own_key_and_known_parameters(steady: Demo) -> None:
    assert get(steady, "/projects").status_code == 401
    assert get(steady, "/projects/unknown/api-keys", key=DEMO_ADMIN_API_KEY).status_code == 404
    answer = get(steady, "/projects", {"page_size": 101}, DEMO_ADMIN_API_KEY)
    assert (answer.status_code, answer.json()["name"], "status" in answer.json()) == (400, "page_size", False)


def test_the_admin_api_can_answer_on_the_path_of_all_keys_instead(demo: Demo) -> None:
    assert get(demo, "/projects/api-keys", key=DEMO_ADMIN_API_KEY).status_code == 404
    demo.behaviour.admin_style = "listed"
    assert get(demo, "/projects", key=DEMO_ADMIN_API_KEY).status_code == 404
    answer = get(demo, "/projects/api-keys", key=DEMO_ADMIN_API_KEY).json()
    assert len(answer["data"]) == answer["pagination"]["itemsTotal"] == 5


def test_every_answer_says_what_is_left_of_the_window(demo: Demo) -> None:
    def left(path: str, key: str = DEMO_API_KEY) -> tuple[str, ...]:
        headers = get(demo, path, key=key).headers
        return tuple(headers["X-RateLimit-" + name] for name in ("Limit", "Remaining", "Retry-After"))

    assert left("/players") == ("500", "499", "60")
    CLOCK[0] += 12.5
    assert left("/videos/unknown") == ("500", "498", "48")
    assert left("/projects", DEMO_ADMIN_API_KEY) == ("500", "499", "60")


def test_a_client_that_waits_as_told_is_served_again(demo: Demo) -> None:
    demo.behaviour.rate_limit, demo.behaviour.rate_window_s = 2, 10
    CLOCK[0] += 0.3
    assert [get(demo, "/players").status_code for _ in range(3)] == [200, 200, 429]
    refused = get(demo, "/players")
    assert refused.json() == {"type": DOCS + "too-many-requests", "title": "Too many requests.", "status": 429}
    assert (refused.headers["X-RateLimit-Remaining"], refused.headers["X-RateLimit-Retry-After"]) == ("0", "10")
    CLOCK[0] += 10
    assert get(demo, "/players").status_code == 200


def test_a_fault_strikes_as_often_as_told_and_only_where_told(demo: Demo) -> None:
    demo.behaviour.fail("/players", status=503, times=2)
    statuses = [get(demo, path).status_code for path in ("/videos", "/players", "/players", "/players")]
    assert statuses == [200, 503, 503, 200]
    demo.behaviour.fail("/videos/.*", status=500, times=None)
    assert {get(demo, "/videos/x").status_code for _ in range(5)} == {500}
    demo.behaviour.heal()
    assert get(demo, "/videos/x").status_code == 404


def test_an_answer_can_come_from_a_proxy_or_with_other_headers(demo: Demo) -> None:
    demo.behaviour.fail("/players", "html")
    demo.behaviour.fail("/videos", status=429, headers={"X-RateLimit-Retry-After": "soon"})
    html, refused = get(demo, "/players"), get(demo, "/videos")
    assert (html.status_code, html.text[:6], html.headers.get("X-RateLimit-Limit")) == (502, "<html>", None)
    assert (refused.headers.get("X-RateLimit-Limit"), refused.headers["X-RateLimit-Retry-After"]) == (None, "soon")


@pytest.mark.parametrize(("kind", "message"), [("truncated", "IncompleteRead"), ("dropped", "Connection aborted")])
def test_an_answer_can_break_off_or_never_come(demo: Demo, kind: Any, message: str) -> None:
    demo.behaviour.fail("/players", kind)
    with pytest.raises(requests.exceptions.RequestException, match=message):
        get(demo, "/players")
    assert get(demo, "/players").status_code == 200


def test_an_answer_can_hang_and_does_not_hold_up_the_end(demo: Demo) -> None:
    demo.behaviour.fail("/players", "hang", seconds=600)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(demo.url + "/players", auth=(DEMO_API_KEY, ""), timeout=0.05)
    assert get(demo, "/players").status_code == 200


def test_a_list_can_shift_while_it_is_read(demo: Demo) -> None:
    """A video deleted between page 1 and page 2 moves an unread row onto page 1."""
    newest = get(demo, "/videos", {"sortBy": "updatedAt", "sortOrder": "desc"}).json()["data"][0]["videoId"]
    before = set(demo.world.ids("videos"))
    demo.behaviour.after(1, "/videos", lambda: demo.world.delete_video(newest))
    seen = {row["videoId"] for row in walk(demo, "/videos", sortBy="updatedAt", sortOrder="desc")}
    assert len(before - seen) == 1


def test_fields_can_be_added_removed_or_changed_on_the_way(demo: Demo) -> None:
    demo.behaviour.rewrite = lambda resource, row: {"from": resource, "title": 7}
    assert get(demo, "/videos").json()["data"][0] == {"from": "videos", "title": 7}
    assert get(demo, f"/videos/{demo.world.ids('videos')[0]}/status").json() == {"from": "video_status", "title": 7}


def test_links_come_in_both_of_the_documented_styles(demo: Demo) -> None:
    found = []
    for demo.behaviour.link_style in ("relative", "absolute"):
        links = get(demo, "/videos", {"pageSize": 10}).json()["pagination"]["links"]
        found += [link["uri"] for link in links if link["rel"] == "next"]
    assert found == ["/videos?currentPage=2&pageSize=10", f"{demo.url}/videos?currentPage=2"]


def test_a_server_in_another_process_can_be_steered(demo: Demo) -> None:
    def send(method: str, path: str, body: Any = None) -> Any:
        return requests.request(method, f"{demo.url}/_demo/{path}", json=body, timeout=10).json()

    key = send("POST", "changes", {"change": "add", "resource": "videos", "fields": {"title": "Mine"}})["key"]
    send("POST", "changes", {"change": "update", "key": key, "fields": {"title": "Yours"}})
    assert get(demo, f"/videos/{key}").json()["title"] == "Yours"
    send("POST", "hooks", {"path": "/players", "requests": 1, "change": {"change": "discard", "key": key}})
    send("POST", "faults", {"path": "/videos", "status": 503})
    send("PATCH", "behaviour", {"rate_limit": 9, "link_style": "relative"})
    assert get(demo, "/videos").status_code == 503
    assert get(demo, "/players").headers["X-RateLimit-Limit"] == "9"
    assert key in send("GET", "ids/discarded_videos")
    assert send("GET", "requests?path_prefix=/videos")["count"] == demo.requests("/videos") == 2
    send("DELETE", "requests")
    assert demo.requests() == 0
    assert "rate_limt" in send("PATCH", "behaviour", {"rate_limt": 1})["error"]
    assert "known: add, update" in send("POST", "changes", {"change": "rename"})["error"]


def test_its_time_and_its_viewing_can_be_set_from_another_process(demo: Demo, tmp_path: Path) -> None:
    def send(path: str, change: str, key: str = "", **fields: Any) -> Any:
        body: dict[str, Any] = {"change": change, "key": key, "fields": fields}
        body = {"path": "/players", "requests": 1, "change": body} if path == "hooks" else body
        return requests.post(f"{demo.url}/_demo/{path}", json=body, timeout=10).json()

    def plays() -> float:
        span = {"from": "2026-10-24T22:00:00+00:00", "to": "2026-10-25T22:00:00+00:00", "filterBy[mediaId][]": key}
        return float(get(demo, "/data/metrics/play/count", span).json()["data"])

    key = demo.world.ids("videos")[-1]
    assert "--clock FILE" in send("changes", "time", now="2026-10-25T22:00:00+00:00")["error"]
    demo.world.viewing.now = clock = FileClock(tmp_path / "clock")
    send("changes", "time", now="2026-10-25T21:59:00+00:00")
    before = plays()
    send("changes", "watch", key, at="2026-10-25T07:00:00+00:00", plays=3)
    assert plays() == before + 3
    clock.set(clock() - timedelta(seconds=1))
    assert plays() == before, "they were not known a second earlier"
    send("hooks", "time", now="2026-10-25T22:00:00+00:00")
    assert get(demo, "/players").ok
    assert clock() == demo.world.viewing.now() == datetime(2026, 10, 25, 22, tzinfo=timezone.utc)


def test_a_command_runs_beside_a_demo_of_its_own_and_keeps_its_exit_code() -> None:
    code = """
import json, os, requests, sys
setting = {name.rpartition("__")[2]: value for name, value in os.environ.items()}
answer = requests.get(setting["BASE_URL"] + "/videos", auth=(setting["API_KEY"], ""), timeout=10).json()
sys.exit(answer["pagination"]["itemsTotal"] + len(json.loads(setting["RESOURCES"])))
"""
    assert main(["exec", "--videos", "20", "--", sys.executable, "-c", code]) == 20 + len(ENDPOINTS)


def test_serving_from_the_command_line_says_where_and_ends_when_told() -> None:
    """After the block, nothing listens any more."""
    command = [sys.executable, "-m", "include.demo_api", "serve", "--port", "0", "--videos", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        url = server.stdout.readline().split()[-1]
        answer = requests.get(url + "/videos", auth=(DEMO_API_KEY, ""), timeout=10)
        server.terminate()
        assert (answer.json()["pagination"]["itemsTotal"], server.wait(timeout=10)) == (3, 0)
    assert url.startswith("http://127.0.0.1:")
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(url + "/videos", timeout=10)
