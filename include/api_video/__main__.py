"""``python -m include.api_video``: loads api.video without Airflow.

Commands: ``run`` (the default), ``report`` (the last run's table), ``has-key`` (exit code 0 where a key is set).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

# Before dlt is imported: no telemetry, and no look into Airflow's Variables where Airflow is installed beside dlt.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")

from include.api_video.errors import ApiVideoError, MissingKeyError, find_cause
from include.api_video.settings import read_settings, use_project_config


def run(*, full_refresh: bool) -> int:
    """Loads all resources of the settings and checks them; exit code 1 where something failed."""
    from include.api_video.report import check_run
    from include.api_video.runner import load_all
    from include.api_video.warehouse import now_utc

    show_log()
    settings = read_settings()
    run_id = f"plain__{now_utc().isoformat(timespec='seconds')}"
    errors: dict[str, str] = {}
    for resource, result in load_all(settings, run_id, full_refresh=full_refresh):
        if isinstance(result, Exception):
            errors[resource] = f"{type(result).__name__}: {result}"
        else:
            print(f"--- {resource}\n{result}")
    report = check_run(run_id, settings.resources, errors)
    print(f"\n{report}")
    return 1 if report.failed else 0


def show_log() -> None:
    """Prints what the package says while it works, on the standard error: the output stays what was loaded."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log = logging.getLogger("api_video")
    log.addHandler(handler)
    log.setLevel(logging.INFO)


def report() -> int:
    """Prints the last run's table."""
    from include.api_video.report import read_last_report

    last = read_last_report()
    print(last or "Nothing has been loaded yet.")
    return 0


def has_key() -> int:
    """Tells the Makefile whether to load the demo."""
    try:
        read_settings()
    except MissingKeyError:
        return 1
    except ApiVideoError:
        return 0  # the run itself says what is wrong
    return 0


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m include.api_video", description=__doc__)
    parser.add_argument("command", nargs="?", default="run", choices=["run", "report", "has-key"])
    parser.add_argument("--full-refresh", action="store_true", help="start all tables anew")
    options = parser.parse_args()
    use_project_config()
    try:
        if options.command == "run":
            return run(full_refresh=options.full_refresh)
        return report() if options.command == "report" else has_key()
    except ApiVideoError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, Exception) as error:
        if not find_cause(error, KeyboardInterrupt):
            raise
        print("Stopped. What has been loaded stays, and the next run loads the rest.", file=sys.stderr)
        return 130  # as a shell says it


if __name__ == "__main__":
    sys.exit(main())
