"""Where a request, and with it an API key, may go: over https, to this machine, and as far as a redirect stays there.

Pure functions: no I/O, no look at the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

from include.api_video.errors import RedirectError, SettingsError

# The demo's name on the private network of docker-compose.yaml. The one other host that plain http:// may name: requests to
# it leave neither the machine nor that network.
COMPOSE_DEMO = "demo-api"
LOCAL = ("localhost", "127.0.0.1", "::1", COMPOSE_DEMO)  # as NO_PROXY takes them
DEFAULT_PORTS = {"https": 443, "http": 80}


def is_local(url: str) -> bool:
    """Whether a URL stays on this machine, or on the compose file's network: there is no proxy on the way."""
    host = _split(url).hostname or ""
    if host in LOCAL or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified  # 0.0.0.0 is what the demo listens on, and leads to this machine


def without_query(url: str) -> str:
    """A URL as a message may name it: no query, no login."""
    parts = _split(url)
    return f"{origin_of(url)}{parts.path}"


def origin_of(url: str) -> str:
    """Scheme, host and port."""
    parts = _split(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def check_address(setting: str, url: str) -> str:
    """A base URL to which a key may be sent.

    Raises:
        SettingsError: it is no URL, holds a login, or would send the key unencrypted to another machine.
    """
    parts = _split(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            f"{setting} must be a URL such as https://ws.api.video and no more: no user name, no password, nothing after ? "
            "or #. The key has a setting of its own."
        )
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise SettingsError(f"{setting} must be a URL such as https://ws.api.video, not {url!r}.")
    if parts.scheme == "http" and not is_local(url):
        raise SettingsError(
            f"{setting} is {url}, over which the API key would travel unencrypted: write https://{parts.netloc}. Plain "
            f"http:// is taken for this machine only (127.0.0.1, localhost; {COMPOSE_DEMO} in docker-compose.yaml)."
        )
    return url.rstrip("/")


def check_unencrypted(url: str) -> None:
    """The last word before a key is sent.

    Raises:
        RedirectError: the URL is plain http:// to another machine.
    """
    if _split(url).scheme != "https" and not is_local(url):
        raise RedirectError(f"{without_query(url)} is not encrypted: the API key is not sent there. Use https://.")


def redirected(url: str, location: str, setting: str) -> str:
    """The address that an answer's ``Location`` leads to: of the same host and port, or the same host over https.

    Raises:
        RedirectError: it leads elsewhere, where a key must not go. ``setting`` is what names the address.
    """
    target = _join(url, location)
    here, there = _split(url), _split(target)
    where = without_query(url)
    if there.scheme not in DEFAULT_PORTS or not there.hostname:
        raise RedirectError(f"{where} leads to something that is no web address. A proxy in between? {_advice(setting)}")
    if there.hostname != here.hostname or (there.scheme == here.scheme and _port(there) != _port(here)):
        raise RedirectError(
            f"{where} leads to another server, {origin_of(target)}: the API key is sent to no other. A firewall or a login "
            f"page of your network does so; or the API has moved. {_advice(setting)}"
        )
    if there.scheme == "http" and here.scheme == "https":
        raise RedirectError(
            f"{where} leads to plain http://, over which the API key would travel unencrypted: it is not sent there. A "
            f"proxy in between does so. {_advice(setting)}"
        )
    return target


def _advice(setting: str) -> str:
    return f"Ask who runs the network; where the new address is right, set {setting} to it."


def _join(url: str, location: str) -> str:
    """Empty where the location is malformed. Header values arrive as Latin-1; servers send UTF-8."""
    try:
        return urljoin(url, location.strip().encode("latin-1", "replace").decode("utf-8", "replace"))
    except ValueError:
        return ""


def _split(url: str) -> SplitResult:
    """The parts of a URL; of one that is none, no scheme and no host."""
    try:
        parts = urlsplit(url)
        _ = parts.port, parts.hostname  # a port that is no number shows only when it is asked for
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def _port(parts: SplitResult) -> int | None:
    return parts.port or DEFAULT_PORTS.get(parts.scheme)


def beside_a_proxy(environment: Mapping[str, str]) -> dict[str, str]:
    """``NO_PROXY`` in both spellings, with what is local added: for a process whose demo and Airflow are on this machine.

    Where ``http_proxy`` is set, programs send everything to it but what ``NO_PROXY`` names; the small letters win in some.
    """
    named = [name.strip() for key in ("NO_PROXY", "no_proxy") for name in environment.get(key, "").split(",")]
    names = ",".join(dict.fromkeys([*LOCAL, *filter(None, named)]))
    return {"NO_PROXY": names, "no_proxy": names}
