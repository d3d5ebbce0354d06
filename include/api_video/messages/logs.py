"""Filters every log line of a process that loads: removes credentials, shortens dlt's failures to one line each."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import Any

from include.api_video.errors import root_of
from include.api_video.messages.masking import mask, traceback_of

DLT = "dlt"


# dlt's warnings about working files of earlier runs. They do not apply: this package keeps no such files.
OF_NO_USE = re.compile(r"was not fully loaded|pending packages|abort-packages|in state differs from destination")
NUMBERS = re.compile(r"[0-9a-f]{4,}(?:-[0-9a-f]+)*|\d+")
IN_FILE = re.compile(r" in file \S+| in load \S+ with message")


class EachOnce(logging.Filter):
    """Lets each failure through once: dlt logs it for each file and for each of five attempts."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to let the line through."""
        failure = NUMBERS.sub("", getattr(record, "failure", ""))
        is_new = failure not in self._told and not OF_NO_USE.search(record.getMessage())
        if failure:
            self._told.add(failure)
        return is_new


def mask_logs() -> None:
    """Passes every log line of this process through ``mask``, whoever writes it, and shortens dlt's failures."""
    before = logging.getLogRecordFactory()
    if getattr(before, "masks", False):
        return

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = before(*args, **kwargs)
        with suppress(Exception):  # if arguments do not fit the format, logging itself reports it
            _clean(record)
        return record

    factory.masks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(factory)
    logging.getLogger(DLT).addFilter(EachOnce())


def _clean(record: logging.LogRecord) -> None:
    message = record.getMessage()
    error = record.exc_info[1] if record.exc_info else None
    if record.name == DLT and not logging.getLogger(DLT).isEnabledFor(logging.DEBUG):
        message = _without_traceback(record, message, error)
    elif error:
        message, record.exc_info = f"{message}\n{traceback_of(error)}", None
    if (masked := mask(message)) != record.msg:
        record.msg, record.args = masked, ()


def _without_traceback(record: logging.LogRecord, message: str, error: BaseException | None) -> str:
    """The failure of dlt in one line; the task's own error has the rest. ``EachOnce`` compares ``record.failure``."""
    head, _, trace = message.partition("Traceback (most recent call last)")
    if not (error or trace):
        return message
    failure = str(root_of(error)) if error else trace.strip().splitlines()[-1].partition(": ")[2]
    failure = " ".join(failure.split())
    record.__dict__["failure"], record.exc_info = failure, None
    return f"{IN_FILE.sub('', head).strip()}: {failure}"
