"""No key, stream key or private token is in the DuckDB file, the output or the working folders."""

from __future__ import annotations

import base64
import gzip
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.demo_api.samples import make_uuid
from tests.acceptance.conftest import Stage
from tests.acceptance.connector import SECTION, TABLES, Connector

pytestmark = pytest.mark.slow

RESOURCES = ("videos", "discarded_videos", "video_status", "live_streams", "projects_api_keys")
KEYS = (f"{SECTION}API_KEY", f"{SECTION}ADMIN_API_KEY")
UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
PRIVATE_TOKEN = re.compile(rb"(?:/token/|[?&](?:amp;)?token=|live\.api\.video/private/)[^\s\"'<>]{8}")
PLANTED = "planted-stream-key-4711"
READS = 20_000  # more than a test makes: the demo gives each read of a private row a new token


def secrets(connector: Connector) -> set[bytes]:
    """All texts that must not be found anywhere."""
    keys = [connector.api.settings[name] for name in KEYS]
    found = {*keys, *(base64.b64encode(f"{key}:".encode()).decode() for key in keys), PLANTED}
    for stream in connector.api.listed("live_streams"):
        found |= {stream["streamKey"], *(entry["streamKey"] for entry in stream.get("restreams", []))}
        found |= {entry["serverUrl"] for entry in stream.get("restreams", [])}
    found |= {row["value"] for row in connector.api.listed("projects_api_keys")}
    return {secret.encode() for secret in found}


def everything(connector: Connector) -> Iterator[tuple[str, bytes]]:
    """All bytes that runs left behind, uncompressed; tables also as text, since DuckDB compresses them."""
    for path in sorted(connector.folder.rglob("*")):
        if path.is_file() and path.name != "api.txt":  # the demo API prints its keys there
            raw = path.read_bytes()
            yield str(path), raw
            if raw.startswith(b"\x1f\x8b"):
                yield str(path), gzip.decompress(raw)
    tables = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{TABLES}'"
    for (table,) in connector.rows(tables):
        yield table, "\n".join(map(str, connector.rows(f"SELECT * FROM {table}"))).encode()


def assert_no_secret(connector: Connector) -> None:
    tokens = {make_uuid(1, "token", number).encode() for number in range(1, READS)}
    for where, content in everything(connector):
        for secret in secrets(connector):
            assert secret not in content, (where, secret)
        assert not tokens.intersection(UUID.findall(content)), where
        assert not PRIVATE_TOKEN.search(content), where


def test_a_run_leaves_no_secret(stage: Stage) -> None:
    connector = stage.empty(RESOURCES)
    plant(connector)

    connector.run(RUNTIME__LOG_LEVEL="DEBUG")
    connector.run(full=True)

    connector.assert_equal()
    title = connector.api.listed("videos")[0]["title"].encode()
    assert any(title in content for _, content in everything(connector))  # proves that the search finds what is there
    assert_no_secret(connector)


def test_a_killed_run_leaves_no_secret_in_its_working_folders(stage: Stage) -> None:
    connector = stage.empty(RESOURCES)
    plant(connector)
    run = connector.start(RUNTIME__LOG_LEVEL="DEBUG")
    while not written(run.temporary, connector) and run.poll() is None:
        time.sleep(0.001)
    run.kill()

    assert written(run.temporary, connector), "the run was over before the kill"
    assert_no_secret(connector)


def test_a_refused_key_is_not_repeated(stage: Stage) -> None:
    connector = stage.loaded(("videos",))
    wrong = "wrong-key-that-nobody-may-see"

    words: dict[str, Any] = {KEYS[0]: wrong, "RUNTIME__LOG_LEVEL": "DEBUG"}
    run = connector.start(**words)

    assert run.wait() != 0
    needles = (wrong.encode(), base64.b64encode(f"{wrong}:".encode()))
    for where, content in everything(connector):
        assert not any(needle in content for needle in needles), where


def plant(connector: Connector) -> None:
    """Sets a stream key that the test knows, makes its live stream private, and adds a private video."""
    connector.api.change("update", "live_streams", connector.api.ids("live_streams")[0], streamKey=PLANTED, public=False)
    connector.api.change("add", public=False)
    for resource in ("videos", "live_streams"):
        assert PRIVATE_TOKEN.search(str(connector.api.listed(resource)).encode())  # the API really sends tokens


def written(temporary: Path, connector: Connector) -> bool:
    """Whether dlt has written a file with live streams, the rows with most secrets."""
    try:
        return any(file.stat().st_size for file in temporary.rglob("live_streams.*.jsonl*"))
    except FileNotFoundError:
        return False
