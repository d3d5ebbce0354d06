"""Where a setting comes from: environment variables, an Airflow Connection, dlt's files; the strongest first.

Names are dlt's: ``[sources.api_video_source]`` in ``include/.dlt/config.toml`` and ``secrets.toml``, or environment
variables ``SOURCES__API_VIDEO_SOURCE__<NAME>``. They are looked up at exactly these places. dlt's own search would also
take a stray ``ENVIRONMENT`` or ``API_KEY`` variable, which many machines have for other reasons.
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
from dlt.common.configuration.providers import EnvironProvider

from include.api_video.errors import SettingsError

SECRETS = ("api_key", "webhook_url")  # how the names of settings end that belong into no config.toml
INCLUDE_DIR = Path(__file__).resolve().parents[2]
PROJECT_DIR = INCLUDE_DIR.parent


def use_project_config() -> None:
    """Lets dlt read ``include/.dlt`` wherever the process was started.

    For entry points only (the DAG, the command line). A folder set by the user in DLT_PROJECT_DIR is replaced: dlt's
    Airflow helper sets it to the folder of DAGs, where this package keeps nothing.
    """
    os.environ["DLT_PROJECT_DIR"] = str(INCLUDE_DIR)
    dlt.current.run_context().reload()


def state_of_settings() -> tuple[Hashable, ...]:
    """Equal as long as nothing that dlt looks settings up in has changed."""
    return tuple(dlt.config.config_providers), frozenset(os.environ.items())


class Section:
    """The settings of one section; a name that it lacks is looked for in ``general``, but never a key.

    Args:
        path: such as ``sources.api_video_source``.
        connection: values of an Airflow Connection; they belong to this section.
        general: settings that several sections share.
    """

    def __init__(
        self,
        path: str,
        connection: Mapping[str, str] = MappingProxyType({}),
        general: Section | None = None,
    ) -> None:
        self.path, self._connection, self._general = path, connection, general

    def variable(self, name: str) -> str:
        """Environment variable that holds a setting."""
        return variable_of(f"{self.path}.{name}")

    def values(self, name: str) -> Iterator[Any]:
        """All that was set under a name, the strongest first. An empty environment variable does not count."""
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
    """The same, of a connection alone."""

    def values(self, name: str) -> Iterator[Any]:
        if self._connection.get(name):
            yield self._connection[name]


def variable_of(path: str) -> str:
    """Environment variable that holds the setting of a path."""
    return path.replace(".", "__").upper()


def values_of(path: str) -> Iterator[Any]:
    """All that was set under a path, in the environment or in the files, the strongest first."""
    yield from values_in_environment(path)
    yield from values_in_files(path)


def values_in_environment(path: str) -> Iterator[str]:
    """What the environment has under a path; an empty variable does not count."""
    if value := os.environ.get(variable_of(path)):
        yield value


def values_in_files(path: str, *, secret: bool = False) -> Iterator[Any]:
    """What dlt's providers other than the environment have, the strongest first; there, an empty variable would count."""
    *sections, key = path.split(".")
    for provider in dlt.config.config_providers:
        if isinstance(provider, EnvironProvider) or (secret and not provider.supports_secrets):
            continue
        value, _ = provider.get_value(key, Any, "", *sections)
        if value not in (None, ""):
            yield value


def one_of(what: str, value: str, known: tuple[str, ...]) -> str:
    """The value, where it is known.

    Raises:
        SettingsError: it is not; the message names those that are.
    """
    if value in known:
        return value
    close = get_close_matches(value, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    raise SettingsError(f"Unknown {what} {value!r}{hint} Known: {', '.join(known)}.")


def names_in(where: str, value: Any, example: str = '["videos", "players"]') -> list[str]:
    """A list of names, also where it comes as JSON.

    Raises:
        SettingsError: it is none.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f"{where} must be a list of names, such as {example}.")
    return list(value)
