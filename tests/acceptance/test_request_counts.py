"""How many requests runs cost, as counted by the API."""

from __future__ import annotations

from collections import Counter

import pytest

from include.api_video.catalog.endpoints import by_name
from tests.acceptance.conftest import Stage

pytestmark = pytest.mark.slow

LISTS = (
    *("videos", "discarded_videos", "tags", "watermarks", "summaries", "players", "live_streams"),
    *("webhooks", "upload_tokens"),
)
PATHS = tuple(by_name()[name].path for name in LISTS)


@pytest.mark.parametrize("videos", [130, 1000])
def test_nothing_changed_costs_one_request_per_list(stage: Stage, videos: int) -> None:
    connector = stage.loaded(LISTS, videos)

    connector.run()

    asked = Counter(request["path"] for request in connector.api.requests())
    wanted = Counter(dict.fromkeys(PATHS, 1))
    if videos > 700:  # summaries have two pages then, and still one request is enough
        assert len(connector.api.ids("summaries")) > 100
    assert asked == wanted
    connector.assert_equal()


def test_150_changed_videos_of_1000_cost_at_most_3_requests(stage: Stage) -> None:
    connector = stage.loaded(("videos",), 1000)
    for key in connector.api.ids("videos")[300:450]:
        connector.api.change("update", key=key, title="Another title")

    connector.run()

    assert len(connector.api.requests("/videos")) <= 3
    connector.assert_equal()


def test_one_deletion_among_1000_costs_at_most_7_requests(stage: Stage) -> None:
    connector = stage.loaded(("videos",), 1000)
    connector.api.change("delete", key=connector.api.ids("videos")[500])

    connector.run()

    assert len(connector.api.requests("/videos")) <= 7
    connector.assert_equal()
