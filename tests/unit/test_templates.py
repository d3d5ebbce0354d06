"""GitHub's issue forms: they follow GitHub's rules, and their links work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documents import PROJECT, Document
from tests.unit.test_documented_commands import CHECKS, TARGETS

FORMS = sorted((PROJECT / ".github/ISSUE_TEMPLATE").glob("*.yml"))
PULL_REQUEST = Document(PROJECT / ".github/pull_request_template.md")
# Kinds of elements and their required attributes: GitHub's documentation, "Syntax for GitHub's form schema".
REQUIRED = {
    "markdown": {"value"},
    "input": {"label"},
    "textarea": {"label"},
    "dropdown": {"label", "options"},
    "checkboxes": {"label", "options"},
}
OPTIONAL = {"description", "placeholder", "value", "render", "multiple", "default"}
each = pytest.mark.parametrize("path", FORMS, ids=[path.stem for path in FORMS])


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@each
def test_a_form_is_one_that_github_takes(path: Path) -> None:
    form = read(path)
    assert form.keys() <= {"name", "description", "title", "labels", "assignees", "body"}
    assert all(isinstance(form[name], str) and form[name] for name in ("name", "description"))
    ids = [element["id"] for element in form["body"] if element["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0
    for element in form["body"]:
        assert element.keys() <= {"type", "id", "attributes", "validations"}
        needed = REQUIRED[element["type"]]
        assert needed <= element["attributes"].keys() <= needed | OPTIONAL
        assert element.get("validations", {}).keys() <= {"required"}
        for option in element["attributes"].get("options", []):
            assert isinstance(option, str) == (element["type"] == "dropdown")


@each
def test_what_a_form_names_is_there(path: Path) -> None:
    said = path.read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)`", said):
        assert target in TARGETS, target
    for name in re.findall(r"\b(?:docs/)?[\w/]+\.md\b", re.sub(r"\(\.\./blob/main/(\S+)\)", r" \1", said)):
        assert (PROJECT / name).is_file(), name
    for command in re.findall(r"docker (compose .*?doctor)", said):
        CHECKS["docker"](command.split())


def test_a_bug_report_has_the_doctor_s_table_and_versions() -> None:
    form = read(PROJECT / ".github/ISSUE_TEMPLATE/bug.yml")
    needed = {element.get("id") for element in form["body"] if element.get("validations", {}).get("required")}
    assert {"doctor", "versions", "seen"} <= needed
    assert "`make doctor`" in form["body"][1]["attributes"]["label"]


def test_what_the_pull_request_template_names_is_there() -> None:
    text = PULL_REQUEST.path.read_text(encoding="utf-8")
    for command in re.findall(r"`make ([^`]+)`", text):
        assert set(command.split()) <= TARGETS, command
    for name in re.findall(r"\b[A-Z]+\.md\b", text):
        assert (PROJECT / name).is_file(), name
    assert "CONTRIBUTING.md" in text
