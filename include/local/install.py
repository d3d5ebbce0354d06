"""Creates ``.venv`` and installs packages into it: with uv if possible, which takes seconds where pip takes minutes.

    python -m include.local.install requirements.txt                # into .venv
    python -m include.local.install --venv .venv-oldest FILE...

It uses this machine's uv, else installs uv with pip into the environment (a single wheel), else uses pip. All three read
the same requirements and ``constraints.txt``, and follow pip's configuration of mirrors (``pip_settings``).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from include.local.pip_settings import read_pip_options, uv_environment

PROJECT = Path(__file__).resolve().parents[2]
QUIET = ("--quiet", "--disable-pip-version-check", "--no-input")
# With these, pip would install elsewhere than into the given environment.
ASTRAY = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONPATH", "PYTHONHOME")
# Whether pip has --python, to install into another environment than its own.
REACHES_OUT = "import pip, sys; sys.exit(tuple(map(int, pip.__version__.split('.')[:2])) < (22, 3))"
LOGIN = re.compile(r"(?<=://)[^/@\s]+@")
NO_WAY = re.compile(
    r"connection broken|max retries|error sending request|client error|dns error|failed to (fetch|download)|timed? ?out"
    r"|connection (refused|reset)|certificate|unreachable|name resolution|could not connect|request failed",
    re.IGNORECASE,
)
# Git for Windows makes a small file of a link.
NO_LINK = (
    "Note: .dlt is a file here, not a link to include/.dlt, as Git for Windows leaves it. make's commands do not need it, "
    "but dlt's own commands find no settings in this folder. In WSL: rm .dlt && ln -s include/.dlt .dlt"
)


FRAMES = " ├╰─▶×·│"  # noqa: RUF001 (what uv draws)
# What is in a line of pip's beside the reason: objects, and what it tries again.
FRAME = re.compile(r"^.*connection broken by '?|<[^<>]+ object at \w+>: |\w+Error\(['\"]?|['\")]+(: /\S*)?$")


class InstallError(Exception):
    """The installation failed or is incomplete; ``str()`` is a sentence for the user."""


def install(venv: Path, files: Sequence[str]) -> None:
    """Installs requirements into an environment, and creates it if needed. Packages installed before stay.

    Raises:
        InstallError: it failed; the message says why, and what to do.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ASTRAY}
    began, python = time.monotonic(), str(venv / "bin/python")
    _make_environment(venv, environment)
    uv = find_uv(venv, environment)
    print(f"Installing {', '.join(files)} into {venv.name} with {'uv' if uv else 'pip'} ...", flush=True)
    if uv:
        environment |= uv_environment(read_pip_options(_python(venv), environment), environment)
        command = [uv, "pip", "install", "--quiet", "--python", python]
    else:
        command = [*_pip_for(venv), "install", *QUIET]
    command += [argument for file in files for argument in ("--requirement", file)]
    # For users of the environment: pip install --constraint constraints.txt "dlt[postgres]".
    command += [] if _works(python, "pip") else ["pip"]
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise InstallError(_why(done.stderr, environment))
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)


def find_uv(venv: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """The uv of this machine, else one that pip installs into the environment; None if neither is available.

    Raises:
        InstallError: the package index cannot be reached.
    """
    own = venv / "bin/uv"
    if found := shutil.which("uv", path=_path_without(venv)) or (str(own) if own.exists() else None):
        return found
    command = [*_pip_for(venv), "install", *QUIET, "--retries", "2", "--only-binary", "uv", "uv"]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode and NO_WAY.search(done.stderr):
        raise InstallError(_why(done.stderr, environment))
    return None if done.returncode else str(own)  # a mirror without uv, or no uv for this machine


def _pip_for(venv: Path) -> list[str]:
    """The command of a pip that installs into the environment: its own, else that of its base Python."""
    python = str(venv / "bin/python")
    return [python, "-m", "pip"] if _works(python, "pip") else [_python(venv), "-m", "pip", "--python", python]


def _python(venv: Path) -> str:
    """The Python to create environments with: this one, or its base if this one belongs to the environment."""
    if Path(sys.prefix) != venv:
        return sys.executable
    return str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}"))


def _path_without(venv: Path) -> str:
    """PATH without the environment's own programs, since a half-made environment may hold anything."""
    return os.pathsep.join(part for part in os.environ.get("PATH", "").split(os.pathsep) if Path(part) != venv / "bin")


def _make_environment(venv: Path, environment: Mapping[str, str]) -> None:
    """Creates it unless one works with this Python; with its own pip only if no other pip can install into it."""
    python, version = str(venv / "bin/python"), ".".join(map(str, sys.version_info[:2]))
    if _works(python, "sys", f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"):
        return
    print(f"Making {venv.name} with Python {version} ...", flush=True)
    needs_pip = not (shutil.which("uv", path=_path_without(venv)) or _works(_python(venv), "pip", REACHES_OUT))
    command = [_python(venv), "-m", "venv", "--clear", *([] if needs_pip else ["--without-pip"]), str(venv)]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        shutil.rmtree(venv, ignore_errors=True)
        said = " ".join((done.stdout + done.stderr).split())[-300:]
        raise InstallError(
            f"Python {version} cannot make an environment. On Debian and Ubuntu: apt install python{version}-venv, or "
            f"install uv (https://docs.astral.sh/uv). Python said: {said}"
        )


def _works(python: str, module: str, code: str | None = None) -> bool:
    """Whether an environment's Python runs and has a module."""
    command = [python, "-c", code or f"import {module}"]
    return Path(python).exists() and not subprocess.run(command, capture_output=True, check=False).returncode  # noqa: S603


def _why(said: str, environment: Mapping[str, str]) -> str:
    """The failure in one sentence, from the output of uv or pip, without a mirror's login."""
    lines = [line.strip(FRAMES) for line in LOGIN.sub("***@", said).splitlines() if line.strip()]
    again = "What is there already stays as it is: run the same command again."
    if broken := [line for line in lines if NO_WAY.search(line)]:
        index = read_pip_options(sys.executable, environment).get("index-url", "the package index")
        urls = [*re.findall(r"https?://[^\s/)`'\"]+", " ".join(lines)), LOGIN.sub("***@", index)]
        return (
            f"The packages cannot be had: no answer from {urls[0]}. Check the network, and proxy, mirror and certificates "
            f"as pip knows them (pip config list). {again}\nIt was said: {FRAME.sub('', broken[-1])[:300]}"
        )
    return "\n".join(["The packages cannot be installed:", *lines[-12:], again])


def main() -> int:
    """Parses the command line."""
    parser = argparse.ArgumentParser(prog="python -m include.local.install", description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(".venv"), help="the environment (default: %(default)s)")
    parser.add_argument("files", nargs="+", help="files of requirements")
    options = parser.parse_args()
    if (PROJECT / ".dlt").is_file():
        print(NO_LINK, file=sys.stderr)
    try:
        install(options.venv.absolute(), options.files)
    except InstallError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. What is there already stays: run the same command again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
