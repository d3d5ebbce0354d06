"""Several accounts: their names, their own settings, and that no account ever uses another's key."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from include.api_video.errors import MissingKeyError, SettingsError
from include.api_video.settings.accounts import Account, find_account, read_accounts
from include.api_video.settings.settings import Settings, read_resources, read_settings

PREFIX = "SOURCES__API_VIDEO_SOURCE__"
TRAINING = Account("training")


@pytest.fixture
def write(clean_environment: Path):
    """Writes a file into ``.dlt``."""

    def to(name: str, text: str) -> None:
        folder = clean_environment / ".dlt"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        Container()[PluggableRunContext].reload_providers()

    return to


def test_without_the_setting_there_is_one_account_without_a_name() -> None:
    (account,) = read_accounts()

    assert (account.dag_id, account.dataset, account.pipeline) == ("api_video", "api_video_data", "api_video_pipeline")
    assert account.section == "sources.api_video_source"


def test_each_account_has_names_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_VIDEO_ACCOUNTS", '["default", "training"]')

    first, training = read_accounts()

    assert first == Account()
    assert training.dag_id == "api_video_training"
    assert training.dataset == "api_video_data_training"
    assert training.pipeline == "api_video_pipeline_training"
    assert training.variable("api_key") == f"{PREFIX}TRAINING__API_KEY"


def test_the_accounts_may_be_in_the_file(write) -> None:
    write("config.toml", '[api_video]\naccounts = ["sandbox", "production"]\n')
    assert [account.name for account in read_accounts()] == ["sandbox", "production"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training", "must be a list of names"),
        ("[]", "at least one"),
        ('["a", "a"]', "each once"),
        ('["Training"]', "cannot be called 'Training'"),
        ('["a-b"]', "cannot be called 'a-b'"),
        ('["a b; DROP TABLE"]', "cannot be called"),
        ('["staging"]', "api_video_data_staging, which dlt uses as the staging dataset of api_video_data and empties"),
        (
            '["eu", "eu_staging"]',
            "api_video_data_eu_staging, which dlt uses as the staging dataset of api_video_data_eu and",
        ),
        ('["warehouse"]', "the Airflow Connection api_video_warehouse belongs to the destination"),
        ('["' + "a" * 41 + '"]', "cannot be called"),
    ],
)
def test_an_impossible_list_is_refused_with_an_example(monkeypatch: pytest.MonkeyPatch, setting: str, message: str) -> None:
    monkeypatch.setenv("API_VIDEO_ACCOUNTS", setting)
    with pytest.raises(SettingsError, match=message) as caught:
        read_accounts()
    assert '["default", "training"]' in str(caught.value)


@pytest.mark.parametrize("name", [option.name for option in fields(Settings)])
def test_an_account_cannot_have_the_name_of_a_setting(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Its section ``[sources.api_video_source.environment]`` would be the setting ``environment`` of all others, too."""
    monkeypatch.setenv("API_VIDEO_ACCOUNTS", f'["default", "{name}"]')
    monkeypatch.setenv(f"{PREFIX}API_KEY", "k")
    with pytest.raises(SettingsError, match=rf"cannot be called '{name}': \[sources\.api_video_source\.{name}\] would be"):
        read_settings()


def test_an_account_may_have_a_name_that_only_looks_like_one_of_those(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_VIDEO_ACCOUNTS", '["stagings", "mystaging", "warehouse_eu"]')
    assert len(read_accounts()) == 3


def test_an_account_that_is_not_in_the_list_is_answered_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_VIDEO_ACCOUNTS", '["default", "training"]')
    assert find_account("default") == Account()
    with pytest.raises(SettingsError, match="no account 'trainin'; API_VIDEO_ACCOUNTS has default, training"):
        find_account("trainin")


def test_an_account_has_its_own_settings_and_takes_the_others_from_the_general_ones(monkeypatch, write) -> None:
    write(
        "config.toml",
        """
        [sources.api_video_source]
        full_check_hours = 12
        max_detail_requests = 5
        filters.videos.title = "general"
        filters.summaries.origin = "auto"
        [sources.api_video_source.training]
        environment = "sandbox"
        max_detail_requests = 7
        filters.videos.title = "own"
        """,
    )
    write("secrets.toml", '[sources.api_video_source.training]\napi_key = "training-key"\n')
    monkeypatch.setenv(f"{PREFIX}RATE_LIMIT_RESERVE", "0.25")
    monkeypatch.setenv(f"{PREFIX}TRAINING__RESOURCES", '["players"]')
    monkeypatch.setenv(f"{PREFIX}MAX_DETAIL_REQUESTS", "6")

    settings = read_settings(account=TRAINING)

    assert settings.account == TRAINING
    assert settings.api_key == "training-key"
    assert settings.base_url == "https://sandbox.api.video"
    assert settings.resources == read_resources(TRAINING) == ("players",)
    assert settings.max_detail_requests == 7, "its own, also where the general one is in the environment"
    assert (settings.full_check_hours, settings.rate_limit_reserve) == (12, 0.25)
    assert settings.filters == {"videos": {"title": "own"}, "summaries": {"origin": "auto"}}


@pytest.mark.parametrize("key", ["api_key", "admin_api_key"])
def test_an_account_never_takes_the_general_key(monkeypatch: pytest.MonkeyPatch, write, key: str) -> None:
    """Another account's key would load its videos into this account's tables."""
    write("secrets.toml", f'[sources.api_video_source]\n{key} = "general"\n')
    monkeypatch.setenv(PREFIX + key.upper(), "general")
    monkeypatch.setenv(PREFIX + "TRAINING__API_KEY", "" if key == "api_key" else "own")

    if key == "admin_api_key":
        assert read_settings(account=TRAINING).admin_api_key is None
        return
    with pytest.raises(MissingKeyError) as caught:
        read_settings(account=TRAINING)
    for place in (
        "'training'",
        f"{PREFIX}TRAINING__API_KEY",
        "[sources.api_video_source.training]",
        '"api_video_training"',
    ):
        assert place in str(caught.value)


def test_an_account_s_connection_wins_over_the_files_and_its_variables_over_both(monkeypatch, write) -> None:
    write("secrets.toml", '[sources.api_video_source.training]\napi_key = "of the file"\n')
    connection = {"api_key": "of the connection", "environment": "sandbox"}
    assert read_settings(connection, account=TRAINING).api_key == "of the connection"
    monkeypatch.setenv(f"{PREFIX}TRAINING__API_KEY", "of the environment")
    settings = read_settings(connection, account=TRAINING)
    assert (settings.api_key, settings.environment) == ("of the environment", "sandbox")


def test_a_mistake_in_an_account_s_filters_names_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}TRAINING__API_KEY", "k")
    monkeypatch.setenv(f"{PREFIX}TRAINING__FULL_CHECK_HOURS", "-1")
    with pytest.raises(SettingsError, match=r"sources\.api_video_source\.training\.full_check_hours"):
        read_settings(account=TRAINING)
