"""Which accounts of api.video are loaded, and what is called after each: its settings, its DAG, its tables.

One account needs no name. Several (``API_VIDEO_ACCOUNTS`` or ``[api_video] accounts``) each have a DAG, a dataset and
settings of their own, in one destination.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from include.api_video.errors import SettingsError
from include.api_video.settings.config import names_in, values_in_files, variable_of

SECTION = "sources.api_video_source"
UNNAMED = "default"  # what the list of accounts calls the one that was loaded before there were several
VARIABLE = "API_VIDEO_ACCOUNTS"
NAME = re.compile("[a-z][a-z0-9_]{0,39}")
STAGING = "_staging"  # dlt's suffix of the dataset beside each dataset
WAREHOUSE_CONNECTION = "api_video_warehouse"  # Airflow Connection with the destination's credentials
EXAMPLE = '["default", "training"]'


@dataclass(frozen=True)
class Account:
    """An account of api.video, or one environment of it: whatever has a key of its own. The only one has no name."""

    name: str = ""

    @property
    def label(self) -> str:
        """Its name in the list of accounts."""
        return self.name or UNNAMED

    @property
    def section(self) -> str:
        """Where its settings are; what it lacks is taken from ``SECTION``, but never a key."""
        return f"{SECTION}.{self.name}" if self.name else SECTION

    def variable(self, name: str) -> str:
        """Environment variable that holds one of its settings."""
        return variable_of(f"{self.section}.{name}")

    @property
    def dag_id(self) -> str:
        """Its DAG, its Airflow Connection, and the Asset that stands for all its tables."""
        return self._called("api_video")

    @property
    def dataset(self) -> str:
        """Schema of its tables in the destination."""
        return self._called("api_video_data")

    @property
    def pipeline(self) -> str:
        """The dlt pipeline that stands for all of its resources: ``dlt pipeline api_video_pipeline info``."""
        return self._called("api_video_pipeline")

    def _called(self, stem: str) -> str:
        return f"{stem}_{self.name}" if self.name else stem


DEFAULT_ACCOUNT = Account()


def read_accounts() -> tuple[Account, ...]:
    """The accounts, in the order of the setting; one without a name where nothing is set.

    Raises:
        SettingsError: the setting is no list of names, or a name cannot be part of a table's and a variable's name.
    """
    setting = os.environ.get(VARIABLE) or next(values_in_files("api_video.accounts"), None)
    if setting is None:
        return (DEFAULT_ACCOUNT,)
    names = names_in(VARIABLE, setting, EXAMPLE)
    for name in names:
        if reason := _why_not(name):
            raise SettingsError(
                f"{VARIABLE}: an account cannot be called {name!r}: {reason}. Names such as {EXAMPLE} will do."
            )
    if not names or len(set(names)) < len(names):
        raise SettingsError(f"{VARIABLE} must name at least one account, and each once, such as {EXAMPLE}.")
    return tuple(Account("" if name == UNNAMED else name) for name in names)


def _why_not(name: str) -> str | None:
    """Why an account cannot have this name; None: it can. (Names of settings are refused where those are read.)"""
    if not NAME.fullmatch(name):
        return "use small letters, digits and _, a letter first, 40 at most"
    if f"_{name}".endswith(STAGING):
        account, base = Account(name), Account(name.removesuffix("staging").rstrip("_"))
        return (
            f"its tables would be in {account.dataset}, where dlt keeps what is on its way into {base.dataset}, and "
            "empties it"
        )
    if Account(name).dag_id == WAREHOUSE_CONNECTION:
        return f"its Airflow Connection {WAREHOUSE_CONNECTION} is the destination's"
    return None


def find_account(name: str) -> Account:
    """The account of this name among those of the setting.

    Raises:
        SettingsError: there is none.
    """
    accounts = read_accounts()
    for account in accounts:
        if name == account.label:
            return account
    known = ", ".join(account.label for account in accounts)
    raise SettingsError(f"There is no account {name!r}; {VARIABLE} has {known}.")
