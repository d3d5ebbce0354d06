"""A headless Chromium on a running Airflow: login, themes, pictures, accessibility."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Error, FrameLocator, Locator, Page, expect, sync_playwright

from tests.airflow_home import Server

# Chromium, Chrome or Edge: their names on Linux and their places on macOS.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NAMES += ("microsoft-edge", "microsoft-edge-stable", "msedge")
APPLICATIONS = (Path("/Applications"), Path.home() / "Applications")
MACOS = ("Google Chrome", "Chromium", "Microsoft Edge")
OWN = Path(sys.prefix) / "browsers"  # folder of Playwright's own browser
DOWNLOAD_S = 300
HOW_TO_GET_ONE = "install Chromium, Chrome or Edge (apt-get install chromium, or brew install --cask chromium)"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE_MS = 60_000
SERIOUS = ("serious", "critical")


class NoBrowserError(RuntimeError):
    """This machine has no browser, and Playwright's own could not be downloaded."""


def installed_browser() -> str | None:
    """The path of a browser on this machine, if there is one."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    bundles = [folder / f"{name}.app/Contents/MacOS/{name}" for name in MACOS for folder in APPLICATIONS]
    return found or next((str(path) for path in bundles if path.is_file()), None)


def download_browser(folder: Path = OWN) -> None:
    """Downloads Playwright's headless shell into a folder, unless it is there already.

    Raises:
        NoBrowserError: the download failed.
    """
    command = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
    environment = {**os.environ, "PLAYWRIGHT_BROWSERS_PATH": str(folder)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DOWNLOAD_S, check=False)
        failed = done.returncode != 0
    except subprocess.TimeoutExpired:
        failed = True
    if failed:
        raise NoBrowserError(f"this machine has no browser, and Playwright's could not be downloaded: {HOW_TO_GET_ONE}")


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser until the block ends: this machine's, else Playwright's own.

    Raises:
        NoBrowserError: neither is available, or it does not start.
    """
    path = installed_browser()
    if path is None:
        download_browser()
        os.environ["PLAYWRIGHT_BROWSERS_PATH"] = str(OWN)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        except Error as error:  # on Linux it needs libraries that a desktop has
            raise NoBrowserError(f"the browser {path or OWN} does not start here: {HOW_TO_GET_ONE}") from error
        try:
            yield browser
        finally:
            browser.close()


def log_in(browser: Browser, server: Server, user: str = "admin", theme: str = "light", width: int = 1440) -> Page:
    """A page of a logged-in user, with a theme of Airflow's."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)  # five seconds are not enough beside other tests
    page.goto(f"{server.url}/auth/login")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", server.password(user))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{server.url}/")
    return page


def open_page(page: Page, server: Server, path: str = "/plugin/api_video") -> FrameLocator:
    """The page "api.video" inside Airflow's frame."""
    page.goto(server.url + path)
    frame = page.frame_locator("iframe[title='api.video']")
    frame.locator("main").wait_for()
    return frame


def cells(frame: FrameLocator, resource: str) -> dict[str, str]:
    """A row of the page's table of tables, by column title."""
    heads = frame.locator("section[aria-labelledby=resources-title] thead th").all_inner_texts()
    row = frame.locator(f"tr[id={resource}]").locator("th, td").all_inner_texts()
    return dict(zip(heads, row, strict=True))


def open_connection_form(page: Page, server: Server) -> Locator:
    """Opens Connections, Add, type api.video; returns the form with its id filled in."""
    page.goto(f"{server.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=connection_id]").fill("api_video")
    form.get_by_role("combobox").first.fill("api.video")
    page.keyboard.press("Enter")
    return form


def serious_findings(page: Page) -> list[dict[str, Any]]:
    """Findings of an accessibility check (axe) on a page that is open by itself."""
    found = Axe().run(page).response["violations"]
    return [{"rule": f["id"], "where": f["nodes"][0]["html"]} for f in found if f["impact"] in SERIOUS]
