"""What api.video's answers mean: pure functions, no I/O.

Sources: OpenAPI (schema ``pagination``, response headers), the guide's pages reference/too-many-requests and
reference/errors, and the Admin API's description for ``items`` and ``links``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.api_video.catalog.model import MAX_PAGE_SIZE
from include.api_video.errors import (
    MOST_WORDS,
    ApiVideoError,
    ApiVideoKeyError,
    ApiVideoLimitError,
    ApiVideoPermissionError,
    ApiVideoRequestError,
    ApiVideoServerError,
    ForeignAnswerError,
    ProxySettingError,
)

ANALYTICS = "/data/"  # path of all analytics
KEY_REFUSED = "api.video refused the API key"  # beginning of the message for a 401


@dataclass(frozen=True)
class Page:
    """One page of a list.

    ``items_total`` is None for the Admin API: its guide and its schema contradict each other on it.
    """

    rows: list[dict[str, Any]]
    number: int
    pages_total: int | None
    items_total: int | None
    has_next: bool


def read_page(body: Mapping[str, Any]) -> Page:
    """Reads the envelope of a list: ``data`` (main API) or ``items`` (Admin API).

    Pages are counted; links are never followed, since their form differs between endpoints, and those of /discarded/videos
    point to /videos (OpenAPI, examples). An empty list may report 0 or 1 pages: either way, the first page is the last.

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
        # item_count is the total by the schema; the guide knows no total. It only counts if it promises more rows.
        has_next = has_next or number * int(pagination.get("page_size") or 0) < int(pagination.get("item_count") or 0)
        return Page(rows, number, None, None, has_next)
    number = _whole(pagination.get("currentPage")) or 1
    pages_total, items_total = _whole(pagination.get("pagesTotal")), _whole(pagination.get("itemsTotal"))
    if pages_total is None and items_total is not None:
        pages_total = -(-items_total // (_whole(pagination.get("pageSize")) or MAX_PAGE_SIZE))
    # Without totals, a full page means that another one follows.
    has_next = len(rows) >= MAX_PAGE_SIZE if pages_total is None else number < pages_total
    return Page(rows, number, pages_total, items_total, has_next)


def _whole(value: Any) -> int | None:
    """A count, even if sent as text or as 3.0; None if it is not a number."""
    try:
        return int(float(value)) if not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class RateLimit:
    """The rate limit of the current minute. Every answer carries it, not only a 429 (OpenAPI, response headers).

    ``limit`` and ``remaining`` count requests. ``resets_in_s`` is the time until the window resets: seconds, not a
    timestamp (guide, reference/too-many-requests). No standard Retry-After header is documented.
    """

    limit: int
    remaining: int
    resets_in_s: float

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> RateLimit | None:
        """The limit; None if the headers are missing or not numbers. The Admin API's description has none."""
        try:
            return cls(
                int(headers["X-RateLimit-Limit"]),
                int(headers["X-RateLimit-Remaining"]),
                max(0.0, float(headers["X-RateLimit-Retry-After"])),
            )
        except (KeyError, ValueError):
            return None


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait after a 429: from api.video's own header, or from the standard one that a proxy may add."""
    for name in ("X-RateLimit-Retry-After", "Retry-After"):
        try:
            return max(0.0, float(headers[name]))
        except (KeyError, ValueError):
            continue
    return None


def is_page(headers: Mapping[str, str], text: bytes = b"") -> bool:
    """Whether an answer is a web page, so not from api.video: it sends JSON, even for errors (guide, reference/errors).

    Proxies, firewalls and login pages send HTML.
    """
    return "html" in headers.get("Content-Type", "").lower() or text.lstrip()[:1] == b"<"


def is_missing(status: int, headers: Mapping[str, str], text: bytes) -> bool:
    """Whether an answer says that api.video has no such object: a 404 of its own, not of a proxy.

    What follows is up to whoever asked: "there is none" (``Endpoint.missing_ok``), a removed row (``sync.removal``), or an
    error (``read_error``).
    """
    return status == 404 and not is_page(headers, text)


def read_location(status: int, headers: Mapping[str, str], url: str) -> str | None:
    """The target of a redirect; None if the answer is not one.

    Raises:
        ForeignAnswerError: a redirect without a target. The API documents no redirects.
    """
    if not 300 <= status < 400:
        return None
    if location := headers.get("Location", "").strip():
        return location
    raise ForeignAnswerError(
        f"{url} answered {status}, a redirect that does not say where to. api.video does not do so: {_who(headers)} "
        "in between may have answered in its place. Ask whoever runs the network.",
        status,
    )


def read_foreign(status: int, headers: Mapping[str, str], text: bytes, url: str) -> ApiVideoServerError:
    """The error for an answer that should be a JSON object and is not."""
    if is_page(headers, text):
        return _foreign(status, headers, url)
    what = headers.get("Content-Type", "no content type") if text else "nothing at all"
    return ApiVideoServerError(
        f"{url} answered {status} with something that is no JSON object ({what}): a truncated answer, or one from a proxy "
        "in between. If this persists, ask whoever runs the network."
    )


def _who(headers: Mapping[str, str]) -> str:
    """A proxy, with the name that it gives itself."""
    name = "".join(c for c in headers.get("Server") or headers.get("Via") or "" if c.isprintable())[:60]
    return f"a proxy or firewall (it calls itself {name!r})" if name else "a proxy or firewall"


def _foreign(status: int, headers: Mapping[str, str], url: str) -> ForeignAnswerError:
    host = "/".join(url.split("/")[:3])
    if status == 511:
        return ForeignAnswerError(
            f"The network requires a login before it lets anything through (511 on {host}): open any web page from this "
            "machine, or ask whoever runs the network.",
            status,
        )
    if status < 400:
        return ForeignAnswerError(
            f"{url} answered {status} with a web page in place of JSON: {_who(headers)}, or a login page of the network, "
            f"answered in api.video's place. Ask whoever runs the network to let this machine reach {host}, or set "
            "HTTPS_PROXY to the proxy that does.",
            status,
        )
    return ForeignAnswerError(
        f"The request did not reach api.video: {_who(headers)} answered {status} on {host}, with a web page in place of "
        f"JSON. The API key is not the cause. Ask whoever runs the network to let this machine reach {host}, or set "
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
    """The error for an answer with ``status`` >= 400, in words for the user; ``text`` is the raw body.

    The HTTP status decides: the ``type`` URLs in bodies differ between versions of the API's clients, and the Admin API's
    bodies have no ``status`` (``admin-api.yaml``, BadRequest). A web page does not come from the API, whatever its status.
    Only the documented title is quoted, since the rest of a body could hold anything.
    """
    title = str(body.get("title") or "") if isinstance(body, Mapping) else ""
    where = f"({status} on {url}, environment {environment!r})"
    if status == 407:
        return ProxySettingError(
            f"The proxy between this machine and api.video requires a login (407 on {'/'.join(url.split('/')[:3])}): set "
            "HTTPS_PROXY to http://USER:PASSWORD@PROXY:PORT. The API key is not the cause."
        )
    if status == 511 or (is_page(headers, text) and status < 500 and status not in (408, 425, 429)):
        return _foreign(status, headers, url)
    # Without the documented fields and without the limit's headers, the answer may not come from api.video: do not blame
    # the key alone.
    is_documented = bool(title) or RateLimit.from_headers(headers) is not None or _has_type(body)
    doubt = " The answer does not have the form that api.video documents: a proxy or firewall may have sent it."
    doubt = "" if is_documented else doubt
    if status == 401:
        return ApiVideoKeyError(
            # The host, not the path, so that all tasks of a run report the same sentence.
            f"{KEY_REFUSED} (401 on {'/'.join(url.split('/')[:3])}, environment {environment!r}). "
            f"Set {key_setting} to a key of this environment (dashboard, API keys), or "
            f"SOURCES__API_VIDEO_SOURCE__ENVIRONMENT to the key's environment, production or sandbox.{doubt}"
        )
    if status == 403:
        key = "admin API key" if key_setting.endswith("ADMIN_API_KEY") else "API key"
        return ApiVideoPermissionError(
            f"The {key} may not read this {where}: {_sentence(title or 'forbidden')} "
            f"Ask api.video's support, or leave the resource out of SOURCES__API_VIDEO_SOURCE__RESOURCES.{doubt}"
        )
    if status == 429:
        return ApiVideoLimitError(
            f"api.video's rate limit is used up {where}. It resets within a minute; fewer parallel readers of this account "
            "help.",
            read_retry_after(headers),
        )
    if status >= 500 or status in (408, 425):
        who = "A proxy in front of api.video, or api.video itself," if is_page(headers, text) else "api.video"
        return ApiVideoServerError(f"{who} has a problem {where}. Nothing was lost; the next run reads it again.")
    if ANALYTICS in url and isinstance(
        body, Mapping
    ):  # these quote no more than a parameter's name and what is wrong with it
        said = " ".join(_sentence(str(body.get("detail") or title or "no reason given")).split())[:MOST_WORDS]
        name = str(body.get("name") or "").split(":")[0]
        return ApiVideoRequestError(f"api.video does not answer this {where}: {f'{name}: ' if name else ''}{said}", status)
    problems = body.get("problems") if isinstance(body, Mapping) else None
    names = ", ".join(str(p.get("name")) for p in problems or [] if isinstance(p, Mapping))
    return ApiVideoRequestError(
        f"api.video did not accept the request {where}: {_sentence(title or 'no reason given')}"
        + (f" Problem with: {names}." if names else "")
        + " Check the filters in the configuration; if there are none, this package needs an update.",
        status,
    )
