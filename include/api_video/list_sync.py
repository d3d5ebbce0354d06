"""Decides: how far to read a list, which rows are news, what is gone. No network, no SQL of its own.

A list task goes like this. Page 1, newest first, says how many rows there are. Read on while rows are not older than the
cursor. If the rows that would then be active are as many as the API lists, nothing else happened, and that was all. Where
some are missing, find them (``locate``); at the first load, when a full look is due, or where that does not help, read the
whole list until it is consistent with itself: as many different ids as each of its pages says there are, and still
beginning as it began. What such a listing lacks is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from include.api_video.accounts import DEFAULT_ACCOUNT
from include.api_video.answers import Page
from include.api_video.client import MISSING
from include.api_video.endpoints import MAX_PAGE_SIZE, Endpoint, Sync
from include.api_video.errors import ApiVideoRequestError, ApiVideoServerError, ListShiftedError, RemovalBrakeError
from include.api_video.locate import Search, is_worth_it
from include.api_video.outcome import Outcome, hash_row
from include.api_video.warehouse import KnownRow, TableState, utc

READINGS = 4  # of a list that keeps shifting, before giving up
BRAKE_FROM_ROWS = 20  # fewer removals than this never stop a run
REFETCHED = timedelta(seconds=1)  # time stamps have no fraction: rows of the cursor's own second are read again

# Pages are asked for by number, and come in as they arrive.
Pages = Generator[int, Page, Page]
Steps = Generator[int, Page, None]
# Asks the API for single objects by key; None where it has none (404).
Ask = Callable[[Sequence[str]], Mapping[str, dict[str, Any] | None]]


class Lookup(Protocol):
    """What a list sync asks the warehouse (``Warehouse``, or a dictionary in a test)."""

    def find_rows(self, endpoint: Endpoint, keys: Sequence[str]) -> dict[str, KnownRow]: ...

    def all_rows(self, endpoint: Endpoint) -> dict[str, KnownRow]: ...


class ListSync:
    """One reading of a list: fed with pages, asked for the next page, the news and the outcome.

    Args:
        ask: sends for single objects; None where the API has no such path, or filters are set that it does not know.
        moved: keys of rows that went to or came from another list (``Endpoint.bin``), to be asked for one by one.
        may_have_moved: of a list that is read whole where it may have changed: whether something else says so.

    Attributes:
        last_wanted: the number of the last page that will be asked for in any case, to read ahead; 0 where unknown.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        state: TableState,
        lookup: Lookup,
        *,
        ask: Ask | None = None,
        moved: Sequence[str] = (),
        may_have_moved: bool = False,
        anew: bool = False,
        full_due: bool = False,
        max_removed_share: float = 1.0,
        brake_variable: str = DEFAULT_ACCOUNT.variable("max_removed_share"),
    ) -> None:
        self._endpoint, self._state, self._lookup, self._ask = endpoint, state, lookup, ask
        self._moved, self._may_have_moved = moved, may_have_moved
        self._max_removed_share, self._brake_variable = max_removed_share, brake_variable
        self._first = anew or state.last_full_at is None
        self._whole = self._first or full_due or endpoint.sync is Sync.WHOLE
        self._known: dict[str, KnownRow] = {}
        self._seen: dict[str, datetime | None] = {}  # updatedAt by key; of the present reading, where a list is read whole
        self._totals: set[int | None] = set()  # itemsTotal, as each page of the present reading gave it
        self._total: int | None = None  # as the newest page gave it
        self._newest: Page
        # Of a first load every row is in here: as little as possible for each.
        self._taken: dict[str, bytes] = {}  # news by key: hash of the content handed on
        self._kinds: dict[str, str] = {}  # of those, what is not new: changed, restored, drifted or withdrawn
        self._gone: set[str] = set()  # proven without reading the whole list
        self._asked: list[dict[str, Any]] = []  # rows that came as single objects
        self._open_lists: int | None = None  # where the list is many: one per row of the endpoint's ``via``
        self._lists_expected = 0
        self._steps: Steps | None = None
        self.has_versions = False  # whether a row was handed on twice, since it changed while the list was read
        self.last_wanted = 0
        self.is_done = False
        if self._whole and state.exists:
            self._known = lookup.all_rows(endpoint)

    @property
    def expected_requests(self) -> int:
        """How many requests the run should need, as far as what is loaded tells; a first load knows after page 1."""
        if self._lists_expected:
            return 1 + self._lists_expected
        if not self._whole:
            return 1 + len(self._moved)
        rows = self._total if self._first and self._total is not None else self._state.active
        pages = max(1, -(-rows // MAX_PAGE_SIZE))
        return pages + (pages > 1 and self._endpoint.sync is Sync.NEWEST_FIRST)

    @property
    def lists_left(self) -> int | None:
        """Where the list is many: how many of them, as far as known, have not been read to their end."""
        return self._open_lists

    @property
    def compared(self) -> Iterator[str]:
        """Keys of rows that are loaded and were read again."""
        return (key for key in self._seen if key in self._known)

    # --- reading -----------------------------------------------------------------------------------------------------

    def next_page(self, page: Page) -> int | None:
        """Takes a page; returns the number of the page to read next, or None when enough was read.

        Raises:
            ListShiftedError: the list changed during each of ``READINGS`` readings.
        """
        if self._open_lists is not None:
            self._register(page)
            if page.has_next:
                return page.number + 1
            self.finish_list()
            return None
        if self._steps is None:
            self._steps = self._read()
            next(self._steps)  # page 1, which is here already
        try:
            return self._steps.send(page)
        except StopIteration:
            self.is_done = True
            return None

    def _read(self) -> Steps:
        first = last = yield from self._page(1)
        if not self._whole and self._endpoint.sync is Sync.NEWEST_FIRST:
            last = yield from self._read_down(first, self._state.cursor)
            if (yield from self._settle(first, last)):
                return
            if self._newest is not last:  # other pages were asked for since: begin again
                first = last = self._newest if self._newest.number == 1 else (yield from self._page(1))
        elif not self._whole and first.has_next and not self._has_moved(first):
            return
        yield from self._read_whole(first, last)

    def _page(self, number: int) -> Pages:
        page = yield number
        self._register(page)
        return page

    def _register(self, page: Page) -> None:
        times = {self._key_of(row): None if self._whole else utc(row.get("updatedAt")) for row in page.rows}
        if not self._whole:
            self._look_up(list(times))
        self._seen.update(times)
        self._totals.add(page.items_total)
        self._total, self._newest = page.items_total, page

    def _look_up(self, keys: Sequence[str]) -> None:
        unknown = [key for key in keys if key not in self._known]
        self._known.update(self._lookup.find_rows(self._endpoint, unknown) if unknown else {})

    def _key_of(self, row: Mapping[str, Any]) -> str:
        key = row.get(self._endpoint.key)
        if not isinstance(key, str) or not key:
            raise ApiVideoServerError(
                f"A row of {self._endpoint.path} came without its {self._endpoint.key}; fields: {sorted(row)}."
            )
        return key

    def _shifted(self) -> ListShiftedError:
        return ListShiftedError(
            f"{self._endpoint.path} kept changing while it was read, {READINGS} times in a row: the last reading "
            f"gave {len(self._seen)} different rows, its pages said {sorted(map(str, self._totals))}. Nothing was "
            "marked removed; the next run tries again."
        )

    # --- only what changed --------------------------------------------------------------------------------------------

    def _settle(self, first: Page, last: Page) -> Generator[int, Page, bool]:
        """Makes the count fit after the pages ``first`` to ``last``; False where only the whole list can tell."""
        if last.number > 1 and (len(self._totals) > 1 or last.number <= -(-self._count_news() // len(first.rows))):
            first = yield from self._read_top_again(first)
        self._ask_for_moved(first)
        lost = self._active_after() - (first.items_total or 0)
        if lost > 0 and self._ask and is_worth_it(lost, first.pages_total or 0):
            self._gone |= yield from self._locate(first, lost)
        return self._active_after() == first.items_total

    def _read_down(self, page: Page, until: datetime | None) -> Pages:
        """Reads on to the first row that is older than the second of ``until``."""
        while page.has_next and not _reaches(page, until):
            page = yield from self._page(page.number + 1)
        return page

    def _read_top_again(self, first: Page) -> Pages:
        """Asks for page 1 until it stands still: what changed while the pages after it were read is on top of it.

        Left out where it would cost more than the one request beside those that the changes fill; the next run finds
        then what came in between.
        """
        for _ in range(READINGS):
            again = yield from self._page(1)
            if self._looks_alike(first, again):
                return again
            yield from self._read_down(again, utc(first.rows[0].get("updatedAt")) if first.rows else None)
            first = again
        raise self._shifted()

    def _count_news(self) -> int:
        return sum(1 for key, at in self._seen.items() if key not in self._known or self._known[key].updated_at != at)

    def _active_after(self) -> int:
        fresh = sum(1 for key in self._seen if key not in self._known or self._known[key].removed)
        return self._state.active + fresh - len(self._gone)

    def _ask_for_moved(self, first: Page) -> None:
        """Asks for what another list took or gave back: such a move may leave updatedAt as it was."""
        keys = [key for key in self._moved if key not in self._seen]
        if not self._ask or not keys or len(keys) > (first.pages_total or 0) + MAX_PAGE_SIZE:
            return  # the count will tell
        self._look_up(keys)
        for key, row in self._ask(keys).items():
            if row is not None:
                self._asked.append(row)
                self._seen[key] = utc(row.get("updatedAt"))
            elif key in self._known and not self._known[key].removed:
                self._gone.add(key)

    def _locate(self, first: Page, lost: int) -> Generator[int, Page, set[str]]:
        """The keys of rows that are gone, found without reading the whole list; empty where that did not work."""
        self._known = self._lookup.all_rows(self._endpoint)
        loaded = {key: row.updated_at for key, row in self._known.items() if not row.removed and key not in self._gone}
        found = yield from Search(self._page, first, {**loaded, **self._seen}, self._seen, lost).run()
        if not found or not self._ask:
            return set()
        return found if all(row is None for row in self._ask(sorted(found)).values()) else set()

    def _has_moved(self, first: Page) -> bool:
        """Whether a list without a cursor may have changed beyond page 1, by its count and the rows that page shows."""
        return self._may_have_moved or self._active_after() != first.items_total or self._count_news() > 0

    # --- the whole list -----------------------------------------------------------------------------------------------

    def _read_whole(self, first: Page, last: Page) -> Steps:
        """Reads every page, at first those after ``last``, until a reading is consistent with itself and nothing came.

        A row that goes while another comes leaves the count as it is, yet moves the rows between the two across a page's
        border: one reading can lack a row that is listed all the time. Newest first, page 1 shows what came; in another
        order only a second reading does.
        """
        if not self._whole:
            self._whole, self._known = True, self._lookup.all_rows(self._endpoint)
        if self._newest is first:
            self._begin_reading(first)
        before: set[str] = set()
        newest_first = self._endpoint.sync is Sync.NEWEST_FIRST
        for _ in range(READINGS):
            keys = yield from self._read_on(first, last)
            is_consistent = len(self._totals) == 1 and first.items_total in (None, len(keys))
            is_twice_the_same = keys == before and not newest_first
            if is_consistent and (not first.has_next or is_twice_the_same or self._is_as_loaded(keys)):
                return
            again = yield from self._page(1)
            if is_consistent and newest_first and self._looks_alike(first, again):
                return
            first, last, before = again, again, keys if is_consistent else set()
            self._begin_reading(first)
        raise self._shifted()

    def _read_on(self, first: Page, last: Page) -> Generator[int, Page, set[str]]:
        self.last_wanted = first.pages_total or 0
        while last.has_next:
            last = yield from self._page(last.number + 1)
        self.last_wanted = 0
        return set(self._seen)

    def _begin_reading(self, first: Page) -> None:
        """Forgets what was seen before, of which ``first`` is a part at most."""
        for found in (self._seen, self._totals, self._gone, self._asked):
            found.clear()
        self._register(first)

    def _looks_alike(self, one: Page, other: Page) -> bool:
        """Whether two answers for a page say the same: as many rows in all, the same rows here, none of them updated."""
        # In any order: rows of one second may come in another one each time.
        first, second = ({(self._key_of(row), repr(row.get("updatedAt"))) for row in page.rows} for page in (one, other))
        return first == second and one.items_total == other.items_total

    def _is_as_loaded(self, keys: set[str]) -> bool:
        """Whether a list that grows at its end has the rows that are loaded: then nothing came or went."""
        return self._endpoint.sync is Sync.WHOLE and keys == self._known_active()

    def _known_active(self) -> set[str]:
        return {key for key, row in self._known.items() if not row.removed}

    # --- many lists ----------------------------------------------------------------------------------------------------

    def expect_lists(self, count: int) -> None:
        """Tells of ``count`` more lists to come: one per row of the endpoint's ``via``."""
        self._open_lists = (self._open_lists or 1) + count
        self._lists_expected += count

    def finish_list(self) -> None:
        """Tells that one of the lists, or the one that leads to them, has been read to its end, or is gone.

        Raises:
            ApiVideoRequestError: there is but one list, and the API does not have it.
        """
        if self._open_lists is None:
            raise ApiVideoRequestError(f"api.video has no {self._endpoint.listed_path or self._endpoint.path} (404).", 404)
        self._open_lists -= 1
        self.is_done = self._open_lists == 0

    # --- what is news ---------------------------------------------------------------------------------------------------

    def late_rows(self) -> list[dict[str, Any]]:
        """Rows to be taken when all pages have been: those asked for one by one, and those to be taken as gone.

        The latter were handed on from an earlier page, and are not listed any more.
        """
        lost = [key for key in self._taken if (key not in self._seen if self._whole else key in self._gone)]
        return [*self._asked, *({self._endpoint.key: key, MISSING: True} for key in lost)]

    def take(self, row: dict[str, Any], now: datetime) -> dict[str, Any] | None:
        """The row to load, if it is news; None where it is loaded already."""
        key = self._key_of(row)
        if row.get(MISSING):
            self._kinds[key], self.has_versions = "withdrawn", True
            return {self._endpoint.key: key, "removed_at": now, "_read_at": now}
        known, content_hash = self._known.get(key), hash_row(row)
        short = bytes.fromhex(content_hash)
        if self._taken.get(key) == short:
            return None
        if key not in self._taken and known and not known.removed and known.content_hash == content_hash:
            return None
        self.has_versions |= key in self._taken
        self._taken[key] = short
        if (kind := self._kind(known, row)) != "new":
            self._kinds[key] = kind
        return {**row, "_content_hash": content_hash, "_read_at": now}

    def _kind(self, known: KnownRow | None, row: Mapping[str, Any]) -> str:
        if known is None:
            return "new"
        if known.removed:
            return "restored"
        cursor, at = self._state.cursor, utc(row.get("updatedAt"))
        unmoved = at is not None and cursor is not None and at == known.updated_at and at <= cursor - REFETCHED
        return "drifted" if unmoved and self._endpoint.sync is Sync.NEWEST_FIRST else "changed"

    def conclude(self) -> Outcome:
        """What the reading came to, once ``is_done``.

        Raises:
            RemovalBrakeError: more rows are gone than the settings let one run remove.
        """
        active = self._known_active()
        gone = active - self._seen.keys() if self._whole else active & self._gone
        self._check_brake(len(gone), len(active) if self._whole else self._state.active)
        kinds = Counter(self._kinds.values())
        new = len(self._taken) - len(self._kinds)
        return Outcome(
            mode="first" if self._first else "full" if self._whole else "changes",
            items_total=len(self._seen) if self._total is None else self._total,
            active=self._state.active + new + kinds["restored"] - len(gone),
            new=new,
            changed=kinds["changed"] + kinds["drifted"],
            removed=len(gone),
            restored=kinds["restored"],
            drifted=kinds["drifted"],
            gone=sorted(gone - self._taken.keys()),
        )

    def _check_brake(self, gone: int, active: int) -> None:
        if gone >= BRAKE_FROM_ROWS and gone > self._max_removed_share * active:
            raise RemovalBrakeError(
                f"{self._endpoint.name}: {gone} of {active} rows are no longer listed by the API, more than the share "
                f"of {self._max_removed_share:g} that one run may mark removed. Nothing was removed. If this is right, "
                f"run once with {self._brake_variable}=1; if not, check the key, the environment and the filters."
            )


def _reaches(page: Page, until: datetime | None) -> bool:
    times = [utc(row.get("updatedAt")) for row in page.rows]
    return until is None or any(at is not None and at <= until - REFETCHED for at in times)


def is_full_due(state: TableState, full_check_hours: float, now: datetime) -> bool:
    """Whether the whole list was last compared long enough ago."""
    if state.last_full_at is None or full_check_hours == 0:
        return True
    return now - state.last_full_at >= timedelta(hours=full_check_hours)
