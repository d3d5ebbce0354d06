"""Skips tests whose requirements the machine lacks; the last lines say how to get them. In CI such tests fail."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

LACKING = "Not run here: "


def leave_out(reason: str) -> NoReturn:
    """Skips the test, or fails it if everything must run (``CI=true``, as GitHub and others set it)."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"{reason} (CI is set: everything must run)", pytrace=False)
    pytest.skip(LACKING + reason)


def closing_lines(reports: list[pytest.TestReport]) -> list[str]:
    """The closing lines about skipped tests, one per reason."""
    reasons = [str(report.longrepr[2]).partition(LACKING)[2] for report in reports if isinstance(report.longrepr, tuple)]
    return [f"{reasons.count(reason)} tests were not run: {reason}." for reason in dict.fromkeys(filter(None, reasons))]
