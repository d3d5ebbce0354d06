"""Where a request, and with it an API key, may go: over https, or to this machine; redirects must stay on the host.

Pure functions, without network access.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

from include.api_video.errors import RedirectError, SettingsError

# The demo's name on the private network of docker-compose.yaml. It is the only other host allowed over plain http://, since
# requests to it never leave that network.
COMPOSE_DEMO = "demo-api"
LOCAL = ("localhost", "127.0.0.1", "::1", COMPOSE_DEMO)  # in NO_PROXY's spelling
DEFAULT_PORTS = {"https": 443, "http": 80}


def is_local(url: str) -> bool:
    """Whether a URL stays on this machine or on the compose file's network. No proxy is used for it."""
    host = _split(url).hostname or ""
    if host in LOCAL or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified  # the demo may listen on 0.0.0.0, which leads to this machine


def without_query(url: str) -> str:
    """The URL for a message: without query and login, which may hold secrets."""
    parts = _split(url)
    return f"{origin_of(url)}{parts.path}"


def origin_of(url: str) -> str:
    """Scheme, host and port."""
    parts = _split(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def check_address(setting: str, url: str) -> str:
    """The base URL, once it is safe to send a key there.

    Raises:
        SettingsError: it is not a URL, contains a login, or would send the key unencrypted to another machine.
    """
    parts = _split(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            f"{setting} must be a URL such as https://ws.api.video and no more: no user name, no password, nothing after ? "
            "or #. The key has its own setting."
        )
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise SettingsError(f"{setting} must be a URL such as https://ws.api.video, not {url!r}.")
    if parts.scheme == "http" and not is_local(url):
        raise SettingsError(
            f"{setting} is {url}, over which the API key would travel unencrypted: write https://{parts.netloc}. Plain "
            f"http:// is allowed for this machine only (127.0.0.1, localhost; {COMPOSE_DEMO} in docker-compose.yaml)."
        )
    return url.rstrip("/")


def check_unencrypted(url: str) -> None:
    """The last check before a key is sent.

    Raises:
        RedirectError: the URL is plain http:// to another machine.
    """
    if _split(url).scheme != "https" and not is_local(url):
        raise RedirectError(f"{without_query(url)} is not encrypted, so the API key is not sent there. Use https://.")


def redirected(url: str, location: str, setting: str) -> str:
    """The address that a ``Location`` header leads to: the same host and port, or the same host over https.

    ``setting`` is the name of the setting that holds the base URL, for the message.

    Raises:
        RedirectError: it leads elsewhere, where a key must not go.
    """
    target = _join(url, location)
    here, there = _split(url), _split(target)
    where = without_query(url)
    if there.scheme not in DEFAULT_PORTS or not there.hostname:
        raise RedirectError(
            f"{where} redirects to something that is no web address. A proxy may have answered. {_advice(setting)}"
        )
    if there.hostname != here.hostname or (there.scheme == here.scheme and _port(there) != _port(here)):
        raise RedirectError(
            f"{where} leads to another server, {origin_of(target)}: the API key is sent to no other. A firewall or a login "
            f"page of your network may redirect so, or the API has moved. {_advice(setting)}"
        )
    if there.scheme == "http" and here.scheme == "https":
        raise RedirectError(
            f"{where} leads to plain http://, over which the API key would travel unencrypted: it is not sent there. A "
            f"proxy may redirect so. {_advice(setting)}"
        )
    return target


def _advice(setting: str) -> str:
    return f"Ask whoever runs the network; if the new address is right, set {setting} to it."


def _join(url: str, location: str) -> str:
    """The target; empty if the location is malformed. Header values arrive as Latin-1, but servers send UTF-8."""
    try:
        return urljoin(url, location.strip().encode("latin-1", "replace").decode("utf-8", "replace"))
    except ValueError:
        return ""


def _split(url: str) -> SplitResult:
    """The parts of a URL; all empty if it cannot be parsed."""
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname  # urllib checks the port only when it is read
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def _port(parts: SplitResult) -> int | None:
    return parts.port or DEFAULT_PORTS.get(parts.scheme)


def beside_a_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """``NO_PROXY`` with local hosts added, for a process whose demo and Airflow run on this machine.

    Without it, programs would send local requests to ``http_proxy``. Both spellings, since some read lowercase first.
    """
    named = [name.strip() for key in ("NO_PROXY", "no_proxy") for name in environment.get(key, "").split(",")]
    names = ",".join(dict.fromkeys([*LOCAL, *filter(None, named)]))
    return {"NO_PROXY": names, "no_proxy": names}
