"""``python -m tests.screenshots``: takes the documents' pictures, from a demo API, a real Airflow and a real browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import requests
from playwright.sync_api import Browser, Page

from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.airflow_home import PROJECT, Airflow, Server, make_home, running_airflow, wait_until
from tests.browser import browsing, log_in, open_connection_form, open_page

IMAGES = PROJECT / "docs" / "images"
RUNS = 10
SETTLED_MS = 2500  # animations of Airflow's pages


def change_some(demo: Demo, number: int) -> None:
    """Makes the changes of one hour."""
    world = demo.world
    for key in world.ids("videos")[number * 5 : number * 7 + 3]:
        world.update("videos", key, description=f"Take {number}")
    for take in range(number % 4):
        world.add("videos", title=f"New take {take}")
    if number % 3 == 1:
        world.delete("videos", world.ids("videos")[40 + number])
    if number % 4 == 2:
        world.discard_video(world.ids("videos")[60 + number])


def shoot(page: Page, name: str) -> None:
    """Takes one picture, once the page is still."""
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png", flush=True)


def shoot_airflow(browser: Browser, server: Server) -> None:
    """Takes pictures of the graph, the form, the connection and the page."""
    page = log_in(browser, server)
    page.set_viewport_size({"width": 1440, "height": 760})
    page.goto(f"{server.url}/dags/api_video")
    page.get_by_role("button", name="Trigger").first.wait_for()
    page.keyboard.press("g")  # the graph
    page.wait_for_timeout(SETTLED_MS)
    shoot(page, "graph")
    page.keyboard.press("g")
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.get_by_role("button", name="Trigger").first.click()
    shoot(page, "form")
    open_connection_form(page, server)
    page.set_viewport_size({"width": 1440, "height": 820})
    shoot(page, "connection")
    for theme, name in (("light", "page"), ("dark", "page-dark")):
        page = log_in(browser, server, theme=theme)
        page.set_viewport_size({"width": 1440, "height": 1480})
        open_page(page, server).locator("canvas").first.wait_for()
        shoot(page, name)


def shoot_notebook(browser: Browser, airflow: Airflow) -> None:
    """Takes the picture of the notebook on the loaded data."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "marimo", "-q", "run", str(PROJECT / "include/notebooks/api_video.py")]
    command += ["--headless", "--no-token", "--host", "127.0.0.1", "--port", str(port)]
    environment = {**os.environ, "DESTINATION__DUCKDB__CREDENTIALS": str(airflow.file), "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(command, env=environment, cwd=airflow.home) as notebook:
        try:
            page = browser.new_context(viewport={"width": 1280, "height": 1500}, color_scheme="light").new_page()
            wait_until("the notebook", lambda: is_served(f"http://127.0.0.1:{port}"))
            page.goto(f"http://127.0.0.1:{port}")
            page.locator("canvas, svg.marks").first.wait_for(timeout=120_000)
            page.wait_for_timeout(SETTLED_MS)
            shoot(page, "notebook")
        finally:
            notebook.terminate()


def is_served(url: str) -> bool:
    """Whether a server answers."""
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def main() -> None:
    """Loads a few hours of changes, then takes the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, running(World(240), Behaviour(rate_limit=100_000)) as demo:
        airflow = make_home(Path(folder) / "home")
        with running_airflow(airflow, demo_settings(demo)) as server, browsing() as browser:
            for number in range(RUNS):
                run = server.trigger()
                print(f"run {number + 1} of {RUNS}: {run['state']}", flush=True)
                change_some(demo, number)
                demo.behaviour.rate_limit = 500  # as in production, once the first load is done
            shoot_airflow(browser, server)
            shoot_notebook(browser, airflow)


if __name__ == "__main__":
    main()
