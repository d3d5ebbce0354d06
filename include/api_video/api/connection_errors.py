"""Turns errors of a broken connection into words for the user: pure functions, no I/O."""

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

# These mean the proxy's address: the host's was checked with the settings.
MALFORMED = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, ProxySchemeUnknown)


def read_broken(error: Exception, url: str, proxies: Mapping[str, str]) -> ApiVideoError:
    """Our error for one of ``requests``. Its text is not quoted, since it may hold the query or a proxy's login."""
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
            f"No encrypted connection to {host} could be made: this machine does not trust its certificate, or the server "
            "there does not encrypt. A firewall that inspects traffic has its own certificate: set REQUESTS_CA_BUNDLE to a "
            "file with it (ask whoever runs the network)."
        )
    through = f" through the proxy {proxy}" if proxy else ""
    return ApiVideoServerError(f"The connection to {url}{through} broke ({type(error).__name__}). Is it reachable?")


def read_slow(url: str, seconds: float) -> ApiVideoSlowError:
    """The error for an answer that began, but did not end in time."""
    return ApiVideoSlowError(
        f"{url} had not sent its whole answer after {seconds:g} s, so the connection was closed. The line is very slow, or "
        "a proxy or firewall holds answers back to inspect them; if this persists, ask whoever runs the network."
    )


def _refused_by_proxy(error: Exception, host: str, proxy: str) -> ApiVideoError:
    """The error for a proxy's refusal. Only http.client's text has the status: "Tunnel connection failed: 407 ..."."""
    told = re.search(r"Tunnel connection failed: (\d{3})", str(error))
    status = int(told[1]) if told else 0
    if status == 407:
        return ProxySettingError(
            f"The proxy {proxy} requires a login for connections to {host} (407): set HTTPS_PROXY to "
            "http://USER:PASSWORD@PROXY:PORT. The API key is not the cause."
        )
    if status:
        return ForeignAnswerError(
            f"The proxy {proxy} does not let this machine through to {host} (it answered {status}). The API key is not the "
            "cause. Ask whoever runs the proxy.",
            status,
        )
    return ApiVideoServerError(
        f"The proxy {proxy} cannot be reached, or broke off the connection to {host}. Ask whoever runs it, or correct "
        "HTTPS_PROXY; NO_PROXY lists hosts to reach without a proxy."
    )


def _proxy_of(url: str, proxies: Mapping[str, str]) -> str:
    """Host and port of the proxy for a URL, without its login; empty if there is none."""
    proxy = select_proxy(url, dict(proxies)) or ""
    named = origin_of(proxy if "://" in proxy else f"http://{proxy}").partition("://")[2]
    return named or ("?" if proxy else "")
