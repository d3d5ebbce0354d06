"""Reads the project's documents for tests: headings, links, blocks of code, commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PROGRAMS = ("airflow", "cp", "docker", "dlt", "git", "make", "marimo", "pip", "python", "rm")
# First words of commands in running text; "git" or "rm" alone is no command.
IN_TEXT = re.compile(rf"`((?:{'|'.join(PROGRAMS)}) [^`]+)`")


@dataclass(frozen=True)
class Document:
    """A Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """Its path within the project."""
        return self.path.relative_to(PROJECT).as_posix()

    @cached_property
    def text(self) -> str:
        """Its text without comments, which readers do not see."""
        return re.sub(r"<!--.*?-->\n?", "", self.path.read_text(encoding="utf-8"), flags=re.DOTALL)

    def blocks(self, language: str) -> list[str]:
        """Its blocks of code in a language; "" for blocks without one."""
        found = re.findall(r"^```(\w*)\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE)
        return [block for name, block in found if name == language]

    @property
    def prose(self) -> str:
        """Its text without blocks of code."""
        return re.sub(r"^```.*?^```", "", self.text, flags=re.DOTALL | re.MULTILINE)

    @property
    def anchors(self) -> set[str]:
        """The anchors that GitHub makes from its headings, for links behind ``#``."""
        return {anchor_of(heading) for heading in re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE)}

    @property
    def links(self) -> list[str]:
        """Targets of its links and pictures."""
        return re.findall(r"\]\(([^)\s]+)\)", self.prose)

    @property
    def table_rows(self) -> list[list[str]]:
        """The cells of all rows of its tables, including titles and rulers."""
        lines = [line for line in self.prose.splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]

    def commands(self) -> Iterator[list[str]]:
        """The words of each command that it tells the reader to type."""
        for block in self.blocks("sh"):
            for line in block.splitlines():
                yield from split(line)
        for command in IN_TEXT.findall(self.prose):
            yield from split(" ".join(command.split()))


def split(line: str) -> Iterator[list[str]]:
    """The words of each command in a shell line, split at ``&&``."""
    words = [word for word in shlex.split(line, comments=True) if word != "..."]
    while words:
        end = words.index("&&") if "&&" in words else len(words)
        yield words[:end]
        words = words[end + 1 :]


def anchor_of(heading: str) -> str:
    """GitHub's anchor of a heading: lowercase, no signs except underscores and hyphens, a hyphen for each space."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def document(name: str) -> Document:
    """A document by its path within the project."""
    return Document(PROJECT / name)


README = document("README.md")
INDEX = document("docs/README.md")
DOCUMENTS = [
    README,
    *map(document, ("CHANGELOG.md", "CONTRIBUTING.md", "tests/acceptance/README.md")),
    *map(Document, sorted((PROJECT / "docs").glob("*.md"))),
]
