"""The doctor's findings as a table for a bug report: counts and field names; no key, title, id or address."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from tabulate import tabulate

from include.api_video import __version__
from include.api_video.errors import SettingsError
from include.api_video.proof.doctor import Examination
from include.api_video.proof.promises import Finding, Holds
from include.api_video.settings.destination import destination_name
from include.api_video.settings.settings import ADMIN_BASE_URL, BASE_URLS


def render(seen: Examination) -> str:
    """The table in GitHub's Markdown; promises that do not hold come first."""
    head = ["promise", "of", "holds", "found", "so the package"]
    order = [Holds.NO, Holds.NOTE, Holds.YES]
    findings = sorted(seen.findings, key=lambda finding: order.index(finding.holds))
    lines = [[f.promise, f.where, f.holds.value, f.found, "" if f.holds is Holds.YES else f.otherwise] for f in findings]
    facts = tabulate(list(_facts(seen)), ["api.video doctor", ""], "github")
    return "\n\n".join([facts, tabulate(lines, head, "github"), verdict_on(seen.findings)])


def _facts(seen: Examination) -> Iterator[tuple[str, str]]:
    settings = seen.settings
    own = settings.base_url == BASE_URLS[settings.environment]
    yield "package", __version__
    yield "Python", f"{sys.version.split()[0]}, {platform.system()}"
    for name in ("dlt", "apache-airflow"):
        yield name, _version(name)
    try:
        yield "destination", destination_name()
    except SettingsError:
        yield "destination", "not supported"
    yield "environment", f"{settings.environment}, {'its own' if own else 'another'} address"
    if settings.admin_api_key:
        yield "Admin API", "its own address" if settings.admin_base_url == ADMIN_BASE_URL else "another address"
    yield "resources", ", ".join(settings.resources)
    yield "filters", ", ".join(settings.filters) or "none"
    yield "requests", f"{seen.adapter.sent} of {seen.adapter.most}"
    yield "time", f"{seen.clock():%Y-%m-%d %H:%M} UTC"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def verdict_on(findings: list[Finding]) -> str:
    """The conclusion, in one sentence."""
    fatal = list(dict.fromkeys(f.where for f in findings if f.holds is Holds.NO))
    notes = sum(f.holds is Holds.NOTE for f in findings)
    if fatal:
        return f"The package cannot load {', '.join(fatal)}: see the lines with NO."
    if notes:
        return f"The package works. {notes} of {len(findings)} lines are notes; the last column says what it does then."
    return "All promises hold."
