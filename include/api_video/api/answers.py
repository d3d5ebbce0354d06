"""What we know about api.video's answers, as functions from values to values: no I/O here.

Sources: OpenAPI description (schema ``pagination``, response headers), guide pages reference/too-many-requests and
reference/errors, and the Admin API's description for ``items`` and ``links``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.api_video.catalog.model import MAX_PAGE_SIZE
from include.api_video.errors import (
    ApiVideoError,
    ApiVideoKeyError,
    ApiVideoLimitError,
    ApiVideoPermissionError,
    ApiVideoRequestError,
    ApiVideoServerError,
    ForeignAnswerError,
    ProxySettingError,
)

KEY_REFUSED = "api.video refused the API key"  # how the sentence about a 401 begins


@dataclass(frozen=True)
class Page:
    """One answer of a list.

    ``items_total`` is None where the API does not say it (the Admin API's guide and schema contradict each other).
    """

    rows: list[dict[str, Any]]
    number: int
    pages_total: int | None
    items_total: int | None
    has_next: bool


def read_page(body: Mapping[str, Any]) -> Page:
    """Reads the envelope of a list: ``data`` (main API) or ``items`` (Admin API).

    Pages are counted, links never followed: their form differs from endpoint to endpoint, and those of
    /discarded/videos point to /videos. An empty list may say 0 or 1 pages; both end after the first.

    Raises:
        ApiVideoServerError: the body is not such an envelope.
    """
    rows = body.get("data", body.get("items"))
    if not isinstance(rows, list):
        raise ApiVideoServerError(f"api.video answered without a list of rows, but with the fields {sorted(body)}.")
    pagination = body.get("pagination")
    pagination = pagination if isinstance(pagination, Mapping) else {}
    if "items" in body:
        number = int(pagination.get("page") or 1)
        has_next = any(link.get("rel") == "next" for link in body.get("links") or [])
        # The schema says that item_count is the total, the guide that there is none: more than was read is believed.
        has_next = has_next or number * int(pagination.get("page_size") or 0) < int(pagination.get("item_count") or 0)
        return Page(rows, number, None, None, has_next)
    number = _whole(pagination.get("currentPage")) or 1
    pages_total, items_total = _whole(pagination.get("pagesTotal")), _whole(pagination.get("itemsTotal"))
    if pages_total is None and items_total is not None:
        pages_total = -(-items_total // (_whole(pagination.get("pageSize")) or MAX_PAGE_SIZE))
    # Without totals, a page that is full is followed by another one.
    has_next = len(rows) >= MAX_PAGE_SIZE if pages_total is None else number < pages_total
    return Page(rows, number, pages_total, items_total, has_next)


def _whole(value: Any) -> int | None:
    """A count, also where it comes as text or with a fraction of 0; None where it is none."""
    try:
        return int(float(value)) if not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class RateLimit:
    """What the API allows within the current minute; sent on every answer, not only on a 429.

    ``limit`` and ``remaining`` count requests; ``resets_in_s`` is the seconds until the window starts anew (a duration,
    not a time stamp). No standard Retry-After header is documented.
    """

    limit: int
    remaining: int
    resets_in_s: float

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> RateLimit | None:
        """None where the headers are missing or not numbers (the Admin API sends none)."""
        try:
            return cls(
                int(headers["X-RateLimit-Limit"]),
                int(headers["X-RateLimit-Remaining"]),
                max(0.0, float(headers["X-RateLimit-Retry-After"])),
            )
        except (KeyError, ValueError):
            return None


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait after a 429: api.video's own header, or the standard one that a proxy may add."""
    for name in ("X-RateLimit-Retry-After", "Retry-After"):
        try:
            return max(0.0, float(headers[name]))
        except (KeyError, ValueError):
            continue
    return None


def is_page(headers: Mapping[str, str], text: bytes = b"") -> bool:
    """Whether an answer is a web page: api.video sends JSON, also for errors (guide, reference/errors); a proxy, a firewall
    or a login page sends HTML.
    """
    return "html" in headers.get("Content-Type", "").lower() or text.lstrip()[:1] == b"<"


def read_location(status: int, headers: Mapping[str, str], url: str) -> str | None:
    """Where an answer sends us instead; None where it is no redirect.

    Raises:
        ForeignAnswerError: it sends us away, and does not say where to. The API documents no redirect.
    """
    if not 300 <= status < 400:
        return None
    if location := headers.get("Location", "").strip():
        return location
    raise ForeignAnswerError(
        f"{url} answered {status}, which sends us elsewhere, but not where to. api.video does not do so: {_who(headers)} "
        "in between may have answered in its place. Ask who runs the network.",
        status,
    )


def read_foreign(status: int, headers: Mapping[str, str], text: bytes, url: str) -> ApiVideoServerError:
    """The error that an answer means which should be a JSON object, and is none."""
    if is_page(headers, text):
        return _foreign(status, headers, url)
    what = headers.get("Content-Type", "no content type") if text else "nothing at all"
    return ApiVideoServerError(
        f"{url} answered {status} with something that is no JSON object ({what}): half an answer, or one of a proxy in "
        "between. If it stays so, ask who runs the network."
    )


def _who(headers: Mapping[str, str]) -> str:
    """A proxy, under the name that it gives itself."""
    name = "".join(c for c in headers.get("Server") or headers.get("Via") or "" if c.isprintable())[:60]
    return f"a proxy or firewall (it calls itself {name!r})" if name else "a proxy or firewall"


def _foreign(status: int, headers: Mapping[str, str], url: str) -> ForeignAnswerError:
    host = "/".join(url.split("/")[:3])
    if status == 511:
        return ForeignAnswerError(
            f"The network wants a login before it lets anything through (511 on {host}): open any web page from this "
            "machine, or ask who runs the network.",
            status,
        )
    if status < 400:
        return ForeignAnswerError(
            f"{url} answered {status} with a web page in place of JSON: {_who(headers)}, or a login page of the network, "
            f"answered in api.video's place. Ask who runs the network to let this machine reach {host}, or set HTTPS_PROXY "
            "to the proxy that does.",
            status,
        )
    return ForeignAnswerError(
        f"The request did not reach api.video: {_who(headers)} answered {status} on {host}, with a web page in place of "
        f"JSON. The API key is not the cause. Ask who runs the network to let this machine reach {host}, or set "
        "HTTPS_PROXY to the proxy that does.",
        status,
    )


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _has_type(body: Any) -> bool:
    return isinstance(body, Mapping) and str(body.get("type") or "").startswith("https://docs.api.video/")


def read_error(
    status: int,
    headers: Mapping[str, str],
    body: Any,
    *,
    url: str,
    environment: str,
    key_setting: str,
    text: bytes = b"",
) -> ApiVideoError:
    """The error that an answer with ``status`` >= 400 means, in words for the user; ``text`` is its body as it came.

    Decided by the HTTP status: the ``type`` URLs in bodies differ between versions of the API, and the Admin API's bodies
    have no ``status``. But a web page is not the API's, whatever its status. The body is quoted by its documented title
    only, since it could hold anything.
    """
    title = str(body.get("title") or "") if isinstance(body, Mapping) else ""
    where = f"({status} on {url}, environment {environment!r})"
    if status == 407:
        return ProxySettingError(
            f"The proxy between this machine and api.video wants a login (407 on {'/'.join(url.split('/')[:3])}): set "
            "HTTPS_PROXY to http://USER:PASSWORD@PROXY:PORT. The API key is not the cause."
        )
    if status == 511 or (is_page(headers, text) and status < 500 and status not in (408, 425, 429)):
        return _foreign(status, headers, url)
    # Not blamed on the key alone: an answer with neither the documented fields nor the limit's headers may be another's.
    is_documented = bool(title) or RateLimit.from_headers(headers) is not None or _has_type(body)
    doubt = " The answer has not the form that api.video documents: a proxy or firewall may have sent it in its place."
    doubt = "" if is_documented else doubt
    if status == 401:
        return ApiVideoKeyError(
            # The host, not the path: all tasks of a run then say the same sentence.
            f"{KEY_REFUSED} (401 on {'/'.join(url.split('/')[:3])}, environment {environment!r}). "
            f"Set {key_setting} to a key of this environment (dashboard, API keys), or "
            f"SOURCES__API_VIDEO_SOURCE__ENVIRONMENT to the key's environment, production or sandbox.{doubt}"
        )
    if status == 403:
        return ApiVideoPermissionError(
            f"The API key may not read this {where}: {_sentence(title or 'forbidden')} "
            f"Ask api.video's support, or leave the resource out of SOURCES__API_VIDEO_SOURCE__RESOURCES.{doubt}"
        )
    if status == 429:
        return ApiVideoLimitError(
            f"api.video's rate limit is used up {where}. It frees itself within a minute; fewer parallel readers of "
            "this account help.",
            read_retry_after(headers),
        )
    if status >= 500 or status in (408, 425):
        who = "A proxy in front of api.video, or api.video itself," if is_page(headers, text) else "api.video"
        return ApiVideoServerError(f"{who} has a problem {where}. Nothing was lost; the next run reads it again.")
    problems = body.get("problems") if isinstance(body, Mapping) else None
    names = ", ".join(str(p.get("name")) for p in problems or [] if isinstance(p, Mapping))
    return ApiVideoRequestError(
        f"api.video did not accept the request {where}: {_sentence(title or 'no reason given')}"
        + (f" Problem with: {names}." if names else "")
        + " Check the filters in the configuration; if there are none, this package needs an update.",
        status,
    )
