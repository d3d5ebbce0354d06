r"""Reads JSON that the fast parser refuses or rounds, and writes values of any depth. Neither uses recursion.

orjson refuses half an emoji (``"\ud83d"``), ``NaN``, ``1e400`` and more than 1,024 levels, and rounds
``18446744073709551617`` to a float. A page with one of these is read here instead: more slowly, but exactly.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

from dlt.common.json import json as fast

_ALL_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER, _LONG_NEGATIVE = b"0" * 20, b"-" + b"0" * 19  # so many digits may not fit into 64 bits
_TOKEN = re.compile(
    r"""[ \t\n\r]*(?:
        (?P<sign>[{}\[\],:])
      | (?P<text>"[^"\\]*(?:\\.[^"\\]*)*")
      | (?P<number>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![0-9.A-Za-z])
      | (?P<word>-?Infinity|NaN|true|false|null)
      | (?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"true": True, "false": False, "null": None}
_VALUE, _KEY, _COLON, _COMMA = "a value", "a name", "a colon", "a comma"


def parse_json(content: bytes) -> Any:
    """The value of a JSON text. Numbers beyond a float and beyond 64 bits stay text: ``"1e400"``, ``"NaN"``.

    A lone surrogate stays one, and a byte that is not UTF-8 becomes one (PEP 383); ``storable`` turns both into text.

    Raises:
        ValueError: it is not JSON.
    """
    digits = content.translate(_ALL_ZERO)
    if _LONG_NUMBER not in digits and _LONG_NEGATIVE not in digits:
        try:
            return fast.loadb(content)
        except ValueError:
            pass
    return _Reader().read(content.decode("utf-8-sig", "surrogateescape"))


class _Reader:
    """One pass over the tokens, with a stack of the open objects and lists."""

    def __init__(self) -> None:
        self._open: list[Any] = []
        self._key = ""
        self._root: Any = None
        self._next, self._may_end = _VALUE, False  # what must come next; whether the open one may end instead

    def read(self, text: str) -> Any:
        for kind, token in _tokens(text):
            if self._next is _COLON or self._next is _KEY or kind == "sign":
                self._take_sign_or_key(kind, token)
            elif self._next is _VALUE:
                self._take_value(_text(token) if kind == "text" else _number(token) if kind == "number" else _word(token))
            else:
                raise ValueError(f"JSON with {token[:20]!r} where {self._next} should be.")
        if self._open or self._next is not _COMMA:
            raise ValueError("JSON that ends too early.")
        return self._root

    def _take_sign_or_key(self, kind: str, sign: str) -> None:
        if self._next is _COLON and sign == ":":
            self._next, self._may_end = _VALUE, False
        elif self._next is _KEY and kind == "text":
            self._key, self._next = _text(sign), _COLON
        elif self._next is _VALUE and sign in "{[" and kind == "sign":
            opened: Any = {} if sign == "{" else []
            self._take_value(opened)
            self._open.append(opened)
            self._next, self._may_end = _KEY if sign == "{" else _VALUE, True
        elif self._open and (self._may_end or self._next is _COMMA) and sign == "]}"[isinstance(self._open[-1], dict)]:
            self._open.pop()
            self._next = _COMMA
        elif self._open and self._next is _COMMA and sign == ",":
            self._next, self._may_end = _KEY if isinstance(self._open[-1], dict) else _VALUE, False
        else:
            raise ValueError(f"JSON with {sign[:20]!r} where {self._next} should be.")

    def _take_value(self, value: Any) -> None:
        if not self._open:
            self._root = value
        elif isinstance(self._open[-1], dict):
            self._open[-1][self._key] = value
        else:
            self._open[-1].append(value)
        self._next = _COMMA


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while match := _TOKEN.match(text, position):
        kind = str(match.lastgroup)
        if kind == "end":
            return
        yield kind, match[kind]
        position = match.end()
    raise ValueError(f"JSON with {text[position : position + 20]!r} in it.")


def _text(token: str) -> str:
    return str(json.loads(token, strict=False))


def _number(token: str) -> Any:
    if not set(token).isdisjoint(".eE"):
        return token if math.isinf(float(token)) else float(token)
    return int(token) if len(token) <= len(_LONG_NUMBER) else token  # longer: beyond 64 bits


def _word(token: str) -> Any:
    return _WORDS.get(token, token)


class _Written(str):
    """A finished piece of JSON, to tell it from a value that is still to be written."""

    __slots__ = ()


def dump_json(value: Any, keep: Callable[[str, Any], bool], write: Callable[[Any], Any]) -> str:
    """A value as compact JSON, its fields sorted by name.

    ``keep`` decides by name and value which fields to write; ``write`` converts each single value.
    """
    pieces: list[str] = []
    todo: list[Any] = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, _Written):
            pieces.append(item)
        elif isinstance(item, dict):
            fields = [(name, item[name]) for name in sorted(item) if keep(name, item[name])]
            todo.append(_Written("}"))
            for place in range(len(fields) - 1, -1, -1):
                name, part = fields[place]
                todo += [part, _Written(("," if place else "") + json.dumps(name, ensure_ascii=False) + ":")]
            todo.append(_Written("{"))
        elif isinstance(item, list):
            todo.append(_Written("]"))
            for place in range(len(item) - 1, -1, -1):
                todo += [item[place], _Written("," if place else "")]
            todo.append(_Written("["))
        else:
            pieces.append(json.dumps(write(item), ensure_ascii=False))
    return "".join(pieces)
