"""A demo API for a test, in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from include.demo_api.clock import FileClock
from tests.demo_client import LISTENS, DemoClient, read_settings
from tests.forker import Forker


class Api(DemoClient):
    """A demo API, started by the forker."""

    def __init__(
        self, forker: Forker, folder: Path, videos: int, environment: dict[str, str], clock: FileClock | None = None
    ) -> None:
        output = folder / "api.txt"
        output.touch()
        arguments = ["serve", "--port", "0", "--limit", "1000000", "--videos", str(videos)]
        arguments += ["--clock", str(clock.file)] if clock else []
        self._forker, self._pid = forker, forker.start("include.demo_api", arguments, environment, output)
        deadline = time.monotonic() + 30
        while LISTENS not in (said := output.read_text()):
            assert time.monotonic() < deadline, f"the demo API did not start: {said}"
            time.sleep(0.01)
        super().__init__(read_settings(said))

    def stop(self) -> None:
        """Ends the process."""
        self.close()
        os.kill(self._pid, signal.SIGKILL)
        self._forker.wait(self._pid, 10)
