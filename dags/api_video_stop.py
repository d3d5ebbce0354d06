"""Ctrl-C ends ``make run`` within seconds, and says what was loaded.

Airflow takes it for a failure of the task, and would go on with the next one, or wait for a retry. A callback of the task
leaves ``DAG.test`` instead: by an error that is none of Python's ``Exception``, which Airflow passes over. What hangs is
left behind after ``GRACE_S``, as if it had been killed: what is half loaded does not count, and the next run loads it.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

GRACE_S = 5.0
STOPPED = 130  # exit code, as a shell says it


class StoppedError(BaseException):
    """Ctrl-C. No ``Exception``: Airflow passes over those of callbacks."""


class Stop:
    """Whether Ctrl-C came. ``tell`` says at the end what the run leaves behind."""

    def __init__(self, tell: Callable[[], str]) -> None:
        self._tell = tell
        self._came, self._is_over, self._ending = threading.Event(), threading.Event(), threading.Lock()

    def leave_if_it_came(self) -> None:
        """Leaves what runs in the main thread.

        Raises:
            StoppedError: it came.
        """
        if self._came.is_set():
            raise StoppedError

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Ends the process ``GRACE_S`` after Ctrl-C, or at once with a second one, where the block has not ended by then.

        Told by the wake-up file of signals: dlt replaces the handler of SIGINT while it loads.
        """
        ours, theirs = os.pipe()
        os.set_blocking(theirs, False)
        before = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(ours,), name="ctrl-c", daemon=True).start()
        try:
            yield
        finally:
            self._is_over.set()
            signal.set_wakeup_fd(before)
            os.close(theirs)

    def _watch(self, wakes: int) -> None:
        if not _wait_for_ctrl_c(wakes):
            return
        self._came.set()
        logging.disable(logging.CRITICAL)  # what breaks now breaks because of it
        print("\nStopping ...", flush=True)
        threading.Thread(target=self._end_in_time, name="grace", daemon=True).start()
        if _wait_for_ctrl_c(wakes):
            self.end()

    def _end_in_time(self) -> None:
        if not self._is_over.wait(GRACE_S):
            self.end()

    def end(self) -> None:
        """Ends the process, also where threads hang of which Python would wait for each."""
        with self._ending:  # who comes second never goes on
            if sys.stderr.isatty():
                sys.stderr.write("\x1b[?25h")  # a bar hides the cursor
            print(self._tell(), flush=True)
            os._exit(STOPPED)


def _wait_for_ctrl_c(wakes: int) -> bool:
    """False: the block has ended before."""
    while caught := os.read(wakes, 1):
        if caught[0] == signal.SIGINT:
            return True
    return False


def end_run(dag_id: str, logical_date: Any) -> None:
    """Has Airflow's database know that a run that was stopped is over: it would hold up those of the schedule."""
    with suppress(Exception):
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session

        with create_session() as session:
            for run in DagRun.find(dag_id=dag_id, logical_date=logical_date, session=session):
                run.set_state("failed")
