"""Reads a published OpenAPI document: its paths, their parameters, and a stricter copy of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml

TRUE_OR_FALSE = ("tag:yaml.org,2002:bool", re.compile("true|false"))


class _Loader(yaml.CSafeLoader):
    """YAML 1.2, as OpenAPI has it: ``no`` is a language, and a time is a text."""

    yaml_implicit_resolvers = {
        first: [rule for rule in rules if rule[0].rpartition(":")[2] not in ("bool", "timestamp")]
        for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    } | {"t": [TRUE_OR_FALSE], "f": [TRUE_OR_FALSE]}


class Document:
    """An OpenAPI document on this machine."""

    def __init__(self, file: Path) -> None:
        self._content = yaml.load(file.read_text(encoding="utf-8"), _Loader)
        # Paths without a variable come first: /projects/count is no project.
        self._paths = sorted(self._content["paths"], key=lambda path: path.count("{"))

    def path_of(self, path: str) -> str | None:
        """The documented path of a request's path: ``/videos/{videoId}`` for ``/videos/vi1``. None if there is none."""
        return next((known for known in self._paths if re.fullmatch(re.sub("{[^}]+}", "[^/]+", known), path)), None)

    def undocumented_parameters(self, path: str, query: str) -> list[str]:
        """Query parameters of a GET request that its path does not list. Prism passes them: OpenAPI cannot forbid them."""
        operation = self._content["paths"][path].get("get", {})
        known = [self._resolve(parameter) for parameter in operation.get("parameters", [])]
        names = {parameter["name"] for parameter in known if parameter["in"] == "query"}
        maps = {parameter["name"] for parameter in known if parameter.get("style") == "deepObject"}
        sent = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
        return [name for name in sent if name not in names and name.partition("[")[0] not in maps]

    def write_strict(self, file: Path) -> None:
        """Writes the document with ``additionalProperties: false`` in each object that lists its fields."""
        file.write_text(json.dumps(_close(self._content)), encoding="utf-8")

    def _resolve(self, part: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in part:
            return part
        found: Any = self._content
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return dict(found)


def _close(part: Any) -> Any:
    if isinstance(part, list):
        return [_close(each) for each in part]
    if not isinstance(part, dict):
        return part
    closed = {name: _close(value) for name, value in part.items()}
    # A payload may have a field that is called "properties".
    if part.get("type") == "object" and isinstance(part.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed
