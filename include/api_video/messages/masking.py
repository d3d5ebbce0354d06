"""Removes credentials from all text for people: error messages, tracebacks, log lines, XCom, reports.

When a driver fails, it repeats its connection string, whole or in pieces, encoded or decoded. ``mask`` removes the secrets
of all settings in each of these forms, and whatever looks like a secret, wherever it comes from.
"""

from __future__ import annotations

import json
import os
import re
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import dlt
from dlt.common.configuration.exceptions import ConfigProviderException
from dlt.common.configuration.providers.doc import BaseDocProvider

from include.api_video.errors import ApiVideoError, root_of

HIDDEN = "***"
SHORTEST = 4  # shorter secrets match other text by chance; PATTERNS hides those, but only in their usual places
OURS = ("DESTINATION__", "SOURCES__", "API_VIDEO", "CREDENTIALS__", "AIRFLOW_CONN_")
TABLES = ("destination", "sources", "api_video", "credentials")  # of dlt's files
WORDS = r"(?:pass(?:word|wd|phrase)|pwd|secret|token|api_?key|(?:access|account|private|encryption)_?key|signature|sig)"
SECRET_NAME = re.compile(rf"{WORDS}(?:_value)?$|secret_access_key|webhook_url|connection_string|statements", re.I)
PLAIN_NAME = re.compile(r"(_id|_file|_path|_uri|_type|_name)$", re.I)
PLAIN_WORDS = frozenset({"password", "postgres", "..."})  # words of our own messages; as passwords, they protect nothing

LOGIN = re.compile(r"^(?:[\w+.-]+:)?/*[^:/@\s]*:(.*)@", re.DOTALL)  # also of a malformed string, up to its last @
LOGIN_WITHOUT_HOST = re.compile(r"^[\w+.-]+:/*[^:/@\s]*:([^/@]*[^/@\d][^/@]*)")
HOST = re.compile(r"@[\w.,:\[\]-]*(?:/[\w.-]*)?(?:\?[^@]*)?")
AFTER_LOGIN = re.compile(r"@([\w.-]+)(?=[:/?\s][^@]*$|$)")
BREAKS = re.compile(r"[@:/?#&\s]")
ASSIGNED = re.compile(rf"({WORDS})\s*=\s*('[^']*'|\"[^\"]*\"|[^\s&;,'\"]+)", re.I)
# For any text. Our own messages contain `user:password@`, to show where a password goes: it stays.
PATTERNS = (
    (re.compile(r"([\"'][^\"']*://[^\s:/@\"']*):(?!password@)[^\"']*@"), rf"\1:{HIDDEN}@"),
    (re.compile(r"(://[^\s:/@'\"]*):(?!password@)[^\s'\"]*@"), rf"\1:{HIDDEN}@"),
    (re.compile(rf"((?:\b|_){WORDS}\s*=\s*)(?!['\"]?\.\.\.)('[^']*'|\"[^\"]*\"|[^\s&;,'\")]+)", re.I), rf"\1{HIDDEN}"),
    (re.compile(rf"([\"'][\w-]*{WORDS}[\"']\s*:\s*)('[^']*'|\"[^\"]*\")", re.I), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Basic|Bearer)\s+[\w+/=.~-]{8,}", re.I), rf"\1 {HIDDEN}"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), HIDDEN),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), HIDDEN),
)
_told: set[str] = set()  # secrets from outside the settings, such as an Airflow Connection's


def mask(text: str) -> str:
    """The text without credentials."""
    for secret in _known(_Settings()):
        if secret in text:
            text = text.replace(secret, HIDDEN)
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    return text


def sentence_of(error: BaseException) -> str:
    """Name and text of an error, without credentials. For errors of others, those of the root cause."""
    if isinstance(error, ApiVideoError):
        return mask(f"{type(error).__name__}: {error}")
    root = root_of(error)
    return mask(f"{type(root).__name__}: {' '.join(str(root).split())}")


def traceback_of(error: BaseException) -> str:
    """The traceback of an error's root cause, without credentials."""
    return mask("".join(traceback.format_exception(root_of(error), chain=False))).rstrip()


def hide(secret: str | None) -> None:
    """Tells ``mask`` a secret from outside the settings."""
    if secret:
        _told.update(found for found in _forms(secret) if len(found) >= SHORTEST)


# --- which secrets there are ---------------------------------------------------------------------------------------------


class _Settings:
    """The current settings, as a key for the cache of ``_known``: every log line needs them, and they seldom change."""

    def __init__(self) -> None:
        self.pairs, self.told = list(_settings()), frozenset(_told)
        self._key = repr((self.pairs, sorted(self.told)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Settings) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=2)
def _known(settings: _Settings) -> list[str]:
    """All secrets of the settings in every form in which they may appear: whole ones first, then pieces."""
    whole, pieces = set(settings.told), set[str]()
    for name, value in settings.pairs:
        host = AFTER_LOGIN.search(value) if isinstance(value, str) else None
        for secret in _secrets_of(name, value):
            for form in _forms(secret):
                whole.add(form)
                pieces.update(_pieces(form))
                if host:
                    pieces.update(f"{piece}@{host[1]}" for piece in _pieces(form, shortest=1))
    found = [*sorted(whole, key=len, reverse=True), *sorted(pieces, key=len, reverse=True)]
    return [secret for secret in found if len(secret) >= SHORTEST and secret.lower() not in PLAIN_WORDS]


def _settings() -> Iterator[tuple[str, Any]]:
    for name, value in os.environ.items():
        if value and (name.startswith(OURS) or SECRET_NAME.search(name)):
            yield name, value
    try:
        providers = dlt.config.config_providers
    except ConfigProviderException:  # a file that cannot be read, which is what the text may be about
        return
    for provider in providers:
        if isinstance(provider, BaseDocProvider):  # files: others would ask a server for it
            for table in TABLES:
                yield table, provider.get_value(table, Any, "")[0]


def _secrets_of(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner, item in value.items():
            yield from _secrets_of(str(inner), item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _secrets_of(name, item)
    elif isinstance(value, str):
        if value.lstrip().startswith(("{", "[")):
            with suppress(ValueError):
                yield from _secrets_of(name, json.loads(value))
                return
        yield from _in_connection_string(value)
        if SECRET_NAME.search(name) and not PLAIN_NAME.search(name) and not value.startswith("/"):
            yield value


def _in_connection_string(text: str) -> Iterator[str]:
    """The password and other secrets in a connection string, even a malformed one."""
    if found := LOGIN.search(text) or LOGIN_WITHOUT_HOST.search(text):
        yield found[1]
        if not HOST.fullmatch(text, found.end(1)):
            yield text[found.start(1) :]  # it is unclear where the password ends
    for assigned in ASSIGNED.finditer(text):
        yield assigned[2].strip("'\"")


def _forms(secret: str) -> Iterator[str]:
    """A secret as written, decoded and encoded."""
    secret = secret.strip()
    yield from (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1])
    for text in (secret, unquote(secret)):  # SQLAlchemy's URLs keep " +"
        yield from (text, unquote_plus(text), quote(text, safe=""), quote(text, safe=" +"), quote_plus(text))
    yield from (line.strip() for line in secret.splitlines())


def _pieces(secret: str, shortest: int = SHORTEST) -> Iterator[str]:
    """Pieces of a password that a driver splits at a special character: ``ss/word`` or ``p@ss`` of ``p@ss/word``."""
    for cut in BREAKS.finditer(secret):
        for piece in (secret[: cut.start()], secret[cut.end() :], *BREAKS.split(secret)):
            if len(piece) >= shortest:
                yield from {piece, unquote(piece)}
