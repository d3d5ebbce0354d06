"""One list of the API. Rows are made when they are read; sort orders follow each change."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, Iterable, Iterator

from include.demo_api.samples import Row


class Collection:
    """Rows by key. Only changed and added rows are stored; the others are made from their index each time.

    A sort order is built at the first request that needs it and updated with each change, so a benchmark with 100,000
    videos sorts them once.
    """

    def __init__(self, make: Callable[[int], Row], keys: Iterable[str], first_index: int = 0) -> None:
        self.make = make
        self.index = {key: index for index, key in enumerate(keys, first_index)}
        self._kept: dict[str, Row] = {}
        self._orders: dict[str, list[tuple[str, str]]] = {}
        self._selections: dict[Hashable, list[str]] = {}
        self._watchers: list[Callable[[Row | None, Row | None], object]] = []

    def watch(self, follow: Callable[[Row | None, Row | None], object]) -> None:
        """Calls ``follow(before, after)`` with each change of a row from now on; None where there is none."""
        self._watchers.append(follow)

    def _tell(self, before: Row | None, after: Row | None) -> None:
        for follow in self._watchers:
            follow(before, after)

    def __contains__(self, key: str) -> bool:
        return key in self.index

    def __iter__(self) -> Iterator[str]:
        return iter(self.index)

    def __len__(self) -> int:
        return len(self.index)

    def row(self, key: str) -> Row:
        """A row; copy it before changing it."""
        return self._kept.get(key) or self.make(self.index[key])

    def put(self, key: str, row: Row, index: int) -> None:
        """Add or replace a row; its children are made from ``index``."""
        before = self.row(key) if key in self.index else None
        if before is not None:
            self._leave_orders(key)
        self.index[key] = index
        self._kept[key] = row
        self._selections.clear()
        for field, order in self._orders.items():
            insort(order, (sort_value(row, field), key))
        self._tell(before, row)

    def remove(self, key: str) -> tuple[Row, int]:
        """Take a row out and return it with its index."""
        row = self.row(key)
        self._leave_orders(key)
        self._kept.pop(key, None)
        self._selections.clear()
        index = self.index.pop(key)
        self._tell(row, None)
        return row, index

    def keys(
        self,
        sort_by: str,
        descending: bool = False,
        where: Callable[[Row], bool] | None = None,
        name: Hashable = None,
    ) -> list[str]:
        """The keys in order for which ``where`` is true. A selection is cached by ``name`` until the next change."""
        selection = (sort_by, descending, name)
        if selection not in self._selections:
            keys = [key for _, key in self._order(sort_by)]
            keys = [key for key in keys if where(self.row(key))] if where else keys
            self._selections[selection] = keys[::-1] if descending else keys
        return self._selections[selection]

    def _order(self, field: str) -> list[tuple[str, str]]:
        if field not in self._orders:
            self._orders[field] = sorted((sort_value(self.row(key), field), key) for key in self.index)
        return self._orders[field]

    def _leave_orders(self, key: str) -> None:
        row = self.row(key)
        for field, order in self._orders.items():
            del order[bisect_left(order, (sort_value(row, field), key))]


def sort_value(row: Row, field: str) -> str:
    """The sort key of a row; rows without the field come first."""
    return str(row.get(field) or "")
