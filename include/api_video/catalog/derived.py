"""Columns made of a secret: what may be known of it, such as a URL's host. The secret itself is never stored."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit


def sha256_of(secret: str) -> str:
    """The SHA-256 of a text in hex, as the ``sha256`` of SQL writes it: equal texts have equal ones."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def host_of(url: str) -> str | None:
    """The host of a URL, without user, port and path; None if there is none."""
    try:
        return urlsplit(url.strip()).hostname
    except ValueError:  # such as half an IPv6 address
        return None
