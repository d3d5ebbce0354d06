"""Commands and variables in the documents: each exists and means what the document says."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from importlib.metadata import metadata, requires
from pathlib import Path
from typing import Any

import airflow
import dlt.destinations
import pytest
import requests
import yaml
from packaging.requirements import Requirement

from include.api_video.proof.alerts import AlertSettings
from include.api_video.settings.settings import Settings
from include.demo_api.behaviour import Behaviour
from include.demo_api.server import running
from include.demo_api.world import World
from tests.documents import DOCUMENTS, PROJECT, document

COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text(encoding="utf-8"))
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
OPTIONS = yaml.safe_load((Path(airflow.__file__).parent / "config_templates/config.yml").read_text(encoding="utf-8"))
each = pytest.mark.parametrize("doc", DOCUMENTS, ids=[doc.name for doc in DOCUMENTS])


# --- commands -----------------------------------------------------------------------------------------------------------


def check_make(words: list[str]) -> None:
    for word in words:
        assert word in TARGETS or re.match(r"[A-Z]+=", word), f"make {word}"
        if "=" in word:
            assert re.search(rf"^{word.split('=')[0]} \?=|\$\({word.split('=')[0]}\)", MAKEFILE, re.MULTILINE), word


def check_python(words: list[str]) -> None:
    flag, module, *arguments = words
    if module in ("venv", "pytest"):
        assert all((PROJECT / path).exists() for path in arguments if path.startswith("tests/"))
        return
    assert flag == "-m"
    assert importlib.util.find_spec(module), module
    folder = PROJECT / module.replace(".", "/")
    files = list(folder.glob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    for argument in arguments:
        assert f'"{argument}"' in source, f"{module} {argument}"


def check_compose(words: list[str]) -> None:
    compose, action, *arguments = words
    assert compose == "compose"
    known = {
        "up": {"--detach", "--wait", "--build", "--scale"},
        "down": {"--volumes", "--rmi", "all"},
        "exec": set(),
        "cp": set(),
        "build": {"--build-arg"},
    }[action]
    for argument in arguments if action in ("up", "down") else []:
        assert argument in known or argument.split("=")[0] in COMPOSE["services"], argument
    if action in ("exec", "cp"):
        assert arguments[0].split(":")[0] in COMPOSE["services"], arguments
    if action == "exec" and arguments[1] == "python":
        check_python(arguments[2:])


def check_paths(words: list[str]) -> None:
    for path in words:
        if not path.startswith(("-", "logs/", ".")):
            assert list(PROJECT.glob(path)), path
    if words[0].startswith("."):  # cp .env.example .env
        assert (PROJECT / words[0]).exists()


@cache
def airflow_takes(*words: str) -> str:
    """The error of Airflow's own parser for a command; empty if it accepts it, or if only arguments are missing."""
    script = "import sys; from airflow.cli.cli_parser import get_parser; get_parser().parse_args(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *words], capture_output=True, text=True, check=False
    )
    return done.stderr if done.returncode and "the following arguments are required" not in done.stderr else ""


def check_airflow(words: list[str]) -> None:
    if words == ["version"]:
        return
    assert not airflow_takes(*words), words


def check_pip(words: list[str]) -> None:
    for name, value in itertools.pairwise(words):
        if name in ("--constraint", "-r"):
            assert (PROJECT / value).exists(), value


def check_dlt(words: list[str]) -> None:
    assert words[:1] == ["pipeline"]
    assert words[1:] in (["api_video_pipeline", "info"], ["api_video_pipeline", "show"], ["show"]), words


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "python": check_python,
    "python3": check_python,
    ".venv/bin/python": check_python,
    "docker": check_compose,
    "rm": check_paths,
    "cp": check_paths,
    "airflow": check_airflow,
    "pip": check_pip,
    "dlt": check_dlt,
    "marimo": lambda words: check_paths(words[1:]),
    "export": lambda words: None,  # variables are checked below
    "git": lambda words: None,
    ".": lambda words: None,  # the line before creates the environment
}


@each
def test_every_command_is_one_that_there_is(doc) -> None:
    for program, *words in doc.commands():
        assert program in CHECKS, f"{doc.name}: no test knows how to judge {program} {' '.join(words)}"
        CHECKS[program](words)


def test_all_commands_of_make_are_in_one_table() -> None:
    rows = [cells[0] for cells in document("docs/commands.md").table_rows if cells[0].startswith("`make ")]
    assert sorted(rows) == sorted(f"`make {target}`" for target in TARGETS - {"help"})


def test_the_way_without_make_is_make_s() -> None:
    (block,) = (block for block in document("docs/commands.md").blocks("sh") if "venv" in block)
    recipe = MAKEFILE[MAKEFILE.index("$(READY): requirements.txt") :].split("\n\n")[0]
    assert "pip install -r requirements.txt" in block
    assert "$(INSTALL) requirements.txt" in recipe
    assert "airflow db migrate" in block
    assert 'airflow" db migrate' in recipe
    assert re.findall(r"(AIRFLOW\w+)=", block) == re.findall(r"^export (AIRFLOW\w+) :=", MAKEFILE, re.MULTILINE)


def test_a_command_that_is_not_there_is_found() -> None:
    for program, words in (
        ("make", ["tests"]),
        ("python", ["-m", "include.api_video", "--refresh"]),
        ("docker", ["compose", "exec", "webserver", "cat"]),
        ("airflow", ["dags", "tset", "api_video"]),
        ("rm", ["-r", "dags/video*.py"]),
    ):
        with pytest.raises(AssertionError):
            CHECKS[program](words)


# --- variables ----------------------------------------------------------------------------------------------------------


def check_variable(name: str) -> None:
    """Whether the package, Airflow, dlt or the compose file knows a variable."""
    parts = name.split("__")
    if parts[0] == "SOURCES":
        assert parts[1] == "API_VIDEO_SOURCE"
        names = {field.name.upper() for field in fields(Settings)}
        assert set(parts[2:4]) & (names | {""}) or len(parts) == 2, name
    elif name.startswith("API_VIDEO__ALERTS"):
        assert parts[2] in {field.name.upper() for field in fields(AlertSettings)} | {""}, name
    elif parts[0] == "DESTINATION":
        check_destination(parts[1:])
    elif parts[0] == "AIRFLOW_CONN_" or parts[0].startswith("AIRFLOW_CONN_API_VIDEO"):
        pass  # a Connection, or a variable of ours
    elif parts[0] == "AIRFLOW" and len(parts) == 3:
        assert parts[1].lower() in OPTIONS, name
        assert not parts[2] or parts[2].lower() in OPTIONS[parts[1].lower()]["options"], name
    else:
        assert re.search(rf"\b{name}", everything()), name


def check_destination(parts: list[str]) -> None:
    """Whether dlt's own specification has these fields, at any depth."""
    destination, *path = [part for part in parts if part] or ["duckdb"]
    specs: list[Any] = [getattr(dlt.destinations, destination.lower())().spec]
    for part in path:
        found = [hint for spec in specs if (hint := spec.get_resolvable_fields().get(part.lower()))]
        assert found, f"dlt's {destination} has no {part} in {path}"
        specs = [one for hint in found for one in flat(hint) if hasattr(one, "get_resolvable_fields")]


def flat(hint: Any) -> list[Any]:
    """The types in a type hint, which may be a union."""
    return [one for argument in getattr(hint, "__args__", ()) for one in flat(argument)] or [hint]


@cache
def everything() -> str:
    """All code and configuration that can read a variable."""
    files = [PROJECT / name for name in ("Makefile", "docker-compose.yaml", ".env.example", "docker/make_secrets.py")]
    files += [
        path for folder in ("include", "dags", "plugins", "tests/acceptance") for path in (PROJECT / folder).rglob("*.py")
    ]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@each
def test_every_variable_is_one_that_something_reads(doc) -> None:
    for name in set(
        re.findall(
            r"\b((?:SOURCES|DESTINATION|API_VIDEO|AIRFLOW|COMPOSE|DLT|HTTPS|NO|REQUESTS|ACCEPTANCE)_[A-Z0-9_]+)", doc.text
        )
    ):
        check_variable(name)


@each
def test_every_option_of_airflow_is_one_of_its_own(doc) -> None:
    for section, option in re.findall(r"`\[(\w+)\] (\w+)`", doc.text):
        if section != "api_video":
            assert option in OPTIONS[section]["options"], (section, option)


@each
def test_every_extra_of_dlt_is_one_of_its_own(doc) -> None:
    known = set(metadata("dlt").get_all("Provides-Extra"))
    for names in re.findall(r"dlt\[([\w,]+)\]", doc.text) + re.findall(r"DLT_EXTRAS=([\w,]+)", doc.text):
        assert set(names.split(",")) <= known, names


# --- production.md -----------------------------------------------------------------------------------------------------


def test_what_pip_installs_beside_an_airflow_is_all_that_is_required() -> None:
    """Packages of requirements.txt that are not requirements of Airflow or dlt."""
    (command,) = (words for words in document("docs/production.md").commands() if "--constraint" in words)
    named = [word.partition("==")[0] for word in command[4:]]
    assert command[:4] == ["pip", "install", "--constraint", "tests/versions/supported.txt"]
    required = (PROJECT / "requirements.txt").read_text(encoding="utf-8")
    wanted = {
        Requirement(line.partition("#")[0].strip()).name
        for line in required.splitlines()
        if line.strip() and not line.startswith(("#", "-"))
    }
    assert wanted <= brought_by(named)


def brought_by(names: list[str]) -> set[str]:
    """All packages that these require, at any depth."""
    found: set[str] = set()
    left = [Requirement(name) for name in names]
    while left:
        one = left.pop()
        name = one.name.lower().replace("_", "-")
        for extra in ("", *one.extras):
            if f"{name}[{extra}]" in found:
                continue
            found |= {name, f"{name}[{extra}]"}
            try:
                below = [Requirement(text) for text in requires(one.name) or []]
            except ModuleNotFoundError:  # for another platform
                continue
            left += [need for need in below if need.marker is None or need.marker.evaluate({"extra": extra})]
    return found


def test_the_demo_takes_the_behaviour_that_production_md_sets() -> None:
    (body,) = re.findall(r"`PATCH /_demo/behaviour (\{.*?\})`", document("docs/production.md").text)
    with running(World(1), Behaviour()) as demo:
        answer = requests.patch(f"{demo.url}/_demo/behaviour", json=json.loads(body), timeout=10)
        assert answer.ok, answer.text
        assert (demo.behaviour.rate_limit, demo.behaviour.rate_window_s, demo.behaviour.latency_s) == (500, 10, 0.1)


def test_compose_is_spoken_of_as_it_is() -> None:
    text = document("docs/production.md").text
    file = COMPOSE["x-airflow"]["environment"]["DESTINATION__DUCKDB__CREDENTIALS"].partition(":-")[2].rstrip("}")
    assert f"docker compose cp scheduler:{file} ." in text
    for volume in ("warehouse", "secrets"):
        assert f"volume `{volume}`" in text
        assert volume in COMPOSE["volumes"]
    assert "--videos 3000` added to the entrypoint of `demo-api`" in text
    assert COMPOSE["services"]["demo-api"]["entrypoint"][:4] == ["python", "-m", "include.demo_api", "serve"]
