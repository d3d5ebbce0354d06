"""Links work: between documents, and from the package's texts to documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents import DOCUMENTS, INDEX, PROJECT, README, Document, anchor_of

each = pytest.mark.parametrize("doc", DOCUMENTS, ids=[doc.name for doc in DOCUMENTS])
# Files whose texts name documents, tests and benchmarks included.
SPEAKING = ("include", "dags", "plugins", "tests", "docker", ".github")
FILES = ("Makefile", "Dockerfile", "docker-compose.yaml", ".env.example", "pyproject.toml")
SUFFIXES = {".py", ".toml", ".example", ".yml", ".yaml", ".js", ".html", ".md", ".sql"}


def speaking() -> list[Path]:
    found = [path for folder in SPEAKING for path in (PROJECT / folder).rglob("*") if path.suffix in SUFFIXES]
    return [*found, *(PROJECT / name for name in FILES)]


@each
def test_every_link_leads_to_a_file_and_to_a_heading(doc: Document) -> None:
    for link in doc.links:
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        path = (doc.path.parent / target).resolve() if target else doc.path
        assert path.exists(), f"{doc.name}: {link} leads to no file"
        if anchor:
            assert path.suffix == ".md", f"{doc.name}: {link}"
            assert anchor in Document(path).anchors, f"{doc.name}: {link} leads to no heading"


@each
def test_no_heading_stands_twice(doc: Document) -> None:
    """A link would lead to the first of them. The changelog repeats headings, but nobody links to those."""
    headings = re.findall(r"^#+ (.*)$", doc.prose, re.MULTILINE)
    assert len(doc.anchors) == len(headings)


def test_anchors_are_made_as_github_makes_them() -> None:
    assert anchor_of("What it costs, in `_dlt_loads`") == "what-it-costs-in-_dlt_loads"
    assert anchor_of("dlt's own tables") == "dlts-own-tables"
    assert anchor_of("A [link](x.md) - here") == "a-link---here"


def test_the_index_has_a_line_for_every_document() -> None:
    listed = [cells[0] for cells in INDEX.table_rows if cells[0].startswith("[")]
    linked = {(INDEX.path.parent / re.findall(r"\]\((.*)\)", cell)[0]).resolve() for cell in listed}
    assert linked == {doc.path for doc in DOCUMENTS} - {INDEX.path, README.path, PROJECT / "CHANGELOG.md"}
    assert len(listed) == len(linked)
    assert all(len(cells) == 2 and cells[1] for cells in INDEX.table_rows)


def test_every_document_and_heading_that_the_package_names_is_there() -> None:
    """Names of documents in comments and messages, and ``README: Load your own account`` in messages."""
    headings = set(re.findall(r"^#+ (.*)$", README.prose, re.MULTILINE))
    named = 0
    for path in speaking():
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"(?<![\w/])docs/\w+\.\w+", text):
            assert (PROJECT / name).exists(), f"{path}: {name}"
            named += 1
        for heading in re.findall(r"README: ([A-Z][\w ]+)\)", text) + re.findall(r'README, "([A-Z][\w ]+)"', text):
            assert heading in headings, f"{path}: README has no heading {heading!r}"
            named += 1
    assert named > 10, "the patterns find what there is"


def test_the_readme_is_read_in_two_minutes() -> None:
    assert len(README.path.read_text(encoding="utf-8").splitlines()) <= 200
