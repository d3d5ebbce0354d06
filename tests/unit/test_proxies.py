"""With a proxy in the environment, local requests never reach it, in any process that the commands start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow_home import PROJECT
from tests.slow_servers import serving

ASKS = (
    "import os, requests\n"
    "s = 'SOURCES__API_VIDEO_SOURCE__'\n"
    "got = requests.get(os.environ[s + 'BASE_URL'] + '/players', auth=(os.environ[s + 'API_KEY'], ''), timeout=30)\n"
    "print(got.status_code)\n"
)


@pytest.fixture
def seen() -> list[str]:
    return []


@pytest.fixture
def environment(seen: list[str]) -> Iterator[dict[str, str]]:
    """The environment of a machine behind a proxy, which logs and refuses all requests."""

    def refuse(connection, head: bytes) -> None:
        seen.append(head.split(b"\r\n")[0].decode())
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    kept = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    with serving(refuse) as port:
        yield {**kept, "HTTP_PROXY": f"http://127.0.0.1:{port}", "http_proxy": f"http://127.0.0.1:{port}"}


def test_what_the_demo_starts_reaches_it_without_the_proxy(environment: dict[str, str], seen: list[str]) -> None:
    command = [sys.executable, "-m", "include.demo_api", "exec", "--videos", "1", "--", sys.executable, "-c", ASKS]
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.stdout, seen) == ("200\n", []), done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="the Makefile needs make")
def test_what_make_starts_reaches_what_is_local_without_the_proxy(
    environment: dict[str, str], seen: list[str], tmp_path: Path
) -> None:
    """A makefile that includes the project's, to start a command as `make run` and `make ui` do."""
    (tmp_path / "asks.py").write_text(
        f"import os, sys, httpx, requests; sys.path.insert(0, {str(PROJECT)!r})\n"
        "from tests.small_api import Api\n"
        "api = Api()\n"
        "for url in (api.url, api.url.replace('127.0.0.1', 'localhost')):\n"
        "    print(requests.get(url, timeout=30).status_code, httpx.get(url).status_code)\n"
        "print(os.environ['NO_PROXY'])\n",
        encoding="utf-8",
    )
    own = (PROJECT / "Makefile").read_text(encoding="utf-8")
    (tmp_path / "Makefile").write_text(f'{own}\nasks:\n\t@"{sys.executable}" asks.py\n')
    command = ["make", "--silent", "--file", str(tmp_path / "Makefile"), "asks"]
    environment = {**environment, "no_proxy": "warehouse.example.com"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert seen == []
    assert done.stdout == "200 200\n200 200\nlocalhost,127.0.0.1,::1,warehouse.example.com\n", done.stderr


def test_a_webhook_on_this_machine_is_reached_without_the_proxy(
    environment: dict[str, str], seen: list[str], tmp_path: Path
) -> None:
    got: list[str] = []

    def take(connection, head: bytes) -> None:
        got.append(head.split(b"\r\n")[0].decode())
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with serving(take) as port:
        posts = f"from api_video_alerts import post; post('http://127.0.0.1:{port}/hook', {{'text': 'x'}})"
        environment = {**environment, "PYTHONPATH": f"{PROJECT}/dags:{PROJECT}", "AIRFLOW_HOME": str(tmp_path)}
        subprocess.run([sys.executable, "-c", posts], env=environment, cwd=tmp_path, capture_output=True, check=True)
    assert (got, seen) == (["POST /hook HTTP/1.1"], [])
