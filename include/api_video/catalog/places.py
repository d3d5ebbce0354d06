"""The rules for each place in a payload: its name in the warehouse, whether it is a secret, what it should hold.

A place is a path such as ``encoding.qualities[].status``. Its rules are worked out once, when a row first has it, and depend
on the path alone: the same row always gets the same names, whatever came before it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from dlt.common.normalizers.json.relational import DataItemNormalizer
from dlt.common.normalizers.naming.snake_case import NamingConvention

from include.api_video.catalog.model import Column, Endpoint
from include.api_video.catalog.naming import DETAIL_COLUMNS, MORE_FIELDS, OWN_COLUMNS, snake
from include.api_video.catalog.secrets import bare, secrets_of
from include.api_video.catalog.storable import storable

# Customers write these: they are stored unchanged.
FREE_TEXT = frozenset({"title", "description", "name", "tags", "metadata", "abstract", "takeaways"})
DEEPEST = 8  # levels of objects and lists; the API documents four. Anything deeper is stored as JSON text
EMPTY = DataItemNormalizer.EMPTY_KEY_IDENTIFIER
VARIANT = re.compile(r"v_(text|double|bool|timestamp|bigint|binary|json|decimal|wei|date|time)")
TIME = object()  # stands for the type of a documented timestamp: a text that reads as one
_PLAIN = {"text": str, "bool": bool, "bigint": int, "double": float, "timestamp": TIME}
_NAMING = NamingConvention()
_UNDERSCORES = re.compile("__+")
_NO_ASCII = re.compile(r"[^\x00-\x7f]")


def object_paths(endpoint: Endpoint) -> frozenset[tuple[str, ...]]:
    """Paths of the fields documented as objects: ``{("ingest",), ("ingest", "receivedParts"), ...}``."""
    paths = set()
    for column in endpoint.columns:
        parts = column.path.split(".")
        for depth in range(1, len(parts)):
            if not any(part.endswith("[]") for part in parts[:depth]):
                paths.add(tuple(parts[:depth]))
    return frozenset(paths)


class Documented:
    """A documented field and its children: ``fields`` of an object, ``items`` of a list."""

    __slots__ = ("data_type", "fields", "items")

    def __init__(self) -> None:
        self.fields: dict[str, Documented] = {}
        self.items: Documented | None = None
        self.data_type = ""

    @classmethod
    def of(cls, columns: Iterable[Column]) -> Documented:
        """The tree of an endpoint's columns."""
        root = cls()
        for column in columns:
            field = root
            for part in column.path.split("."):
                field = field.fields.setdefault(part.removesuffix("[]"), cls())
                if part.endswith("[]"):
                    field.items = field = field.items or cls()
            field.data_type = column.data_type
        return root


class Rules:
    """Rules for all fields of an endpoint, at any depth."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.key = (endpoint.key,)
        self.secret = secrets_of(endpoint)
        self.objects = object_paths(endpoint)
        self.spellings = {part for column in endpoint.columns for part in column.path.replace("[]", "").split(".")}
        own = {column.path for column in OWN_COLUMNS + DETAIL_COLUMNS}
        self.reserved = frozenset({*map(snake, self.spellings), *own, MORE_FIELDS})
        self.carried = snake(endpoint.key)  # dlt adds the key to each row of a child table
        self.learned = 0  # places so far; a payload with generated field names adds more with every row

    def is_secret(self, name: str) -> bool:
        """Whether a field holds a credential."""
        return bare(name) in self.secret

    def name_of(self, name: str, *, is_root: bool, in_item: bool) -> str:
        """The name to store a field under.

        An undocumented field can collide with a column of ours (``removedAt``), of another field (``Title``) or of dlt.
        It is then stored as ``api_...``. A name without a letter becomes ``_empty``, dlt's own word for it.
        """
        kept = storable(name)
        if not kept.replace("_", " ").strip() and kept.strip() != "_":
            return EMPTY
        kept = _UNDERSCORES.sub("_", kept)  # dlt separates nested fields with two underscores
        column = column_of(kept)
        if not column.isascii():  # digits of other scripts
            kept = _UNDERSCORES.sub("_", _NO_ASCII.sub("_", kept))
            column = column_of(kept)
        is_taken = name not in self.spellings and (column in self.reserved or column.startswith("_dlt"))
        is_taken |= (in_item and column == self.carried) or (not is_root and VARIANT.fullmatch(column) is not None)
        return f"api_{kept.lstrip('_')}" if is_taken else kept


class Place:
    """A field of an object, or the items of a list.

    Attributes:
        kept: name to store it under; None for a secret.
        column: that name as the warehouse spells it.
        is_free: customers write it, so it is stored unchanged.
        is_object: documented as an object, so null and [] mean the same as a missing field.
        is_deepest: objects and lists inside it are stored as JSON.
        plain: type that its column is declared with; None for an undocumented field.
    """

    __slots__ = (
        "_documented", "_fields", "_items", "_path", "_rules", "column", "depth",
        "is_deepest", "is_free", "is_object", "kept", "plain",
    )  # fmt: skip

    def __init__(
        self,
        rules: Rules,
        kept: str | None,
        path: tuple[str, ...],
        depth: int,
        documented: Documented | None,
        is_free: bool,
    ) -> None:
        rules.learned += 1
        self._rules, self._path, self._documented, self.depth = rules, path, documented, depth
        self.kept, self.is_free = kept, is_free
        self.column = column_of(kept) if kept else ""
        self.is_object = path in rules.objects
        self.is_deepest = depth >= DEEPEST
        self.plain: Any = _PLAIN.get(documented.data_type) if documented else None
        self._fields: Fields | None = None
        self._items: Place | None = None

    @classmethod
    def of_row(cls, endpoint: Endpoint) -> Place:
        """The root: a whole row of an endpoint."""
        return cls(Rules(endpoint), None, (), 0, Documented.of(endpoint.columns), is_free=False)

    @property
    def has_grown(self) -> bool:
        """Whether so many places are known that it is better to start afresh: they are kept in memory."""
        return self._rules.learned > 20_000

    @property
    def is_list(self) -> bool:
        """Whether this is documented as a list."""
        return self._documented is not None and self._documented.items is not None

    def is_secret(self, name: str) -> bool:
        """Whether a field with this name holds a credential."""
        return self._rules.is_secret(name)

    @property
    def _is_free_inside(self) -> bool:
        """Whether texts inside it are stored unchanged, too: nothing is inside a key."""
        return self.is_free and self._path != self._rules.key

    @property
    def fields(self) -> Fields:
        """The fields of an object at this place."""
        if self._fields is None:
            self._fields = Fields(self)
        return self._fields

    @property
    def items(self) -> Place:
        """The items of a list at this place."""
        if self._items is None:
            inside = self._documented.items if self._documented else None
            self._items = Place(self._rules, self.kept, (*self._path, "[]"), self.depth + 1, inside, self._is_free_inside)
        return self._items

    def inside(self, name: str) -> Place:
        """The place of one field of the object here."""
        rules = self._rules
        in_item = bool(self._path) and self._path[-1] == "[]"
        kept = None if rules.is_secret(name) else rules.name_of(name, is_root=not self._path, in_item=in_item)
        documented = self._documented.fields.get(name) if self._documented else None
        path = (*self._path, name)  # a key that was changed could become another row's
        is_free = self._is_free_inside or name in FREE_TEXT or path == rules.key
        return Place(rules, kept, path, self.depth + 1, documented, is_free=is_free)

    def rank(self, name: str) -> tuple[bool, bool, str]:
        """Sort key among fields that share a column: the lowest keeps it, documented before undocumented."""
        here = self._documented is not None and name in self._documented.fields
        return not here, name not in self._rules.spellings, name


class Fields(dict[str, Place]):
    """The places of an object's fields by name, each worked out at its first use.

    ``has_rivals`` says that two of the names would share a column.
    """

    def __init__(self, owner: Place) -> None:
        super().__init__()
        self._owner, self._columns = owner, set[str]()
        self.has_rivals = False

    def __missing__(self, name: str) -> Place:
        self[name] = place = self._owner.inside(name)
        if place.kept is not None:
            self.has_rivals |= place.column in self._columns
            self._columns.add(place.column)
        return place

    def keep_apart(self, names: Iterable[str]) -> dict[str, str]:
        """New names, by field, for the fields of one object whose column another field of it keeps."""
        sharing: dict[str, list[str]] = {}
        for name in names:
            if self[name].kept is not None:
                sharing.setdefault(self[name].column, []).append(name)
        return {
            name: f"{column}_{_tag(name)}"
            for column, rivals in sharing.items()
            for name in sorted(rivals, key=self._owner.rank)[1:]
        }


def column_of(name: str) -> str:
    """The column for a field name, as dlt's normalizer spells it."""
    return str(_NAMING.normalize_path(name)) if name.strip() else EMPTY


def _tag(name: str) -> str:
    """Six characters that tell spellings of a name apart."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
