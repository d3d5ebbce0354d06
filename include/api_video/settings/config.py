"""Looks settings up: environment variables first, then an Airflow Connection, then dlt's files.

Names are dlt's: ``[sources.api_video_source]`` in ``include/.dlt/config.toml`` and ``secrets.toml``, or environment
variables ``SOURCES__API_VIDEO_SOURCE__<NAME>``. Only these exact places count. dlt's own search would also accept a bare
``ENVIRONMENT`` or ``API_KEY`` variable, which many machines have for other reasons.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Hashable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

import dlt
from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import EnvironProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from include.api_video.errors import SettingsError

SECRETS = ("api_key", "webhook_url")  # settings whose names end so are secrets: never read from config.toml
INCLUDE_DIR = Path(__file__).resolve().parents[2]
PROJECT_DIR = INCLUDE_DIR.parent


def use_project_config() -> None:
    """Makes dlt read ``include/.dlt``, wherever the process was started.

    For entry points only (the DAG, the command line). It overwrites DLT_PROJECT_DIR, because dlt's Airflow helper sets that
    to the DAGs folder, where this package has no settings. Only dlt's providers are made anew: with a new run context
    (``dlt.current.run_context().reload()``), relative paths such as that of the DuckDB file would begin in ``include/``.
    """
    os.environ["DLT_PROJECT_DIR"] = str(INCLUDE_DIR)
    if PluggableRunContext in Container():
        Container()[PluggableRunContext].reload_providers()


def state_of_settings() -> tuple[Hashable, ...]:
    """A value that stays equal as long as dlt's providers and the environment do not change."""
    return tuple(dlt.config.config_providers), frozenset(os.environ.items())


class Section:
    """The settings of one section. ``general`` supplies names that it lacks, except secrets.

    Args:
        path: such as ``sources.api_video_source``.
        connection: values of an Airflow Connection, for this section.
        general: section with settings that several accounts share.
    """

    def __init__(
        self,
        path: str,
        connection: Mapping[str, str] = MappingProxyType({}),
        general: Section | None = None,
    ) -> None:
        self.path, self._connection, self._general = path, connection, general

    def variable(self, name: str) -> str:
        """Environment variable for a setting."""
        return variable_of(f"{self.path}.{name}")

    def values(self, name: str) -> Iterator[Any]:
        """All values set under a name, in order of precedence. An empty environment variable counts as unset."""
        secret = name.endswith(SECRETS)
        yield from values_in_environment(f"{self.path}.{name}")
        if self._connection.get(name):
            yield self._connection[name]
        yield from values_in_files(f"{self.path}.{name}", secret=secret)
        if self._general and not secret:
            yield from self._general.values(name)

    def value(self, name: str) -> Any:
        return next(self.values(name), None)

    def text(self, name: str) -> str | None:
        value = self.value(name)
        if value is not None and not isinstance(value, str):
            raise SettingsError(f"{self.path}.{name} must be text, not {type(value).__name__}.")
        return value.strip() if value else None

    def number(self, name: str, default: float, lowest: float, highest: float | None = None) -> float:
        value = self.value(name)
        try:
            number = float(default if value is None else value)
        except (TypeError, ValueError):
            raise SettingsError(f"{self.path}.{name} must be a number, not {value!r}.") from None
        if not math.isfinite(number) or number < lowest or (highest is not None and number > highest):
            allowed = f"between {lowest:g} and {highest:g}" if highest is not None else f"{lowest:g} or more"
            raise SettingsError(f"{self.path}.{name} must be {allowed}, not {number:g}.")
        return number

    def whole(self, name: str, default: int, lowest: int) -> int:
        number = self.number(name, default, lowest)
        if number != int(number):
            raise SettingsError(f"{self.path}.{name} must be a whole number, not {number:g}.")
        return int(number)


class ConnectionSection(Section):
    """A section that reads the Airflow Connection alone."""

    def values(self, name: str) -> Iterator[Any]:
        if self._connection.get(name):
            yield self._connection[name]


def variable_of(path: str) -> str:
    """Environment variable for the setting at a path."""
    return path.replace(".", "__").upper()


def values_of(path: str) -> Iterator[Any]:
    """All values set at a path, in order of precedence: environment, then files."""
    yield from values_in_environment(path)
    yield from values_in_files(path)


def values_in_environment(path: str) -> Iterator[str]:
    """The environment's value for a path, if any; an empty variable counts as unset."""
    if value := os.environ.get(variable_of(path)):
        yield value


def values_in_files(path: str, *, secret: bool = False) -> Iterator[Any]:
    """The values of dlt's providers, in order of precedence, without its environment: there, empty counts as set."""
    *sections, key = path.split(".")
    for provider in dlt.config.config_providers:
        if isinstance(provider, EnvironProvider) or (secret and not provider.supports_secrets):
            continue
        value, _ = provider.get_value(key, Any, "", *sections)
        if value not in (None, ""):
            yield value


def one_of(what: str, value: str, known: tuple[str, ...]) -> str:
    """The value, if it is one of those known.

    Raises:
        SettingsError: it is not; the message names the known ones.
    """
    if value in known:
        return value
    close = get_close_matches(value, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    raise SettingsError(f"Unknown {what} {value!r}{hint} Known: {', '.join(known)}.")


def names_in(where: str, value: Any, example: str = '["videos", "players"]') -> list[str]:
    """A list of names, given as a list or as JSON.

    Raises:
        SettingsError: it is not a list of names.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{where} must be a list of names, such as {example}.")
    return list(value)
