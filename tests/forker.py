"""Starts Python code fast: a process that has imported its modules forks a child for each command.

As a program (``python -m tests.forker dlt duckdb ...``) it imports the named modules, reads one JSON object per line and
answers with another:

    {"module": "include.api_video", "arguments": [], "environment": {...}, "folder": "/project", "output": "/file"}
        ->  {"pid": 123}
    {"wait": 123}
        ->  {"code": 0}, or null while it runs; -9 if it was killed

``"code"`` instead of ``"module"`` runs as with ``python -c``. The process has no threads except idle ones of libraries,
since a fork copies only one. Each child has its own process group, so that it can be killed with all its descendants. It
imports other modules from its folder, as ``python -m`` does.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]


class Forker:
    """The test's side of the other process."""

    def __init__(self, environment: Mapping[str, str], imported: Sequence[str]) -> None:
        self._lock = threading.Lock()  # tests may start runs in parallel
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.forker", *imported],
            cwd=PROJECT,
            env={**environment, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # at the end of its input it ends its children, however the tests ended
        )

    def _ask(self, **words: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        assert answer, "the process that starts runs has ended"
        return json.loads(answer)

    def wait_until_imported(self) -> None:
        """Waits until all modules are imported, with the files that they read then."""
        self._ask(imported=True)

    def start(
        self,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        output: Path,
        folder: Path = PROJECT,
        code: str = "",
    ) -> int:
        """Runs a module in a folder like ``python -m``, or code like ``python -c``; returns the child's process id."""
        what: dict[str, Any] = {"code": code} if code else {"module": module}
        words = {"arguments": list(arguments), "environment": dict(environment), "folder": str(folder)}
        pid: int = self._ask(**what, **words, output=str(output))["pid"]
        return pid

    def poll(self, pid: int) -> int | None:
        """The exit code of a child; None while it runs."""
        code: int | None = self._ask(wait=pid)["code"]
        return code

    def wait(self, pid: int, seconds: float) -> int:
        """The exit code of a child, which must end within so many seconds."""
        deadline = time.monotonic() + seconds
        while (code := self.poll(pid)) is None:
            assert time.monotonic() < deadline, f"process {pid} did not end within {seconds} s"
            time.sleep(0.01)
        return code

    def close(self) -> None:
        """Ends the process; children must have ended before."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def serve() -> None:
    """The loop of the other process, until the end of its input."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print while they are imported
    for name in sys.argv[1:]:
        importlib.import_module(name)
    gc.freeze()
    codes: dict[int, int] = {}
    children: list[int] = []
    for line in sys.stdin:
        words = json.loads(line)
        answer: dict[str, int | None] = {}
        if "wait" in words:
            answer = _reap(words["wait"], codes)
        elif "imported" in words:
            pass  # the loop began after the imports
        else:
            children.append(_fork(words))
            answer = {"pid": children[-1]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid in children:  # left over from interrupted tests
        if _reap(pid, codes)["code"] is None:
            os.kill(pid, signal.SIGKILL)


def _reap(pid: int, codes: dict[int, int]) -> dict[str, int | None]:
    if pid not in codes:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            codes[pid] = os.waitstatus_to_exitcode(status)
    return {"code": codes.get(pid)}


def _fork(words: Mapping[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setpgid(0, 0)
        for number, path, flags in ((0, os.devnull, os.O_RDONLY), (1, words["output"], os.O_WRONLY | os.O_CREAT)):
            descriptor = os.open(path, flags, 0o644)
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.dup2(1, 2)
        os.environ.clear()
        os.environ.update(words["environment"])
        tempfile.tempdir = None  # cached for the parent process
        os.chdir(words["folder"])
        importlib.invalidate_caches()  # folders may have changed
        sys.path[:1] = [words["folder"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        sys.argv = [words.get("module", "-c"), *words["arguments"]]
        if "code" in words:
            exec(compile(words["code"], "<string>", "exec"), {"__name__": "__main__"})
        else:
            runpy.run_module(words["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
