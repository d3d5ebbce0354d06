"""Syncs lists that do not say how long they are: one, or one per row of another (``Endpoint.per_row_of``), in one table.

Each is read to its end, so a row that none of them has is gone.
"""

from __future__ import annotations

from typing import Any, ClassVar

from include.api_video.api.answers import Page
from include.api_video.errors import ApiVideoError
from include.api_video.sync.list_sync import ListSync


class UncountedLists(ListSync):
    """One run over a list, or over the list whose rows have a list each, and all of those."""

    _has_total: ClassVar[bool] = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._expected, self._open = 0, 1  # lists beside the first, and all that are not read to their end

    @property
    def expected_requests(self) -> int:
        """Requests of this run, as far as known: at least one per list."""
        return 1 + self._expected

    @property
    def lists_left(self) -> int | None:
        """How many known lists are not read to their end yet."""
        return self._open

    def expect_lists(self, count: int) -> None:
        """Announces ``count`` more lists."""
        self._open += count
        self._expected += count

    def next_page(self, page: Page) -> int | None:
        """Takes a page of one list; returns the number of that list's next page, or None at its end."""
        self._walk.take(page)
        if page.has_next:
            return page.number + 1
        self.finish_list()
        return None

    def stop(self, error: ApiVideoError) -> int | None:
        """Reports that the API failed to give a page: that list ends here, the others are read on."""
        self.stopped_by = self.stopped_by or error
        self.finish_list()
        return None

    def finish_list(self) -> None:
        """Reports that a list was read to its end, or is gone with the row that it belongs to."""
        self._open -= 1
        self.is_done = self._open == 0
        if self.is_done and not self.stopped_by:
            self._fetched.gone = self._known_active() - self._walk.seen.keys()
