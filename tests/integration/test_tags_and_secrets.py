"""Tags, which follow from the videos, and lists with secrets: webhooks, upload tokens, restreams."""

from __future__ import annotations

import logging
from typing import Any

import duckdb
import pytest

from include.api_video.catalog.derived import sha256_of
from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Host
from include.api_video.settings.settings import read_settings
from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.server import Demo
from tests.integration.conftest import Warehouse

SECRET = "S3CR3T-0123456789abcdef"


def tags(warehouse: Warehouse) -> dict[str, int]:
    """Number of videos by tag, of the tags that are not removed."""
    return dict(warehouse.rows("SELECT value, video_count FROM tags WHERE removed_at IS NULL"))  # type: ignore[arg-type]


def listed(warehouse: Warehouse) -> dict[str, int]:
    """The same, as the API lists it."""
    return {row["value"]: int(row["videoCount"]) for row in warehouse.demo.world.listed("tags")}


def everything(warehouse: Warehouse) -> str:
    """All rows of all tables, as text."""
    with duckdb.connect(str(warehouse.file)) as connection:
        names = connection.execute("SELECT table_schema, table_name FROM information_schema.tables").fetchall()
        return "\n".join(str(connection.execute(f'SELECT * FROM "{a}"."{b}"').fetchall()) for a, b in names)


def test_a_tag_goes_with_its_last_video_and_comes_back(warehouse: Warehouse) -> None:
    world = warehouse.demo.world
    video = world.add_video(tags=["only here", "apple", "APPLE"])
    first = warehouse.load("tags")
    world.update_video(video, tags=["apple"])
    second = warehouse.load("tags")
    assert (second.sync("tags")["removed_rows"], second.sync("tags")["requests"]) == (2, 1)
    assert tags(warehouse) == listed(warehouse)
    world.update_video(video, tags=["only here", "APPLE"])
    third = warehouse.load("tags")
    idle = warehouse.load("tags")

    assert not [run.report.failed for run in (first, second, third, idle) if run.report.failed]
    assert (third.sync("tags")["restored_rows"], third.sync("tags")["removed_rows"]) == (2, 1)
    assert tags(warehouse) == listed(warehouse)
    assert (idle.sync("tags")["changed_rows"], idle.sync("tags")["requests"]) == (0, 1)


@pytest.mark.parametrize("kind", [int, str, float])
def test_the_count_of_a_tag_is_a_number_however_it_is_sent(warehouse: Warehouse, kind: Any) -> None:
    """The API's description writes it both as a number and as text."""

    def rewrite(resource: str, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "videoCount": kind(row["videoCount"])} if resource == "tags" else row

    warehouse.demo.behaviour.rewrite = rewrite

    run = warehouse.load("tags")

    assert not run.report.failed
    assert tags(warehouse) == listed(warehouse) != {}
    assert [name for (name, *_) in warehouse.rows("DESCRIBE tags") if name.startswith("video_count")] == ["video_count"]


def test_more_tags_than_fit_on_a_page_are_all_read(warehouse: Warehouse) -> None:
    """Tags that look like private tokens are what customers wrote."""
    odd = ["token=abc", "/token/x/", "x?token=abc", "x?token=def", "a/b", "é", "E\u0301", " apple", "apple ", "%s", "'"]
    warehouse.demo.world.add_video(tags=[*odd, *(f"tag {number:03}" for number in range(250))])

    run = warehouse.load("tags", "videos")

    assert not run.report.failed
    assert tags(warehouse) == listed(warehouse)
    assert len(tags(warehouse)) > 261
    assert warehouse.load("tags").sync("tags")["requests"] == 3


def test_no_secret_of_an_account_reaches_the_warehouse_or_a_log(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    """Also not from rows that no table can hold, nor from a field that repeats the secret."""
    caplog.set_level(logging.DEBUG)
    world = warehouse.demo.world
    url = f"https://user:{SECRET}@hooks.example.com/{SECRET}"
    world.add("webhooks", url=url, signatureSecret=SECRET, note=f"sends to {url}")
    world.add("webhooks", webhookId="odd", url=SECRET, signatureSecret=SECRET)
    world.add("upload_tokens", token=SECRET, note=f"give {SECRET} to no one")
    world.add("live_streams", streamKey=SECRET, restreams=[{"name": "a", "serverUrl": url, "streamKey": SECRET}])

    def rewrite(resource: str, row: dict[str, Any]) -> dict[str, Any]:
        if row.get("webhookId") == "odd":
            return {**row, "webhookId": None}
        if resource == "upload_tokens" and row["token"] != SECRET:
            return {**row, "token": [SECRET, row["token"]]}
        return row

    names = ("webhooks", "upload_tokens", "live_streams")
    hooks, tokens = world.listed("webhooks"), world.listed("upload_tokens")
    warehouse.demo.behaviour.rewrite = rewrite
    odd = warehouse.load(*names)
    stored = everything(warehouse)
    warehouse.demo.behaviour.rewrite = None
    run = warehouse.load(*names)
    stored += everything(warehouse) + caplog.text + str(odd.report) + str(run.report)

    assert odd.sync("webhooks")["rejected_rows"] == 1
    assert odd.sync("upload_tokens")["rejected_rows"] == 6
    assert not run.report.failed
    paths = [hook["url"].partition("//")[2].partition("/")[2] for hook in hooks]
    for secret in (SECRET, *filter(None, paths), *(token["token"] for token in tokens)):
        assert secret not in stored
    assert b"S3CR3T" not in warehouse.file.read_bytes()
    assert not [hook["signatureSecret"] for hook in hooks if hook["signatureSecret"] in stored]
    kept = warehouse.rows("SELECT token_hash FROM upload_tokens WHERE removed_at IS NULL ORDER BY 1")
    assert kept == sorted((sha256_of(token["token"]),) for token in tokens)
    hosts = {host for (host,) in warehouse.rows("SELECT url_host FROM webhooks WHERE removed_at IS NULL")}
    assert hosts == {"hooks.example.com", "media.example.com", "events.example.net", None}
    assert ("hooks.example.com",) in warehouse.rows("SELECT server_host FROM live_streams__restreams")


def test_an_upload_token_that_expired_or_was_deleted_is_removed(warehouse: Warehouse) -> None:
    warehouse.load("upload_tokens")
    token = warehouse.demo.world.ids("upload_tokens")[0]
    warehouse.demo.world.delete("upload_tokens", token)

    run = warehouse.load("upload_tokens")

    assert not run.report.failed
    assert warehouse.rows("SELECT token_hash FROM upload_tokens WHERE removed_at IS NOT NULL") == [(sha256_of(token),)]


@pytest.mark.parametrize("has_admin_key", [True, False])
def test_all_takes_everything_that_the_keys_may_read(
    demo: Demo, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, has_admin_key: bool
) -> None:
    for name, value in demo_settings(demo).items():
        if has_admin_key or "ADMIN" not in name:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("SOURCES__API_VIDEO_SOURCE__RESOURCES", '["all"]')
    settings = read_settings()

    run = warehouse.load(*settings.resources)

    assert set(settings.resources) == {e.name for e in ENDPOINTS if has_admin_key or e.host is Host.MAIN}
    assert not run.errors
    assert not run.report.failed
    warehouse.assert_equal(*settings.resources)
    for resource in settings.resources:
        assert warehouse.active(resource), resource
    again = warehouse.load(*settings.resources)
    per_parent = [e.name for e in ENDPOINTS if e.sync.is_list_per_parent and e.name in settings.resources]
    assert [name for name in per_parent if again.sync(name)["requests"]] == []
