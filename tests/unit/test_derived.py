"""Columns made of a secret: what is kept of it, and that nothing else is."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.api_video.catalog.derived import host_of, sha256_of
from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.load.derived import Derived
from include.api_video.load.redaction import Redaction

SECRET = "s3cr3t-0123456789"


def stored(resource: str, row: Any) -> dict[str, Any]:
    """The row as dlt gets it."""
    endpoint = by_name()[resource]
    return Redaction(endpoint)(Derived(endpoint)(row))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://hooks.example.com/a/b?token=c#d", "hooks.example.com"),
        (f"https://user:{SECRET}@hooks.example.com:8443/a", "hooks.example.com"),
        (f"rtmps://user:{SECRET}@live.example.com:443/app/{SECRET}", "live.example.com"),
        (f"rtmp://live.example.com/app/{SECRET}", "live.example.com"),
        (f"srt://live.example.com:2088?streamid={SECRET}", "live.example.com"),
        (f"live.example.com/app/{SECRET}", "live.example.com"),
        (f"live.example.com:1935/app/{SECRET}", "live.example.com"),
        (f"user:{SECRET}@live.example.com/app", "live.example.com"),
        ("live.example.com", "live.example.com"),
        (" HTTPS://Hooks.Example.COM/x \n", "hooks.example.com"),
        ("https://münchen.example/x", "münchen.example"),
        ("https://192.0.2.7:8080/x", "192.0.2.7"),
        ("rtmp://[2001:db8::1]:1935/app", "2001:db8::1"),
        ("http://localhost:8080/hook", "localhost"),
    ],
)
def test_the_host_of_a_url_is_kept_and_nothing_else_of_it(url: str, host: str) -> None:
    assert host_of(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/app/x",
        "https://",
        "rtmp:///app",
        "rtmp://[2001:db8::1/app",
        SECRET,  # a key where a URL belongs
        f"{SECRET}/app",
        f"rtmps://user:{SECRET[:6]}/{SECRET[6:]}@live.example.com/app",  # the password has a slash
        f"rtmps://user:{SECRET[:6]}#{SECRET[6:]}@live.example.com/app",
        f"rtmp://{SECRET} {SECRET}/app",
        f"rtmp://{SECRET};{SECRET}/app",
        "mailto:someone",
    ],
)
def test_where_no_host_is_certain_nothing_is_kept(url: str) -> None:
    assert host_of(url) is None


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    host = host_of(text)
    assert host is None or host in text.lower()
    assert len(sha256_of(text)) == 64


def test_the_hash_is_that_of_sql() -> None:
    assert sha256_of(SECRET) == hashlib.sha256(SECRET.encode()).hexdigest()
    assert sha256_of("\ud800") != sha256_of("\ud801")


def test_a_webhook_keeps_its_host_and_a_hash() -> None:
    url = f"https://hooks.example.com/{SECRET}"

    row = stored(
        "webhooks", {"webhookId": "w", "events": ["a"], "url": url, "signatureSecret": SECRET, "note": f"to {url}"}
    )

    assert row == {
        "webhookId": "w",
        "events": ["a"],
        "urlHost": "hooks.example.com",
        "urlHash": sha256_of(url),
        "note": "to ",
    }


def test_a_url_that_is_no_more_than_a_host_keeps_it() -> None:
    """It is a secret that other fields must not repeat; its host was taken for such a repetition."""
    streams = stored("live_streams", {"liveStreamId": "l", "restreams": [{"serverUrl": "live.example.com"}]})

    assert stored("webhooks", {"webhookId": "w", "url": "hooks.example.com"})["urlHost"] == "hooks.example.com"
    assert streams["restreams"] == [{"serverHost": "live.example.com"}]


def test_what_is_made_stands_in_each_item_of_a_list() -> None:
    row = stored(
        "live_streams",
        {
            "liveStreamId": "l",
            "streamKey": SECRET,
            "restreams": [
                {"name": "a", "serverUrl": f"rtmps://u:{SECRET}@a.example.com/x", "streamKey": SECRET},
                {"name": "b", "serverUrl": "b.example.com/app", "streamKey": SECRET},
                {"name": "c"},
                {"name": "d", "serverUrl": None},
                {"name": "e", "serverUrl": 5},
                {"name": "f", "serverUrl": {"url": f"https://{SECRET}.example.com"}},
                "g",
                None,
            ],
        },
    )

    assert [part["serverHost"] if isinstance(part, dict) else part for part in row["restreams"]] == [
        *("a.example.com", "b.example.com", None, None, None, None),
        *("g", None),
    ]
    assert SECRET not in json.dumps(row)


@pytest.mark.parametrize("inside", [None, [], {}, "text", 5, True, [[]], [[{"serverUrl": SECRET}]]])
def test_odd_values_in_the_place_of_a_list_stay_as_they_are(inside: Any) -> None:
    row = {"liveStreamId": "l", "restreams": inside}

    assert Derived(by_name()["live_streams"])(row) == row
    assert SECRET not in json.dumps(stored("live_streams", row))


@pytest.mark.parametrize("row", [None, "text", 5, [], [{"url": "x"}]])
def test_what_is_no_object_stays_as_it_is(row: Any) -> None:
    assert Derived(by_name()["webhooks"])(row) == row


@pytest.mark.parametrize("made_of", [None, "", 5, [SECRET], {"value": SECRET}])
def test_what_is_no_text_makes_nothing(made_of: Any) -> None:
    row = stored("upload_tokens", {"token": made_of, "ttl": 0})

    assert row == {"tokenHash": None, "ttl": 0}


def test_what_the_api_sends_under_the_name_of_a_derived_column_does_not_replace_it() -> None:
    row = stored("webhooks", {"webhookId": "w", "url": "https://a.example.com/x", "urlHost": SECRET, "urlHash": SECRET})

    assert (row["urlHost"], row["urlHash"]) == ("a.example.com", sha256_of("https://a.example.com/x"))


def test_the_row_that_came_is_left_as_it_was() -> None:
    row = {"liveStreamId": "l", "restreams": [{"serverUrl": "a.example.com/x"}]}

    Derived(by_name()["live_streams"])(row)

    assert row == {"liveStreamId": "l", "restreams": [{"serverUrl": "a.example.com/x"}]}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
def test_what_a_column_is_made_of_is_never_stored_itself(endpoint: Any) -> None:
    for column in endpoint.columns:
        if column.made_of:
            assert Redaction(endpoint)({column.made_of: SECRET, "other": SECRET}) == {"other": ""}
