"""The demo API in the place of an account: what is read where no key is set, and only there.

``API_VIDEO_DEMO_URL`` says where it listens: ``make ui`` and ``make run`` set it, and ``.env`` for the compose file's
profile ``demo``. A key of an account wins, wherever it is set; one that is put into an Airflow Connection counts from the
next run on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.errors import LeftOutError
from include.api_video.settings.accounts import Account
from include.api_video.settings.config import Section

VARIABLE = "API_VIDEO_DEMO_URL"
DEMO_API_KEY = "demo-key-opens-nothing-else"
DEMO_ADMIN_API_KEY = "demo-admin-key-opens-nothing-else"


class _DemoSection(Section):
    """The settings of an account as far as there are some, but the demo's address and keys."""

    def __init__(self, section: Section, url: str) -> None:
        super().__init__(section.path)
        self._demo = {
            "api_key": DEMO_API_KEY,
            "base_url": url,
            "admin_api_key": DEMO_ADMIN_API_KEY,
            "admin_base_url": url,
        }

    def values(self, name: str) -> Iterator[Any]:
        if name in self._demo:
            yield self._demo[name]
            return
        yield from super().values(name)
        if name == "resources":
            yield [endpoint.name for endpoint in ENDPOINTS]


def demo_url() -> str | None:
    """Where the demo listens that is beside this process; None where there is none."""
    return (os.environ.get(VARIABLE) or "").rstrip("/") or None


def demo_or(section: Section, account: Account) -> Section:
    """The settings of an account; the demo's where the only account has no key, and the demo is beside this process."""
    url = demo_url()
    return _DemoSection(section, url) if url and not account.name and not section.text("api_key") else section


def check_meant(resource: str, resources: tuple[str, ...], base_url: str) -> None:
    """Leaves out what only the demo switched on, once a key was put into a Connection while Airflow ran.

    Raises:
        LeftOutError: the run reads an account, and nobody switched the resource on for it.
    """
    is_demo = demo_url() in (None, base_url)
    if not is_demo and resource not in resources and not by_name()[resource].on_by_default:
        raise LeftOutError(
            f"{resource} was switched on for the demo only, and this run reads {base_url}. To load it, name it in "
            "`resources` (include/.dlt/config.toml), and start Airflow again."
        )


def demo_note(account: Account, section: Section) -> str:
    """What to tell of a DAG that loads the demo's data, as far as environment and files say; empty where they do not."""
    connection = f"put your API key into an Airflow Connection `{account.dag_id}`"
    if isinstance(demo_or(section, account), _DemoSection):
        return (
            "**Demo data.** No API key was set when Airflow started: without one, this DAG loads the demo API, and none of "
            f"its tables is of your account. To load yours, {connection}; the next run reads your account, and the demo's "
            "rows give way to yours."
        )
    if section.text("api_key") == DEMO_API_KEY:
        return (
            f"**Demo data.** The demo's key is set for this Airflow (`{account.variable('api_key')}`) and wins over an "
            f"Airflow Connection: none of the tables is of your account. To load yours, remove it and "
            f"`{account.variable('base_url')}`, {connection}, and start Airflow again."
        )
    return ""
