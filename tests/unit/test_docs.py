"""What the README says is what the package does."""

from __future__ import annotations

import re
from dataclasses import fields

from include.api_video.docs import PROJECT_DIR, with_generated_parts
from include.api_video.settings import Settings

README = (PROJECT_DIR / "README.md").read_text(encoding="utf-8")


def test_the_table_of_resources_is_up_to_date() -> None:
    assert with_generated_parts(README) == README, "run: make docs"


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
