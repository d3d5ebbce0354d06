"""A headless Chromium on a running Airflow: logging in, themes, pictures, and what a screen reader would miss."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect, sync_playwright

from tests.airflow_home import Server

# The browser itself comes from the system: Playwright's own is not downloaded.
CHROMIUM = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
PATIENCE_MS = 60_000
SERIOUS = ("serious", "critical")


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser, until the block ends.

    Raises:
        RuntimeError: there is none on this machine.
    """
    if CHROMIUM is None:
        raise RuntimeError("The tests of the page need Chromium: apt-get install chromium, or brew install chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def log_in(browser: Browser, server: Server, user: str = "admin", theme: str = "light", width: int = 1440) -> Page:
    """A page of a logged-in user, Airflow's theme chosen."""
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
    """The page "api.video" inside Airflow's own."""
    page.goto(server.url + path)
    frame = page.frame_locator("iframe[title='api.video']")
    frame.locator("main").wait_for()
    return frame


def open_connection_form(page: Page, server: Server) -> Locator:
    """Connections, Add, type api.video: the form, its id filled in."""
    page.goto(f"{server.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.locator("input[name=connection_id]").fill("api_video")
    form.get_by_role("combobox").first.fill("api.video")
    page.keyboard.press("Enter")
    return form


def serious_findings(page: Page) -> list[dict[str, Any]]:
    """What an accessibility check (axe) finds in a page that is open by itself."""
    found = Axe().run(page).response["violations"]
    return [{"rule": f["id"], "where": f["nodes"][0]["html"]} for f in found if f["impact"] in SERIOUS]
