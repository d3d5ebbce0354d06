"""No secret and no private token is stored; everything else stays as the API sent it."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.catalog.places import FREE_TEXT, object_paths
from include.api_video.load.private_tokens import strip_token
from include.api_video.load.redaction import Redaction
from tests.examples import examples

TOKEN = "abc-DEF_123.x%3D"
VIDEOS, STATUS = by_name()["videos"], by_name()["video_status"]
LIVE_STREAMS, KEYS = by_name()["live_streams"], by_name()["projects_api_keys"]


def clean(row: dict[str, Any], resource: str = "videos") -> dict[str, Any]:
    return Redaction(by_name()[resource])(row)


# --- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "stripped"),
    [
        ("https://embed.api.video/vod/vi1?token=T", "https://embed.api.video/vod/vi1"),
        ("https://embed.api.video/vod/vi1?token=T#t=3", "https://embed.api.video/vod/vi1#t=3"),
        ("https://embed.api.video/vod/vi1?token=T&a=b", "https://embed.api.video/vod/vi1?a=b"),
        ("https://embed.api.video/vod/vi1?a=b&token=T", "https://embed.api.video/vod/vi1?a=b"),
        ("https://embed.api.video/vod/vi1?a=b&token=T&c=d", "https://embed.api.video/vod/vi1?a=b&c=d"),
        ("https://embed.api.video/vod/vi1?a=b&amp;token=T&amp;c=d", "https://embed.api.video/vod/vi1?a=b&amp;c=d"),
        ("https://embed.api.video/vod/vi1?token=T&amp;a=b", "https://embed.api.video/vod/vi1?a=b"),
        ("https://embed.api.video/vod/vi1?token=T&token=U", "https://embed.api.video/vod/vi1"),
        ("https://embed.api.video/vod/vi1?token=T&a=b&token=U", "https://embed.api.video/vod/vi1?a=b"),
        ("https://embed.api.video/vod/vi1?token=", "https://embed.api.video/vod/vi1"),
        ("https://embed.api.video/vod/vi1?Token=T", "https://embed.api.video/vod/vi1"),
        ("https://vod.api.video/vod/vi1/token/T/hls/manifest.m3u8", "https://vod.api.video/vod/vi1/hls/manifest.m3u8"),
        ("https://vod.api.video/vod/vi1/token/T/thumbnail.jpg", "https://vod.api.video/vod/vi1/thumbnail.jpg"),
        ("https://vod.api.video/vod/vi1/token/T/mp4/source.mp4", "https://vod.api.video/vod/vi1/mp4/source.mp4"),
        ("https://cdn.api.video/vod/vi1/token/T/hls/manifest.m3u8", "https://cdn.api.video/vod/vi1/hls/manifest.m3u8"),
        ("https://videos.example.com/vod/vi1/token/T/mp4/source.mp4", "https://videos.example.com/vod/vi1/mp4/source.mp4"),
        ("https://vod.api.video/vod/vi1/token/T", "https://vod.api.video/vod/vi1"),
        ("https://vod.api.video/vod/vi1/token/T?token=U&a=b", "https://vod.api.video/vod/vi1?a=b"),
    ],
)
def test_the_token_goes_and_the_rest_stays_a_working_url(url, stripped):
    assert strip_token(re.sub(r"(?<=[=/])[TU](?=[&/?#]|$)", TOKEN, url)) == stripped


LIVE, VIDEO = "li4pqNqGUkhKfWcBGpZVLRY5", "vi5oNqxkifcXkT4auGNsvgZB"
HLS = f"https://live.api.video/{LIVE}.m3u8"


@pytest.mark.parametrize(
    ("url", "stripped"),
    [
        (f"https://live.api.video/private/T/{LIVE}.m3u8", HLS),
        (f"https://live.api.video/T/{LIVE}.m3u8", HLS),
        (f"https://live.api.video/token/T/{LIVE}.m3u8", HLS),
        (f"{HLS}?token=T", HLS),
        (f"https://live.api.video/private/T/{LIVE}.m3u8?privateToken=T#t=1", f"{HLS}#t=1"),
        ("https://live.api.video/T/li1.m3u8", "https://live.api.video/li1.m3u8"),
        (f"https://live.api.video/T/T/{LIVE}/thumbnail.jpg", f"https://live.api.video/{LIVE}/thumbnail.jpg"),
        (f"https://live.api.video/private/T/{LIVE}/session", f"https://live.api.video/{LIVE}/session"),
        (f"https://live.api.video/live/T/{LIVE}.m3u8", f"https://live.api.video/live/{LIVE}.m3u8"),
        (f"https://live-staging.api.video/T/{LIVE}.m3u8", f"https://live-staging.api.video/{LIVE}.m3u8"),
        (f"https://videos.example.com/private/T/{LIVE}.m3u8", f"https://videos.example.com/{LIVE}.m3u8"),
        (f"https://videos.example.com/T/{LIVE}.m3u8", f"https://videos.example.com/{LIVE}.m3u8"),
        (
            f"https://vod.api.video/vod/{VIDEO}/private/T/mp4/source.mp4",
            f"https://vod.api.video/vod/{VIDEO}/mp4/source.mp4",
        ),
        ("https://live.api.video/private/T", "https://live.api.video"),
        (f"HTTPS://LIVE.API.VIDEO/PRIVATE/T/{LIVE.upper()}.M3U8", HLS.upper()),
        (f"live.api.video/T/{LIVE}.m3u8", f"live.api.video/{LIVE}.m3u8"),
        ("https://vod.api.video/vod/vi1/TOKEN/T/x", "https://vod.api.video/vod/vi1/x"),
        ("https://embed.api.video/vod/vi1#token=T", "https://embed.api.video/vod/vi1"),
        ("&lt;iframe src=&quot;https://x/vod/vi1?token=T&quot;&gt;", "&lt;iframe src=&quot;https://x/vod/vi1&quot;&gt;"),
        (
            "https://x/?src=https%3A%2F%2Fx%2Fvi1%3Ftoken%3DT%26a%3Db&w=1",
            "https://x/?src=https%3A%2F%2Fx%2Fvi1%3Fa%3Db&w=1",
        ),
    ],
)
def test_the_token_goes_from_every_form_of_url(url: str, stripped: str) -> None:
    assert strip_token(re.sub(r"(?<=[=/D])T(?=[&/?#%]|$)", TOKEN, url)) == stripped


@pytest.mark.parametrize("quote", ['"', "'"])
def test_the_token_goes_from_the_html_of_an_iframe(quote):
    html = '<iframe src="https://embed.api.video/vod/vi1?token=T&amp;a=b" width="100%" allowfullscreen="true"></iframe>'
    stripped = '<iframe src="https://embed.api.video/vod/vi1?a=b" width="100%" allowfullscreen="true"></iframe>'
    assert strip_token(html.replace('"', quote).replace("=T", f"={TOKEN}")) == stripped.replace('"', quote)


def test_an_iframe_that_holds_nothing_but_the_token_is_whole_html_without_it():
    html = f'<iframe src="https://embed.api.video/vod/vi1?token={TOKEN}" width="100%" frameborder="0"></iframe>'
    assert strip_token(html) == '<iframe src="https://embed.api.video/vod/vi1" width="100%" frameborder="0"></iframe>'


@pytest.mark.parametrize(
    "text",
    [
        "https://embed.api.video/vod/vi1",
        "https://vod.api.video/vod/vi1/hls/manifest.m3u8",
        "https://embed.api.video/vod/vi1?tokenize=yes&mytoken=1",
        "/videos/vi1/source",
        HLS,
        f"https://live.api.video/live/{LIVE}.m3u8",
        f"https://live.api.video/{LIVE}/list.m3u8",
        f"https://cdn.api.video/live/{LIVE}/thumbnail.jpg",
        f"https://embed.api.video/live/{LIVE}",
        f"/live-streams/{LIVE}",
        f"https://ws.api.video/analytics/live-streams/{LIVE}",
        f"https://vod.api.video/vod/{VIDEO}/hls/manifest.m3u8",
        f"https://vod.api.video/vod/{VIDEO}/private/{VIDEO}.m3u8",
        "https://example.com/private/reports/list.m3u8?q=private",
        "https://example.com/clips/live/licence.html",
        "rgba(255, 255, 255, 1)",
        "",
    ],
)
def test_what_holds_no_token_is_not_touched(text):
    assert strip_token(text) == text


def test_a_private_video_read_twice_is_the_same_row():
    """The token is new at each read, and would look like a change."""

    def read(token: str) -> dict[str, Any]:
        embed, vod = f"https://embed.api.video/vod/vi1?token={token}", f"https://vod.api.video/vod/vi1/token/{token}"
        assets = {"player": embed, "iframe": f'<iframe src="{embed}"></iframe>', "hls": vod + "/hls/manifest.m3u8"}
        return clean({"videoId": "vi1", "public": False, "assets": {**assets, "thumbnail": vod + "/thumbnail.jpg"}})

    assert read("first") == read("second")
    assert read("first")["assets"]["thumbnail"] == "https://vod.api.video/vod/vi1/thumbnail.jpg"


def test_a_private_live_stream_read_twice_is_the_same_row() -> None:
    def read(token: str) -> dict[str, Any]:
        embed, base = f"https://embed.api.video/live/{LIVE}?token={token}", f"https://live.api.video/private/{token}/{LIVE}"
        assets = {"player": embed, "iframe": f'<iframe src="{embed}"></iframe>', "hls": f"{base}.m3u8"}
        row = {"liveStreamId": LIVE, "public": False, "assets": {**assets, "thumbnail": f"{base}/thumbnail.jpg"}}
        assert clean({**row, "new": [f"{base}.m3u8"]}, "live_streams")["new"] == [HLS]
        return clean(row, "live_streams")

    assert read("first") == read("second")
    assert read("first")["assets"]["hls"] == HLS


@pytest.mark.parametrize("resource", ["videos", "live_streams"])
@pytest.mark.parametrize(
    "url",
    [
        f"https://live.api.video/T/{LIVE}.m3u8",
        f"https://live.api.video/T/{LIVE}",
        f"https://live.api.video/T/live-streams/{LIVE}?a=b",
        f"https://x/?u=https%3a%2f%2flive.api.video%2fT%2f{LIVE}",
        f"https%253a%252f%252flive.api.video%252fprivate%252fT%252f{LIVE}.m3u8",
    ],
)
def test_a_documented_field_without_the_word_token_is_looked_at(resource: str, url: str) -> None:
    """A whole row is searched for signs of a token, before each of its fields is."""
    key = by_name()[resource].key
    assert "/T" not in json.dumps(clean({key: "x1", "assets": {"hls": url}}, resource)).replace("%2f", "/").replace(
        "%252f", "/"
    )


# --- secrets -----------------------------------------------------------------------------------------------------------


def test_stream_keys_and_the_addresses_of_restreams_go():
    row = {
        "liveStreamId": "li1",
        "streamKey": "s3cret",
        "name": "Town hall",
        "restreams": [{"name": "YouTube", "serverUrl": "rtmps://user:s3cret@a.example.com", "streamKey": "s3cret"}],
    }
    expected = {"liveStreamId": "li1", "name": "Town hall", "restreams": [{"name": "YouTube"}]}
    assert clean(row, "live_streams") == expected


def test_the_value_of_an_api_key_goes():
    row = {"api_key_id": "k1", "project_id": "p1", "name": "CMS", "value": "s3cret", "created_at": "2026-01-01T00:00:00Z"}
    assert clean(row, "projects_api_keys") == {name: value for name, value in row.items() if name != "value"}


def test_the_value_of_a_videos_metadata_is_no_secret():
    row = {"videoId": "vi1", "metadata": [{"key": "Author", "value": "Jane"}]}
    assert clean(row) == row


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize(
    "name", ["streamKey", "signatureSecret", "apiKey", "access_token", "refresh_token", "accessToken", "refreshToken"]
)
def test_a_field_known_as_a_secret_goes_wherever_it_turns_up(endpoint, name):
    row = {endpoint.key: "x1", name: "s3cret", "extra": {"deep": [{name: "s3cret", "kept": 1}, {"more": {name: {"a": 1}}}]}}
    assert Redaction(endpoint)(row) == {endpoint.key: "x1", "extra": {"deep": [{"kept": 1}, {"more": {}}]}}


# --- objects that come as lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [[], None], ids=repr)
def test_an_empty_list_in_place_of_an_object_is_no_value(empty):
    assert clean({"videoId": "vi1", "ingest": empty, "encoding": {"metadata": empty}}, "video_status") == {
        "videoId": "vi1",
        "encoding": {},
    }


def test_an_empty_list_in_place_of_an_object_inside_an_object_is_no_value():
    row = {"ingest": {"status": "uploading", "receivedParts": []}, "encoding": {"playable": False, "metadata": []}}
    assert clean(row, "video_status") == {"ingest": {"status": "uploading"}, "encoding": {"playable": False}}


def test_an_empty_list_stays_where_a_list_is_documented():
    row = {"videoId": "vi1", "tags": [], "metadata": []}
    assert clean(row) == row
    row = {"ingest": {"status": "uploading", "receivedBytes": []}, "encoding": {"qualities": []}}
    assert clean(row, "video_status") == row


def test_the_objects_are_those_of_the_documented_columns():
    assert object_paths(STATUS) == {("ingest",), ("ingest", "receivedParts"), ("encoding",), ("encoding", "metadata")}
    assert object_paths(VIDEOS) == {("source",), ("source", "liveStream"), ("assets",)}
    assert object_paths(LIVE_STREAMS) == {("assets",)}
    assert object_paths(KEYS) == frozenset()


# --- what stays --------------------------------------------------------------------------------------------------------


def test_what_customers_wrote_is_not_touched():
    note = f"See https://example.com/a?token=mine&b=c and /token/mine/x, https://live.api.video/private/mine/{LIVE}.m3u8"
    row = {
        "videoId": "vi1",
        "title": note,
        "description": note,
        "tags": [note],
        "metadata": [{"key": note, "value": note}],
    }
    assert clean(row) == row
    assert clean({"liveStreamId": "li1", "name": note}, "live_streams")["name"] == note
    summary = {"summaryId": "su1", "abstract": note, "takeaways": [note]}
    assert clean(summary, "summary_source") == summary


def test_numbers_truths_nulls_and_unknown_fields_stay_as_they_are():
    row = {"videoId": "vi1", "public": False, "language": None, "sizes": [1, 2.5, None], "new": {"field": {"a": "b"}}}
    assert clean(row) == row


def test_the_row_that_was_given_is_not_changed():
    row = {
        "liveStreamId": "li1",
        "streamKey": "s3cret",
        "assets": {"player": "https://x?token=T"},
        "restreams": [{"streamKey": "x"}],
    }
    before = json.dumps(row)
    clean(row, "live_streams")
    assert json.dumps(row) == before


@pytest.mark.parametrize("value", [{"url": "https://x?token=T"}, ["https://x?token=T"]], ids=repr)
@pytest.mark.parametrize("place", ["liveStreamId", "new"])
def test_only_a_rows_own_key_is_kept_as_it_is(place: str, value: Any) -> None:
    assert clean({"liveStreamId": "li1?token=T"}, "live_streams") == {"liveStreamId": "li1?token=T"}
    deeper = {place: value if place == "liveStreamId" else {"liveStreamId": value}}
    assert "token" not in json.dumps(clean(deeper, "live_streams"))


# --- the property ------------------------------------------------------------------------------------------------------

SECRET = "S3CR3T"  # tests search for any piece of it


def spelled(url: str, how: int) -> str:
    """The URL in one of the ways that a payload may write it; ``how`` counts them."""
    ways = [url, url.upper(), quote(url, safe=""), quote(quote(url, safe=""), safe=""), json.dumps(url).replace("/", "\\/")]
    return [*ways, f"https://x/?u={quote(url, safe='').lower()}&w=1", f"&lt;iframe src=&quot;{escape(url)}&quot;&gt;"][how]


secret_fields = st.sampled_from(["streamKey", "serverUrl", "signatureSecret", "apiKey", "accessToken", "uploadToken"])
plain_fields = st.sampled_from(
    ["videoId", "liveStreamId", "assets", "source", "ingest", "restreams", "links", "uri", "new"]
)
free_fields = st.sampled_from(sorted(FREE_TEXT))
addresses = st.builds(
    str.format,
    st.sampled_from(
        [
            "https://embed.api.video/vod/x?token={0}",
            "https://embed.api.video/vod/x?token={0}&a={1}",
            "https://embed.api.video/vod/x?a={1}&token={0}",
            "https://embed.api.video/vod/x?a={1}&amp;token={0}&amp;b=c",
            "https://vod.api.video/vod/x/token/{0}/hls/manifest.m3u8",
            "https://vod.api.video/vod/x/token/{0}?token={0}&token={0}",
            '<iframe src="https://embed.api.video/vod/x?token={0}" width="100%"></iframe>',
            "<iframe src='https://embed.api.video/vod/x?token={0}&amp;a={1}'></iframe><p>https://x/token/{0}/y</p>",
            f"https://live.api.video/private/{{0}}/{LIVE}.m3u8",
            f"https://live.api.video/{{0}}/{LIVE}.m3u8",
            f"https://live.api.video/{{0}}/{LIVE}/{{1}}?token={{0}}",
            "https://live.api.video/{0}/li1.m3u8",
            f"https://videos.example.com/{{1}}/private/{{0}}/{LIVE}.m3u8",
            f'<video><source src="https://live.api.video/private/{{0}}/{LIVE}.m3u8"></video>',
        ]
    ),
    st.from_regex(rf"{SECRET}[A-Za-z0-9_.~%+=:-]{{0,6}}", fullmatch=True),
    st.text("abtokens/", max_size=6),
)
addresses = st.builds(spelled, addresses, st.integers(0, 6))
leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | addresses


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with plain fields, secrets of any kind, and customers' texts."""
    secrets = st.dictionaries(secret_fields, st.just(SECRET) | st.just([SECRET]) | st.just({"a": SECRET}), max_size=2)
    written = st.dictionaries(free_fields, st.text(max_size=8), max_size=2)
    return st.builds(lambda *parts: {k: v for part in parts for k, v in part.items()},
                     st.dictionaries(plain_fields, inner, max_size=3), secrets, written)  # fmt: skip


rows = objects(st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=12))


@examples(300)
@given(row=rows)
def test_no_secret_and_no_token_survives_at_any_depth(row):
    if isinstance(row.get(LIVE_STREAMS.key), str):  # a row's own key is kept as it is: the test above
        del row[LIVE_STREAMS.key]
    assert SECRET not in json.dumps(Redaction(LIVE_STREAMS)(row)).upper()


@examples(200)
@given(row=rows)
def test_cleaning_twice_changes_nothing_more(row):
    once = Redaction(LIVE_STREAMS)(row)
    assert Redaction(LIVE_STREAMS)(once) == once


def test_a_secret_does_not_come_back_in_a_field_that_nobody_documented() -> None:
    row = {
        "liveStreamId": "li1",
        "name": "Stage",
        "streamKey": "key-of-the-stage",
        "restreams": [{"name": "Tube", "serverUrl": "rtmp://tube/live", "streamKey": "key-of-the-tube"}],
        "rtmps": "rtmps://broadcast/key-of-the-stage",
        "backup": {"urls": ["rtmp://tube/live/key-of-the-tube"]},
    }

    clean = Redaction(by_name()["live_streams"])(row)

    assert clean == {
        "liveStreamId": "li1",
        "name": "Stage",
        "restreams": [{"name": "Tube"}],
        "rtmps": "rtmps://broadcast/",
        "backup": {"urls": ["/"]},
    }


@pytest.mark.parametrize("name", ["StreamKey", "stream_key", "STREAM-KEY"])
def test_a_secret_field_is_known_in_any_spelling(name: str) -> None:
    assert Redaction(by_name()["videos"])({"videoId": "vi1", name: "k"}) == {"videoId": "vi1"}
