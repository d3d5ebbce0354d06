"""api.video's own Python client can read every resource that it knows from the demo API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World

apivideo = pytest.importorskip("apivideo")
apis = pytest.importorskip("apivideo.apis")


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with running(World(videos=60)) as demo:
        yield demo


@pytest.fixture(scope="module")
def client(demo: Demo) -> Iterator[Any]:
    client = connect(demo)
    yield client
    client.close()


def connect(demo: Demo) -> Any:
    """The vendor's client, logged in. It has no setting for the address."""
    client = apivideo.AuthenticatedApiClient(demo.api_key)
    client.configuration.host = demo.url
    client.connect()
    return client


def read_all(list_page: Any, key: str) -> list[str]:
    """Keys of all pages, read by the loop of the vendor's examples."""
    keys: list[str] = []
    page = 0
    while True:
        page += 1
        answer = list_page(current_page=page, page_size=10)
        keys += [row[key] for row in answer.data]
        if page >= answer.pagination.pages_total:
            return keys


@pytest.mark.parametrize(
    ("resource", "api", "method", "key"),
    [
        ("videos", "VideosApi", "list", "video_id"),
        ("discarded_videos", "VideosApi", "list_discarded", "video_id"),
        ("summaries", "SummariesApi", "list", "summary_id"),
        ("players", "PlayerThemesApi", "list", "player_id"),
        ("live_streams", "LiveStreamsApi", "list", "live_stream_id"),
    ],
)
def test_the_client_lists_what_the_demo_holds(
    demo: Demo, client: Any, resource: str, api: str, method: str, key: str
) -> None:
    found = read_all(getattr(getattr(apis, api)(client), method), key)
    assert sorted(found) == sorted(demo.world.ids(resource))


def test_the_client_reads_each_video_and_its_status(demo: Demo, client: Any) -> None:
    """Also the status of a video that was never uploaded, whose ``ingest`` is an empty list."""
    api = apis.VideosApi(client)
    for row in demo.world.listed("video_status"):
        assert api.get(row["videoId"]).video_id == row["videoId"]
        assert api.get_status(row["videoId"]).encoding.playable == row["encoding"]["playable"]


def test_the_client_reads_the_source_of_each_completed_summary(demo: Demo, client: Any) -> None:
    api = apis.SummariesApi(client)
    for row in demo.world.listed("summary_source"):
        assert api.get_summary_source(row["summaryId"]).to_dict().get("abstract") == row.get("abstract")


@pytest.mark.parametrize(
    ("filters", "passes"),
    [
        ({"title": "WEBINAR"}, lambda row: "webinar" in row["title"].casefold()),
        ({"description": "slides"}, lambda row: "Slides" in row.get("description", "")),
        ({"tags": ["training", "internal"]}, lambda row: {"training", "internal"} <= set(row["tags"])),
        (
            {"metadata": {"Audience": "partners"}},
            lambda row: {"key": "Audience", "value": "partners"} in row["metadata"],
        ),
    ],
    ids=["title", "description", "tags", "metadata"],
)
def test_the_clients_filters_select_as_documented(demo: Demo, client: Any, filters: dict[str, Any], passes: Any) -> None:
    expected = {row["videoId"] for row in demo.world.listed("videos") if passes(row)}
    answer = apis.VideosApi(client).list(**filters, page_size=100)
    assert {row.video_id for row in answer.data} == expected != set()


def test_recordings_are_found_by_their_live_stream(demo: Demo, client: Any) -> None:
    found = [row["source"].get("liveStream", {}).get("liveStreamId") for row in demo.world.listed("videos")]
    stream_id = next(filter(None, found))
    assert len(apis.VideosApi(client).list(live_stream_id=stream_id).data) == found.count(stream_id)


def test_the_client_reports_an_unknown_video_as_not_found(client: Any) -> None:
    with pytest.raises(apivideo.exceptions.NotFoundException) as caught:
        apis.VideosApi(client).get("vi0")
    assert '"name":"videoId"' in str(caught.value.body)


def test_the_clients_token_lives_for_an_hour_and_can_be_renewed() -> None:
    clock = [0.0]
    with running(World(videos=1), Behaviour(clock=lambda: clock[0])) as demo:
        client = connect(demo)
        list_players = apis.PlayerThemesApi(client).list
        assert len(list_players().data) == 5
        clock[0] += 3600
        with pytest.raises(apivideo.exceptions.UnauthorizedException, match="invalid or expired"):
            list_players()
        client.refresh_token()
        assert len(list_players().data) == 5
        client.api_key = "wrong"
        with pytest.raises(apivideo.exceptions.ApiException, match="user credentials were incorrect"):
            client.connect()
        client.close()
