"""The settings of one account, read and checked once, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.catalog.model import Host
from include.api_video.errors import MissingKeyError, SettingsError
from include.api_video.settings.accounts import DEFAULT_ACCOUNT, EXAMPLE, SECTION, VARIABLE, Account, read_accounts
from include.api_video.settings.addresses import check_address
from include.api_video.settings.config import ConnectionSection, Section, names_in, one_of
from include.api_video.settings.demo import demo_note, demo_or
from include.api_video.settings.filters import Filters, read_filters
from include.api_video.settings.schedule import ON_THE_HOUR, Schedule, read_schedule

BASE_URLS = {"production": "https://ws.api.video", "sandbox": "https://sandbox.api.video"}  # OpenAPI, servers
ADMIN_BASE_URL = "https://admin.api.video"  # guide, reference/admin-api-overview
ALL = "all"  # as the only name in the setting resources
DEFAULT_PORTS = (("https", 443), ("http", 80))
DEFAULT_UNPROVEN_HOURS = 24.0
DEFAULT_HISTORY_DAYS = 30
DEFAULT_MAX_DETAIL_REQUESTS = 3000  # six minutes at the documented 500 reads a minute


@dataclass(frozen=True)
class Settings:
    """The settings of a run. Keys are kept out of ``repr``.

    Attributes:
        account: account that the settings belong to.
        max_detail_requests: request budget of one task in one run for single objects; 0 requests none. For a list, it
            limits how many missing rows are looked up one by one before they count as removed.
        unproven_hours: hours that a table may stay not proven before the run fails; 0: it fails at once.
        full_check_hours: hours between reconciliations, which read and compare the whole list; 0: every run.
        max_removed_share: largest share of a table's rows that one run may mark removed; 1: any.
        rate_limit_reserve: share of the API's rate limit to leave for others; 0 uses all of it.
        schedule: when the DAG runs.
        history_days: days for which ledger and checks are kept whole; older entries are thinned out. 0 keeps everything.
    """

    api_key: str = field(repr=False)
    environment: str = "production"
    base_url: str = BASE_URLS["production"]
    admin_api_key: str | None = field(default=None, repr=False)
    admin_base_url: str = ADMIN_BASE_URL
    resources: tuple[str, ...] = ()
    filters: Filters = field(default_factory=dict)
    max_detail_requests: int = DEFAULT_MAX_DETAIL_REQUESTS
    full_check_hours: float = 24.0
    unproven_hours: float = DEFAULT_UNPROVEN_HOURS
    max_removed_share: float = 0.5
    rate_limit_reserve: float = 0.0
    history_days: int = DEFAULT_HISTORY_DAYS
    schedule: Schedule = ON_THE_HOUR
    account: Account = DEFAULT_ACCOUNT

    @property
    def _of_admin_api(self) -> list[str]:
        return [name for name in self.resources if by_name()[name].host is Host.ADMIN] or ["resources of the Admin API"]

    def url_of(self, host: Host) -> str:
        """Base URL of the main or the Admin API."""
        return self.admin_base_url if host is Host.ADMIN else self.base_url

    def key_of(self, host: Host) -> str:
        """API key for the main or the Admin API.

        Raises:
            SettingsError: the admin key is needed, but not set.
        """
        if host is Host.MAIN:
            return self.api_key
        if not self.admin_api_key:
            raise SettingsError(
                f"{' and '.join(self._of_admin_api)} need an admin API key, and there is none: set "
                f"{self.account.variable('admin_api_key')} (ask api.video's support for one), or leave them out of "
                f"{self.account.variable('resources')}."
            )
        return self.admin_api_key


def read_settings(
    connection: Mapping[str, str] | None = None, *, account: Account = DEFAULT_ACCOUNT, needs_key: bool = True
) -> Settings:
    """Reads and checks all settings of an account.

    Args:
        connection: values of an Airflow Connection. They win over the files; environment variables win over both. Without
            a connection and without a key anywhere else, the demo is read, if one was started with this process.
        account: the general section supplies what its own section lacks, except keys.
        needs_key: False for commands that send no request.

    Raises:
        SettingsError: an option is missing, unknown or out of range; the message names it and the known values.
    """
    _check_account_names()
    section = _section_of(account, connection or {})
    if needs_key and not connection:
        section = demo_or(section, account)
    return _checked_settings(section, account, needs_key=needs_key)


def _check_account_names() -> None:
    """Checks that no account's section takes the place of a setting.

    Raises:
        SettingsError: an account has the name of a setting.
    """
    options = {option.name for option in fields(Settings)}
    for account in read_accounts():
        if account.name in options:
            raise SettingsError(
                f"{VARIABLE}: an account cannot be called {account.name!r}: [{account.section}] would be the setting of "
                f"this name. Use names such as {EXAMPLE}."
            )


def settings_from(connection: Mapping[str, str]) -> Settings:
    """The settings from a Connection alone, for the Test button of its form.

    Raises:
        SettingsError: as ``read_settings``.
    """
    return _checked_settings(ConnectionSection(SECTION, connection), DEFAULT_ACCOUNT, needs_key=True)


def read_resources(account: Account = DEFAULT_ACCOUNT) -> tuple[str, ...]:
    """The resources switched on, for parsing the DAG; no key is needed.

    A wrong setting must not break parsing: the DAG shows the defaults, and its first task reports the mistake.
    """
    section = _section_of(account, {})
    try:
        section = demo_or(section, account)
        return _resources(section, section.value("resources"))
    except SettingsError:
        return _resources(section, None)


def read_demo_note(account: Account = DEFAULT_ACCOUNT) -> str:
    """The note in the DAG's documentation if it loads the demo, else empty. A wrong setting does not break parsing here."""
    try:
        return demo_note(account, _section_of(account, {}))
    except SettingsError:
        return ""


def connection_values(
    host: str | None, password: str | None, extra: Mapping[str, Any], port: int | None = None
) -> dict[str, str]:
    """Settings by name from the fields of an Airflow Connection: password is the key, host the base URL, extra the rest.

    The port is used only if the host has none.

    Raises:
        SettingsError: extra holds a setting that cannot come from a Connection.
    """
    host = host or ""
    if host and "://" not in host:
        host = f"https://{host}"
    url = urlsplit(host)
    if port and url.netloc and url.port is None and (url.scheme, port) not in DEFAULT_PORTS:
        host = f"{url.scheme}://{url.netloc}:{port}{url.path}"
    if "schedule" in extra:
        raise SettingsError(
            f"schedule cannot be set in a Connection, since Airflow reads none when it plans runs: set "
            f"{DEFAULT_ACCOUNT.variable('schedule')} or include/.dlt/config.toml."
        )
    extras = {str(name): str(value) for name, value in extra.items() if value not in (None, "")}
    return {**extras, "api_key": password or "", "base_url": host}


def _section_of(account: Account, connection: Mapping[str, str]) -> Section:
    return Section(account.section, connection, Section(SECTION) if account.name else None)


def _checked_settings(section: Section, account: Account, *, needs_key: bool) -> Settings:
    environment = one_of("environment", section.text("environment") or "production", tuple(BASE_URLS))
    api_key = section.text("api_key") or ""
    if needs_key and not api_key:
        whose = f" for the account {account.name!r}" if account.name else ""
        raise MissingKeyError(
            f"No api.video API key is set{whose}. Set the environment variable {account.variable('api_key')}, or write "
            f'[{account.section}] api_key = "..." into include/.dlt/secrets.toml, or create an Airflow Connection '
            f'"{account.dag_id}" with the key as its password.'
        )
    admin_api_key = section.text("admin_api_key")
    for name, key in (("api_key", api_key), ("admin_api_key", admin_api_key or "")):
        if not (key.isascii() and key.isprintable()):
            raise SettingsError(
                f"{section.path}.{name} has a character that no key has, such as a typographic dash: copy it again."
            )
    return Settings(
        api_key=api_key,
        environment=environment,
        base_url=_address(section, "base_url", BASE_URLS[environment]),
        admin_api_key=admin_api_key,
        admin_base_url=_address(section, "admin_base_url", ADMIN_BASE_URL),
        resources=_resources(section, section.value("resources")),
        filters=read_filters(section),
        max_detail_requests=section.whole("max_detail_requests", DEFAULT_MAX_DETAIL_REQUESTS, lowest=0),
        full_check_hours=section.number("full_check_hours", Settings.full_check_hours, lowest=0),
        unproven_hours=section.number("unproven_hours", DEFAULT_UNPROVEN_HOURS, lowest=0),
        # The sandbox deletes videos after 24 hours (guide, reference/README): a shrinking list is normal there.
        max_removed_share=section.number(
            "max_removed_share", 1.0 if environment == "sandbox" else Settings.max_removed_share, 0, highest=1
        ),
        rate_limit_reserve=section.number("rate_limit_reserve", Settings.rate_limit_reserve, lowest=0, highest=0.95),
        history_days=section.whole("history_days", DEFAULT_HISTORY_DAYS, lowest=0),
        schedule=read_schedule(account),
        account=account,
    )


def _address(section: Section, name: str, default: str) -> str:
    return check_address(f"{section.path}.{name}", section.text(name) or default)


def _resources(section: Section, value: Any) -> tuple[str, ...]:
    has_admin_key = bool(section.text("admin_api_key"))
    if value is None:
        return tuple(e.name for e in ENDPOINTS if e.on_by_default or (e.host is Host.ADMIN and has_admin_key))
    names = names_in(f"{section.path}.resources", value)
    if ALL in names and len(names) > 1:
        raise SettingsError(f'{section.path}.resources: "{ALL}" stands alone: write ["{ALL}"], or name resources.')
    if names == [ALL]:
        return tuple(e.name for e in ENDPOINTS if e.host is Host.MAIN or has_admin_key)
    known = tuple(by_name())
    if not names:
        raise SettingsError(f"{section.path}.resources is empty: name at least one of {', '.join(known)}.")
    for name in names:
        one_of("resource", name, known)
    return tuple(name for name in known if name in names)
