"""The table of endpoints is consistent; a failing assertion names the entry to correct."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from include.api_video.catalog.endpoints import ENDPOINTS, by_name, group_names, in_load_order
from include.api_video.catalog.model import Column, Endpoint, Host, Sync
from include.api_video.catalog.secrets import ALWAYS_SECRET, bare, secrets_of
from include.api_video.catalog.videos import is_status_final

each = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)


def status(ingest: str | None, *qualities: str) -> dict[str, object]:
    return {"ingest": ingest and {"status": ingest}, "encoding": {"qualities": [{"status": q} for q in qualities]}}


def test_the_twenty_nine_resources_are_there():
    assert list(by_name()) == [
        "videos",
        "video",
        "video_status",
        "captions",
        "chapters",
        "discarded_videos",
        "tags",
        "watermarks",
        "summaries",
        "summary_source",
        "players",
        "live_streams",
        "analytics_days",
        "analytics_hours",
        "analytics_videos",
        "analytics_countries",
        "analytics_devices",
        "analytics_operating_systems",
        "analytics_browsers",
        "analytics_referrers",
        "analytics_video_countries",
        "analytics_watch_time",
        "analytics_totals",
        "webhooks",
        "upload_tokens",
        "projects",
        "projects_api_keys",
        "delivery_usage",
        "hosting_usage",
    ]


def test_names_and_paths_are_unique():
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS)
    assert len({endpoint.path for endpoint in ENDPOINTS}) == len(ENDPOINTS)


def test_a_fresh_install_loads_what_needs_neither_an_admin_key_nor_a_request_per_video_and_more():
    switches = {endpoint.name: endpoint.switch for endpoint in ENDPOINTS if not endpoint.on_by_default}
    assert switches == {
        "video": "off by default",
        "chapters": "off by default",
        "analytics_video_countries": "off by default",  # a request per country and day
        "analytics_watch_time": "off by default",  # a request per video and day
        "projects": "with an admin key",
        "projects_api_keys": "with an admin key",
        "delivery_usage": "with an admin key",
        "hosting_usage": "with an admin key",
    }


def test_groups_hold_every_resource_once_and_children_after_their_parents():
    assert group_names() == {
        "videos": [
            "videos",
            "video",
            "video_status",
            "captions",
            "chapters",
            "discarded_videos",
            "tags",
            "watermarks",
            "summaries",
            "summary_source",
        ],
        "players": ["players"],
        "live_streams": ["live_streams"],
        "analytics": [
            "analytics_days",
            "analytics_hours",
            "analytics_videos",
            "analytics_countries",
            "analytics_devices",
            "analytics_operating_systems",
            "analytics_browsers",
            "analytics_referrers",
            "analytics_video_countries",
            "analytics_watch_time",
            "analytics_totals",
        ],
        "account": [
            "webhooks",
            "upload_tokens",
            "projects",
            "projects_api_keys",
            "delivery_usage",
            "hosting_usage",
        ],
    }


def test_each_resource_is_loaded_after_what_it_takes_something_from():
    names = [endpoint.name for endpoint in ENDPOINTS]
    order = in_load_order(names)
    assert sorted(order) == sorted(names)
    assert order.index("discarded_videos") < order.index("videos") < order.index("video_status")
    assert order.index("summaries") < order.index("summary_source")
    assert order.index("analytics_days") < order.index("analytics_videos") < order.index("analytics_watch_time")
    assert order.index("projects") < order.index("delivery_usage")


def test_what_is_not_loaded_is_not_waited_for():
    assert in_load_order(["video_status", "players", "videos"]) == ["videos", "video_status", "players"]


@each
def test_a_row_is_asked_for_below_its_list(endpoint):
    if endpoint.one_path:
        assert endpoint.one_path == f"{endpoint.path}/{{{endpoint.key}}}"
    if endpoint.bin:
        assert endpoint.one_path
        assert by_name()[endpoint.bin].key == endpoint.key


def test_an_entry_more_is_a_resource_more():
    columns = (Column("playlistId", "text", "Identifier"),)
    playlists = Endpoint("playlists", "/playlists", "playlistId", "playlists", Sync.WHOLE, "Playlists", columns)
    assert group_names((*ENDPOINTS, playlists))["playlists"] == ["playlists"]
    assert by_name((*ENDPOINTS, playlists))["playlists"] is playlists


@each
def test_names_are_snake_case(endpoint):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", endpoint.name)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", endpoint.group)


@each
def test_the_key_is_a_documented_text_column(endpoint):
    assert [column.data_type for column in endpoint.columns if column.path == endpoint.key] == ["text"]


@each
def test_columns_are_unique_and_each_says_what_it_means(endpoint):
    paths = [column.path for column in endpoint.columns]
    assert len(set(paths)) == len(paths)
    assert all(column.meaning.strip() for column in endpoint.columns)


@each
def test_no_secret_is_a_column(endpoint):
    fields = {step.removesuffix("[]") for column in endpoint.columns for step in column.path.split(".")}
    assert not fields & {*endpoint.secrets, "streamKey", "signatureSecret", "token"}


@each
def test_a_detail_has_a_parent_before_it_and_a_list_has_none(endpoint):
    """Days are a list, too; a list of numbers without a parent is that of all time, requested once in a while."""
    names = list(by_name())
    if endpoint.is_list or endpoint.sync.has_days:
        assert endpoint.parent is None
    elif endpoint.parent is None:
        assert endpoint.asks
        assert endpoint.due
    else:
        parent = by_name()[endpoint.parent]
        assert names.index(parent.name) < names.index(endpoint.name)
        assert parent.is_list or (parent.asks and endpoint.asks)  # what a day is made of has parts itself
        assert parent.group == endpoint.group


@each
def test_a_detail_has_its_parents_key_and_asks_for_it_in_its_path(endpoint):
    in_path = re.findall(r"{(\w+)}", endpoint.path)
    if endpoint.asks:  # asked for by the span of the parent's day, and its value: below
        assert set(in_path) <= {"metric", "aggregation"}
        assert endpoint.parent is None or endpoint.key_parts[0] == by_name()[endpoint.parent].key
    elif endpoint.parent:
        of_parent = by_name()[endpoint.parent].key
        assert (endpoint.key_parts[0] if endpoint.sync.is_list_per_parent else endpoint.key) == of_parent
        assert in_path == [of_parent]
    elif endpoint.per_row_of:
        assert in_path == [endpoint.per_row_of[1]]
    else:
        assert in_path == []


@each
def test_a_key_of_several_parts_is_made_of_columns_and_belongs_to_a_list_per_parent(endpoint):
    paths = [column.path for column in endpoint.columns]
    assert bool(endpoint.key_parts) is endpoint.sync.is_list_per_parent
    of_parent, *own = endpoint.key_parts or ("",)
    if endpoint.key_parts and endpoint.parent is None:  # one list of all time: its rows need no key of a parent
        assert of_parent not in paths
        assert own == [endpoint.key]
    elif endpoint.key_parts and not own:  # a row per row of the parent, with the same key
        assert of_parent == endpoint.key == by_name()[endpoint.parent].key
    else:
        assert set(endpoint.key_parts) <= set(paths) - {endpoint.key}


@each
def test_lists_of_young_parents_are_requested_by_a_documented_time(endpoint):
    if due := endpoint.due:
        assert endpoint.sync.is_list_per_parent
        born = {column.path: column.data_type for column in by_name()[endpoint.parent].columns} if endpoint.parent else {}
        assert born.get(due.born) == "timestamp" if due.young_h else due.born == ""
        assert due.every_days > 0


@each
def test_each_question_of_analytics_fills_a_column_of_numbers(endpoint):
    types = {column.path: column.data_type for column in endpoint.columns}
    assert all(types[ask.column] in ("bigint", "double") for ask in endpoint.asks)
    assert len({ask.column for ask in endpoint.asks}) == len(endpoint.asks)
    assert bool(endpoint.asks) is (endpoint.group == "analytics")


@each
def test_each_question_of_analytics_is_one_of_the_endpoints_path(endpoint):
    path, _, narrowed = endpoint.path.partition("?")
    for ask in endpoint.asks:
        # Which totals of views there are is not documented: those of a day are a sum over the types of media.
        if (endpoint.name, ask.column) != ("analytics_days", "views"):
            assert re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), f"/data/{ask.path}")
        assert narrowed == (f"filterBy[{ask.only_of[0]}]" if ask.only_of else "")


@each
def test_what_comes_from_the_row_of_a_day_is_a_column_of_it(endpoint):
    of_parent = {column.path for column in by_name()[endpoint.parent].columns} if endpoint.parent else set()
    own = {column.path for column in endpoint.columns}
    assert set(endpoint.carried) <= of_parent & own
    assert {ask.only_if for ask in endpoint.asks} - {""} <= of_parent
    assert {ask.only_of[1] for ask in endpoint.asks if ask.only_of} <= of_parent
    assert not endpoint.most_played or "plays" in of_parent


@each
def test_a_secret_may_be_listed_in_any_spelling(endpoint):
    assert all(name == bare(name) for name in ALWAYS_SECRET)
    spelled = replace(endpoint, secrets=("Backup_Key", "backup-url"))
    assert secrets_of(spelled) == ALWAYS_SECRET | {"backupkey", "backupurl"}


@each
def test_what_a_column_is_made_of_is_never_stored(endpoint):
    made_of = {bare(column.made_of) for column in endpoint.columns if column.made_of}
    assert made_of <= secrets_of(endpoint)
    assert all(bool(column.made_of) is (column.made_by is not None) for column in endpoint.columns)


@each
def test_parents_are_chosen_by_documented_fields(endpoint):
    if endpoint.parent:
        assert set(endpoint.parent_where) <= {column.path for column in by_name()[endpoint.parent].columns}


@each
def test_a_list_read_down_to_a_cursor_is_sorted_by_the_column_of_the_cursor(endpoint):
    if endpoint.sync is Sync.NEWEST_FIRST:
        assert endpoint.sort_by == "updatedAt"
        assert Column("updatedAt", "timestamp", "") in [Column(c.path, c.data_type, "") for c in endpoint.columns]


@each
def test_a_list_is_sorted_by_a_column_that_it_has(endpoint):
    if endpoint.sort_by:
        assert endpoint.sort_by in {column.path for column in endpoint.columns}


@each
def test_filters_are_unique_and_snake_case(endpoint):
    names = [rule.name for rule in endpoint.filters]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)
    assert endpoint.is_list or not names


def test_the_filters_are_those_that_the_api_documents():
    found = {e.name: {rule.parameter: rule.allowed for rule in e.filters} for e in ENDPOINTS if e.filters}
    videos = {"title": (), "tags[]": (), "metadata": (), "description": (), "liveStreamId": ()}
    assert found == {
        "videos": videos,
        "discarded_videos": videos,
        "summaries": {
            "videoId": (),
            "origin": ("api", "auto"),
            "sourceStatus": ("missing", "waiting", "failed", "completed", "unprocessable"),
        },
        "live_streams": {"name": ()},
    }


def test_only_the_admin_api_is_read_by_way_of_another_list():
    assert [e.name for e in ENDPOINTS if e.per_row_of or e.listed_path] == ["projects_api_keys"]
    assert [e.name for e in ENDPOINTS if e.host is Host.ADMIN] == [
        "projects",
        "projects_api_keys",
        "delivery_usage",
        "hosting_usage",
    ]
    keys = by_name()["projects_api_keys"]
    assert (keys.per_row_of, keys.listed_path) == (("/projects", "project_id"), "/projects/api-keys")


@pytest.mark.parametrize(
    ("row", "final"),
    [
        (status("uploaded", "encoded", "failed"), True),
        (status("ingested", "encoded"), True),
        (status("uploaded", "encoded", "encoding"), False),
        (status("uploaded", "waiting"), False),
        (status("uploading", "encoded"), False),
        (status("ingesting", "encoded"), False),
        (status("uploaded"), False),
        (status(None), False),
        ({}, False),
        ({"ingest": None, "encoding": None}, False),
        ({"ingest": {"status": "uploaded"}, "encoding": {"playable": True, "qualities": None}}, False),
    ],
    ids=str,
)
def test_a_status_is_final_once_the_file_is_there_and_every_rendition_is_encoded_or_failed(row, final):
    assert is_status_final(row) is final
