"""Filters of the lists, ``[sources.api_video_source.filters.<resource>]``: checked, then turned into query parameters."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.catalog.model import Endpoint, Filter
from include.api_video.errors import SettingsError
from include.api_video.settings.config import Section, names_in, one_of

Filters = Mapping[str, Mapping[str, Any]]


def read_filters(section: Section) -> Filters:
    """The filters that are set: ``{resource: {filter: value}}``.

    Raises:
        SettingsError: a resource does not have such a filter, or a filter does not allow the value.
    """
    filterable = {e.name: e for e in ENDPOINTS if e.filters}
    for tables in section.values("filters"):
        if not isinstance(tables, Mapping):
            raise SettingsError(f"{section.path}.filters must be tables such as [{section.path}.filters.videos].")
        for name, table in tables.items():
            endpoint = filterable[one_of("resource with filters", name, tuple(filterable))]
            if not isinstance(table, Mapping):
                raise SettingsError(f"{section.path}.filters.{name} must be a table of filters, not {table!r}.")
            for rule in table:
                _known_filter(endpoint, rule)
    prefix = section.variable("filters") + "__"
    for variable in os.environ:
        if variable.startswith(prefix):
            name, _, rule = variable.removeprefix(prefix).lower().partition("__")
            _known_filter(filterable[one_of("resource with filters", name, tuple(filterable))], rule)
    found = {name: _filters_of(endpoint, section) for name, endpoint in filterable.items()}
    return {name: values for name, values in found.items() if values}


def filter_params(endpoint: Endpoint, filters: Filters) -> dict[str, Any]:
    """Query parameters for a list's filters: ``tags[]`` repeated, ``metadata[Key]=Value`` (OpenAPI, /videos)."""
    params: dict[str, Any] = {}
    for rule in endpoint.filters:
        value = filters.get(endpoint.name, {}).get(rule.name)
        if value is None:
            continue
        if rule.kind == "map":
            params.update({f"{rule.parameter}[{key}]": text for key, text in value.items()})
        else:
            params[rule.parameter] = value
    return params


def _known_filter(endpoint: Endpoint, rule: str) -> None:
    one_of(f"filter of {endpoint.name}", rule, tuple(f.name for f in endpoint.filters))


def _filters_of(endpoint: Endpoint, section: Section) -> dict[str, Any]:
    values = {rule: section.value(f"filters.{endpoint.name}.{rule.name}") for rule in endpoint.filters}
    where = f"{section.path}.filters.{endpoint.name}"
    return {rule.name: _checked(f"{where}.{rule.name}", rule, value) for rule, value in values.items() if value is not None}


def _checked(where: str, rule: Filter, value: Any) -> Any:
    if rule.kind == "list":
        return names_in(where, value)
    if rule.kind == "map":
        with suppress(TypeError, ValueError):
            value = json.loads(value)
        if not isinstance(value, Mapping):
            raise SettingsError(f'{where} must be a table, such as {{Author = "Jane"}}.')
        return {str(key): str(text) for key, text in value.items()}
    if not isinstance(value, str):
        raise SettingsError(f"{where} must be text, not {type(value).__name__}.")
    return one_of(f"value of {where}", value, rule.allowed) if rule.allowed else value
