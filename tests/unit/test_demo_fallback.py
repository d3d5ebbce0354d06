"""The demo takes an account's place only if no key is set."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from include.api_video.catalog.endpoints import ENDPOINTS
from include.api_video.errors import LeftOutError, MissingKeyError
from include.api_video.settings.accounts import Account
from include.api_video.settings.config import PROJECT_DIR
from include.api_video.settings.demo import DEMO_API_KEY, VARIABLE, check_meant
from include.api_video.settings.settings import connection_values, read_demo_note, read_resources, read_settings

URL = "http://127.0.0.1:8090"
PREFIX = "SOURCES__API_VIDEO_SOURCE__"
ALL = tuple(endpoint.name for endpoint in ENDPOINTS)
DEFAULT = tuple(endpoint.name for endpoint in ENDPOINTS if endpoint.on_by_default)


@pytest.fixture(autouse=True)
def _demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"{URL}/")


def test_without_a_key_the_demo_is_read_with_all_its_resources() -> None:
    settings = read_settings()

    assert (settings.base_url, settings.admin_base_url, settings.api_key) == (URL, URL, DEMO_API_KEY)
    assert settings.resources == read_resources() == ALL


def test_a_connection_wins_over_the_demo_and_takes_nothing_of_it() -> None:
    settings = read_settings(connection_values("", "k3y", {}))

    assert (settings.base_url, settings.api_key, settings.admin_api_key) == ("https://ws.api.video", "k3y", None)
    assert settings.resources == DEFAULT


def test_a_connection_that_lacks_its_key_is_a_mistake_and_no_wish_for_the_demo() -> None:
    with pytest.raises(MissingKeyError):
        read_settings(connection_values("https://sandbox.api.video", "", {}))


def test_a_key_in_the_environment_wins_over_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}API_KEY", "k3y")

    assert read_settings().base_url == "https://ws.api.video"
    assert read_resources() == DEFAULT
    assert read_demo_note() == ""


def test_the_demo_wins_over_an_address_that_came_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's key would be sent there."""
    monkeypatch.setenv(f"{PREFIX}BASE_URL", "https://proxy.example.com")
    assert read_settings().base_url == URL


def test_the_resources_that_somebody_chose_are_those_of_the_demo_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}RESOURCES", '["players"]')
    assert read_settings().resources == read_resources() == ("players",)


def test_one_of_several_accounts_is_never_the_demo() -> None:
    with pytest.raises(MissingKeyError, match="training"):
        read_settings(account=Account("training"))
    assert read_demo_note(Account("training")) == ""


@pytest.mark.parametrize("resource", ["video", "projects_api_keys"])
def test_what_only_the_demo_switched_on_is_left_out_once_an_account_is_read(resource: str) -> None:
    """The DAG was parsed while no key was set, so it has the demo's tasks."""
    account = read_settings(connection_values("", "k3y", {}))

    with pytest.raises(LeftOutError, match=f"{resource} was switched on for the demo only, and this run reads https://ws"):
        check_meant(resource, account.resources, account.base_url)

    check_meant(resource, (resource,), account.base_url)
    check_meant(resource, read_settings().resources, URL)
    check_meant("videos", account.resources, account.base_url)


def test_without_a_demo_nothing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    check_meant("video", DEFAULT, "https://ws.api.video")
    with pytest.raises(MissingKeyError):
        read_settings()


def test_the_dag_says_that_it_loads_the_demo_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_demo_note().startswith(
        "**Demo data.** No API key was set when Airflow started, so this DAG loads the demo API"
    )
    assert "an Airflow Connection `api_video`; the next run reads your account" in read_demo_note()

    monkeypatch.setenv(f"{PREFIX}API_KEY", DEMO_API_KEY)
    assert f"(`{PREFIX}API_KEY`) and wins over an Airflow Connection" in read_demo_note()
    assert f"remove it and `{PREFIX}BASE_URL`" in read_demo_note()


@pytest.mark.parametrize(
    ("flags", "names"), [(["--fallback"], {VARIABLE}), ([], {f"{PREFIX}API_KEY", f"{PREFIX}BASE_URL"})]
)
def test_the_demo_is_an_offer_or_an_order(flags: list[str], names: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    shown = "import os; print(*os.environ)"
    command = [sys.executable, "-m", "include.demo_api", "exec", "--videos", "1", *flags, "--", sys.executable, "-c", shown]

    done = subprocess.run(command, cwd=PROJECT_DIR, env=dict(os.environ), capture_output=True, text=True, check=True)

    told = {name for name in done.stdout.split() if name.startswith((PREFIX, VARIABLE))}
    assert names <= told
    assert (told == names) is bool(flags)
