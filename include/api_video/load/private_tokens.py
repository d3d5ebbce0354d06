"""Removes private tokens from URLs, and from HTML or JSON that holds URLs; the rest stays a working URL.

Every assets URL of a private video or live stream has a one-time token, new at each read. Stored, it would be a credential,
and would look like a change each time. Its forms:

- ``?token=T`` and ``/token/T/...`` (guide, delivery/private-video-get-started);
- ``live.api.video/private/T/<id>.m3u8`` (the vendor's players: api.video-android-player, ``VideoOptions``);
- ``live.api.video/T/<id>.m3u8`` (their older tests).

The first two go from any URL. Other sites have folders named "private", too: these forms go from a URL of api.video, and
from one with an id of it, since a customer's domain can serve the files.
"""

from __future__ import annotations

import re

_ID = "(?:li|vi)[0-9a-z]{22}(?![0-9a-z])"
_OWN = re.compile(rf"api\.video|{_ID}", re.IGNORECASE)
_WORD = re.compile(r"[^\s\"'<>]+")
_PARAMETER = "(?:(?:private|session|access|refresh|auth)[_-]?)?token"
_EQUALS = r"(?:=|%(?:25)*3d|&#(?:61|x3d);|\\u003d)"
_SLASH = r"(?:\\*/|%(?:25)*2f|&#(?:47|x2f);)"
_SPLIT = re.compile(f"({_SLASH})", re.IGNORECASE)
_LIVE_HOST = re.compile(r"live[\w.-]*\.api\.video", re.IGNORECASE)
_LIVE_ID = re.compile("li[0-9a-z]{22}", re.IGNORECASE)
_FOLDERS = frozenset({"live", "live-streams", "vod", "hls"})  # of public files; another folder of a live stream is a token
# Quick, since each begins with a literal: the documented forms, as nearly all tokens have them; what needs a closer look.
_PATH = re.compile(r"/token/[^/%&?#\\\s\"'<>]+(?=/)")
_QUERY = re.compile(r"\?token=[^%&#\\\s\"'<>]*(?=[\"'\s]|\Z)")
# The links of a recording, "/live-streams/li...", are no reason to look closer.
_SUSPECT = re.compile(rb'/(?:(?<!"/live-streams/)li(?!ve[/-])[0-9a-z]|private)').search
_SUSPECT_ENCODED = re.compile(rb"2f(?:li|private)").search


def strip_token(text: str) -> str:
    """Removes private tokens, however the URL is written: as it is, percent-encoded, or escaped in HTML or JSON."""
    lowered = text.lower()
    is_named, is_suspect = "token" in lowered, "private" in lowered or "/li" in lowered or "2fli" in lowered
    if is_named:
        text = _QUERY.sub("", _PATH.sub("", text))
    if is_named or is_suspect:
        for spelling in _SPELLINGS if "%2" in lowered or "%3" in lowered else _SPELLINGS[:1]:
            text = spelling.strip_named(text)
            if is_suspect:
                text = _WORD.sub(spelling.strip_own, text)
    return text


def may_hold_token(written: bytes) -> bool:
    """Whether texts, joined as JSON, need ``strip_token``. Quick, for it sees each row of a first load."""
    lowered = written.lower()
    return b"token" in lowered or bool(_SUSPECT(lowered) or _SUSPECT_ENCODED(lowered))


class _Spelling:
    """One way to write URLs.

    Args:
        slash, ask, also: how ``/``, ``?`` (or ``#``) and ``&`` are written.
        segment, value: a folder's name, and a parameter's value.
    """

    def __init__(self, slash: str, ask: str, also: str, segment: str, value: str) -> None:
        def compiled(pattern: str) -> re.Pattern[str]:
            return re.compile(pattern, re.IGNORECASE)

        pair = f"{_PARAMETER}{_EQUALS}{value}"
        folders = f"(?:{slash}(?!{_ID}{slash}){segment})+"
        self._token = compiled(f"{_SLASH}token{slash}+{segment}")
        self._query = compiled(f"({ask}|{also}){pair}(?:{also}{pair})*({also})?")
        self._private = compiled(f"{_SLASH}private{slash}+(?!{_ID}){segment}")
        self._live = compiled(rf"((?:^|{slash}{{2}}){segment})({folders})({slash}li[0-9a-z]+)(?![0-9a-z])(\.m3u8)?")

    def strip_named(self, text: str) -> str:
        """Removes tokens that are called so."""
        before = ""
        while text != before and "token" in text.lower():  # a removal may join two parts to another token
            before = text
            text = self._query.sub(_keep_mark, self._token.sub("", text))
        return text

    def strip_own(self, word: re.Match[str]) -> str:
        """Removes tokens of URLs that are known as api.video's."""
        text, before = word[0], ""
        if not _OWN.search(text):
            return text
        while text != before:
            before = text
            text = self._live.sub(_without_folders, self._private.sub("", text))
        return text


def _keep_mark(match: re.Match[str]) -> str:
    """What stays of parameters: the mark before them, if others follow."""
    return str(match[1]) if match[2] else ""


def _without_folders(match: re.Match[str]) -> str:
    """The URL of a live stream's file without the folders that no public file is in."""
    host, folders, file, ending = match[1], match[2], match[3], match[4] or ""
    signs = bool(_LIVE_HOST.search(host)), bool(_LIVE_ID.search(file)), bool(ending)
    if sum(signs) < 2:
        return match[0]
    parts = _SPLIT.split(folders)  # "", slash, folder, slash, folder
    kept = [slash + name for slash, name in zip(parts[1::2], parts[2::2], strict=True) if name.lower() in _FOLDERS]
    return f"{host}{''.join(kept)}{file}{ending}"


def _percent_encoded(sign: str) -> _Spelling:
    """A URL in the parameter of another URL. ``sign``: how its percent sign is written."""
    other = rf"[^%/?#&\\\s\"'<>]|%(?!{sign[1:]}(?:2[02367f]|3[cef]|0a))"
    return _Spelling(
        slash=f"(?:{sign}2f)",
        ask=f"(?:{sign}(?:3f|23))",
        also=f"(?:{sign}26(?:amp(?:;|{sign}3b))*)",
        segment=f"(?:{other})+",
        value=f"(?:{other}|/|{sign}2f)*",
    )


_ESCAPED = "&(?:quot|apos|lt|gt|#34|#39|#47|#x22|#x27|#x2f);"  # in HTML: quotes and slashes
_SPELLINGS = (
    _Spelling(
        slash=r"(?:\\*/|&#(?:47|x2f);)",
        ask="(?:[?#]|&#(?:63|x3f|35|x23);)",
        also=rf"(?:(?!{_ESCAPED})&(?:(?:amp;)+|#38;|#x26;)?|\\u0026)",
        segment=rf"(?:[^/\\?#&\s\"'<>]|&(?!{_ESCAPED}))+",
        value=r"[^&#\\\s\"'<>]*",
    ),
    _percent_encoded("%"),
    _percent_encoded("%25"),
)
