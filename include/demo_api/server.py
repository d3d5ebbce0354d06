"""Runs the demo API in a thread of this process, on 127.0.0.1 unless told otherwise.

    with running(World(videos=300)) as demo:
        requests.get(f"{demo.url}/videos", auth=(demo.api_key, ""))

The world and its behaviour may change while it serves.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from include.api_video.settings.demo import DEMO_ADMIN_API_KEY, DEMO_API_KEY
from include.demo_api.app import build_app
from include.demo_api.behaviour import Behaviour, Request
from include.demo_api.world import World

__all__ = ["DEMO_ADMIN_API_KEY", "DEMO_API_KEY", "Demo", "running"]
HOST = "127.0.0.1"
START_TIMEOUT_S = 30


@dataclass(frozen=True)
class Demo:
    """A running demo API. ``url`` serves both the main API and the Admin API."""

    url: str
    world: World
    behaviour: Behaviour
    api_key: str = DEMO_API_KEY
    admin_api_key: str = DEMO_ADMIN_API_KEY

    @property
    def log(self) -> list[Request]:
        """Requests so far, the oldest first."""
        return self.behaviour.log

    def requests(self, path_prefix: str = "") -> int:
        """Number of requests whose path begins with the prefix."""
        return self.behaviour.requests(path_prefix)

    def reset_log(self) -> None:
        """Forget the requests made so far."""
        self.behaviour.reset_log()


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@contextmanager
def running(
    world: World | None = None, behaviour: Behaviour | None = None, port: int = 0, host: str = HOST
) -> Iterator[Demo]:
    """Serve a world until the block ends. Port 0 takes a free one; raises OSError if ``port`` is in use."""
    world, behaviour = world or World(), behaviour or Behaviour()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        config = uvicorn.Config(
            build_app(world, behaviour), lifespan="off", access_log=False, log_config=None, log_level="critical"
        )
        server = _Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="demo-api", daemon=True)
        thread.start()
        if not server.listens.wait(START_TIMEOUT_S):
            raise TimeoutError(f"the demo API did not start within {START_TIMEOUT_S} s")
        try:
            yield Demo(f"http://{host}:{listener.getsockname()[1]}", world, behaviour)
        finally:
            server.should_exit = server.force_exit = True  # do not wait for open connections or hanging answers
            thread.join()
