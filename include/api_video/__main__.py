"""``python -m include.api_video``: loads api.video without Airflow.

Commands: ``run`` (the default), ``report`` (the last run's table), ``doctor`` (a table for a bug report: whether api.video
behaves as the package expects).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

from include.api_video.own_process import collect_rarely, leave_dlthub_out, leave_pandas_out

# Before dlt is imported: no telemetry, and no reading of Airflow's Variables if Airflow is installed. Nor does Python
# collect cycles during the imports, which takes a sixth of their time.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
collect_rarely()
leave_dlthub_out()

from include.api_video.errors import ApiVideoError, LeftOutError, MissingKeyError, find_cause
from include.api_video.messages.logs import mask_logs
from include.api_video.messages.masking import mask, sentence_of, traceback_of
from include.api_video.settings.accounts import Account, find_account, read_accounts
from include.api_video.settings.config import use_project_config
from include.api_video.settings.settings import read_settings


def run(account: Account, *, full_refresh: bool) -> int:
    """Loads all resources of the account's settings and checks them; exit code 1 if something failed."""
    from include.api_video.catalog.storable import now_utc
    from include.api_video.load.runner import load_all
    from include.api_video.proof.report import check_run
    from include.api_video.settings.destination import destination_name
    from include.api_video.warehouse.ledger import LedgerRow

    settings = read_settings(account=account)
    collect_rarely()  # again: the modules imported since stay, too
    if destination_name() == "duckdb":
        leave_pandas_out()
    run_id = (
        f"plain__{now_utc().isoformat(timespec='seconds')}_{os.urandom(4).hex()}"  # two runs may begin in the same second
    )
    errors, left_out, idle = dict[str, str](), list[str](), list[LedgerRow]()
    for resource, result in load_all(settings, run_id, full_refresh=full_refresh):
        if isinstance(result, LeftOutError):
            left_out.append(resource)
        elif isinstance(result, Exception):
            errors[resource] = sentence_of(result)
        elif isinstance(result, dict):
            idle.append(result)
        else:
            print(mask(f"--- {resource}\n{result}"))
    try:
        report = check_run(
            account, run_id, settings.resources, errors, left_out, idle, unproven_hours=settings.unproven_hours
        )
    except ApiVideoError:  # no report: say here why tables failed
        for resource, sentence in errors.items():
            print(f"FAILED {resource}: {sentence}")
        raise
    print(f"\n{report}")
    return 1 if report.failed else 0


def on_each(command: Callable[[Account], int], name: str | None) -> Iterator[int]:
    """Exit codes of a command for one account or for each; an error in one does not stop the next."""
    accounts = [find_account(name)] if name else read_accounts()
    for account in accounts:
        if len(accounts) > 1:
            print(f"=== {account.dag_id}", flush=True)
        try:
            yield command(account)
        except Exception as error:
            if find_cause(error, KeyboardInterrupt):
                raise
            yield fail(error)


def fail(error: Exception) -> int:
    """Prints why a command failed, with a traceback only for unexpected errors; returns the exit code."""
    if not isinstance(error, ApiVideoError):
        print(traceback_of(error), file=sys.stderr)
    print(sentence_of(error), file=sys.stderr)
    return 1


def show_log() -> None:
    """Shows the package's log on standard error, so that standard output has the results alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("api_video")
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def report(account: Account) -> int:
    """Prints the last run's table."""
    from include.api_video.proof.report import read_last_report

    last = read_last_report(account)
    print(last or "Nothing has been loaded yet.")
    return 0


def doctor(account: Account) -> int:
    """Examines whether api.video behaves as the package expects; exit code 1 if a load would fail."""
    from include.api_video.proof.diagnosis import render
    from include.api_video.proof.doctor import examine
    from include.api_video.proof.promises import Holds

    try:
        settings = read_settings(account=account)
    except MissingKeyError as error:
        raise MissingKeyError(f"{error} (The doctor reads only the first two, not the Connection.)") from None
    seen = examine(settings)
    print(render(seen))
    return int(any(finding.holds is Holds.NO for finding in seen.findings))


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m include.api_video", description=__doc__)
    parser.add_argument("command", nargs="?", default="run", choices=["run", "report", "doctor"])
    parser.add_argument("--full-refresh", action="store_true", help="drop all tables and load them again")
    parser.add_argument("--account", help="one of API_VIDEO_ACCOUNTS; without it, all of them one after another")
    options = parser.parse_args()
    commands: dict[str, Callable[[Account], int]] = {
        "run": partial(run, full_refresh=options.full_refresh),
        "report": report,
        "doctor": doctor,
    }
    use_project_config()
    mask_logs()
    show_log()
    try:
        return max(on_each(commands[options.command], options.account))
    except (KeyboardInterrupt, Exception) as error:
        if not find_cause(error, KeyboardInterrupt):
            return fail(cast(Exception, error))
        print("Stopped. What has been loaded stays, and the next run loads the rest.", file=sys.stderr)
        return 130  # the shell's exit code for Ctrl-C


if __name__ == "__main__":
    sys.exit(main())
