"""Sources of settings, their precedence, and the messages about unknown or impossible ones."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from dlt.common.configuration.container import Container
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext

from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.catalog.model import Host
from include.api_video.errors import MissingKeyError, SettingsError
from include.api_video.settings.filters import filter_params
from include.api_video.settings.schedule import Schedule
from include.api_video.settings.settings import Settings, connection_values, read_resources, read_settings, settings_from

PREFIX = "SOURCES__API_VIDEO_SOURCE__"
DEFAULT_RESOURCES = (
    "videos",
    "video_status",
    "captions",
    "discarded_videos",
    "tags",
    "watermarks",
    "summaries",
    "summary_source",
    "players",
    "live_streams",
    "analytics_days",
    "analytics_hours",
    "analytics_videos",
    "analytics_countries",
    "analytics_devices",
    "analytics_operating_systems",
    "analytics_browsers",
    "analytics_referrers",
    "analytics_totals",
    "webhooks",
    "upload_tokens",
)
OF_ADMIN_API = ("projects", "projects_api_keys", "delivery_usage", "hosting_usage")
# Every option: field of Settings, text in the environment, TOML, and the value that both mean.
OPTIONS = [
    ("api_key", "k3y", '"k3y"', "k3y"),
    ("environment", "sandbox", '"sandbox"', "sandbox"),
    ("base_url", "http://127.0.0.1:8000", '"http://127.0.0.1:8000"', "http://127.0.0.1:8000"),
    ("admin_api_key", "adm1n", '"adm1n"', "adm1n"),
    ("admin_base_url", "http://127.0.0.1:9000", '"http://127.0.0.1:9000"', "http://127.0.0.1:9000"),
    ("resources", '["players", "videos"]', '["players", "videos"]', ("videos", "players")),
    ("filters.videos.title", "webinar", '"webinar"', {"videos": {"title": "webinar"}}),
    ("filters.videos.tags", '["a", "b"]', '["a", "b"]', {"videos": {"tags": ["a", "b"]}}),
    ("filters.videos.metadata", '{"Author": "Jane"}', '{ Author = "Jane" }', {"videos": {"metadata": {"Author": "Jane"}}}),
    ("filters.videos.description", "talk", '"talk"', {"videos": {"description": "talk"}}),
    ("filters.videos.live_stream_id", "li1", '"li1"', {"videos": {"live_stream_id": "li1"}}),
    ("filters.discarded_videos.title", "old", '"old"', {"discarded_videos": {"title": "old"}}),
    ("filters.summaries.video_id", "vi1", '"vi1"', {"summaries": {"video_id": "vi1"}}),
    ("filters.summaries.origin", "auto", '"auto"', {"summaries": {"origin": "auto"}}),
    ("filters.summaries.source_status", "completed", '"completed"', {"summaries": {"source_status": "completed"}}),
    ("filters.live_streams.name", "Town", '"Town"', {"live_streams": {"name": "Town"}}),
    ("max_detail_requests", "7", "7", 7),
    ("full_check_hours", "1.5", "1.5", 1.5),
    ("unproven_hours", "6", "6", 6.0),
    ("max_removed_share", "0.25", "0.25", 0.25),
    ("rate_limit_reserve", "0.3", "0.3", 0.3),
    ("schedule", "@weekly", '"@weekly"', Schedule("@weekly", timedelta(days=7), timedelta(days=7))),
    ("history_days", "7", "7", 7),
    ("analytics_timezone", "Europe/Paris", '"Europe/Paris"', "Europe/Paris"),
    ("analytics_top_videos", "20", "20", 20),
]
options = pytest.mark.parametrize(("name", "text", "toml", "value"), OPTIONS, ids=[option[0] for option in OPTIONS])


class Config:
    """The user's settings: environment variables, and the files in ``.dlt``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._monkeypatch, self._folder = monkeypatch, folder / ".dlt"
        self._folder.mkdir()

    def env(self, **values: str) -> Config:
        for name, value in values.items():
            self._monkeypatch.setenv(PREFIX + name.upper(), value)
        return self

    def variable(self, name: str, value: str) -> Config:
        self._monkeypatch.setenv(name, value)
        return self

    def file(self, name: str, text: str) -> Config:
        (self._folder / name).write_text(text, "utf-8")
        Container()[PluggableRunContext].reload_providers()
        return self

    def toml(self, option: str, value: str) -> Config:
        """Writes one option into its file: keys into secrets.toml, all others into config.toml."""
        section, _, name = f"sources.api_video_source.{option}".rpartition(".")
        return self.file("secrets.toml" if name.endswith("api_key") else "config.toml", f"[{section}]\n{name} = {value}\n")


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, clean_environment: Path) -> Config:
    return Config(monkeypatch, clean_environment)


@pytest.fixture
def keyed(config: Config) -> Config:
    """Settings with a key in the environment, for tests of other options."""
    return config.env(api_key="k3y")


def value_of(settings: Settings, option: str) -> Any:
    return getattr(settings, option.partition(".")[0])


# --- sources and their order -------------------------------------------------------------------------------------------


def test_with_nothing_but_a_key_the_defaults_are_those_of_the_documentation(keyed):
    assert read_settings() == Settings(
        api_key="k3y",
        environment="production",
        base_url="https://ws.api.video",
        admin_api_key=None,
        admin_base_url="https://admin.api.video",
        resources=DEFAULT_RESOURCES,
        filters={},
        max_detail_requests=3000,
        full_check_hours=24.0,
        unproven_hours=24.0,
        max_removed_share=0.5,
        rate_limit_reserve=0.0,
        analytics_timezone="UTC",
        analytics_top_videos=100,
    )


def test_every_option_is_tried_below():
    filters = {f"filters.{e.name}.{rule.name}" for e in ENDPOINTS for rule in e.filters if e.name != "discarded_videos"}
    fields = {field.name for field in dataclasses.fields(Settings)} - {"filters", "account"}
    assert {option[0] for option in OPTIONS} - {"filters.discarded_videos.title"} == fields | filters


@options
def test_each_option_has_an_environment_variable(keyed, name, text, toml, value):
    keyed.env(**{name.replace(".", "__"): text})
    assert value_of(read_settings(), name) == value


@options
def test_each_option_can_stand_in_the_toml_files(config, name, text, toml, value):
    config.toml(name, toml)
    assert value_of(read_settings(needs_key=False), name) == value


@options
def test_the_environment_wins_over_the_connection(keyed, name, text, toml, value):
    keyed.env(**{name.replace(".", "__"): text})
    assert value_of(read_settings({name: "of the connection"}), name) == value


def test_the_connection_wins_over_the_files(config):
    config.toml("api_key", '"of the file"').toml("base_url", '"https://file.example.com"')
    settings = read_settings({"api_key": "of the connection", "base_url": "https://connection.example.com"})
    assert (settings.api_key, settings.base_url) == ("of the connection", "https://connection.example.com")


def test_what_the_connection_leaves_empty_comes_from_the_files(config):
    config.toml("api_key", '"of the file"')
    assert read_settings({"api_key": "", "base_url": ""}).api_key == "of the file"


def test_an_empty_key_in_the_environment_does_not_hide_the_one_in_the_file(config):
    """docker-compose sets a variable without a value to an empty text."""
    config.env(api_key="").toml("api_key", '"of the file"')
    assert read_settings().api_key == "of the file"


@options
def test_an_empty_variable_is_none(keyed, name, text, toml, value):
    before = read_settings()
    if name != "api_key":
        keyed.env(**{name.replace(".", "__"): ""})
    assert read_settings() == before


def test_the_exact_toml_of_the_documentation_works(config):
    config.file("secrets.toml", '[sources.api_video_source]\napi_key = "k3y"\n')
    assert read_settings().api_key == "k3y"


@pytest.mark.parametrize("name", ["API_KEY", "ENVIRONMENT", "RESOURCES", "BASE_URL", "ADMIN_API_KEY", "FILTERS"])
@pytest.mark.parametrize("section", ["", "SOURCES__", "API_VIDEO_SOURCE__", "SOURCES__API_VIDEO__"])
def test_stray_variables_are_not_ours(keyed, name, section):
    """Many machines have such variables for other reasons, and dlt's own search would use them."""
    before = read_settings()
    keyed.variable(section + name, "staging")
    assert read_settings() == before


@pytest.mark.parametrize("name", ["API_KEY", "SOURCES__API_KEY"])
def test_a_stray_key_is_no_key(config, name):
    config.variable(name, "of something else")
    with pytest.raises(MissingKeyError):
        read_settings()


def test_blanks_around_a_value_are_not_part_of_it(config):
    settings = read_settings({"api_key": " k3y\n", "environment": "sandbox "})
    assert (settings.api_key, settings.environment) == ("k3y", "sandbox")


# --- keys --------------------------------------------------------------------------------------------------------------


def test_a_missing_key_names_every_place_where_it_can_be_set(config):
    with pytest.raises(MissingKeyError) as raised:
        read_settings()
    message = str(raised.value)
    for place in (
        PREFIX + "API_KEY",
        "[sources.api_video_source] api_key",
        "include/.dlt/secrets.toml",
        'Connection "api_video"',
    ):
        assert place in message


def test_a_key_of_blanks_is_a_missing_key(config):
    with pytest.raises(MissingKeyError):
        read_settings({"api_key": "   "})


def test_keys_are_not_in_the_repr():
    settings = Settings("k3yOfTheCustomer", admin_api_key="adm1nK3y")
    assert "k3yOfTheCustomer" not in repr(settings) + str(settings)
    assert "adm1nK3y" not in repr(settings) + str(settings)


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings("k3y").api_key = "another"  # type: ignore[misc]


def test_each_host_has_its_url_and_its_key():
    settings = Settings(
        "k3y", base_url="https://a.example.com", admin_api_key="adm1n", admin_base_url="https://b.example.com"
    )
    assert (settings.url_of(Host.MAIN), settings.key_of(Host.MAIN)) == ("https://a.example.com", "k3y")
    assert (settings.url_of(Host.ADMIN), settings.key_of(Host.ADMIN)) == ("https://b.example.com", "adm1n")


def test_a_missing_admin_key_names_its_setting_and_the_way_without_it():
    with pytest.raises(SettingsError, match=f"{PREFIX}ADMIN_API_KEY.*{PREFIX}RESOURCES"):
        Settings("k3y").key_of(Host.ADMIN)


# --- the environment ---------------------------------------------------------------------------------------------------


def test_the_sandbox_has_its_own_url_and_no_brake(keyed):
    settings = read_settings({"environment": "sandbox"})
    assert (settings.base_url, settings.max_removed_share) == ("https://sandbox.api.video", 1.0)


def test_a_share_that_is_set_holds_in_the_sandbox_too(keyed):
    assert read_settings({"environment": "sandbox", "max_removed_share": "0.5"}).max_removed_share == 0.5


def test_a_slash_at_the_end_of_a_url_is_dropped(keyed):
    assert read_settings({"base_url": "https://proxy.example.com/api/"}).base_url == "https://proxy.example.com/api"


# --- impossible values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("environment", "sandbx", r"Unknown environment 'sandbx'; did you mean 'sandbox'\? Known: production, sandbox\."),
        ("environment", "staging", r"Unknown environment 'staging'\. Known: production, sandbox\."),
        (
            "resources",
            '["video_statuses"]',
            r"Unknown resource 'video_statuses'; did you mean 'video_status'\? Known: videos, ",
        ),
        ("resources", '["videos", "folders"]', r"Unknown resource 'folders'\. Known: videos, .*, hosting_usage\."),
        ("resources", "[]", r"sources\.api_video_source\.resources is empty: name at least one of videos, "),
        ("resources", "videos", r"sources\.api_video_source\.resources must be a list of names, such as "),
        ("resources", '{"videos": 1}', "must be a list of names"),
        ("resources", "[1]", "must be a list of names"),
        (
            "filters.summaries.origin",
            "manual",
            r"Unknown value of .*filters\.summaries\.origin 'manual'\. Known: api, auto\.",
        ),
        (
            "filters.summaries.source_status",
            "complete",
            r"Unknown value of .*source_status 'complete'; did you mean 'completed'\? Known: missing, waiting, failed, ",
        ),
        ("filters.videos.tags", "webinar", r"sources\.api_video_source\.filters\.videos\.tags must be a list"),
        ("filters.videos.metadata", "Jane", r"filters\.videos\.metadata must be a table"),
        ("filters.videos.metadata", "{Author: Jane}", r"filters\.videos\.metadata must be a table"),
        ("filters.videos.metadata", '["Author"]', r"filters\.videos\.metadata must be a table"),
        (
            "base_url",
            "http://ws.api.video",
            r"base_url is http://ws\.api\.video, .* unencrypted: write https://ws\.api\.video\.",
        ),
        ("admin_base_url", "http://admin.api.video", r"admin_base_url is http://admin\.api\.video"),
        ("base_url", "https://name:word@ws.api.video", r"base_url must be a URL .* no password"),
        ("api_key", "k3y\u2014", r"api_key has a character that no key has"),
        ("base_url", "ws.api.video", r"sources\.api_video_source\.base_url must be a URL .* not 'ws\.api\.video'"),
        ("admin_base_url", "ftp://admin.api.video", r"admin_base_url must be a URL"),
        ("max_detail_requests", "many", r"sources\.api_video_source\.max_detail_requests must be a number, not 'many'"),
        ("max_detail_requests", "-1", r"max_detail_requests must be 0 or more, not -1"),
        ("full_check_hours", "-0.5", r"full_check_hours must be 0 or more, not -0\.5"),
        ("unproven_hours", "a day", r"unproven_hours must be a number, not 'a day'"),
        ("unproven_hours", "-1", r"unproven_hours must be 0 or more, not -1"),
        ("max_removed_share", "1.01", r"max_removed_share must be between 0 and 1, not 1\.01"),
        ("max_removed_share", "-0.1", r"max_removed_share must be between 0 and 1, not -0\.1"),
        ("max_removed_share", "50%", r"max_removed_share must be a number, not '50%'"),
        ("rate_limit_reserve", "1", r"rate_limit_reserve must be between 0 and 0\.95, not 1"),
        (
            "analytics_timezone",
            "Paris",
            r"analytics_timezone is 'Paris', which is no time zone: use a name such as Europe/Paris",
        ),
        ("analytics_timezone", "../etc/passwd", r"analytics_timezone is '\.\./etc/passwd', which is no time zone"),
        ("analytics_timezone", "+02:00", r"analytics_timezone is '\+02:00', which is no time zone"),
        ("analytics_top_videos", "-1", r"analytics_top_videos must be 0 or more, not -1"),
        ("analytics_top_videos", "all", r"analytics_top_videos must be a number, not 'all'"),
    ],
)
def test_an_impossible_value_is_refused_with_the_rule(keyed, option, value, message):
    keyed.env(**{option.replace(".", "__"): value})
    with pytest.raises(SettingsError, match=message):
        read_settings()


@pytest.mark.parametrize(
    "option", ["max_detail_requests", "full_check_hours", "unproven_hours", "max_removed_share", "rate_limit_reserve"]
)
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_no_finite_number_is_refused(keyed, option, value):
    """Comparisons with "nan" are false: a brake of nan would never brake."""
    keyed.env(**{option: value})
    with pytest.raises(SettingsError, match=option):
        read_settings()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_detail_requests", "0"),
        ("full_check_hours", "0"),
        ("unproven_hours", "0"),
        ("max_removed_share", "0"),
        ("max_removed_share", "1"),
    ],
)
def test_the_ends_of_a_range_are_allowed(keyed, option, value):
    keyed.env(**{option: value})
    assert value_of(read_settings(), option) == float(value)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("environment = 1", r"environment must be text, not int"),
        ("base_url = true", r"base_url must be text, not bool"),
        ('resources = "videos"', r"resources must be a list"),
        ("max_detail_requests = [1]", r"max_detail_requests must be a number"),
        ('filters = "videos"', r"filters must be tables such as \[sources\.api_video_source\.filters\.videos\]"),
        ("filters.videos.title = 5", r"filters\.videos\.title must be text, not int"),
        ('filters.videos.tags = "webinar"', r"filters\.videos\.tags must be a list"),
        ("filters.videos = 5", r"filters"),
        ('filters.video.title = "x"', r"Unknown resource with filters 'video'; did you mean 'videos'\? Known: videos, "),
        ('filters.players.name = "x"', r"Unknown resource with filters 'players'"),
        ('filters.videos.tag = ["x"]', r"Unknown filter of videos 'tag'; did you mean 'tags'\? Known: title, tags, "),
        (
            'filters.summaries.sourceStatus = "x"',
            r"Unknown filter of summaries 'sourceStatus'; did you mean 'source_status'\?",
        ),
    ],
)
def test_a_wrong_entry_in_the_file_is_refused_with_the_rule(keyed, toml, message):
    keyed.file("config.toml", f"[sources.api_video_source]\n{toml}\n")
    with pytest.raises(SettingsError, match=message):
        read_settings()


# --- resources and filters ---------------------------------------------------------------------------------------------


def test_resources_come_in_the_order_of_the_table_each_once(keyed):
    keyed.env(resources='["live_streams", "video_status", "videos", "videos"]')
    assert read_settings().resources == ("videos", "video_status", "live_streams")


def test_the_resources_for_parsing_the_dag_need_no_key(config):
    assert read_resources() == DEFAULT_RESOURCES
    config.env(resources='["players"]')
    assert read_resources() == ("players",)


def test_all_is_every_resource_that_the_keys_can_read(keyed):
    assert read_settings().resources == DEFAULT_RESOURCES
    keyed.env(resources='["all"]')
    assert read_settings().resources == tuple(e.name for e in ENDPOINTS if e.name not in OF_ADMIN_API)
    keyed.env(admin_api_key="4dm1n")
    assert read_settings().resources == tuple(e.name for e in ENDPOINTS)


def test_an_admin_key_switches_on_what_it_can_read(keyed):
    keyed.env(admin_api_key="4dm1n")
    assert read_settings().resources == (*DEFAULT_RESOURCES, *OF_ADMIN_API)


def test_all_stands_alone(keyed):
    keyed.env(resources='["all", "videos"]')
    with pytest.raises(SettingsError, match='"all" stands alone: write'):
        read_settings()


def test_wrong_resources_do_not_break_parsing_the_dag(config):
    config.env(resources='["nothing"]')
    assert read_resources() == DEFAULT_RESOURCES


def test_filters_are_sent_in_the_apis_spelling():
    filters = {
        "title": "webinar",
        "tags": ["a", "b"],
        "metadata": {"Author": "Jane", "Format": "long"},
        "description": "talk",
        "live_stream_id": "li1",
    }
    assert filter_params(by_name()["videos"], {"videos": filters}) == {
        "title": "webinar",
        "tags[]": ["a", "b"],
        "metadata[Author]": "Jane",
        "metadata[Format]": "long",
        "description": "talk",
        "liveStreamId": "li1",
    }


def test_filters_of_one_list_are_not_sent_to_another():
    filters = {"videos": {"title": "webinar"}, "summaries": {"source_status": "failed"}}
    assert filter_params(by_name()["discarded_videos"], filters) == {}
    assert filter_params(by_name()["summaries"], filters) == {"sourceStatus": "failed"}


def test_numbers_as_values_of_metadata_are_text(keyed):
    keyed.env(filters__videos__metadata=json.dumps({"Season": 3}))
    assert read_settings().filters == {"videos": {"metadata": {"Season": "3"}}}


def test_a_filter_in_the_environment_and_one_in_the_file_both_hold(keyed):
    keyed.toml("filters.videos.title", '"of the file"').env(filters__videos__description="of the environment")
    assert read_settings().filters == {"videos": {"title": "of the file", "description": "of the environment"}}


def test_an_unknown_filter_in_a_variable_is_answered_with_the_known_ones(monkeypatch):
    monkeypatch.setenv("SOURCES__API_VIDEO_SOURCE__API_KEY", "a key")
    monkeypatch.setenv("SOURCES__API_VIDEO_SOURCE__FILTERS__VIDEOS__TITEL", "x")
    with pytest.raises(SettingsError, match="did you mean 'title'"):
        read_settings()


@pytest.mark.parametrize(
    ("host", "port", "base_url"),
    [
        ("", 443, ""),
        ("ws.api.video", None, "https://ws.api.video"),
        ("https://ws.api.video", 443, "https://ws.api.video"),
        ("http://localhost:8090", 443, "http://localhost:8090"),
        ("http://localhost", 8090, "http://localhost:8090"),
    ],
)
def test_a_connection_s_port_counts_where_its_host_has_none(host: str, port: int | None, base_url: str) -> None:
    assert connection_values(host, "key", {}, port)["base_url"] == base_url


def test_a_connection_s_extra_may_say_zero(keyed) -> None:
    settings = read_settings(connection_values("", "key", {"full_check_hours": 0, "max_detail_requests": 0}))
    assert (settings.full_check_hours, settings.max_detail_requests) == (0, 0)


def test_a_connection_is_tested_by_what_it_holds_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__API_VIDEO_SOURCE__API_KEY", "from-the-environment")

    settings = settings_from(connection_values("", "from-the-form", {"environment": "sandbox", "admin_api_key": None}))

    assert (settings.api_key, settings.base_url) == ("from-the-form", "https://sandbox.api.video")
    with pytest.raises(MissingKeyError):
        settings_from(connection_values("", "", {}))
