"""The rooms of this package, as their ``__init__`` files tell of them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
# From the ground up: a room may import those before it.
ORDER = ("messages", "catalog", "settings", "api", "sync", "warehouse", "load", "proof", "docs")


@dataclass(frozen=True)
class Room:
    """A folder: what lives in it, which rooms it may import, what to change in it, and what each of its files is about.

    ``changes`` is empty for an inner folder: the room's own line tells of it.
    """

    path: str
    what: str
    may_import: str
    changes: str
    files: dict[str, str]


def rooms() -> list[Room]:
    """All of them, each before those that may import it; a room's inner folders follow it."""
    return [
        _read(folder)
        for name in ORDER
        for folder in (HOUSE / name, *sorted((HOUSE / name).glob("*/")))
        if (folder / "__init__.py").exists()
    ]


def around() -> dict[str, str]:
    """The files of ``dags/`` and ``plugins/``, each with what it is about: ``{path: what}``."""
    project = HOUSE.parents[1]
    plugin = project / "plugins/api_video_airflow"
    lines = (ast.get_docstring(ast.parse((plugin / "__init__.py").read_text(encoding="utf-8"))) or "").splitlines()
    listed = [line.removeprefix("- ").split(": ", 1) for line in lines if line.startswith("- ")]
    dags = {f"dags/{file.name}": _first_sentence(file) for file in sorted((project / "dags").glob("api_video_*.py"))}
    dag = {"dags/api_video.py": "The DAG itself: its tasks and their order"}  # its docstring is Airflow's page of it
    return (
        dag | dags | {f"plugins/api_video_airflow/{name if '.' in name else name + '.py'}": what for name, what in listed}
    )


def _first_sentence(file: Path) -> str:
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return said.split("\n\n")[0].replace("\n", " ").replace("``", "`").removesuffix(".")


def _read(folder: Path) -> Room:
    """What a folder says of itself.

    Raises:
        ValueError: it does not say what it is, what it may import, what to change in it, and what each file is about.
    """
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    parts = re.fullmatch(
        r"(?P<what>.+)\n\nMay import: (?P<may>.+)\.\n(?:\nChange here: (?P<changes>[^-]+(?:.|\n)+?)\.\n)?\n"
        r"(?P<files>(?:- \w+: .+\n?)+)",
        said,
    )
    if not parts:
        raise ValueError(f"{folder}/__init__.py must say what lives there, what it may import, and a line for each file.")
    files = dict(line.removeprefix("- ").split(": ", 1) for line in parts["files"].splitlines())
    changes = (parts["changes"] or "").replace("\n", " ")
    return Room(folder.relative_to(HOUSE).as_posix(), parts["what"], parts["may"], changes, files)
