"""Makes Ctrl-C end ``make run`` within seconds, with a sentence about what was loaded.

Airflow treats Ctrl-C as a failure of the task: it would go on with the next task or wait for a retry. So a task's callback
leaves ``DAG.test`` with an error that is not an ``Exception``, since Airflow suppresses those. Whatever hangs is abandoned
after ``GRACE_S``, as if killed: half-loaded rows do not count, and the next run loads them.
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
STOPPED = 130  # the shell's exit code for Ctrl-C


class StoppedError(BaseException):
    """Ctrl-C. Not an ``Exception``: Airflow suppresses those of callbacks."""


class Stop:
    """Watches for Ctrl-C. ``tell`` returns the closing sentence: what the run leaves behind."""

    def __init__(self, tell: Callable[[], str]) -> None:
        self._tell = tell
        self._came, self._is_over, self._ending = threading.Event(), threading.Event(), threading.Lock()

    def leave_if_it_came(self) -> None:
        """Ends the main thread's work after Ctrl-C.

        Raises:
            StoppedError: Ctrl-C came.
        """
        if self._came.is_set():
            raise StoppedError

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Ends the process ``GRACE_S`` after Ctrl-C if the block is still running, or at once after a second Ctrl-C.

        It listens on the wakeup file descriptor, because dlt replaces the handler of SIGINT while it loads.
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
        logging.disable(logging.CRITICAL)  # errors from here on are its consequence
        print("\nStopping ...", flush=True)
        threading.Thread(target=self._end_in_time, name="grace", daemon=True).start()
        if _wait_for_ctrl_c(wakes):
            self.end()

    def _end_in_time(self) -> None:
        if not self._is_over.wait(GRACE_S):
            self.end()

    def end(self) -> None:
        """Ends the process without waiting for hanging threads, as Python's own exit would."""
        with self._ending:  # never released: a second caller waits here until the end
            if sys.stderr.isatty():
                sys.stderr.write("\x1b[?25h")  # the progress bar hid the cursor
            print(self._tell(), flush=True)
            os._exit(STOPPED)


def _wait_for_ctrl_c(wakes: int) -> bool:
    """Waits for Ctrl-C; False if the block ended before."""
    while caught := os.read(wakes, 1):
        if caught[0] == signal.SIGINT:
            return True
    return False


def end_run(dag_id: str, logical_date: Any) -> None:
    """Marks a stopped run as failed in Airflow's database; otherwise it would hold up scheduled runs."""
    with suppress(Exception):
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session

        with create_session() as session:
            for run in DagRun.find(dag_id=dag_id, logical_date=logical_date, session=session):
                run.set_state("failed")
