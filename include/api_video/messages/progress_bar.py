"""The progress bar in a terminal. Imported only when one is shown, since its library takes a while to import."""

from __future__ import annotations

import atexit
import logging
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from include.api_video.messages.progress_status import Status, in_words, per_second

NUMBERS_WIDTH = 60  # most characters of a line beside its bar


class ProgressBar:
    """One line per reading at the bottom of the terminal, cleared when closed. Other output appears above it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}", style="bold"),
            BarColumn(max(8, min(40, console.width - NUMBERS_WIDTH))),
            _Numbers(),
            console=console,
            transient=True,
            get_time=clock,
            redirect_stdout=sys.stdout.isatty(),  # output into a file must stay there
        )
        self._tasks: dict[str, tuple[str, TaskID]] = {}  # by name: unit and line
        # Log handlers keep the streams from before, and would write into the bar.
        self._handlers = _handlers_in_terminal()
        self._bar.start()
        self._streams = [handler.setStream(FileProxy(console, handler.stream)) for handler in self._handlers]
        atexit.register(self.close)  # in case a second Ctrl-C interrupts the handling of the first

    def show(self, status: Status) -> None:
        """Draws the current progress of a reading."""
        values: dict[str, Any] = {"status": status, "counted_s": self._bar.get_time()}
        unit, task = self._tasks.get(status.name, ("", None))
        if task is not None and unit != status.unit:
            self._bar.remove_task(task)  # rich cannot unset a task's total
            task = None
        if task is None:
            task = self._bar.add_task(status.name, **values)
            self._tasks[status.name] = status.unit, task
        self._bar.update(task, total=status.total, completed=status.done, **values)

    def close(self) -> None:
        """Clears the lines and restores the terminal."""
        atexit.unregister(self.close)
        try:
            self._bar.stop()
        finally:
            for handler, stream in zip(self._handlers, self._streams, strict=True):
                handler.setStream(stream)


class _Numbers(ProgressColumn):
    """Counts, rate and time left, which keeps counting down between answers."""

    def render(self, task: Task) -> Text:
        status = task.fields["status"].after(task.get_time() - task.fields["counted_s"])
        left = "" if status.left_s is None else f"{in_words(status.left_s)} left"
        return Text.assemble(
            (status.counts, "progress.download"),
            (f"{per_second(status.rate):>8}", "progress.data.speed"),
            (f"{left:>13}", "progress.remaining"),
        )


def _handlers_in_terminal() -> list[logging.StreamHandler[Any]]:
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    handlers = {handler for logger in loggers if isinstance(logger, logging.Logger) for handler in logger.handlers}
    return [handler for handler in handlers if isinstance(handler, logging.StreamHandler) and _holds_terminal(handler)]


def _holds_terminal(handler: logging.StreamHandler[Any]) -> bool:
    stream: Any = vars(handler).get("stream")  # some handlers look up sys.stderr each time: leave them
    try:
        return hasattr(stream, "isatty") and bool(stream.isatty())
    except ValueError:  # another library's stream, already closed
        return False
