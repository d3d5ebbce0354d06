"""Takes the newest versions of everything, within what is supported: ``make update`` then has the tests judge them.

Writes the pins of ``requirements*.txt`` and all of ``constraints.txt``. ``back`` puts them as they were before.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from include.local.install import find_uv
from include.local.pip_settings import read_pip_options, uv_environment

FILES = ("requirements.txt", "requirements-notebook.txt", "requirements-dev.txt", "constraints.txt")
SUPPORTED = Path(__file__).with_name("supported.txt")
BEFORE = Path(".venv/before-update")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(\[[^]]*\])?==[^\s;]+", re.MULTILINE)


def resolve(folder: Path) -> str:
    """The newest set that fits together, for all supported versions of Python."""
    for name in FILES[:-1]:
        loose = PIN.sub(r"\1\2", Path(name).read_text(encoding="utf-8"))
        (folder / name).write_text(loose.replace("--constraint constraints.txt", ""), encoding="utf-8")
    environment = dict(os.environ)
    environment |= uv_environment(read_pip_options(sys.executable, environment), environment)
    uv = find_uv(Path(sys.prefix)) or "uv"
    command = [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.10", "--no-annotate", "--no-header"]
    subprocess.run(
        [*command, folder / "requirements-dev.txt", "--constraint", SUPPORTED, "--output-file", folder / "constraints.txt"],
        env=environment,
        check=True,
    )
    return (folder / "constraints.txt").read_text(encoding="utf-8")


def pin(requirements: str, resolved: str) -> str:
    """The requirements with the versions of the resolved set where they have one now."""
    versions = {name.lower(): version for name, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", resolved, re.M)}
    return PIN.sub(lambda found: f"{found[1]}{found[2] or ''}=={versions[found[1].lower()]}", requirements)


def update() -> None:
    """Resolves first, so that nothing is changed where there is no answer."""
    with TemporaryDirectory() as folder:
        resolved = resolve(Path(folder))
    BEFORE.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copy2(name, BEFORE / name)
    for name in FILES[:-1]:
        Path(name).write_text(pin(Path(name).read_text(encoding="utf-8"), resolved), encoding="utf-8")
    Path(FILES[-1]).write_text(resolved, encoding="utf-8")


def back() -> None:
    """Puts the files as they were before the last update."""
    for name in FILES:
        shutil.copy(BEFORE / name, name)  # with a new time: the environment is set up anew


if __name__ == "__main__":
    {"update": update, "back": back}[sys.argv[1]]()
