"""What an entry of the table of endpoints says: the endpoint, its columns, its filters, how it is kept current."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

DataType = Literal["text", "timestamp", "bool", "bigint", "double"]
MAX_PAGE_SIZE = 100  # "Allowed values 1-100" (OpenAPI, parameter pageSize); the default is 25


class Sync(Enum):
    """How a table is kept equal to what the API lists. Code asks what a kind can do, not which one it is."""

    NEWEST_FIRST = "newest first"  # sorted by updatedAt, read down to the newest row loaded before
    COUNTED = "whole list where it may have changed"  # no cursor, but a count: page 1 tells whether to read on
    WHOLE = "whole list"  # neither can be trusted: every page, every time
    PER_PARENT = "per parent"  # one request per row of the parent's table, where that row is new or changed

    @property
    def is_list(self) -> bool:
        """Whether one request answers with many rows."""
        return self is not Sync.PER_PARENT

    @property
    def has_cursor(self) -> bool:
        """Whether what changes goes to the top of the list, so that only that has to be read."""
        return self is Sync.NEWEST_FIRST

    @property
    def is_always_whole(self) -> bool:
        """Whether every run reads the whole list."""
        return self is Sync.WHOLE


class Host(Enum):
    """Which of api.video's hosts serves an endpoint; each has a key of its own."""

    MAIN = "main"
    ADMIN = "admin"


@dataclass(frozen=True)
class Column:
    """A documented field of a payload.

    ``path`` is the API's own name, with dots into objects and ``[]`` for each list (``encoding.qualities[].status``);
    what stands behind a ``[]`` lands in a child table. ``unit`` is that of a number, ``joins`` the column of another table
    (``players.player_id``) that it names a row of.
    """

    path: str
    data_type: DataType
    meaning: str
    unit: str = ""
    joins: str = ""

    @property
    def description(self) -> str:
        """The meaning with unit and join: the comment in the destination."""
        unit, joins = f" ({self.unit})" if self.unit else "", f"; joins {self.joins}" if self.joins else ""
        return f"{self.meaning}{unit}{joins}"


@dataclass(frozen=True)
class Filter:
    """A filter that a list accepts. ``name`` is ours (snake_case), ``parameter`` the API's."""

    name: str
    parameter: str
    kind: Literal["text", "list", "map"] = "text"
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """One resource. A quirk of the API is a field here, never an ``if name == ...`` elsewhere.

    Attributes:
        path: of the list, or of one object with the parent's key in braces.
        key: name of the field that identifies a row, as the API spells it.
        group: task group in the DAG.
        sort_by: the value of ``sortBy`` that gives a list a stable order; None where the API sorts nothing.
        one_path: of one row of a list, with its key in braces: asked whether a row is still there.
        bin: list that rows of this one go to and come back from; it is loaded before.
        parent: resource whose loaded rows say which objects to ask for.
        parent_where: only parents whose fields have these values.
        missing_ok: a 404 says "there is none", and is remembered as such.
        is_final: whether a loaded object can still change without its parent changing (False: ask again).
        secrets: fields that must never be stored, at any depth of this payload.
        via: list that must be walked first, as (path, key): one call of ``path`` per row of it.
        listed_path: path to use where the host does not know ``via``.
        on_by_default: whether a fresh install loads it.
    """

    name: str
    path: str
    key: str
    group: str
    sync: Sync
    meaning: str
    columns: tuple[Column, ...]
    sort_by: str | None = None
    filters: tuple[Filter, ...] = ()
    one_path: str | None = None
    bin: str | None = None
    parent: str | None = None
    parent_where: Mapping[str, str] = field(default_factory=dict)
    missing_ok: bool = False
    is_final: Callable[[Mapping[str, Any]], bool] = lambda _: True
    secrets: tuple[str, ...] = ()
    host: Host = Host.MAIN
    via: tuple[str, str] | None = None
    listed_path: str | None = None
    on_by_default: bool = True

    @property
    def is_list(self) -> bool:
        """Whether one request answers with many rows."""
        return self.sync.is_list
