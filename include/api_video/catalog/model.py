"""The model of an endpoint: its path, columns, filters, and how its table is kept current."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal
from urllib.parse import quote

DataType = Literal["text", "timestamp", "bool", "bigint", "double"]
MAX_PAGE_SIZE = 100  # "Allowed values 1-100" (OpenAPI, parameter pageSize); the default is 25


class Sync(Enum):
    """How a table is kept equal to what the API lists. Code asks what a kind can do, not which one it is."""

    NEWEST_FIRST = "newest first"  # incremental: sorted by updatedAt, read down to the cursor
    COUNTED = "whole list where it may have changed"  # no cursor; page 1's count decides whether to read on
    WHOLE = "whole list"  # at each run: neither updatedAt nor the count shows every change
    PER_PARENT = "per parent"  # one object per parent row, requested when the parent is new or changed
    DAYS = "a day at a time"  # one row per day, of several answers; requested until its totals are settled
    LIST_PER_PARENT = "a list per parent"  # one list per parent row, requested when it is new, changed or due (``Due``)

    @property
    def is_list(self) -> bool:
        """Whether it is one list, of which one request answers with many rows."""
        return not (self.is_detail or self.is_list_per_parent or self.has_days)

    @property
    def is_detail(self) -> bool:
        """Whether each row is an object of its own, requested with the key of its parent's row."""
        return self is Sync.PER_PARENT

    @property
    def is_list_per_parent(self) -> bool:
        """Whether each row of the parent has a list of its own."""
        return self is Sync.LIST_PER_PARENT

    @property
    def has_days(self) -> bool:
        """Whether each row is a day, made of several answers."""
        return self is Sync.DAYS

    @property
    def has_cursor(self) -> bool:
        """Whether what changes goes to the top of the list, so that only that has to be read."""
        return self is Sync.NEWEST_FIRST

    @property
    def is_always_whole(self) -> bool:
        """Whether every run reads the whole list."""
        return self is Sync.WHOLE


class Host(Enum):
    """Which of api.video's hosts serves an endpoint. Each needs its own key (guide, reference/admin-api-overview)."""

    MAIN = "main"
    ADMIN = "admin"


@dataclass(frozen=True)
class Column:
    """A documented field of a payload.

    Attributes:
        path: the API's own name, a dot into each object and ``[]`` for each list (``encoding.qualities[].status``). Fields
            behind a ``[]`` land in a child table.
        unit: of a number.
        joins: the column it refers to (``players.player_id``), like a foreign key.
        made_of: name of the secret field beside it that this column is computed from (by ``made_by``); the secret itself is
            not stored.
    """

    path: str
    data_type: DataType
    meaning: str
    unit: str = ""
    joins: str = ""
    made_of: str = ""
    made_by: Callable[[str], str | None] | None = None

    @property
    def sent_path(self) -> str:
        """Path of the field in which the API sends it: its own, or that of the field of which it is made."""
        return self.path[: self.path.rfind(".") + 1] + self.made_of if self.made_of else self.path

    @property
    def description(self) -> str:
        """Meaning, unit and join in one text: the column's comment in the destination."""
        unit, joins = f" ({self.unit})" if self.unit else "", f"; joins {self.joins}" if self.joins else ""
        return f"{self.meaning}{unit}{joins}"


@dataclass(frozen=True)
class Due:
    """When a parent's list is requested although the parent stands still: nothing tells that such a list has changed.

    Attributes:
        every_days: it is requested once in so many days; if parents have an age, a few of them in each run.
        born: the parent's field that says when it came to be.
        young_h: in the parent's first hours, the list is requested at each run.
    """

    every_days: float
    born: str = ""
    young_h: float = 0


@dataclass(frozen=True)
class Ask:
    """One question to the analytics API about a span of time; its answer fills one column.

    Attributes:
        path: below ``/data/``: ``metrics/play/count`` answers with a number, ``buckets/play/country`` with a number for each
            value, ``timeseries/play`` with a number for each hour.
        column: field that the numbers fill.
        only_if: field of the parent's row: if it is 0, the answer is known to be empty.
        only_of: the parameter ``filterBy`` that narrows it to the parent's row, and the field of that row with its value.
    """

    path: str
    column: str
    only_if: str = ""
    only_of: tuple[str, str] | None = None

    @property
    def has_values(self) -> bool:
        """Whether the answer is a list, of a number for each value."""
        return not self.path.startswith("metrics/")


@dataclass(frozen=True)
class Filter:
    """A filter that a list accepts. ``name`` is the setting (snake_case), ``parameter`` the API's spelling."""

    name: str
    parameter: str
    kind: Literal["text", "list", "map"] = "text"
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """One resource. A quirk of the API is a field here, never an ``if name == ...`` elsewhere.

    Attributes:
        path: path of the list; for single objects, with the parent's key in braces.
        key: field that identifies a row, in the API's spelling.
        key_parts: fields that identify a row together: the key is a column of ours, with their values joined by a slash.
        group: task group in the DAG.
        sort_by: value of ``sortBy`` that gives the list a stable order; None where the API sorts nothing.
        one_path: path of a single row of the list, its key in braces. Used to ask whether that row still exists.
        bin: list to which discarded rows move, and from which restored ones come back. It is loaded first.
        parent: resource whose loaded rows say which objects, or whose lists, to request.
        asks: questions whose answers make the rows together, for the span of time of the parent's row (or of the day).
        carried: fields of the parent's row that the rows of its list have, too.
        at_close: a list of a parent that belongs to a day is requested once that day is over; ``most_played`` limits it to
            the rows of a day with the most plays, as many as the setting says.
        value_of: turns a value of an answer into the one that is stored; the numbers of equal ones are added up.
        params: further parameters of each request for a list of a parent.
        keeps_rows: rows are never removed, because the API forgets old ones; they also stay when their parent is removed.
        due: when the list of a parent that stands still is requested again.
        parent_where: only for parents with these field values, or one of several.
        missing_ok: a 404 means "there is none" and is stored as that.
        is_final: called with the stored object; False means: request it again at each run, even if its parent is unchanged.
        secrets: fields that must never be stored, at any depth of this payload.
        per_row_of: Admin API only: another list, as (path, key), each row of which has a list of this endpoint; it is walked
            first. A list for each row of a table is ``Sync.LIST_PER_PARENT``.
        listed_path: path to use where the host does not serve ``per_row_of``.
        on_by_default: whether a fresh install loads it; what the Admin API has is loaded once an admin key is set.
    """

    name: str
    path: str
    key: str
    group: str
    sync: Sync
    meaning: str
    columns: tuple[Column, ...]
    key_parts: tuple[str, ...] = ()
    sort_by: str | None = None
    filters: tuple[Filter, ...] = ()
    one_path: str | None = None
    bin: str | None = None
    parent: str | None = None
    parent_where: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    asks: tuple[Ask, ...] = ()
    carried: tuple[str, ...] = ()
    at_close: bool = False
    most_played: bool = False
    value_of: Callable[[str], str] = str
    params: Mapping[str, str | int] = field(default_factory=dict)
    keeps_rows: bool = False
    due: Due | None = None
    missing_ok: bool = False
    is_final: Callable[[Mapping[str, Any]], bool] = lambda _: True
    secrets: tuple[str, ...] = ()
    host: Host = Host.MAIN
    per_row_of: tuple[str, str] | None = None
    listed_path: str | None = None
    on_by_default: bool = True

    @property
    def is_list(self) -> bool:
        """Whether one request answers with many rows."""
        return self.sync.is_list

    @property
    def switch(self) -> str:
        """What has to be set for the resource to be loaded, in words; empty for what a fresh install loads."""
        if self.on_by_default:
            return ""
        return "with an admin key" if self.host is Host.ADMIN else "off by default"

    @property
    def sent_key(self) -> str:
        """The field in which the API sends the key, or that of which the key is made."""
        return next((column.made_of for column in self.columns if column.path == self.key and column.made_of), self.key)

    def path_of_list(self, parent_key: str) -> str:
        """Path of the list that a parent's row has; its key is the first of ``key_parts``."""
        return self.path.replace("{" + self.key_parts[0] + "}", quote(parent_key, safe=""))
