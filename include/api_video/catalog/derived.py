"""Columns made of a secret: what may be known of it, such as a URL's host. The secret itself is never stored."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

_HOST = re.compile(r"[\w.-]+|[0-9a-f:.]*:[0-9a-f:.]*")  # a name or an IPv4 address, or an IPv6 address


def sha256_of(secret: str) -> str:
    """The SHA-256 of a text in hex, as the ``sha256`` of SQL writes it: equal texts have equal ones."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def host_of(url: str) -> str | None:
    """The host of a URL, without user, port and path; None if there is none, or if what stands in its place may be a secret.

    A URL without a scheme, such as ``live.example.com/app``, has a host if that has a dot: a bare word may be a key.
    """
    text = url.strip()
    has_scheme = "://" in text
    try:
        parts = urlsplit(text if has_scheme else f"//{text}")
        host, _ = parts.hostname, parts.port
    except ValueError:  # half an IPv6 address, or a password with a slash, whose first half stands where a port would
        return None
    if host is None or not _HOST.fullmatch(host) or not (has_scheme or "." in host):
        return None
    return host
