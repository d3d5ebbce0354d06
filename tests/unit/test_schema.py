"""Every documented column is declared with its documented type, even if no row has a value yet."""

from __future__ import annotations

from typing import Any

import pytest

from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.catalog.naming import columns_of, snake, table_and_column, tables_of
from include.api_video.warehouse.schema import build_schema, is_deduplicated, keep_newest

# The documented columns (OpenAPI of 2024-11, the Admin API's of 2026-06), by their names in the warehouse. Written by hand,
# so that a test notices a lost column. Secrets are left out: streamKey, serverUrl, signatureSecret, url, token, value.
VIDEO = {
    "": {
        "video_id": "text",
        "created_at": "timestamp",
        "title": "text",
        "description": "text",
        "published_at": "timestamp",
        "updated_at": "timestamp",
        "discarded_at": "timestamp",
        "deletes_at": "timestamp",
        "discarded": "bool",
        "language": "text",
        "language_origin": "text",
        "source__uri": "text",
        "source__type": "text",
        "source__live_stream__live_stream_id": "text",
        "assets__hls": "text",
        "assets__iframe": "text",
        "assets__player": "text",
        "assets__thumbnail": "text",
        "assets__mp4": "text",
        "player_id": "text",
        "public": "bool",
        "panoramic": "bool",
        "mp4_support": "bool",
    },
    "__tags": {"value": "text"},
    "__metadata": {"key": "text", "value": "text"},
    "__source__live_stream__links": {"rel": "text", "uri": "text"},
}
SEEN = {"impressions": "bigint", "plays": "bigint", "views": "bigint"}  # numbers of each part of a day
DOCUMENTED: dict[str, dict[str, dict[str, str]]] = {
    "videos": VIDEO,
    "video": VIDEO,
    "discarded_videos": VIDEO,
    "video_status": {
        "": {
            "video_id": "text",
            "ingest__status": "text",
            "ingest__filesize": "bigint",
            "ingest__received_parts__total": "bigint",
            "encoding__playable": "bool",
            "encoding__metadata__width": "bigint",
            "encoding__metadata__height": "bigint",
            "encoding__metadata__bitrate": "double",
            "encoding__metadata__duration": "bigint",
            "encoding__metadata__framerate": "double",
            "encoding__metadata__samplerate": "bigint",
            "encoding__metadata__video_codec": "text",
            "encoding__metadata__audio_codec": "text",
            "encoding__metadata__aspect_ratio": "text",
        },
        "__ingest__received_bytes": {"from": "bigint", "to": "bigint", "total": "bigint"},
        "__ingest__received_parts__parts": {"value": "bigint"},
        "__encoding__qualities": {"type": "text", "quality": "text", "status": "text"},
    },
    "summaries": {
        "": {
            "summary_id": "text",
            "created_at": "timestamp",
            "updated_at": "timestamp",
            "video_id": "text",
            "origin": "text",
            "source_status": "text",
        },
    },
    "summary_source": {"": {"summary_id": "text", "abstract": "text"}, "__takeaways": {"value": "text"}},
    "players": {
        "": {
            "player_id": "text",
            "name": "text",
            "text": "text",
            "link": "text",
            "link_hover": "text",
            "link_active": "text",
            "track_played": "text",
            "track_unplayed": "text",
            "track_background": "text",
            "background_top": "text",
            "background_bottom": "text",
            "background_text": "text",
            "enable_api": "bool",
            "enable_controls": "bool",
            "force_autoplay": "bool",
            "hide_title": "bool",
            "force_loop": "bool",
            "created_at": "timestamp",
            "updated_at": "timestamp",
            "assets__logo": "text",
            "assets__link": "text",
        },
    },
    "live_streams": {
        "": {
            "live_stream_id": "text",
            "name": "text",
            "public": "bool",
            "assets__hls": "text",
            "assets__iframe": "text",
            "assets__player": "text",
            "assets__thumbnail": "text",
            "player_id": "text",
            "broadcasting": "bool",
            "created_at": "timestamp",
            "updated_at": "timestamp",
        },
        "__restreams": {"name": "text", "server_host": "text"},
    },
    "captions": {
        "": {
            "caption_key": "text",
            "video_id": "text",
            "srclang": "text",
            "language_name": "text",
            "default": "bool",
            "src": "text",
            "uri": "text",
        },
    },
    "chapters": {
        "": {"chapter_key": "text", "video_id": "text", "language": "text", "src": "text", "uri": "text"},
    },
    "tags": {"": {"value": "text", "video_count": "bigint"}},
    "watermarks": {"": {"watermark_id": "text", "created_at": "timestamp"}},
    "webhooks": {
        "": {"webhook_id": "text", "created_at": "timestamp", "url_host": "text", "url_hash": "text"},
        "__events": {"value": "text"},
    },
    "upload_tokens": {
        "": {"token_hash": "text", "created_at": "timestamp", "ttl": "bigint", "expires_at": "timestamp"},
    },
    "projects": {
        "": {
            "project_id": "text",
            "created_at": "timestamp",
            "name": "text",
            "region": "text",
            "deleted": "bool",
            "deletes_at": "timestamp",
        },
    },
    "projects_api_keys": {
        "": {"api_key_id": "text", "project_id": "text", "created_at": "timestamp", "name": "text"},
    },
    "delivery_usage": {
        "": {
            "usage_key": "text",
            "project_id": "text",
            "collected_on": "text",
            "video_hls_duration_minutes": "bigint",
            "video_mp4_duration_minutes": "bigint",
            "live_stream_hls_duration_minutes": "bigint",
        },
    },
    "hosting_usage": {
        "": {"usage_key": "text", "project_id": "text", "collected_on": "text", "video_duration_minutes": "bigint"},
    },
    "analytics_days": {
        "": {
            "day": "text",
            "day_start": "timestamp",
            "day_end": "timestamp",
            "read_to": "timestamp",
            "timezone": "text",
            "state": "text",
            "impressions": "bigint",
            "plays": "bigint",
            "starts": "bigint",
            "ends": "bigint",
            "views": "bigint",
            "watch_time_s": "double",
            "impression_time_avg_ms": "double",
            "ccv_peak": "bigint",
            "audited_plays": "bigint",
        },
    },
    "analytics_hours": {
        "": {"hour_key": "text", "day": "text", "hour_start": "timestamp", "ccv_peak": "bigint", **SEEN},
    },
    "analytics_videos": {
        "": {
            "video_day_key": "text",
            "day": "text",
            "media_id": "text",
            "starts": "bigint",
            "ends": "bigint",
            "ccv_peak": "bigint",
            **SEEN,
        },
    },
    "analytics_countries": {"": {"country_day_key": "text", "day": "text", "country": "text", **SEEN}},
    "analytics_devices": {"": {"device_day_key": "text", "day": "text", "device_type": "text", **SEEN}},
    "analytics_operating_systems": {"": {"os_day_key": "text", "day": "text", "operating_system": "text", **SEEN}},
    "analytics_browsers": {"": {"browser_day_key": "text", "day": "text", "browser": "text", **SEEN}},
    "analytics_referrers": {"": {"referrer_day_key": "text", "day": "text", "referrer": "text", **SEEN}},
    "analytics_video_countries": {
        "": {
            "video_country_day_key": "text",
            "country_day_key": "text",
            "day": "text",
            "country": "text",
            "media_id": "text",
            "plays": "bigint",
        },
    },
    "analytics_watch_time": {"": {"video_day_key": "text", "day": "text", "media_id": "text", "watch_time_s": "double"}},
    "analytics_totals": {"": {"media_id": "text", "plays_total": "bigint"}},
}
LEDGER = {
    "run_id": "text",
    "resource": "text",
    "mode": "text",
    "started_at": "timestamp",
    "finished_at": "timestamp",
    "items_total": "bigint",
    "active_rows": "bigint",
    "new_rows": "bigint",
    "changed_rows": "bigint",
    "removed_rows": "bigint",
    "restored_rows": "bigint",
    "drifted_rows": "bigint",
    "waiting_rows": "bigint",
    "requests": "bigint",
    "rate_limited": "bigint",
    "load_id": "text",
}
CHECKS = {
    "run_id": "text",
    "checked_at": "timestamp",
    "table_name": "text",
    "check_name": "text",
    "passed": "bool",
    "expected": "text",
    "found": "text",
    "note": "text",
}
ASKED = {
    "asked_id": "text",
    "resource": "text",
    "parent_key": "text",
    "parent_hash": "text",
    "content_hash": "text",
    "listed_rows": "bigint",
    "asked_at": "timestamp",
    "load_id": "text",
}
KEYS = {
    "videos": "video_id",
    "video": "video_id",
    "video_status": "video_id",
    "discarded_videos": "video_id",
    "summaries": "summary_id",
    "summary_source": "summary_id",
    "players": "player_id",
    "live_streams": "live_stream_id",
    "projects_api_keys": "api_key_id",
    "captions": "caption_key",
    "chapters": "chapter_key",
    "tags": "value",
    "watermarks": "watermark_id",
    "webhooks": "webhook_id",
    "upload_tokens": "token_hash",
    "projects": "project_id",
    "delivery_usage": "usage_key",
    "hosting_usage": "usage_key",
    "analytics_days": "day",
    "analytics_hours": "hour_key",
    "analytics_videos": "video_day_key",
    "analytics_countries": "country_day_key",
    "analytics_devices": "device_day_key",
    "analytics_operating_systems": "os_day_key",
    "analytics_browsers": "browser_day_key",
    "analytics_referrers": "referrer_day_key",
    "analytics_video_countries": "video_country_day_key",
    "analytics_watch_time": "video_day_key",
    "analytics_totals": "media_id",
}
SCHEMA = build_schema()
TABLES: dict[str, Any] = SCHEMA.tables
documented = pytest.mark.parametrize(
    ("table", "columns"),
    [(name + suffix, columns) for name, tables in DOCUMENTED.items() for suffix, columns in tables.items()],
)
resources = pytest.mark.parametrize("name", DOCUMENTED)
children = pytest.mark.parametrize(
    ("name", "child"), [(name, name + suffix) for name, tables in DOCUMENTED.items() for suffix in tables if suffix]
)


def types(table: str) -> dict[str, str]:
    return {name: column["data_type"] for name, column in TABLES[table]["columns"].items()}


def test_the_documented_resources_are_those_of_the_table_of_endpoints():
    assert set(DOCUMENTED) == {endpoint.name for endpoint in ENDPOINTS}


@documented
def test_every_documented_column_is_declared_with_its_type(table, columns):
    assert {name: types(table).get(name) for name in columns} == columns


@documented
def test_nothing_else_is_declared_but_our_own_columns_and_the_parents_key(table, columns):
    ours = {"removed_at", "_content_hash", "_read_at", "_parent_hash", "_is_final"}
    declared = {name for name in types(table) if not name.startswith("_dlt_")}
    endpoint = next(name for name in sorted(KEYS, key=len, reverse=True) if table.partition("__")[0] == name)
    assert declared - set(columns) - ours <= {KEYS[endpoint]}


@pytest.mark.parametrize("table", [name for name in TABLES if not name.startswith("_dlt")])
def test_every_timestamp_has_a_zone_and_every_column_of_the_api_a_meaning(table):
    for name, column in TABLES[table]["columns"].items():
        if column["data_type"] == "timestamp":
            assert column["timezone"] is True, name
        if not name.startswith("_dlt_"):
            assert column["description"], name


def test_sizes_and_rates_have_room():
    """Files may have 30 GiB (guide); bitrates come as 411.218, frame rates as 29.97."""
    status, ranges = types("video_status"), types("video_status__ingest__received_bytes")
    assert {status["ingest__filesize"], *(ranges[name] for name in ("from", "to", "total"))} == {"bigint"}
    assert {status["encoding__metadata__bitrate"], status["encoding__metadata__framerate"]} == {"double"}


@resources
def test_the_key_is_the_primary_key_and_never_null_and_nothing_else_is(name):
    columns = TABLES[name]["columns"].values()
    assert [column["name"] for column in columns if column.get("primary_key")] == [KEYS[name]]
    assert TABLES[name]["columns"][KEYS[name]]["nullable"] is False
    required = {column["name"] for column in columns if not column.get("nullable", True)}
    assert required == {KEYS[name], "_dlt_load_id", "_dlt_id"}


@resources
def test_rows_are_merged_without_a_search_for_doubles(name):
    assert TABLES[name]["write_disposition"] == "merge"
    assert is_deduplicated(TABLES[name])
    assert "dedup_sort" not in TABLES[name]["columns"]["_read_at"]


@resources
def test_where_rows_came_twice_the_one_read_last_wins(name):
    schema = build_schema()
    keep_newest(schema, by_name()[name])
    assert not is_deduplicated(schema.tables[name])
    assert schema.tables[name]["write_disposition"] == "merge"
    assert schema.tables[name]["columns"]["_read_at"]["dedup_sort"] == "desc"


@resources
def test_every_resource_says_when_a_row_was_removed(name):
    assert types(name)["removed_at"] == "timestamp"
    assert types(name)["_content_hash"] == "text"


@pytest.mark.parametrize("name", ["video", "video_status", "summary_source"])
def test_a_detail_remembers_which_parent_it_belongs_to_and_whether_it_is_final(name):
    assert (types(name)["_parent_hash"], types(name)["_is_final"]) == ("text", "bool")


@children
def test_a_child_table_has_its_parents_key(name, child):
    assert TABLES[child]["parent"] == name
    assert types(child)[KEYS[name]] == "text"
    assert TABLES[child]["columns"]["_dlt_parent_id"]["parent_key"] is True


@resources
def test_the_key_is_carried_down_to_child_tables(name):
    propagation = SCHEMA._normalizers_config["json"]["config"]["propagation"]["tables"]
    assert propagation[name][KEYS[name]] == KEYS[name]


@pytest.mark.parametrize(("table", "columns"), [("_syncs", LEDGER), ("_checks", CHECKS), ("_asked", ASKED)])
def test_our_own_tables_have_their_documented_columns_and_are_appended_to(table, columns):
    assert {name: types(table).get(name) for name in columns} == columns
    assert TABLES[table]["write_disposition"] == "append"


@pytest.mark.parametrize("name", ["streamKey", "serverUrl", "signatureSecret", "token", "url", "value"])
def test_no_secret_has_a_column(name):
    secret = {"value": ["projects_api_keys"]}.get(name, list(TABLES))
    assert not [table for table in secret if snake(name) in TABLES[table]["columns"]]


def test_a_schema_of_some_resources_has_their_tables_and_ours_only():
    tables = build_schema([by_name()["summaries"], by_name()["summary_source"]]).data_table_names(include_incomplete=True)
    assert sorted(tables) == [
        "_asked",
        "_checks",
        "_rejected",
        "_syncs",
        "summaries",
        "summary_source",
        "summary_source__takeaways",
    ]


@pytest.mark.parametrize(
    ("table", "path", "located"),
    [
        ("videos", "videoId", ("videos", "video_id")),
        ("videos", "mp4Support", ("videos", "mp4_support")),
        ("videos", "assets.hls", ("videos", "assets__hls")),
        ("videos", "tags[]", ("videos__tags", "value")),
        ("videos", "metadata[].key", ("videos__metadata", "key")),
        ("videos", "source.liveStream.links[].rel", ("videos__source__live_stream__links", "rel")),
        ("video_status", "ingest.receivedParts.parts[]", ("video_status__ingest__received_parts__parts", "value")),
        ("projects_api_keys", "api_key_id", ("projects_api_keys", "api_key_id")),
        ("widgets", "size.widths[].px", ("widgets__size__widths", "px")),
    ],
)
def test_a_documented_field_lands_where_dlt_puts_it(table, path, located):
    assert table_and_column(table, path) == located


@resources
def test_the_tables_of_an_endpoint_are_its_own_and_its_childrens(name):
    expected = {name + suffix for suffix in DOCUMENTED[name]}
    assert set(tables_of(by_name()[name])) == set(columns_of(by_name()[name])) == expected
