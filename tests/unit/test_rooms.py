"""The rooms of ``include/api_video``: imports run one way, and no two files import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from include.api_video.settings.config import PROJECT_DIR

HOUSE = PROJECT_DIR / "include" / "api_video"
PACKAGE = "include.api_video"
# From the ground up: a room may import the rooms before it, and the modules in ROOTS.
ROOMS = ["messages", "catalog", "settings", "api", "sync", "warehouse", "load", "proof", "docs"]
GROUND, ROOF = {"errors", "own_process", "__init__"}, {"__main__"}
FILES = sorted(HOUSE.rglob("*.py"))


def name_of(file: Path) -> str:
    """The module name of a file, such as ``warehouse.sql``."""
    return ".".join(file.relative_to(HOUSE).with_suffix("").parts)


def imports_of(file: Path) -> Iterator[str]:
    """Modules of the package that a file imports, even within functions: ``warehouse.sql``."""
    modules = {name_of(other) for other in FILES}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{PACKAGE}."):
            module = node.module.removeprefix(f"{PACKAGE}.")
            for alias in node.names:
                yield f"{module}.{alias.name}" if f"{module}.{alias.name}" in modules else module
        elif isinstance(node, ast.Import):
            for alias in node.names:
                assert not alias.name.startswith(PACKAGE), f"{file}: from ... import ..., as everywhere"


def room_of(module: str) -> str:
    return module.split(".")[0]


def test_every_folder_is_a_room_that_says_what_it_is() -> None:
    assert {folder.parent.relative_to(HOUSE).parts[0] for folder in HOUSE.glob("*/__init__.py")} == set(ROOMS)
    assert {name_of(file) for file in FILES if len(file.relative_to(HOUSE).parts) == 1} == GROUND | ROOF
    for file in HOUSE.glob("*/**/__init__.py"):
        lines = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").splitlines()
        assert len(lines) == 4, f"{file}: what lives here, what it may import, where a change goes"
        assert lines[2].startswith("May import: "), file


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_those_below_it_alone(room: str) -> None:
    allowed = {*GROUND, *ROOMS[: ROOMS.index(room) + 1]} - ({"own_process"} if room != "proof" else set())
    back = [
        f"{name_of(file)} -> {imported}"
        for file in FILES
        if room_of(name_of(file)) == room
        for imported in imports_of(file)
        if room_of(imported) not in allowed
    ]
    assert back == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_imports(room: str) -> None:
    """Its ``__init__.py`` lists exactly the rooms that it imports."""
    said = (ast.get_docstring(ast.parse((HOUSE / room / "__init__.py").read_text(encoding="utf-8"))) or "").splitlines()[2]
    used = {room_of(imported) for file in FILES if room_of(name_of(file)) == room for imported in imports_of(file)} - {
        room,
        "__init__",
    }
    assert said == f"May import: {', '.join(sorted(used, key=['errors', *ROOMS].index)) or 'nothing'}."


def test_no_two_files_import_each_other() -> None:
    try:
        order = list(TopologicalSorter({name_of(file): set(imports_of(file)) for file in FILES}).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")
    assert len(order) >= len(FILES) - 1


def test_the_package_imports_nothing_of_airflow() -> None:
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "airflow" for name in names), file
