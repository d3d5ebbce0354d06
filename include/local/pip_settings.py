"""Translates pip's configuration of mirror, proxy and certificates for uv, which reads none of pip's files.

pip's names: https://pip.pypa.io/en/stable/topics/configuration/; uv's: https://docs.astral.sh/uv/reference/environment/
"""

from __future__ import annotations

import ast
import math
import os
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path

# pip's option: uv's variable, and the separator of several values; "" for a single value.
OPTIONS = {
    "index-url": ("UV_DEFAULT_INDEX", ""),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", ""),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "client-cert": ("SSL_CLIENT_CERT", ""),
    "proxy": ("ALL_PROXY", ""),
    "keyring-provider": ("UV_KEYRING_PROVIDER", ""),
    "timeout": ("UV_HTTP_TIMEOUT", ""),
    "default-timeout": ("UV_HTTP_TIMEOUT", ""),
}
SECTIONS = ("global", "install", ":env:")  # the last one with an option wins, as in `pip install`
INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")


def read_pip_options(python: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The options of ``pip install``, as pip reports them; from the environment alone if there is no pip."""
    asked = subprocess.run(  # noqa: S603 (the Python that make was told)
        [python, "-m", "pip", "config", "list"], env=dict(environment), capture_output=True, text=True, check=False
    )
    lines = asked.stdout.splitlines() if asked.returncode == 0 else _told_by(environment)
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in lines:
        name, is_setting, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if is_setting and section in found:
            found[section][option.replace("_", "-")] = str(ast.literal_eval(value))
    return {**found["global"], **found["install"], **found[":env:"]}


def _told_by(environment: Mapping[str, str]) -> list[str]:
    """The environment variables of pip, in the form in which pip lists its options."""
    mine = {name.removeprefix("PIP_"): value for name, value in environment.items() if name.startswith("PIP_")}
    return [f":env:.{name.lower().replace('_', '-')}={value!r}" for name, value in mine.items()]


def uv_environment(options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that make uv install as pip would; variables already set for uv win."""
    told: dict[str, str] = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # pip treats all its indexes as one
    for option, (variable, between) in OPTIONS.items():
        values = options.get(option, "").split()
        if values:
            told[variable] = between.join(values) if between else values[0]
    if "UV_HTTP_TIMEOUT" in told:
        told["UV_HTTP_TIMEOUT"] = str(math.ceil(float(told["UV_HTTP_TIMEOUT"])))  # uv takes whole seconds
    if told.get("UV_NO_INDEX", "").lower() in ("0", "false", "no", "off"):
        del told["UV_NO_INDEX"]
    if any(environment.get(name) for name in INDEXES):  # uv's own index is not mixed with pip's
        told = {name: value for name, value in told.items() if name not in INDEXES}
    told.update(_certificates(options.get("cert"), environment))
    return {name: value for name, value in told.items() if not environment.get(name)}


def _certificates(cert: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Where uv finds the certificates that pip trusts; by default the system's, as in pip since version 24.2."""
    if cert:
        return {"SSL_CERT_DIR" if Path(cert).is_dir() else "SSL_CERT_FILE": cert}
    bundle = environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE")  # pip reads them through requests
    if bundle and Path(bundle).is_file():
        return {"SSL_CERT_FILE": bundle}
    paths = ssl.get_default_verify_paths()
    has_some = bool(paths.cafile or (paths.capath and os.path.isdir(paths.capath) and os.listdir(paths.capath)))
    return {"UV_SYSTEM_CERTS": "true"} if has_some else {}
