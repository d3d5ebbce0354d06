"""Alerts about runs: their settings and their text. ``dags/api_video_alerts.py`` sends them from Airflow.

Settings are ``[api_video.alerts]`` in ``include/.dlt``, or environment variables ``API_VIDEO__ALERTS__<NAME>``, which win.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from include.api_video.errors import SettingsError
from include.api_video.settings.config import Section, one_of, values_in_files
from include.api_video.settings.schedule import Schedule

if TYPE_CHECKING:
    from include.api_video.proof.checks import Check

SECTION = "api_video.alerts"
ENV_PREFIX = "API_VIDEO__ALERTS__"
SENDERS = ("webhook_url", "webhook_conn_id", "notifier")
FAILED, INVALID, UNPROVEN, LATE = "failed", "invalid", "unproven", "late"
SHOWN_LINES, SHOWN_CHARACTERS = 10, 350  # Google Chat takes 4,096 characters a message


@dataclass(frozen=True)
class AlertSettings:
    """How alerts are sent (one of ``SENDERS``), and when a run is late.

    Attributes:
        webhook_conn_id: Airflow Connection with the webhook's URL as its password, or split into host and password.
        notifier: import path of a class; it is created with ``arguments`` and called with Airflow's context.
        late_after_minutes: minutes after a run was queued, by which it must have ended; 0: never late; None: taken from the
            schedule.
    """

    webhook_url: str | None = field(default=None, repr=False)
    webhook_conn_id: str | None = None
    notifier: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)
    late_after_minutes: float | None = None

    def late_after(self, schedule: Schedule) -> float:
        """Minutes after which a run of this schedule is late."""
        return schedule.late_after.total_seconds() / 60 if self.late_after_minutes is None else self.late_after_minutes


def read_alert_settings() -> AlertSettings | None:
    """The settings; None if no sender is configured.

    Raises:
        SettingsError: a setting is unknown, impossible, or contradicts another.
    """
    section = Section(SECTION)
    _refuse_unknown()
    senders = {name: section.text(name) for name in SENDERS}
    if not senders["webhook_url"] and any(values_in_files(f"{SECTION}.webhook_url")):
        raise SettingsError(f"{SECTION}.webhook_url is a secret: move it from config.toml to include/.dlt/secrets.toml.")
    if not (senders["webhook_url"] or "https://").startswith(("http://", "https://")):
        raise SettingsError(f"{SECTION}.webhook_url must be a URL: it must begin with https:// or http://.")
    chosen = [name for name, value in senders.items() if value]
    if len(chosen) > 1:
        raise SettingsError(f"{SECTION} has {' and '.join(chosen)}: set only one of them to send alerts.")
    arguments = _arguments()
    is_set = section.value("late_after_minutes") is not None
    late_after_minutes = section.number("late_after_minutes", 0, lowest=0) if is_set else None
    return AlertSettings(**senders, arguments=arguments, late_after_minutes=late_after_minutes) if chosen else None


def _refuse_unknown() -> None:
    names = [name.removeprefix(ENV_PREFIX).lower() for name in os.environ if name.startswith(ENV_PREFIX)]
    for table in values_in_files(SECTION):
        names += [str(name) for name in table] if isinstance(table, Mapping) else []
    for name in names:
        one_of(f"setting of {SECTION}", name, tuple(f.name for f in fields(AlertSettings)))


def _arguments() -> dict[str, Any]:
    """The notifier's arguments, merged from config.toml and secrets.toml."""
    if text := os.environ.get(f"{ENV_PREFIX}ARGUMENTS"):
        tables: list[Any] = [text]
        with suppress(ValueError):
            tables = [json.loads(text)]
    else:
        tables = list(values_in_files(f"{SECTION}.arguments"))
    for table in tables:
        if not isinstance(table, Mapping):
            raise SettingsError(f'{SECTION}.arguments must be a table, such as {{text = "{{{{ alert }}}}"}}.')
    return {str(name): value for table in reversed(tables) for name, value in table.items()}


@dataclass(frozen=True)
class Alert:
    """One message about one run. ``str()`` is the whole text, for people; the parts are for a notifier's templates.

    Attributes:
        event: ``failed`` (a task failed for good), ``invalid`` (all was loaded, but a check failed), ``unproven`` (all was
            loaded, but a table is not proven for longer than ``unproven_hours``) or ``late``.
        details: one sentence per kind of failure, with its tables.
        source: ``api.video``, or the DAG id if there are several accounts.
    """

    event: str
    summary: str
    run_id: str
    url: str = ""
    details: tuple[str, ...] = ()
    advice: str = ""
    source: str = "api.video"

    def __str__(self) -> str:
        run = f"Run {self.run_id}: {self.url}" if self.url else f"Run {self.run_id}"
        return "\n".join([f"{self.source}: {self.summary}", *self.details, self.advice, run])


def failed_run(run_id: str, url: str, report: Mapping[str, Any] | None, errors: Sequence[str]) -> Alert:
    """The alert for a failed run: from its report (``Report.to_json()``), or without one from its tasks' ``errors``."""
    from include.api_video.proof.checks import SYNCED, Check
    from include.api_video.proof.report import by_sentence

    checks = [Check(**check) for check in report["checks"]] if report else []
    failed = [check for check in checks if check.passed is False]
    if not failed:
        details = tuple(_short(errors)) or ("Its last task was stopped; the task's log may say why.",)
        advice = "The next run catches up once the cause is gone."
        return Alert(FAILED, "the run failed before its tables were checked.", run_id, url, details, advice)
    opened = [check for check in checks if check.passed is None]
    lines = by_sentence(failed, lambda check: check.note if check.name == SYNCED else check.verdict)
    lines += [f"Not proven, which is no failure: {line}" for line in by_sentence(opened, lambda check: check.verdict)]
    event, summary, advice = _weigh(failed, len(checks), _unproven(report or {}))
    return Alert(event, summary, run_id, url, tuple(_short(lines)), advice)


def _weigh(failed: Sequence[Check], made: int, unproven: set[str]) -> tuple[str, str, str]:
    """Event, summary and advice, for the worst failure."""
    from include.api_video.proof.checks import SYNCED

    not_loaded = [check.table for check in failed if check.name == SYNCED]
    if not_loaded:
        advice = "They stay as they were; the next run catches up once the cause is gone."
        return FAILED, f"the run failed, it did not load {', '.join(not_loaded)}.", advice
    tables = list(dict.fromkeys(check.table for check in failed))
    if unproven.issuperset(tables) and {check.name for check in failed} <= {"complete", "rejected"}:
        summary = (
            f"all tables were loaded, but for too long there is no proof that {', '.join(tables)} equal the API's lists."
        )
        advice = (
            "What was read is loaded, and nothing was removed without proof. Compare with api.video's dashboard; "
            "unproven_hours says how long a proof may take before a run fails."
        )
        return UNPROVEN, summary, advice
    advice = "Trigger the DAG again; if this persists, trigger it for these tables with a full refresh."
    return INVALID, f"all tables were loaded, but {len(failed)} of {made} checks failed.", advice


def _unproven(report: Mapping[str, Any]) -> set[str]:
    """Tables that are not proven by the ledger, or that have rejected rows."""
    lasting = ("unproven", "rejected_rows")
    return {str(sync["resource"]) for sync in report.get("syncs", ()) if any(sync.get(name) for name in lasting)}


def late_run(run_id: str, url: str, minutes: float, *, is_queued: bool) -> Alert:
    """The alert for a run that takes too long or has not even begun."""
    has_not = "begun" if is_queued else "ended"
    return Alert(
        LATE,
        f"the run is late, it has not {has_not} {minutes:g} minutes after it was queued.",
        run_id,
        url,
        ("It is still active, and the next run waits for it: until then, tables may be out of date.",),
        "Open the run to see which task takes long or waits; its log says why.",
    )


def _short(lines: Sequence[str]) -> list[str]:
    """The lines, cut to what every messenger accepts; the run's log has all of them."""
    shown = [line if len(line) <= SHOWN_CHARACTERS else f"{line[:SHOWN_CHARACTERS]} ..." for line in lines[:SHOWN_LINES]]
    left_out = len(lines) - len(shown)
    return [*shown, f"... and {left_out} more"] if left_out else shown
