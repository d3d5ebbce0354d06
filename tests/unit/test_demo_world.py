"""The demo's data: the same on every machine, in documented shapes, and consistent after every change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Column, Endpoint, Sync
from include.api_video.catalog.videos import is_status_final
from include.demo_api.statuses import STATES, status_in
from include.demo_api.world import START, World
from tests.examples import examples

DERIVED_OF_DAYS = {"dayStart", "dayEnd", "readTo", "timezone", "state", "auditedPlays"}  # by the sync
LISTS = [entry for entry in ENDPOINTS if entry.is_list]
PLAYLISTS = Endpoint(
    "playlists",
    "/playlists",
    key="playlistId",
    group="videos",
    sync=Sync.WHOLE,
    meaning="Playlists",
    columns=(
        Column("playlistId", "text", "Identifier"),
        Column("createdAt", "timestamp", "When it was created"),
        Column("videoId", "text", "A video in it"),
        Column("size.widths[].px", "bigint", "A width"),
    ),
)


DAY = datetime(2026, 9, 16, tzinfo=timezone.utc)  # a day of viewing that is over


@pytest.fixture
def world() -> World:
    return World(videos=300, seed=1)


def numbers(world: World, entry: Endpoint) -> dict[str, dict[str, float]]:
    """Who watched what is no list of rows: the answers to each of an endpoint's questions about a day, by column."""
    world.viewing.now = lambda: DAY + timedelta(days=4)
    span = (DAY, DAY + timedelta(days=1), {})
    found: dict[str, dict[str, float]] = {}
    for ask in entry.asks:
        kind, metric, *of = ask.path.split("/")
        if kind == "metrics":
            found[ask.column] = {"": world.viewing.total(metric, *of, *span)}
        elif kind == "buckets":
            found[ask.column] = world.viewing.buckets(metric, *of, *span)
        else:
            found[ask.column] = world.viewing.series(metric, 3600, *span)
    return found


def paths(value: Any, path: str = "") -> Iterator[str]:
    """Paths of all values in a row, in the spelling of ``Column.path``."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, path + "[]")
    elif value is not None:
        yield path


def without_assets(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "assets"} for row in rows]


@pytest.mark.parametrize("entry", ENDPOINTS, ids=lambda entry: entry.name)
def test_the_same_arguments_give_the_same_rows(entry: Endpoint) -> None:
    def made(seed: int) -> Any:
        world = World(60, seed)
        return numbers(world, entry) if entry.asks else without_assets(world.listed(entry.name))

    assert made(7) == made(7) != made(8)


@pytest.mark.parametrize("entry", ENDPOINTS, ids=lambda entry: entry.name)
def test_rows_hold_every_documented_column_and_no_other(world: World, entry: Endpoint) -> None:
    """If a column never had a value here, no test of the warehouse would fill it."""
    if entry.asks:
        asked = {column for column, values in numbers(world, entry).items() if any(values.values())}
        derived = {entry.key, *entry.key_parts, *entry.carried} | (DERIVED_OF_DAYS if entry.sync.has_days else set())
        assert asked | (derived - {"allTime"}) == {column.path for column in entry.columns}
        assert asked == {ask.column for ask in entry.asks}
        return
    found = {path for row in world.listed(entry.name) for path in paths(row)}
    sent = {column.sent_path for column in entry.columns}
    secret = {path for path in found if path.split(".")[-1] in entry.secrets} - sent
    missing = {"discardedAt", "deletesAt"} if entry.name in ("videos", "video") else set()
    missing |= {column.path for column in entry.columns if entry.name == "discarded_videos" and "assets" in column.path}
    missing |= {path for path in (column.path for column in entry.columns) if "liveStream" in path} - found
    assert found - secret == sent - missing


def test_recordings_name_their_live_stream(world: World) -> None:
    named = {row["source"].get("liveStream", {}).get("liveStreamId") for row in world.listed("videos")} - {None}
    assert named
    assert named <= set(world.ids("live_streams"))


@pytest.mark.parametrize("entry", LISTS, ids=lambda entry: entry.name)
def test_keys_are_unique_and_times_lie_before_the_clock_starts(world: World, entry: Endpoint) -> None:
    rows = world.listed(entry.name)
    assert [row[entry.sent_key] for row in rows] == list(dict.fromkeys(world.ids(entry.name)))
    times = [row[name] for row in rows for name in ("createdAt", "updatedAt", "created_at") if row.get(name)]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", moment) for moment in times)
    assert max(times, default="") < START.isoformat()
    assert bool(times) is any(column.data_type == "timestamp" for column in entry.columns)
    assert all(row.get("createdAt", "") <= row["updatedAt"] for row in rows if "updatedAt" in row)


def test_sizes_follow_the_number_of_videos(world: World) -> None:
    names = ["videos", "discarded_videos", "summaries", "players", "live_streams", "projects", "projects_api_keys"]
    assert {name: len(world.ids(name)) for name in names} == {
        "videos": 300,
        "discarded_videos": 5,
        "summaries": 38,
        "players": 5,
        "live_streams": 7,
        "projects": 2,
        "projects_api_keys": 5,
    }
    assert {row["videoId"] for row in world.listed("summaries")} <= set(world.ids("videos"))


@pytest.mark.parametrize("videos", [0, 1, 2, 25])
def test_a_small_world_is_as_whole_as_a_large_one(videos: int) -> None:
    world = World(videos)
    assert len(world.listed("videos")) == len(world.listed("video_status")) == videos
    assert all(world.listed(entry.name) is not None for entry in ENDPOINTS)


def test_several_videos_share_a_second_also_the_newest_one(world: World) -> None:
    moments = [row["updatedAt"] for row in world.listed("videos")]
    assert moments.count(max(moments)) == 4
    assert len(moments) - len(set(moments)) > 20


def test_private_videos_get_a_new_token_on_every_read(world: World) -> None:
    first, second = world.listed("videos"), world.listed("videos")
    for row, again in zip(first, second, strict=True):
        assert (row["assets"] == again["assets"]) is row["public"]
        if not row["public"]:
            token = row["assets"]["player"].split("?token=")[1]
            base = f"https://vod.api.video/vod/{row['videoId']}/token/{token}/"
            assert row["assets"]["hls"] == base + "hls/manifest.m3u8"
            assert f'src="{row["assets"]["player"]}"' in row["assets"]["iframe"]
    assert 0.1 < sum(not row["public"] for row in first) / len(first) < 0.3


def test_private_live_streams_get_a_new_token_on_every_read(world: World) -> None:
    first, second = world.listed("live_streams"), world.listed("live_streams")
    for row, again in zip(first, second, strict=True):
        assert (row["assets"] == again["assets"]) is row["public"]
        if not row["public"]:
            token = row["assets"]["player"].split("?token=")[1]
            assert row["assets"]["hls"] == f"https://live.api.video/private/{token}/{row['liveStreamId']}.m3u8"
    assert any(not row["public"] for row in first)


def test_optional_fields_are_missing_now_and_then(world: World) -> None:
    rows = world.listed("videos")
    for name in ("createdAt", "description", "language", "playerId"):
        assert 0 < sum(name not in row for row in rows) < 60, name
    assert {"mp4" in row["assets"] for row in rows} == {True, False}


def test_every_state_of_a_summary_and_of_an_upload_occurs(world: World) -> None:
    summaries, statuses = world.listed("summaries"), world.listed("video_status")
    states = {"missing", "waiting", "failed", "completed", "unprocessable"}
    assert {row["sourceStatus"] for row in summaries} == states
    assert {row["origin"] for row in summaries} == {"api", "auto"}
    assert {row["ingest"]["status"] for row in statuses if row["ingest"]} == {
        "uploading",
        "uploaded",
        "ingesting",
        "ingested",
    }
    assert [row["ingest"] for row in statuses if not row["ingest"]] == [[]]
    qualities = {quality["status"] for row in statuses for quality in row["encoding"]["qualities"]}
    assert qualities == {"waiting", "encoding", "encoded", "failed"}
    assert {type(row["encoding"]["metadata"]["bitrate"]) for row in statuses} == {int, float, type(None)}
    sources = world.listed("summary_source")
    assert any("abstract" not in row for row in sources)
    assert any(not row.get("takeaways") for row in sources)


def test_only_a_few_videos_are_still_busy_however_many_there_are() -> None:
    busy = [row for row in World(3000).listed("video_status") if not is_status_final(row)]
    assert len(busy) == 5


@pytest.mark.parametrize("state", STATES)
def test_a_status_can_be_set_to_any_state(world: World, state: str) -> None:
    video_id = world.ids("videos")[0]
    world.set_status(video_id, status_in(state))
    assert world.body("video_status", video_id) == status_in(state)


def test_an_update_moves_the_clock_and_a_silent_one_changes_the_content_alone(world: World) -> None:
    first, second, *_ = world.ids("videos")
    before = {row["videoId"]: row["updatedAt"] for row in world.listed("videos")}
    world.update_video(first, title="New")
    world.update_silently(second, title="Quietly new")
    rows = {row["videoId"]: row for row in world.listed("videos")}
    assert (rows[first]["title"], rows[first]["updatedAt"]) == ("New", "2026-06-01T00:00:01+00:00")
    assert (rows[second]["title"], rows[second]["updatedAt"]) == ("Quietly new", before[second])


def test_a_clock_that_stands_still_gives_ties(world: World) -> None:
    world.step_s = 0
    added = [world.add_video(title=str(number)) for number in range(3)]
    assert {row["updatedAt"] for row in world.listed("videos") if row["videoId"] in added} == {START.isoformat()}


def test_a_discarded_video_moves_to_the_bin_and_back(world: World) -> None:
    video_id = world.ids("videos")[9]
    before, status = world.listed("videos"), world.body("video_status", video_id)
    world.discard_video(video_id)
    binned = next(row for row in world.listed("discarded_videos") if row["videoId"] == video_id)
    assert (binned["assets"], binned["discarded"]) == (None, True)
    assert binned["discardedAt"] < binned["deletesAt"]
    assert (world.body("video", video_id), world.body("video_status", video_id)) == (None, None)
    world.restore_video(video_id)
    assert sorted(without_assets(world.listed("videos")), key=str) == sorted(without_assets(before), key=str)
    assert world.body("video_status", video_id) == status


def test_a_deleted_video_takes_its_status_and_summary_along(world: World) -> None:
    summary = world.listed("summaries")[0]
    world.delete_video(summary["videoId"])
    assert summary["videoId"] not in world.ids("videos") + world.ids("video_status") + world.ids("discarded_videos")
    assert summary["summaryId"] not in world.ids("summaries") + world.ids("summary_source")


def test_a_summary_has_a_source_once_it_is_completed(world: World) -> None:
    key = world.add("summaries", videoId=world.ids("videos")[0], sourceStatus="waiting")
    assert world.body("summary_source", key) is None
    world.set_summary_source(key, {"abstract": "Short."})
    assert world.body("summary_source", key) == {"abstract": "Short."}
    world.set_summary_source(key, None)
    assert world.body("summary_source", key) is None


@pytest.mark.parametrize("entry", [entry for entry in LISTS if entry.name != "tags"], ids=lambda entry: entry.name)
def test_rows_of_every_list_can_be_added_changed_and_deleted(world: World, entry: Endpoint) -> None:
    key = world.add(entry.name)
    world.update(entry.name, key, name="Changed")
    assert [row["name"] for row in world.listed(entry.name) if row[entry.sent_key] == key] == ["Changed"]
    world.delete(entry.name, key)
    assert key not in world.ids(entry.name)


def test_tags_follow_from_the_videos(world: World) -> None:
    def listed() -> dict[str, str]:
        return {row["value"]: row["videoCount"] for row in world.listed("tags")}

    with pytest.raises(KeyError, match="tags follow from the videos: change the tags of a video"):
        world.add("tags")
    before, new = listed(), world.add_video(tags=["brand new"])
    assert listed() == {**before, "brand new": "1"}
    other = world.add_video(tags=["brand new", "Brand new"])
    assert (listed()["brand new"], listed()["Brand new"]) == ("2", "1")
    for video in (new, other):
        world.delete_video(video)
    assert listed() == before


@pytest.mark.parametrize("name", ["captions", "chapters"])
def test_a_list_of_a_video_can_be_replaced_without_a_change_of_the_video(world: World, name: str) -> None:
    """Whether captions move the video's updatedAt is not documented."""
    video = next(key for key in world.ids("videos") if world.inner(name, key))
    before = without_assets(world.listed("videos"))
    world.set_inner(name, video, [])
    assert world.inner(name, video) == []
    assert not [row for row in world.listed(name) if row["videoId"] == video]
    assert without_assets(world.listed("videos")) == before
    world.delete_video(video)
    assert world.inner(name, video) is None


def test_a_typing_mistake_is_answered_with_what_exists(world: World) -> None:
    with pytest.raises(KeyError, match="no list 'video'; known: videos, "):
        world.add("video")
    with pytest.raises(KeyError, match="no videos with key 'vi0'"):
        world.update_video("vi0", title="x")
    with pytest.raises(KeyError, match="no resource 'playlists'; known: videos, "):
        world.listed("playlists")


def test_an_endpoint_without_samples_gets_rows_from_its_columns() -> None:
    world = World(20, endpoints=(*ENDPOINTS, PLAYLISTS))
    rows = world.listed("playlists")
    assert len({row["playlistId"] for row in rows}) == len(rows) == 30
    assert {path for row in rows for path in paths(row)} == {column.path for column in PLAYLISTS.columns}
    assert {row["videoId"] for row in rows} <= set(world.ids("videos"))
    assert all(row["createdAt"] < START.isoformat() for row in rows)


CHANGES = st.lists(st.tuples(st.sampled_from(["add", "update", "silent", "delete", "discard"]), st.integers(0, 99)))


@examples(40)
@given(changes=CHANGES, sort_by=st.sampled_from(["updatedAt", "createdAt", "title"]), descending=st.booleans())
def test_pages_are_sorted_and_complete_after_any_changes(
    changes: list[tuple[str, int]], sort_by: str, descending: bool
) -> None:
    world = World(30)
    world.page("videos", 0, 10, sort_by)  # from here on, the order exists and must follow changes
    for kind, number in changes:
        ids = world.ids("videos") or [world.add_video()]
        key = ids[number % len(ids)]
        if kind == "add":
            world.add_video()
        elif kind in ("update", "silent"):
            world.update("videos", key, silently=kind == "silent", title=kind)
        elif kind == "delete":
            world.delete_video(key)
        else:
            world.discard_video(key)
    total, rows = world.page("videos", 0, 1000, sort_by, descending)
    found = [(row.get(sort_by, ""), row["videoId"]) for row in rows]
    assert found == sorted(found, reverse=descending)
    assert total == len(rows)
    assert {key for _, key in found} == set(world.ids("videos"))
