"""What a connection that broke means, in words for the user: functions from errors to errors, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping

import requests
from requests.utils import select_proxy
from urllib3.exceptions import ProxySchemeUnknown

from include.api_video.errors import (
    ApiVideoError,
    ApiVideoServerError,
    ApiVideoSlowError,
    ForeignAnswerError,
    ProxySettingError,
)
from include.api_video.settings.addresses import origin_of

# Of the proxy's address: that of the host was checked with the settings.
MALFORMED = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, ProxySchemeUnknown)


def read_broken(error: Exception, url: str, proxies: Mapping[str, str]) -> ApiVideoError:
    """The error that one of ``requests`` means. Its text is not quoted: it may hold the query, or a proxy's login."""
    host, proxy = origin_of(url), _proxy_of(url, proxies)
    if proxy and isinstance(error, MALFORMED):
        return ProxySettingError(
            f"The proxy set for {host} has no address that can be used: set HTTPS_PROXY to http://PROXY:PORT, or "
            "http://USER:PASSWORD@PROXY:PORT."
        )
    if proxy and isinstance(error, requests.exceptions.ProxyError):
        return _refused_by_proxy(error, host, proxy)
    if isinstance(error, requests.exceptions.SSLError):
        return ApiVideoServerError(
            f"No encrypted connection to {host} could be made: its certificate is none that this machine trusts, or what "
            "answers there is not encrypted. A firewall that looks into what it lets through has a certificate of its own: "
            "set REQUESTS_CA_BUNDLE to a file with it (who runs the network has it)."
        )
    through = f" through the proxy {proxy}" if proxy else ""
    return ApiVideoServerError(f"The connection to {url}{through} broke ({type(error).__name__}). Is it reachable?")


def read_slow(url: str, seconds: float) -> ApiVideoSlowError:
    """An answer that came, but did not end."""
    return ApiVideoSlowError(
        f"{url} had not sent its whole answer after {seconds:g} s, so the connection was closed. The line is very slow, or "
        "a proxy or firewall in between holds answers back to look into them; if it stays so, ask who runs the network."
    )


def _refused_by_proxy(error: Exception, host: str, proxy: str) -> ApiVideoError:
    """``error`` tells the status only in its text, as http.client writes it: "Tunnel connection failed: 407 ..."."""
    told = re.search(r"Tunnel connection failed: (\d{3})", str(error))
    status = int(told[1]) if told else 0
    if status == 407:
        return ProxySettingError(
            f"The proxy {proxy} wants a login before it lets through to {host} (407): set HTTPS_PROXY to "
            "http://USER:PASSWORD@PROXY:PORT. The API key is not the cause."
        )
    if status:
        return ForeignAnswerError(
            f"The proxy {proxy} does not let this machine through to {host} (it answered {status}). The API key is not the "
            "cause. Ask who runs the proxy.",
            status,
        )
    return ApiVideoServerError(
        f"The proxy {proxy} cannot be reached, or broke off on the way to {host}. Ask who runs it, or correct HTTPS_PROXY; "
        "NO_PROXY names hosts that are reached without."
    )


def _proxy_of(url: str, proxies: Mapping[str, str]) -> str:
    """Host and port of the proxy that a URL goes through, without its login; empty where it goes through none."""
    proxy = select_proxy(url, dict(proxies)) or ""
    named = origin_of(proxy if "://" in proxy else f"http://{proxy}").partition("://")[2]
    return named or ("?" if proxy else "")
