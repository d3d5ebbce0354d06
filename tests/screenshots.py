"""``python -m tests.screenshots``: makes the pictures of README.md, from a demo API, a real Airflow and a real browser."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from include.demo_api.__main__ import settings as demo_settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import Demo, running
from include.demo_api.world import World
from tests.airflow_home import PROJECT, Airflow, Server, make_home, running_airflow
from tests.browser import browsing, log_in, open_page

IMAGES = PROJECT / "docs" / "images"
RUNS = 10
SETTLED_MS = 2500  # animations of Airflow's pages


def change_some(demo: Demo, number: int) -> None:
    """An hour in the life of a library."""
    world = demo.world
    for key in world.ids("videos")[number * 5 : number * 7 + 3]:
        world.update("videos", key, title=f"Take {number}")
    for take in range(number % 4):
        world.add("videos", title=f"New take {take}")
    if number % 3 == 1:
        world.delete("videos", world.ids("videos")[40 + number])
    if number % 4 == 2:
        world.discard_video(world.ids("videos")[60 + number])


def shoot(page: Page, name: str) -> None:
    """Writes one picture, once the page stands still."""
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png", flush=True)


def shoot_airflow(browser: Browser, server: Server) -> None:
    """The graph, the form, the connection and the page."""
    page = log_in(browser, server)
    page.set_viewport_size({"width": 1440, "height": 760})
    runs = server.call("GET", "/dagRuns?order_by=-run_after")["dag_runs"]
    page.evaluate("localStorage.setItem('dag_view-api_video', JSON.stringify('graph'))")
    page.goto(f"{server.url}/dags/api_video/runs/{runs[0]['dag_run_id']}")
    shoot(page, "graph")
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.get_by_role("button", name="Trigger").first.click()
    shoot(page, "form")
    page.goto(f"{server.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=connection_id]").fill("api_video")
    form.get_by_role("combobox").first.fill("api.video")
    page.keyboard.press("Enter")
    page.set_viewport_size({"width": 1440, "height": 820})
    shoot(page, "connection")
    for theme, name in (("light", "page"), ("dark", "page-dark")):
        page = log_in(browser, server, theme=theme)
        page.set_viewport_size({"width": 1440, "height": 1480})
        open_page(page, server).locator("canvas").first.wait_for()
        shoot(page, name)


def shoot_notebook(browser: Browser, airflow: Airflow) -> None:
    """The notebook on what was loaded."""
    with tempfile.TemporaryDirectory() as folder:
        html = Path(folder) / "notebook.html"
        command = ["-m", "marimo", "export", "html", str(PROJECT / "include/notebooks/api_video.py"), "-o", str(html)]
        environment = {**os.environ, "DESTINATION__DUCKDB__CREDENTIALS": str(airflow.file), "PYTHONPATH": str(PROJECT)}
        subprocess.run([sys.executable, *command, "--no-include-code"], env=environment, check=True, cwd=folder)
        page = browser.new_context(viewport={"width": 1280, "height": 1500}, color_scheme="light").new_page()
        page.goto(html.as_uri())
        page.wait_for_timeout(SETTLED_MS)
        shoot(page, "notebook")


def main() -> None:
    """Loads some hours of changes, then takes the pictures."""
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
