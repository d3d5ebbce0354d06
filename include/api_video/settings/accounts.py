"""The api.video accounts to load, and the names derived from each: settings, DAG, dataset, pipeline.

A single account needs no name. Several accounts (``API_VIDEO_ACCOUNTS`` or ``[api_video] accounts``) share one destination;
each has its own DAG, dataset and settings.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from include.api_video.errors import SettingsError
from include.api_video.settings.config import names_in, values_in_files, variable_of

SECTION = "sources.api_video_source"
UNNAMED = "default"  # stands in the list of accounts for the account without a name
VARIABLE = "API_VIDEO_ACCOUNTS"
NAME = re.compile("[a-z][a-z0-9_]{0,39}")
STAGING = "_staging"  # dlt's suffix for the staging dataset
WAREHOUSE_CONNECTION = "api_video_warehouse"  # Airflow Connection with the destination's credentials
EXAMPLE = '["default", "training"]'


@dataclass(frozen=True)
class Account:
    """An api.video account, or one environment or project of it: whatever has its own key. A single account has no name."""

    name: str = ""

    @property
    def label(self) -> str:
        """Its name in the list of accounts."""
        return self.name or UNNAMED

    @property
    def section(self) -> str:
        """Section of its settings. ``SECTION`` supplies what it lacks, except keys."""
        return f"{SECTION}.{self.name}" if self.name else SECTION

    def variable(self, name: str) -> str:
        """Environment variable for one of its settings."""
        return variable_of(f"{self.section}.{name}")

    @property
    def dag_id(self) -> str:
        """Name of its DAG, its Airflow Connection, and the Asset that stands for all its tables."""
        return self._called("api_video")

    @property
    def dataset(self) -> str:
        """Schema that holds its tables in the destination."""
        return self._called("api_video_data")

    @property
    def pipeline(self) -> str:
        """The dlt pipeline that stands for all of its resources: ``dlt pipeline api_video_pipeline info``."""
        return self._called("api_video_pipeline")

    def _called(self, stem: str) -> str:
        return f"{stem}_{self.name}" if self.name else stem


DEFAULT_ACCOUNT = Account()


def read_accounts() -> tuple[Account, ...]:
    """The accounts, in the order of the setting; without a setting, one without a name.

    Raises:
        SettingsError: the setting is not a list of names, or a name does not fit into dataset and variable names.
    """
    setting = os.environ.get(VARIABLE) or next(values_in_files("api_video.accounts"), None)
    if setting is None:
        return (DEFAULT_ACCOUNT,)
    names = names_in(VARIABLE, setting, EXAMPLE)
    for name in names:
        if reason := _why_not(name):
            raise SettingsError(f"{VARIABLE}: an account cannot be called {name!r}: {reason}. Use names such as {EXAMPLE}.")
    if not names or len(set(names)) < len(names):
        raise SettingsError(f"{VARIABLE} must name at least one account, and each once, such as {EXAMPLE}.")
    return tuple(Account("" if name == UNNAMED else name) for name in names)


def _why_not(name: str) -> str | None:
    """Why an account cannot have this name; None if it can. ``settings`` refuses those that are names of settings."""
    if not NAME.fullmatch(name):
        return "use at most 40 lowercase letters, digits and _, beginning with a letter"
    if f"_{name}".endswith(STAGING):
        account, base = Account(name), Account(name.removesuffix("staging").rstrip("_"))
        return (
            f"its tables would be in {account.dataset}, which dlt uses as the staging dataset of {base.dataset} and empties"
        )
    if Account(name).dag_id == WAREHOUSE_CONNECTION:
        return f"the Airflow Connection {WAREHOUSE_CONNECTION} belongs to the destination"
    return None


def find_account(name: str) -> Account:
    """The account with this name.

    Raises:
        SettingsError: the setting has no such account.
    """
    accounts = read_accounts()
    for account in accounts:
        if name == account.label:
            return account
    known = ", ".join(account.label for account in accounts)
    raise SettingsError(f"There is no account {name!r}; {VARIABLE} has {known}.")
