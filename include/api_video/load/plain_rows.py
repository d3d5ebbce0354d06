"""Fast path for plain rows, those with only documented fields of documented types: splits them into rows of tables.

Nearly all rows are plain. dlt's normalizer works out type, column and name of every value: two thirds of the time of a
first load. For plain rows the documentation gives all three. The result is what dlt would produce, except that the ids are
numbered, not random (a test compares both). All other rows go through dlt (``fitting``).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any, cast

from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import OWN_COLUMNS, snake, table_and_column
from include.api_video.catalog.places import TIME, Place
from include.api_video.catalog.storable import INT64, PLAIN_TIMESTAMP

EXACT = 2**53  # whole numbers up to here are exact as floats
LEAST, MOST = INT64.start, INT64.stop - 1
Write = Callable[[str, dict[str, Any]], object]


class Level:
    """The documented fields of an object, or of the objects in a list.

    Attributes:
        kinds: what each field holds: the type of a plain value, TIME, a Level, or Items.
        columns: the column of each plain value.
        guarded: fields whose texts may hold a token, and the fields around them; not free text, which customers write.
    """

    __slots__ = ("columns", "guarded", "kinds")

    def __init__(self) -> None:
        self.kinds: dict[str, Any] = {}
        self.columns: dict[str, str] = {}
        self.guarded: list[str] = []


class Items:
    """What a documented list holds: objects (a Level) or plain values (their type), in a child table."""

    __slots__ = ("inside", "table")

    def __init__(self, table: str, inside: Any) -> None:
        self.table, self.inside = table, inside


class PlainRows:
    """Recognizes the plain rows of one endpoint, and splits them into rows of tables."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint, self._key = endpoint, snake(endpoint.key)
        self._level = Level()
        root = Place.of_row(endpoint)
        for column in endpoint.columns:
            self._add(column.path, root, self._level, "")
        self._level.columns |= {column.path: column.path for column in OWN_COLUMNS}
        self._prefix, self._count = base64.b64encode(os.urandom(9)).decode(), 0

    def _add(self, path: str, place: Place, level: Level, before: str) -> None:
        """Adds a documented field to a level, unless it is stored under another name: no plain row has such a field."""
        part, _, rest = path.partition(".")
        name, is_list, here = part.removesuffix("[]"), part.endswith("[]"), f"{before}{part}"
        inside = place.fields[name]
        if inside.kept != name:
            return
        if not inside.is_free and name not in level.guarded:
            level.guarded.append(name)
        if is_list:
            items = level.kinds.setdefault(name, Items(table_and_column(self._endpoint.name, here)[0], None))
            if not rest:
                items.inside = inside.items.plain
                return
            items.inside = items.inside or Level()
            self._add(rest, inside.items, items.inside, f"{here}.")
        elif rest:
            self._add(rest, inside, level.kinds.setdefault(name, Level()), f"{here}.")
        else:
            level.kinds[name], level.columns[name] = inside.plain, table_and_column(self._endpoint.name, here)[1]

    def holds(self, row: dict[str, Any]) -> bool:
        """Whether a row is plain: every field documented, of its documented type, and stored unchanged.

        Does not look into texts: ``Redaction`` does.
        """
        return _holds(self._level, row)

    def without_tokens(self, row: dict[str, Any], strip: Callable[[str], str]) -> dict[str, Any]:
        """Returns the row with ``strip`` applied to each text that may hold a token."""
        return cast("dict[str, Any]", _stripped(self._level, row, strip))

    def split(self, row: dict[str, Any], load_id: str, write: Write) -> None:
        """Splits a plain row, to which our own columns were added: calls ``write(table, row)`` for each row of a table."""
        columns = {"_dlt_load_id": load_id, "_dlt_id": self._next_id()}
        lists: list[tuple[Items, list[Any]]] = []
        _flatten(self._level, row, columns, lists)
        write(self._endpoint.name, columns)
        if lists:
            carried = {self._key: columns[self._key], "_dlt_root_id": columns["_dlt_id"]}
            self._split_lists(lists, carried, columns["_dlt_id"], write)

    def _split_lists(
        self, lists: list[tuple[Items, list[Any]]], carried: dict[str, Any], parent_id: str, write: Write
    ) -> None:
        for items, parts in lists:
            for index, part in enumerate(parts):
                columns = {
                    **carried,
                    "_dlt_parent_id": parent_id,
                    "_dlt_list_idx": index,
                    "_dlt_id": self._next_id(),
                }
                if type(part) is not dict:
                    columns["value"] = part
                    write(items.table, columns)
                    continue
                deeper: list[tuple[Items, list[Any]]] = []
                _flatten(items.inside, part, columns, deeper)
                write(items.table, columns)
                if deeper:
                    self._split_lists(deeper, carried, columns["_dlt_id"], write)

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count:x}"


# One loop for speed: it sees each value of each row.
def _holds(level: Level, value: dict[str, Any]) -> bool:  # noqa: C901
    kinds = level.kinds
    for name, item in value.items():
        kind = kinds.get(name)
        type_ = type(item)
        if type_ is kind:
            if type_ is int and not LEAST <= item <= MOST:
                return False
            if type_ is float and item - item != 0:  # NaN, infinite
                return False
        elif type_ is str:
            if kind is not TIME or not PLAIN_TIMESTAMP(item):
                return False
        elif item is None:
            if kind is None or type(kind) is Level or type(kind) is Items:
                return False
        elif type_ is dict:
            if type(kind) is not Level or not _holds(kind, item):
                return False
        elif type_ is list:
            if type(kind) is not Items:
                return False
            inside = kind.inside
            if type(inside) is Level:
                for part in item:
                    if type(part) is not dict or not _holds(inside, part):
                        return False
            else:
                for part in item:
                    if type(part) is not str or inside is not str:
                        return False
        elif not (type_ is int and kind is float and -EXACT <= item <= EXACT):
            return False
    return True


def _stripped(level: Any, value: Any, strip: Callable[[str], str]) -> Any:
    if type(value) is str:
        return strip(value)
    if type(value) is dict:
        clean, kinds = dict(value), level.kinds
        for name in level.guarded:
            if (item := value.get(name)) is not None:
                clean[name] = _stripped(kinds[name], item, strip)
        return clean
    if type(value) is list:
        return [_stripped(level.inside, part, strip) for part in value]
    return value


def _flatten(level: Level, value: dict[str, Any], columns: dict[str, Any], lists: list[tuple[Items, list[Any]]]) -> None:
    kinds, names = level.kinds, level.columns
    for name, item in value.items():
        if (column := names.get(name)) is not None:
            if item is not None:
                columns[column] = item
        elif type(item) is dict:
            _flatten(kinds[name], item, columns, lists)
        elif item:
            lists.append((kinds[name], item))
