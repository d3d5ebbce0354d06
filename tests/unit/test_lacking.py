"""Tests whose requirements the machine lacks are skipped with advice, or fail where everything must run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import browser
from tests.acceptance import prism
from tests.lacking import LACKING, closing_lines, leave_out


def test_it_is_skipped_on_a_bare_machine_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no browser: install one"):
        leave_out("no browser: install one")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no browser: install one"):
        leave_out("no browser: install one")


def test_the_last_lines_name_each_reason_once() -> None:
    browser_, other = ("f.py", 1, f"Skipped: {LACKING}no browser: install one"), ("f.py", 2, "Skipped: Airflow 3.2")
    reports: Any = [SimpleNamespace(longrepr=longrepr) for longrepr in (browser_, other, browser_)]
    assert closing_lines(reports) == ["2 tests were not run: no browser: install one."]


def test_a_browser_of_macos_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    monkeypatch.setattr(browser, "APPLICATIONS", (tmp_path,))
    assert browser.installed_browser() is None
    edge = tmp_path / "Microsoft Edge.app/Contents/MacOS/Microsoft Edge"
    edge.parent.mkdir(parents=True)
    edge.touch()
    assert browser.installed_browser() == str(edge)


def test_a_download_that_fails_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(browser.NoBrowserError, match=r"could not be downloaded: install Chromium, Chrome or Edge"):
        browser.download_browser(tmp_path)


def test_without_node_the_contracts_test_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(prism.NoPrismError, match=r"^Prism needs Node.js 18.20.1 or later with npx \(apt-get install npm"):
        prism.find_prism()


def test_a_download_of_prism_that_fails_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("node", "npx"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        prism.NoPrismError, match=r"^npx could not download @stoplight/prism-cli@[\d.]+: it needs a network$"
    ):
        prism.find_prism()
