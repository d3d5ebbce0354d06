"""The demo API as the account: read only if no API key is set.

``API_VIDEO_DEMO_URL`` is its address. ``make ui`` and ``make run`` set it; for the compose file's profile ``demo``,
``.env`` does. An account's key always wins, wherever it is set. A key put into an Airflow Connection counts from the next
run on.
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
    """The settings of an account, with the demo's addresses and keys in place of its own."""

    def __init__(self, section: Section, url: str) -> None:
        super().__init__(section.path)
        self._demo = {
            "api_key": DEMO_API_KEY,
            "base_url": url,
            "admin_api_key": DEMO_ADMIN_API_KEY,
            "admin_base_url": url,
            "analytics_top_videos": "10",  # a request each: the first look should not take minutes
        }

    def values(self, name: str) -> Iterator[Any]:
        if name in self._demo:
            yield self._demo[name]
            return
        yield from super().values(name)
        if name == "resources":
            yield [endpoint.name for endpoint in ENDPOINTS]


def demo_url() -> str | None:
    """Address of the demo that was started with this process; None if there is none."""
    return (os.environ.get(VARIABLE) or "").rstrip("/") or None


def demo_or(section: Section, account: Account) -> Section:
    """The account's settings; the demo's if the single account has no key and a demo was started with this process."""
    url = demo_url()
    return _DemoSection(section, url) if url and not account.name and not section.text("api_key") else section


def check_meant(resource: str, resources: tuple[str, ...], base_url: str) -> None:
    """Leaves out a resource that only the demo switched on.

    The DAG's tasks were made for the demo; a key put into a Connection since makes the same DAG read an account.

    Raises:
        LeftOutError: the run reads an account, and its settings do not switch the resource on.
    """
    is_demo = demo_url() in (None, base_url)
    if not is_demo and resource not in resources and not by_name()[resource].on_by_default:
        raise LeftOutError(
            f"{resource} was switched on for the demo only, and this run reads {base_url}. To load it, name it in "
            "`resources` (include/.dlt/config.toml) and restart Airflow."
        )


def demo_note(account: Account, section: Section) -> str:
    """The note on a DAG that loads demo data, judged by environment and files alone; empty if it does not."""
    connection = f"put your API key into an Airflow Connection `{account.dag_id}`"
    if isinstance(demo_or(section, account), _DemoSection):
        return (
            "**Demo data.** No API key was set when Airflow started, so this DAG loads the demo API: none of its tables is "
            f"of your account. To load yours, {connection}; the next run reads your account and drops the demo's rows."
        )
    if section.text("api_key") == DEMO_API_KEY:
        return (
            f"**Demo data.** The demo's key is set for this Airflow (`{account.variable('api_key')}`) and wins over an "
            f"Airflow Connection: none of the tables is of your account. To load yours, remove it and "
            f"`{account.variable('base_url')}`, {connection}, and restart Airflow."
        )
    return ""
