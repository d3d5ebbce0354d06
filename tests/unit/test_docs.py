"""What the README says is what the package does."""

from __future__ import annotations

import re
from dataclasses import fields

from include.api_video.dictionary import references, tables
from include.api_video.docs import DICTIONARY, PROJECT_DIR, TYPES, data_dictionary, with_generated_parts
from include.api_video.settings import Settings

README = (PROJECT_DIR / "README.md").read_text(encoding="utf-8")


def test_the_table_of_resources_is_up_to_date() -> None:
    assert with_generated_parts(README) == README, "run: make docs"


def test_the_data_dictionary_is_up_to_date() -> None:
    assert DICTIONARY.read_text(encoding="utf-8") == data_dictionary(), "run: make docs"


def test_every_table_and_column_of_the_data_dictionary_is_described() -> None:
    text = data_dictionary()
    for table in tables():
        assert table.meaning, table.name
        assert f"\n## {table.name}\n" in text
        for column in table.columns:
            assert column.meaning, (table.name, column.name)
            assert column.data_type in TYPES, (table.name, column.name)


def test_every_number_has_a_unit_but_places_and_indexes() -> None:
    numbers = [c for table in tables() for c in table.columns if c.data_type in ("bigint", "double") and not c.unit]
    assert {column.name for column in numbers} == {"_dlt_list_idx", "value"}  # value: the number of a received part


def test_every_foreign_key_names_a_primary_key_of_the_same_type() -> None:
    keys = {f"{table.name}.{column.name}": column for table in tables() for column in table.columns if column.is_primary}
    for table, column, other in references():
        if other != "_dlt_loads":
            assert keys[column.joins].data_type == column.data_type, (table, column.name)


def test_every_link_inside_the_data_dictionary_leads_to_a_heading() -> None:
    text = data_dictionary()
    headings = set(re.findall(r"^## (.*)$", text, re.MULTILINE))
    # GitHub keeps underscores of a heading in its anchor.
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= headings | {"dlts-own-tables"}


def test_every_command_of_the_readme_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT_DIR / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)", README)) <= targets


def test_every_setting_is_named_in_the_readme_and_in_the_commented_configuration() -> None:
    config = (PROJECT_DIR / "include/.dlt/config.toml").read_text(encoding="utf-8")
    secrets = (PROJECT_DIR / "include/.dlt/secrets.toml.example").read_text(encoding="utf-8")
    for field in fields(Settings):
        assert f"`{field.name}" in README, field.name
        if field.name != "admin_base_url":
            assert field.name in config + secrets, field.name


def test_every_file_that_the_readme_sends_people_to_exists() -> None:
    for path in re.findall(r"`((?:include|dags|plugins)/[\w./]+\.py)`", README):
        assert (PROJECT_DIR / path).is_file(), path
