"""The settings, read once into one frozen and checked value.

Names are dlt's: ``[sources.api_video_source]`` in ``include/.dlt/config.toml`` and ``secrets.toml``, or environment
variables ``SOURCES__API_VIDEO_SOURCE__<NAME>``. Keys are looked up at exactly these places. dlt's own search would also
take a stray ``ENVIRONMENT`` or ``API_KEY`` variable, which many machines have for other reasons.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import EnvironProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from include.api_video.endpoints import ENDPOINTS, Endpoint, Filter, Host, by_name
from include.api_video.errors import MissingKeyError, SettingsError

SECTION = "sources.api_video_source"
ENV_PREFIX = "SOURCES__API_VIDEO_SOURCE__"
SECRETS = ("api_key", "webhook_url")  # how the names of settings end that belong into no config.toml
INCLUDE_DIR = Path(__file__).resolve().parents[1]
PROJECT_DIR = INCLUDE_DIR.parent

BASE_URLS = {"production": "https://ws.api.video", "sandbox": "https://sandbox.api.video"}  # OpenAPI, servers
ADMIN_BASE_URL = "https://admin.api.video"  # guide, reference/admin-api-overview
DEFAULT_PORTS = (("https", 443), ("http", 80))
DEFAULT_MAX_DETAIL_REQUESTS = 3000  # six minutes at the documented 500 reads a minute


@dataclass(frozen=True)
class Settings:
    """What a run needs to know. Keys are kept out of ``repr``.

    Attributes:
        max_detail_requests: most requests that one task may spend on single objects in one run; 0 asks for none.
        full_check_hours: a whole list is read and compared at least this often; 0 means every run.
        max_removed_share: largest share of a table's rows that one run may mark removed; 1 means any.
        rate_limit_reserve: share of the API's rate limit that is left for others; 0 uses it all.
    """

    api_key: str = field(repr=False)
    environment: str = "production"
    base_url: str = BASE_URLS["production"]
    admin_api_key: str | None = field(default=None, repr=False)
    admin_base_url: str = ADMIN_BASE_URL
    resources: tuple[str, ...] = ()
    filters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    max_detail_requests: int = DEFAULT_MAX_DETAIL_REQUESTS
    full_check_hours: float = 24.0
    max_removed_share: float = 0.5
    rate_limit_reserve: float = 0.0

    def url_of(self, host: Host) -> str:
        """Base URL of one of the two hosts."""
        return self.admin_base_url if host is Host.ADMIN else self.base_url

    def key_of(self, host: Host) -> str:
        """API key for one of the two hosts.

        Raises:
            SettingsError: the admin key is needed and not set.
        """
        if host is Host.MAIN:
            return self.api_key
        if not self.admin_api_key:
            raise SettingsError(
                "projects_api_keys is switched on, but there is no admin API key: set "
                f"{ENV_PREFIX}ADMIN_API_KEY (api.video's support hands it out), or leave the resource out of "
                f"{ENV_PREFIX}RESOURCES."
            )
        return self.admin_api_key


def use_project_config() -> None:
    """Lets dlt read ``include/.dlt`` wherever the process was started.

    For entry points only (the DAG, the command line). A folder set by the user in DLT_PROJECT_DIR is replaced: dlt's
    Airflow helper sets it to the folder of DAGs, where this package keeps nothing.
    """
    os.environ["DLT_PROJECT_DIR"] = str(INCLUDE_DIR)
    if PluggableRunContext in Container():
        Container()[PluggableRunContext].reload_providers()


def read_settings(connection: Mapping[str, str] | None = None, *, needs_key: bool = True) -> Settings:
    """Reads and checks all settings.

    Args:
        connection: values of an Airflow Connection; they win over the files, environment variables win over both.
        needs_key: False for commands that send nothing.

    Raises:
        SettingsError: an option is missing, unknown or out of range; the message names it and the known values.
    """
    return _checked_settings(Reader(SECTION, connection or {}), needs_key=needs_key)


def settings_from(connection: Mapping[str, str]) -> Settings:
    """The settings that a connection alone stands for: what its form tests.

    Raises:
        SettingsError: as ``read_settings``.
    """
    return _checked_settings(_ConnectionReader(SECTION, connection), needs_key=True)


def connection_values(
    host: str | None, password: str | None, extra: Mapping[str, Any], port: int | None = None
) -> dict[str, str]:
    """Settings by name, from the fields of an Airflow Connection: password is the key, host the base URL, extra the rest.

    A port counts where the host is given without one.
    """
    host = host or ""
    if host and "://" not in host:
        host = f"https://{host}"
    url = urlsplit(host)
    if port and url.netloc and url.port is None and (url.scheme, port) not in DEFAULT_PORTS:
        host = f"{url.scheme}://{url.netloc}:{port}{url.path}"
    extras = {str(name): str(value) for name, value in extra.items() if value}
    return {**extras, "api_key": password or "", "base_url": host}


def _checked_settings(source: Reader, *, needs_key: bool) -> Settings:
    environment = one_of("environment", source.text("environment") or "production", tuple(BASE_URLS))
    api_key = source.text("api_key") or ""
    if needs_key and not api_key:
        raise MissingKeyError(
            f"No api.video API key is set. Set the environment variable {ENV_PREFIX}API_KEY, or write "
            f'[{SECTION}] api_key = "..." into include/.dlt/secrets.toml, or make an Airflow Connection "api_video" '
            "with the key as its password."
        )
    return Settings(
        api_key=api_key,
        environment=environment,
        base_url=_url("base_url", source.text("base_url") or BASE_URLS[environment]),
        admin_api_key=source.text("admin_api_key"),
        admin_base_url=_url("admin_base_url", source.text("admin_base_url") or ADMIN_BASE_URL),
        resources=_resources(source.value("resources")),
        filters=_filters(source),
        max_detail_requests=_whole(
            "max_detail_requests", source.number("max_detail_requests", DEFAULT_MAX_DETAIL_REQUESTS, lowest=0)
        ),
        full_check_hours=source.number("full_check_hours", 24.0, lowest=0),
        # A sandbox video lives 24 hours: a shrinking list is normal there.
        max_removed_share=source.number("max_removed_share", 1.0 if environment == "sandbox" else 0.5, 0, highest=1),
        rate_limit_reserve=source.number("rate_limit_reserve", 0.0, lowest=0, highest=0.95),
    )


def read_resources() -> tuple[str, ...]:
    """The resources switched on, read without needing a key: for parsing the DAG.

    A wrong setting does not break parsing; the defaults are shown, and the run's first task says what is wrong.
    """
    try:
        return _resources(Reader(SECTION).value("resources"))
    except SettingsError:
        return _resources(None)


class Reader:
    """Looks a section's settings up: environment, then Airflow Connection, then dlt's other providers (the TOML files)."""

    def __init__(self, section: str, connection: Mapping[str, str] = MappingProxyType({})) -> None:
        self._section, self._connection = section, connection

    def value(self, name: str) -> Any:
        from_env = os.environ.get(f"{self._section}.{name}".replace(".", "__").upper())
        if from_env:
            return from_env
        if self._connection.get(name):
            return self._connection[name]
        return next(values_in_files(f"{self._section}.{name}", secret=name.endswith(SECRETS)), None)

    def text(self, name: str) -> str | None:
        value = self.value(name)
        if value is not None and not isinstance(value, str):
            raise SettingsError(f"{self._section}.{name} must be text, not {type(value).__name__}.")
        return value.strip() if value else None

    def number(self, name: str, default: float, lowest: float, highest: float | None = None) -> float:
        value = self.value(name)
        try:
            number = float(default if value is None else value)
        except (TypeError, ValueError):
            raise SettingsError(f"{self._section}.{name} must be a number, not {value!r}.") from None
        if not math.isfinite(number) or number < lowest or (highest is not None and number > highest):
            allowed = f"between {lowest:g} and {highest:g}" if highest is not None else f"{lowest:g} or more"
            raise SettingsError(f"{self._section}.{name} must be {allowed}, not {number:g}.")
        return number


class _ConnectionReader(Reader):
    """Looks a setting up in a connection alone."""

    def value(self, name: str) -> Any:
        return self._connection.get(name) or None


def _whole(name: str, number: float) -> int:
    if number != int(number):
        raise SettingsError(f"{SECTION}.{name} must be a whole number, not {number:g}.")
    return int(number)


def values_in_files(path: str, *, secret: bool = False) -> Iterator[Any]:
    """What dlt's providers other than the environment have, the strongest first; there, an empty variable would count."""
    *sections, key = path.split(".")
    for provider in Container()[PluggableRunContext].providers.providers:
        if isinstance(provider, EnvironProvider) or (secret and not provider.supports_secrets):
            continue
        value, _ = provider.get_value(key, Any, "", *sections)
        if value not in (None, ""):
            yield value


def _unknown(what: str, value: str, known: tuple[str, ...]) -> SettingsError:
    close = get_close_matches(value, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return SettingsError(f"Unknown {what} {value!r}{hint} Known: {', '.join(known)}.")


def one_of(what: str, value: str, known: tuple[str, ...]) -> str:
    """The value, where it is known; else an error that names those that are."""
    if value not in known:
        raise _unknown(what, value, known)
    return value


def _url(name: str, value: str) -> str:
    if not value.startswith(("http://", "https://")):
        raise SettingsError(f"{SECTION}.{name} must be a URL such as https://ws.api.video, not {value!r}.")
    return value.rstrip("/")


def _parsed_list(name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise SettingsError(f'{name} must be a list of names, such as ["videos", "players"].')
    return list(value)


def _resources(value: Any) -> tuple[str, ...]:
    if value is None:
        return tuple(e.name for e in ENDPOINTS if e.on_by_default)
    names = _parsed_list(f"{SECTION}.resources", value)
    known = tuple(by_name())
    if not names:
        raise SettingsError(f"{SECTION}.resources is empty: name at least one of {', '.join(known)}.")
    for name in names:
        one_of("resource", name, known)
    return tuple(name for name in known if name in names)


def _filters(source: Reader) -> dict[str, dict[str, Any]]:
    filterable = {e.name: e for e in ENDPOINTS if e.filters}
    tables = source.value("filters") or {}
    if not isinstance(tables, Mapping):
        raise SettingsError(f"{SECTION}.filters must be tables such as [{SECTION}.filters.videos].")
    for name in tables:
        one_of("resource with filters", name, tuple(filterable))
    for variable in os.environ:
        if variable.startswith(f"{ENV_PREFIX}FILTERS__"):
            _check_filter_variable(variable, filterable)
    found = {name: _filters_of(endpoint, tables.get(name) or {}, source) for name, endpoint in filterable.items()}
    return {name: values for name, values in found.items() if values}


def _check_filter_variable(variable: str, filterable: Mapping[str, Endpoint]) -> None:
    name, _, rule = variable.removeprefix(f"{ENV_PREFIX}FILTERS__").lower().partition("__")
    one_of("resource with filters", name, tuple(filterable))
    one_of(f"filter of {name}", rule, tuple(f.name for f in filterable[name].filters))


def _filters_of(endpoint: Endpoint, table: Mapping[str, Any], source: Reader) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise SettingsError(f"{SECTION}.filters.{endpoint.name} must be a table of filters, not {table!r}.")
    known = tuple(f.name for f in endpoint.filters)
    for name in table:
        one_of(f"filter of {endpoint.name}", name, known)
    values = {f.name: source.value(f"filters.{endpoint.name}.{f.name}") for f in endpoint.filters}
    return {f.name: _checked(endpoint, f, values[f.name]) for f in endpoint.filters if values[f.name] is not None}


def _checked(endpoint: Endpoint, rule: Filter, value: Any) -> Any:
    where = f"{SECTION}.filters.{endpoint.name}.{rule.name}"
    if rule.kind == "list":
        return _parsed_list(where, value)
    if rule.kind == "map":
        with suppress(TypeError, ValueError):
            value = json.loads(value)
        if not isinstance(value, Mapping):
            raise SettingsError(f'{where} must be a table, such as {{Author = "Jane"}}.')
        return {str(key): str(text) for key, text in value.items()}
    if not isinstance(value, str):
        raise SettingsError(f"{where} must be text, not {type(value).__name__}.")
    return one_of(f"value of {where}", value, rule.allowed) if rule.allowed else value


def filter_params(endpoint: Endpoint, settings: Settings) -> dict[str, Any]:
    """Query parameters of a list's filters, in the API's spelling (``tags[]`` repeated, ``metadata[Key]=Value``)."""
    params: dict[str, Any] = {}
    for rule in endpoint.filters:
        value = settings.filters.get(endpoint.name, {}).get(rule.name)
        if value is None:
            continue
        if rule.kind == "map":
            params.update({f"{rule.parameter}[{key}]": text for key, text in value.items()})
        else:
            params[rule.parameter] = value
    return params
