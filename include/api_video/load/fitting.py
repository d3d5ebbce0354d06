"""Schema evolution: puts each value of a cleaned row into a column that can hold it unchanged.

dlt coerces values: in a flag's column both 7 and ``yes`` become true, and ``0x1f`` becomes 31. On others it fails: a time
after the year 9999, a number beyond 64 bits. So this module checks each value first. A value that its column cannot hold
goes into a variant column of the value's own type, named as dlt names it (``created_at__v_text``). Each new column is
declared with the type of its first value.

Only rows with an undocumented field or type come here (``Redaction.is_plain``), and only when they are loaded: a row's hash
(``hash_row``) does not depend on the columns of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import dlt
from dlt.common.data_types import TDataType
from dlt.common.schema.typing import TColumnSchema, TTableSchema
from dlt.common.schema.utils import get_nested_tables, is_complete_column, new_table
from dlt.common.typing import VARIANT_FIELD_FORMAT

from include.api_video.api.odd_json import dump_json
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import MORE_FIELDS, table_and_column
from include.api_video.catalog.storable import INT64, read_timestamp

# PostgreSQL allows 1,600 columns per table; a payload that uses ids as field names adds columns without end.
MOST_COLUMNS = 250  # of a table
MOST_TABLES = 25  # of a resource
LONGEST_TABLE = 120  # characters of a name: dlt names files after tables
EXACT = 2**53  # whole numbers up to here are exact as floats


class Fitting:
    """Fits the rows of one resource, and adds the columns and tables that they need to the schema.

    Args:
        schema: the schema that dlt loads with, including what earlier loads added (``merge_child_tables``).
    """

    def __init__(self, endpoint: Endpoint, schema: dlt.Schema) -> None:
        self._root, self._schema, self._naming = endpoint.name, schema, schema.naming
        self._types: dict[str, dict[str, TDataType]] = {}
        self._parents: dict[str, str | None] = {}
        # A documented flag that comes as 0, 1, "true" or "false" stays a flag.
        self._flags = {table_and_column(endpoint.name, c.path) for c in endpoint.columns if c.data_type == "bool"}
        for table in get_nested_tables(schema.tables, endpoint.name):
            name = str(table["name"])
            self._parents[name] = table.get("parent")
            complete = {column: hints for column, hints in table["columns"].items() if is_complete_column(hints)}
            self._types[name] = {column: cast(TDataType, hints["data_type"]) for column, hints in complete.items()}

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Returns the row, each value under the name of a column that can hold it."""
        return self._row(row, (self._root,))

    def _row(self, value: dict[str, Any], trail: Sequence[str]) -> dict[str, Any]:
        """Fits a row of the resource's table or of a child table; ``trail`` is the path to that table."""
        more: dict[str, Any] = {}
        fitted = self._object(value, trail, (), more)
        if more:
            fitted[MORE_FIELDS] = self._scalar(_as_json(more), trail, (MORE_FIELDS,))
        return fitted

    def _object(
        self, value: dict[str, Any], trail: Sequence[str], path: Sequence[str], more: dict[str, Any]
    ) -> dict[str, Any]:
        fitted: dict[str, Any] = {}
        for name, item in value.items():
            here = (*path, self._identifier(name))
            if isinstance(item, dict):
                fitted[name] = self._object(item, trail, here, more)
            elif isinstance(item, list):
                self._list(name, item, trail, here, fitted, more)
            elif item is None:
                if self._is_known(trail, here):  # dlt would warn of a column without a type
                    fitted[name] = None
            elif self._is_known(trail, here) or self._has_room(trail):
                fitted[name] = self._scalar(item, trail, here)
            else:
                more["__".join(here)] = item
        return fitted

    def _list(
        self,
        name: str,
        items: list[Any],
        trail: Sequence[str],
        path: Sequence[str],
        fitted: dict[str, Any],
        more: dict[str, Any],
    ) -> None:
        """Fits a list, under a name whose child table has this table as its parent."""
        parent = self._table(trail)
        # {"a": {"b": []}} and {"a": [{"b": []}]} would share a child table: its rows could have two parents.
        while self._parents.get(self._table((*trail, *path)), parent) != parent:
            name = f"{name}_of_item"
            path = (*path[:-1], self._identifier(name))  # not that of the old name and more: a name may have no letter
        child = self._table((*trail, *path))
        if items and child not in self._parents:
            if len(self._parents) >= MOST_TABLES or len(child) > LONGEST_TABLE:
                more["__".join(path)] = items
                return
            self._parents[child], self._types[child] = parent, {}
            self._schema.update_table(new_table(child, parent_table_name=parent), normalize_identifiers=False)
        fitted[name] = [self._item(item, (*trail, *path)) for item in items]

    def _item(self, item: Any, trail: Sequence[str]) -> Any:
        if isinstance(item, dict):
            return self._row(item, trail)
        if isinstance(item, list):  # as dlt does with a list in a list
            return self._row({"list": item}, trail)
        fitted = self._scalar(item, trail, ("value",))
        return {"value": fitted} if isinstance(fitted, dict) else fitted

    def _is_known(self, trail: Sequence[str], path: Sequence[str]) -> bool:
        return self._naming.shorten_fragments(*path) in self._types[self._table(trail)]

    def _has_room(self, trail: Sequence[str]) -> bool:
        return len(self._types[self._table(trail)]) < MOST_COLUMNS

    def _scalar(self, item: Any, trail: Sequence[str], path: Sequence[str]) -> Any:
        """Returns the value, wrapped if it goes into a variant column: ``{"v_text": value}``."""
        if item is None:
            return None
        table, variants = self._table(trail), list[str]()
        while True:
            column = self._naming.shorten_fragments(*path, *variants)
            data_type = self._types[table].get(column)
            if data_type is None:
                self._declare(table, column, _type_of(item, is_variant=bool(variants)), is_variant=bool(variants))
                break
            if fits(data_type, item) or ((table, column) in self._flags and item in (0, 1, "true", "false")):
                break
            variants.append(VARIANT_FIELD_FORMAT % _type_of(item, is_variant=True))
        for variant in reversed(variants):
            item = {variant: item}
        return item

    def _declare(self, table: str, column: str, data_type: TDataType, *, is_variant: bool) -> None:
        hints: TColumnSchema = {"name": column, "data_type": data_type, "nullable": True}
        if is_variant:
            hints["variant"] = True
            hints["description"] = "Values that the column without __v_ cannot hold"
        self._types[table][column] = data_type
        self._schema.update_table(
            cast(TTableSchema, {"name": table, "columns": {column: hints}, **_parent(self._parents[table])}),
            normalize_identifiers=False,
        )

    def _identifier(self, name: str) -> str:
        """A field's name as dlt normalizes it for this destination."""
        return str(self._naming.normalize_path(name))

    def _table(self, trail: Sequence[str]) -> str:
        return str(self._naming.shorten_fragments(*trail))


def fits(data_type: TDataType, item: Any) -> bool:
    """Whether a column can hold a value without losing anything."""
    if isinstance(item, datetime):
        return data_type == "timestamp"
    if isinstance(item, bool):
        return data_type in ("bool", "text")
    if data_type == "text":
        return True
    if isinstance(item, str):
        return _fits_text(data_type, item)
    if data_type == "bigint":
        return type(item) is int or (item.is_integer() and abs(item) <= EXACT and str(item) != "-0.0")
    return data_type == "double" and (type(item) is float or abs(item) <= EXACT)


def _fits_text(data_type: TDataType, item: str) -> bool:
    """Whether a text can become a value of another type without losing anything."""
    if data_type == "timestamp":
        return read_timestamp(item) is not None
    try:
        if data_type == "bigint":
            return len(item) < 20 and str(int(item)) == item and int(item) in INT64
        return data_type == "double" and repr(float(item)) == item and item[-1] not in "fn"  # inf, nan
    except ValueError:
        return False


def _type_of(item: Any, *, is_variant: bool) -> TDataType:
    if isinstance(item, bool):
        return "bool"
    if isinstance(item, (int, float)):
        return "bigint" if isinstance(item, int) else "double"
    if isinstance(item, datetime):
        return "timestamp"
    is_time = not is_variant and len(item) > len("2024-01-01") and read_timestamp(item) is not None
    return "timestamp" if is_time else "text"


def _parent(name: str | None) -> Any:
    return {"parent": name} if name else {}


def _as_json(value: Any) -> str:
    return dump_json(value, lambda *_: True, lambda item: item)
