"""The rooms of ``include/api_video``: imports run one way, and no two files import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from include.api_video.docs.rooms import HOUSE, ORDER, around, rooms
from include.api_video.settings.config import PROJECT_DIR

PACKAGE = "include.api_video"
ROOMS = list(ORDER)
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


def test_every_room_says_what_it_is_and_what_each_file_is_about() -> None:
    assert {file.relative_to(HOUSE).parts[0] for file in HOUSE.glob("*/__init__.py")} == set(ROOMS)
    assert {name_of(file) for file in FILES if len(file.relative_to(HOUSE).parts) == 1} == GROUND | ROOF
    told = rooms()
    assert {room.path for room in told} == {
        file.parent.relative_to(HOUSE).as_posix() for file in HOUSE.glob("*/**/__init__.py")
    }
    assert [room.path for room in told if room.changes] == list(ORDER), "README's table has a row for each"
    for room in told:
        assert set(room.files) == {file.stem for file in (HOUSE / room.path).glob("[!_]*.py")}, room.path


def test_the_map_has_every_file_of_dags_and_plugins() -> None:
    told = {PROJECT_DIR / path for path in around()}
    files = {file for folder in ("dags", "plugins/api_video_airflow") for file in (PROJECT_DIR / folder).glob("*.py")}
    assert files - told == {PROJECT_DIR / "plugins/api_video_airflow/__init__.py"}
    assert [path for path in told if not path.exists()] == []


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
    """And nothing that it does not."""
    said = next(each.may_import for each in rooms() if each.path == room)
    used = {room_of(imported) for file in FILES if room_of(name_of(file)) == room for imported in imports_of(file)} - {
        room,
        "__init__",
    }
    assert said == (", ".join(sorted(used, key=["errors", *ROOMS].index)) or "nothing")


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


def test_the_plugin_names_its_files_as_a_room_does() -> None:
    folder = PROJECT_DIR / "plugins" / "api_video_airflow"
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    named = {line.removeprefix("- ").split(":")[0] for line in said.splitlines() if line.startswith("- ")}
    assert named == {"templates/page.html", *(file.stem for file in folder.glob("[!_]*.py"))}
    assert (folder / "templates" / "page.html").exists()
