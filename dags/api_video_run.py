"""``make run``: one run of the DAG in this process, for the account whose key is set, else for the demo API.

    python -m dags.api_video_run [--account training]
    python -m dags.api_video_run --has-key      exit code 0: a key is set, or it is unknown

It does what ``airflow dags test`` does (``DAG.test``), but prints only the package's own messages, each once.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DAGS = Path(__file__).resolve().parent
sys.path += [path for path in (str(DAGS.parent), str(DAGS)) if path not in sys.path]

from api_video_stop import STOPPED, Stop, StoppedError, end_run  # noqa: E402

from include.api_video.own_process import collect_rarely, leave_dlthub_out  # noqa: E402

VIDEOS = 300  # number of videos in the demo
TABLE = "What this run did"  # the report of `validate` begins so
OWN_TASKS = ("prepare", "validate")
log = logging.getLogger("api_video")


def be_quiet_and_quick() -> None:
    """Sets what must be set before Airflow and dlt are imported. Airflow's own error logs are off: ``Run`` prints one
    sentence per failure.
    """
    os.environ["AIRFLOW__LOGGING__NAMESPACE_LEVELS"] = "airflow=ERROR task=CRITICAL"
    os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    collect_rarely()
    leave_dlthub_out()


class Run:
    """One run of the DAG, followed by the callbacks of its tasks."""

    def __init__(self, dag: Any) -> None:
        self._dag, self._loaded, self._failures = dag, list[str](), dict[str, str]()
        self._stop = Stop(self._left_behind)
        log.addFilter(self._is_news)
        for task in dag.tasks:
            task.on_success_callback = [self._take_success]
            task.on_failure_callback = [self._take_failure]
            task.on_retry_callback = [self._take_retry]

    def to_its_end(self) -> int:
        """Runs the DAG once; returns the exit code."""
        from airflow.sdk import timezone

        now = timezone.utcnow()
        with self._stop.watched():
            try:
                ended = self._dag.test(logical_date=now)
            except (KeyboardInterrupt, StoppedError):
                end_run(self._dag.dag_id, now)
                self._stop.end()
        verdict = self._failures.pop("validate", "")
        if unprepared := self._failures.get("prepare"):
            print(unprepared)
        elif verdict and not verdict.startswith("ValidationError"):  # no report was printed
            print(*dict.fromkeys([*self._failures.values(), verdict]), sep="\n")
        return 0 if ended.state == "success" else 1

    def _left_behind(self) -> str:
        what = f"Loaded in this run: {', '.join(self._loaded)}." if self._loaded else "This run has loaded no table yet."
        return f"Stopped. {what} What is loaded stays, and the next run loads the rest."

    def _is_news(self, record: logging.LogRecord) -> bool:
        """Whether to log a line: not the report of a run whose ``prepare`` failed, which has no rows."""
        return "prepare" not in self._failures or not record.getMessage().startswith(TABLE)

    def _take_success(self, context: Any) -> None:
        name = context["ti"].task_id.rpartition(".")[2]
        self._loaded += [name] if name not in OWN_TASKS else []
        self._stop.leave_if_it_came()

    def _take_failure(self, context: Any) -> None:
        self._stop.leave_if_it_came()
        self._failures[context["ti"].task_id] = str(context.get("exception") or "")

    def _take_retry(self, context: Any) -> None:
        self._stop.leave_if_it_came()
        pause_s = context["ti"].task.retry_delay.total_seconds()
        log.warning("%s Airflow tries it again in %.0f s.", context.get("exception"), pause_s)


def run_dag(dag_id: str) -> int:
    """Runs the DAG with this id; returns the exit code."""
    from airflow.dag_processing.dagbag import DagBag

    use_short_log()
    bag = DagBag(str(DAGS))
    if dag_id in bag.dags:
        return Run(bag.dags[dag_id]).to_its_end()
    print(*bag.import_errors.values() or [f"There is no DAG {dag_id}."], sep="\n", file=sys.stderr)
    return 1


def use_short_log() -> None:
    """Logs the package's lines and others' warnings, in the format of the load without Airflow."""
    from include.api_video.messages.logs import mask_logs

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("airflow").setLevel(logging.ERROR)
    log.setLevel(logging.INFO)
    mask_logs()


def has_key(account: Any) -> bool:
    """Whether a key is set: in the environment, in the files, or in a Connection.

    True if that cannot be found out; the run itself then reports why.
    """
    from airflow.configuration import ensure_secrets_loaded
    from api_video_connections import find_connection

    from include.api_video.errors import ApiVideoError, MissingKeyError
    from include.api_video.settings.settings import read_settings

    try:
        read_settings(account=account)
    except MissingKeyError:
        pass
    except ApiVideoError:
        return True
    else:
        return True
    try:
        return find_connection(account.dag_id, ensure_secrets_loaded()) is not None
    except ApiVideoError:
        return True


@contextmanager
def source_of(account: Any) -> Iterator[None]:
    """Runs the demo API during the block, if the single account has no key."""
    if account.name or has_key(account):
        yield
        return
    from include.api_video.settings.demo import VARIABLE
    from include.demo_api.__main__ import LIMIT
    from include.demo_api.behaviour import Behaviour
    from include.demo_api.server import running
    from include.demo_api.world import World

    print("No api.video API key is set (README: Load your own account): loading the demo API with all resources.")
    with running(World(VIDEOS), Behaviour(rate_limit=LIMIT)) as demo:
        os.environ[VARIABLE] = demo.url
        yield


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m dags.api_video_run", description=__doc__)
    parser.add_argument("--account", default="default", help="one of API_VIDEO_ACCOUNTS (default: %(default)s)")
    parser.add_argument("--has-key", action="store_true", help="load nothing; exit code 0 if a key is set")
    options = parser.parse_args()
    be_quiet_and_quick()
    try:
        from include.api_video.errors import SettingsError
        from include.api_video.settings.accounts import DEFAULT_ACCOUNT, find_account
        from include.api_video.settings.config import use_project_config

        use_project_config()
        try:
            account = DEFAULT_ACCOUNT if options.account == DEFAULT_ACCOUNT.label else find_account(options.account)
        except SettingsError as error:
            print(error, file=sys.stderr)
            return 1
        if options.has_key:
            return 0 if has_key(account) else 1
        with source_of(account):
            return run_dag(account.dag_id)
    except KeyboardInterrupt:
        print("Stopped. Nothing was loaded.")
        return STOPPED


if __name__ == "__main__":
    sys.exit(main())
