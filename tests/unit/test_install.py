"""Passing pip's configuration on to uv, and the installer's messages when packages cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.local import install
from include.local.pip_settings import read_pip_options, uv_environment
from tests.airflow_home import PROJECT

MIRROR = "https://user:s3cret@mirror.example.com/simple"


def configured(tmp_path: Path, text: str, **environment: str) -> dict[str, str]:
    """The options of a pip whose only configuration file has this text."""
    file = tmp_path / "pip.conf"
    file.write_text(text, encoding="utf-8")
    # pip reads PIP_CONFIG_FILE in addition to the files of machine and user, so hide those.
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "no"), "XDG_CONFIG_DIRS": str(tmp_path / "no")}
    return read_pip_options(sys.executable, {"PIP_CONFIG_FILE": str(file), **home, **environment})


def test_a_mirror_its_certificate_and_more_indexes_are_told_to_uv(tmp_path: Path) -> None:
    certificate = tmp_path / "company.pem"
    certificate.touch()
    options = configured(
        tmp_path,
        f"[global]\nindex-url = {MIRROR}\nextra-index-url =\n  https://one.example.com/simple\n  file:///opt/two\n"
        f"trusted-host = a.example.com b.example.com\ncert = {certificate}\ntimeout = 7.5\n",
    )

    told = uv_environment(options, {})

    assert told == {
        "UV_DEFAULT_INDEX": MIRROR,
        "UV_INDEX": "https://one.example.com/simple file:///opt/two",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "a.example.com b.example.com",
        "UV_HTTP_TIMEOUT": "8",
        "SSL_CERT_FILE": str(certificate),
    }


def test_the_environment_wins_over_files_and_install_over_global(tmp_path: Path) -> None:
    text = "[global]\nindex-url = https://global/\n[install]\nindex-url = https://install/\nfind-links = /a /b\n"
    assert configured(tmp_path, text)["index-url"] == "https://install/"
    options = configured(tmp_path, text, PIP_INDEX_URL="https://environment/")
    assert uv_environment(options, {})["UV_DEFAULT_INDEX"] == "https://environment/"
    assert uv_environment(options, {})["UV_FIND_LINKS"] == "/a,/b"


def test_what_is_set_for_uv_itself_wins_and_its_indexes_are_not_mixed_with_pips(tmp_path: Path) -> None:
    options = configured(tmp_path, "[global]\nindex-url = https://pip/\nextra-index-url = https://more/\ntimeout = 9\n")

    told = uv_environment(options, {"UV_INDEX_URL": "https://uv/", "UV_HTTP_TIMEOUT": "60"})

    assert not {"UV_DEFAULT_INDEX", "UV_INDEX", "UV_HTTP_TIMEOUT"} & set(told)


def test_without_pip_its_variables_count(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    assert read_pip_options(str(python), {"PIP_INDEX_URL": "https://pip/", "PATH": os.environ["PATH"]}) == {
        "index-url": "https://pip/"
    }


@pytest.mark.parametrize("with_uv", [True, False])
def test_without_a_network_a_sentence_is_said_and_nothing_is_half_made(with_uv: bool, tmp_path: Path) -> None:
    """The index is at a port where nothing listens; a stand-in prints uv's message for that."""
    bin_folder, venv = tmp_path / "bin", tmp_path / "a b ü"
    bin_folder.mkdir()
    if with_uv:
        said = (
            f"error: Request failed after 3 retries\\n  Caused by: Failed to fetch: `{MIRROR}/dlt/`\\n  tcp connect error"
        )
        (bin_folder / "uv").write_text(f"#!/bin/sh\nprintf '{said}' >&2\nexit 2\n", encoding="utf-8")
        (bin_folder / "uv").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    environment |= {"PATH": f"{bin_folder}:/usr/bin:/bin", "PIP_CONFIG_FILE": os.devnull}
    environment |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0"}
    command = [sys.executable, "-m", "include.local.install", "--venv", str(venv), "requirements.txt"]

    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    where = "https://***@mirror.example.com/simple/dlt/" if with_uv else "http://127.0.0.1:9/simple"
    assert done.stderr.startswith("The packages cannot be had: no answer from "), done.stderr
    assert where.rpartition("/simple")[0] in done.stderr
    assert "run the same command again." in done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr
    assert not list(venv.glob("ready*"))


def test_a_mirror_without_uv_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip reports that, and installs the packages itself."""
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").write_text(
        "#!/bin/sh\ncase \"$*\" in *install*) echo 'ERROR: No matching distribution found for uv' >&2; exit 1;; esac\n",
        encoding="utf-8",
    )
    (venv / "bin/python").chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert install.find_uv(venv) is None


def test_a_link_that_git_for_windows_made_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include/local").symlink_to(PROJECT / "include/local")
    for name in ("install.py", "pip_settings.py", "__init__.py"):
        assert (tmp_path / "include/local" / name).exists()
    script = (
        "import sys; from pathlib import Path; from include.local import install\n"
        f"install.PROJECT = Path({str(tmp_path)!r}); install.install = lambda *_: None\n"
        "sys.argv = ['install', 'requirements.txt']; sys.exit(install.main())"
    )
    (tmp_path / ".dlt").write_text("include/.dlt", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, "rm .dlt && ln -s include/.dlt .dlt" in done.stderr) == (0, True)

    (tmp_path / ".dlt").unlink()
    (tmp_path / ".dlt").symlink_to("include")
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
