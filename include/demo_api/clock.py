"""A clock that several processes share, and that stands still until it is set."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path


class FileClock:
    """The time is the last modification of a file, as in libfaketime with ``FAKETIME_FOLLOW_FILE``."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.file.stat().st_mtime, timezone.utc)

    def set(self, moment: datetime) -> None:
        """Sets the time, for all processes at once."""
        self.file.touch()
        os.utime(self.file, (moment.timestamp(), moment.timestamp()))
