"""The documents agree with the code."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.catalog.naming import snake
from include.api_video.docs.dictionary import references, tables
from include.api_video.docs.rooms import HOUSE, ORDER
from include.api_video.docs.write import DICTIONARY, GENERATED, PROJECT_DIR, TYPES, data_dictionary, with_generated_part
from include.api_video.settings.settings import Settings
from include.api_video.warehouse.locks.duckdb_file import DEFAULT_TIMEOUT_S
from include.api_video.warehouse.locks.table_lock import TIMEOUT_S
from tests.benchmarks.results import END, START, table
from tests.benchmarks.results import read as read_results
from tests.documents import DOCUMENTS, document
from tests.integration.test_new_endpoint import COLUMNS, ENTRY

README = (PROJECT_DIR / "README.md").read_text(encoding="utf-8")
CONFIGURATION = document("docs/configuration.md")


@pytest.mark.parametrize(("file", "name", "part"), GENERATED, ids=lambda value: value if isinstance(value, str) else "")
def test_the_generated_parts_of_documents_are_those_of_the_code(file: Path, name: str, part: Callable[[], str]) -> None:
    text = file.read_text(encoding="utf-8")

    assert with_generated_part(text, name, part()) == text, "run: make docs"


def test_the_data_dictionary_is_up_to_date() -> None:
    assert DICTIONARY.read_text(encoding="utf-8") == data_dictionary(), "run: make docs"


def test_every_table_and_column_of_the_data_dictionary_is_described() -> None:
    text = data_dictionary()
    for entry in tables():
        assert entry.meaning, entry.name
        assert f"\n## {entry.name}\n" in text
        for column in entry.columns:
            assert column.meaning, (entry.name, column.name)
            assert column.data_type in TYPES, (entry.name, column.name)


def test_every_number_has_a_unit_but_places_and_indexes() -> None:
    numbers = [c for entry in tables() for c in entry.columns if c.data_type in ("bigint", "double") and not c.unit]
    assert {column.name for column in numbers} == {"_dlt_list_idx", "value"}  # value: number of a received part


def test_every_foreign_key_names_a_primary_key_of_the_same_type() -> None:
    keys = {f"{entry.name}.{column.name}": column for entry in tables() for column in entry.columns if column.is_primary}
    for entry, column, other in references():
        if other != "_dlt_loads":
            assert keys[column.joins].data_type == column.data_type, (entry, column.name)


def test_every_link_inside_the_data_dictionary_leads_to_a_heading() -> None:
    text = data_dictionary()
    headings = set(re.findall(r"^## (.*)$", text, re.MULTILINE))
    # GitHub keeps underscores of a heading in its anchor.
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings | {"dlts-own-tables"}


# Settings


def test_every_setting_is_named_in_the_documents_and_in_the_commented_configuration() -> None:
    config = (PROJECT_DIR / "include/.dlt/config.toml").read_text(encoding="utf-8")
    secrets = (PROJECT_DIR / "include/.dlt/secrets.toml.example").read_text(encoding="utf-8")
    for field in fields(Settings):
        assert f"`{field.name}" in CONFIGURATION.text, field.name
        if field.name != "admin_base_url":
            assert field.name in config + secrets, field.name


def test_the_table_of_settings_has_their_variables_and_defaults() -> None:
    rows = {cells[0].strip("`"): cells[1:] for cells in CONFIGURATION.table_rows if cells[0].startswith("`")}
    defaults = {field.name: field.default for field in fields(Settings)}
    for name in defaults.keys() - {"account", "filters"}:
        variable, default = rows[name]
        assert variable.startswith(f"`{name.upper()}`"), name
        if name in ("api_key", "admin_api_key"):
            assert default.startswith("none"), name
        elif name not in ("base_url", "resources"):  # defaults from the environment and from the table of endpoints
            expected = defaults[name]
            value = default.split("`")[1]
            if isinstance(expected, float | int):
                assert float(value) == expected, name
            else:
                assert value == str(getattr(expected, "text", expected)), name


def test_the_times_that_runs_wait_are_their_defaults() -> None:
    rows = {cells[0].strip("`"): cells[1] for cells in CONFIGURATION.table_rows}
    assert float(rows["API_VIDEO_DUCKDB_TIMEOUT_S"].strip("`")) == DEFAULT_TIMEOUT_S
    assert float(rows["API_VIDEO_LOCK_TIMEOUT_S"].strip("`")) == TIMEOUT_S


def test_the_filters_of_each_list_are_all_there() -> None:
    rows = [cells for cells in CONFIGURATION.table_rows if len(cells) == 2]
    documented = {
        name: set(re.findall(r"`(\w+)`", cells[1])) for cells in rows for name in re.findall(r"`(\w+)`", cells[0])
    }
    known = {entry.name: {known.name for known in entry.filters} for entry in ENDPOINTS if entry.filters}
    assert documented == known


# Facts for a decision: costs and supported versions


def test_the_cost_of_a_first_load_is_calculated_as_said() -> None:
    videos, summaries, pages, states, texts, viewing, few, total, minutes = (
        int(number.replace(",", ""))
        for number in re.search(
            r"([\d,]+) videos and\s([\d,]+) summaries, all\scompleted: ([\d,]+) \+ ([\d,]+) \+ ([\d,]+) \+ "
            r"([\d,]+) \+ ([\d,]+) = ([\d,]+) requests, ([\d,]+) minutes",
            README,
        ).groups()
    )
    assert (pages, states, texts) == ((videos + summaries) / 100, 2 * videos, summaries)
    days, a_day = map(int, re.search(r"\+  (\d+) x (\d+)  \+", README).groups())
    assert viewing == days * a_day
    assert total == pages + states + texts + viewing + few
    assert minutes == -(-total // 500)
    assert f"about {few}\n" in README
    assert -(-videos // Settings("").max_detail_requests) == 7, "all states, and all captions, after the seventh run"
    captions = by_name()["captions"].due
    assert f"{videos // (captions.every_days * 24)} an hour for {videos:,} videos" in README
    assert "after the seventh" in README


def test_what_plain_dlt_takes_is_what_was_measured() -> None:
    results = {(result.scenario, result.contender): result for result in read_results(PROJECT_DIR / "docs")}
    hour = results["nothing changed, 20,000 videos", "plain dlt"]
    assert f"a plain dlt pipeline {hour.runs[-1].requests} requests each hour" in README
    assert results["one deleted, 20,000 videos", "plain dlt"].note, "it keeps what was deleted"


def test_the_benchmarks_show_what_was_measured() -> None:
    text = (PROJECT_DIR / "docs/benchmarks.md").read_text(encoding="utf-8")
    shown = text.split(START)[1].split(END)[0]
    measured = table(read_results(PROJECT_DIR / "docs"))
    # The first line has the date and the versions of that day.
    assert shown.splitlines()[1:] == measured.splitlines()[1:], "run: python -m tests.benchmarks --draw"


def test_the_versions_that_are_supported_are_those_that_are_tested() -> None:
    project = (PROJECT_DIR / "pyproject.toml").read_text(encoding="utf-8")
    supported = (PROJECT_DIR / "tests/versions/supported.txt").read_text(encoding="utf-8")
    bounds = {
        requirement.name: requirement.specifier
        for line in supported.splitlines()
        if (text := line.partition("#")[0].strip()) and (requirement := Requirement(text))
    }
    rows = dict(cells for cells in document("README.md").table_rows if len(cells) == 2)

    def said(text: str) -> SpecifierSet:
        lowest, below = re.search(r"([\d.]+) or newer, below (\d+)", text).groups()
        return SpecifierSet(f">={lowest},<{below}")

    low, high = re.findall(r"3\.(\d+)", rows["Python"])
    assert f'requires-python = ">=3.{low},<3.{int(high) + 1}"' in project
    assert said(rows["Airflow"]) == bounds["apache-airflow"]
    assert said(rows["dlt"]) == bounds["dlt"]
    assert said(rows["destinations"]) == bounds["duckdb"]


def test_destinations_are_called_as_proven_as_they_are() -> None:
    """README's sentence is a short form of the table in docs/destinations.md."""
    rows = {cells[0].split("`")[1]: cells[3] for cells in document("docs/destinations.md").table_rows if "`" in cells[0]}
    run, of_sql = re.search(r"run by the tests: (.*?); SQL tested, no account tried: (.*?) \(", README).groups()
    names = {"delta tables": "filesystem", "postgresql": "postgres"}

    def short(text: str) -> set[str]:
        listed = re.sub(r" \([^)]*\)", "", text).split(", ")
        return {names.get(name.lower(), name.lower()) for name in listed}

    assert short(run) == {name for name, proof in rows.items() if "runs of" in proof}
    assert short(of_sql) == {name for name, proof in rows.items() if proof == "its SQL"}


def test_what_is_not_loaded_is_no_table() -> None:
    (text,) = re.findall(r"\*\*Not loaded:\*\* (.*?)\. The", README, re.DOTALL)
    assert " ".join(text.split()) == "unique viewers, which api.video counts by day, so that they cannot be added up"
    asked = {e.name: [str(e.params), *(part for ask in e.asks for part in (ask.path, ask.column))] for e in ENDPOINTS}
    loaded = [name for name, parts in asked.items() if "unique" in " ".join(parts)]
    assert not loaded, f"{text} are loaded now: say so"


def test_no_document_calls_a_loaded_table_not_loaded() -> None:
    """``test_every_list.py``: each list of the API is a table."""
    for doc in DOCUMENTS:
        assert not re.findall(r"(?i)not loaded yet", doc.text), doc.name


def test_the_sentences_of_a_resource_speak_of_what_it_has() -> None:
    """A list that belongs to no row of a parent has none; without an age, there are no first hours."""
    for entry in tables():
        said = f"{entry.current} {entry.deletes}"
        assert "None" not in said, entry.name
        assert not re.search(r"(?<![\d.])0 (hours|days)|\b1 (hours|days|requests)\b", said), entry.name


def test_a_number_of_analytics_names_the_answer_it_comes_from() -> None:
    sources = {(entry.name, column.name): column.source for entry in tables() for column in entry.columns}
    for endpoint in ENDPOINTS:
        for ask in endpoint.asks:
            assert sources[endpoint.name, snake(ask.column)] == f"`/data/{ask.path}`"
    assert sources["analytics_countries", "country"] == "`dimensionValue`"
    assert sources["analytics_hours", "hour_start"] == "`emittedAt`"
    assert sources["analytics_video_countries", "country"] == "`country` of `analytics_countries`"
    assert sources["analytics_watch_time", "media_id"] == "`media_id` of `analytics_videos`"
    assert sources["analytics_days", "state"] == sources["analytics_countries", "day"] == "this package"


# Contributing


def test_the_endpoint_of_the_guide_is_the_one_that_a_test_adds() -> None:
    columns, entry = document("CONTRIBUTING.md").blocks("python")
    assert columns.strip() == COLUMNS.strip()
    assert entry.strip() == ENTRY.strip()


def test_every_folder_of_tests_is_in_the_guide() -> None:
    rows = [cells[0] for cells in document("CONTRIBUTING.md").table_rows if cells[0].startswith("`tests/")]
    project = (PROJECT_DIR / "pyproject.toml").read_text(encoding="utf-8")
    assert {row.strip("`/") for row in rows} == set(re.findall(r'"(tests/\w+)"', project))


@pytest.mark.parametrize("doc", DOCUMENTS, ids=[doc.name for doc in DOCUMENTS])
def test_every_file_that_a_document_sends_people_to_exists(doc) -> None:
    """From the project's folder; docs/architecture.md also from the package's."""
    folders = "include|dags|plugins|tests|docs|docker|" + "|".join(ORDER)
    for path in re.findall(rf"`((?:{folders})/[\w./]*)`", doc.text):
        found = (PROJECT_DIR / path).exists() or (HOUSE / path).exists()
        assert found or path == "include/.dlt/secrets.toml", (doc.name, path)
