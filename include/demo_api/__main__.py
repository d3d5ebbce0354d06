"""Runs the demo API from the command line.

    python -m include.demo_api serve --port 8090 --videos 300
    python -m include.demo_api exec --videos 300 -- command args...

The command finds the demo's address and keys in its environment, under the names of the source's settings. With
``--fallback`` it finds the address alone: the source then reads the demo only as long as no API key is set.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.settings.addresses import beside_a_proxy
from include.api_video.settings.demo import VARIABLE
from include.demo_api.behaviour import Behaviour
from include.demo_api.clock import FileClock
from include.demo_api.server import HOST, Demo, running
from include.demo_api.world import World

LIMIT = 10_000  # high, so that nobody waits: a first load of all tables sends up to four requests per video
SECTION = "SOURCES__API_VIDEO_SOURCE__"


def settings(demo: Demo) -> dict[str, str]:
    """Environment variables that point the source at the demo, with every resource switched on."""
    values = {
        "BASE_URL": demo.url,
        "API_KEY": demo.api_key,
        "ADMIN_BASE_URL": demo.url,
        "ADMIN_API_KEY": demo.admin_api_key,
        "RESOURCES": json.dumps([entry.name for entry in ENDPOINTS]),
    }
    return {SECTION + name: value for name, value in values.items()}


def serve(world: World, behaviour: Behaviour, host: str, port: int) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with running(world, behaviour, port, host) as demo:
        print(f"demo API with {len(world.ids('videos'))} videos: {demo.url}")
        for name, value in settings(demo).items():
            print(f"export {name}='{value}'")
        print("Ctrl-C stops it.", flush=True)
        stop.wait()
    return 0


def execute(world: World, behaviour: Behaviour, command: Sequence[str], *, fallback: bool = False) -> int:
    """Run a command beside its own demo API; returns the command's exit code."""
    # Ctrl-C reaches the command as well: let it end in its own way and restore the terminal.
    signal.signal(signal.SIGINT, lambda *_: None)
    with running(world, behaviour) as demo:
        address = {VARIABLE: demo.url} if fallback else settings(demo)
        environment = {**os.environ, **beside_a_proxy(os.environ), **address}
        return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 (the user's own command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m include.demo_api", description="A local stand-in of api.video.")
    commands = parser.add_subparsers(dest="action", required=True)
    serving = commands.add_parser("serve", help="serve until Ctrl-C")
    serving.add_argument("--port", type=int, default=8090, help="0 takes a free one (default: %(default)s)")
    serving.add_argument("--host", default=HOST, help="0.0.0.0 serves other machines, too (default: %(default)s)")
    serving.add_argument(
        "--clock", type=Path, metavar="FILE", help="the time of the analytics is that of this file's last modification"
    )
    executing = commands.add_parser("exec", help="run a command with the demo API as its source")
    executing.add_argument("command", nargs="+", metavar="command", help="put -- before it")
    executing.add_argument("--fallback", action="store_true", help="only where no API key is set: any key wins")
    for command in (serving, executing):
        command.add_argument("--videos", type=int, default=300, help="how many (default: %(default)s)")
        command.add_argument(
            "--limit", type=int, default=LIMIT, help="reads a minute; production allows 500 (default: %(default)s)"
        )
        command.add_argument("--seed", type=int, default=1, help="another seed, other data (default: %(default)s)")
    options = parser.parse_args(arguments)
    world, behaviour = World(options.videos, options.seed), Behaviour(rate_limit=options.limit)
    if options.action == "serve":
        if options.clock:
            world.viewing.now = FileClock(options.clock)
        try:
            return serve(world, behaviour, options.host, options.port)
        except OSError as error:
            print(f"cannot listen on port {options.port}: {error.strerror}. Try --port 0.", file=sys.stderr)
            return 1
    return execute(world, behaviour, options.command, fallback=options.fallback)


if __name__ == "__main__":
    sys.exit(main())
