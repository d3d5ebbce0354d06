"""The API's answers as pure functions: errors, the checks of a query, the envelope of a page.

Source: OpenAPI and, for the Admin API, ``admin-api.yaml``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from include.api_video.catalog.model import MAX_PAGE_SIZE, Endpoint
from include.demo_api.samples import Row

Pairs = Sequence[tuple[str, str]]
DOCS = "https://docs.api.video/reference/"
MIN_PAGE_SIZE, DEFAULT_PAGE_SIZE, ADMIN_PAGE_SIZE = 10, 25, 20
# OpenAPI contradicts itself: the 400 of GET /videos has the range 10 to 100, the parameter pageSize 1 to 100. The demo
# takes the narrower one.
SORTABLE = ("title", "name", "createdAt", "publishedAt", "updatedAt")
ALSO_SORTABLE = {"/summaries": ("videoId",), "/tags": ("value", "videoCount"), "/upload-tokens": ("ttl",)}
CONTAINS = ("title", "description", "name")  # substring filters; the others compare the whole value
RELATIVE_LINKS = ("/live-streams", "/upload-tokens", "/tags")  # OpenAPI's examples of other lists have absolute links
LINKS_TO = {"/discarded/videos": "/videos"}  # as in OpenAPI's example: whoever follows links reads another list

# By status: last part of "type", and title. The bodies of 401 and 500 are undocumented, their titles are in the guide
# (reference/errors).
ERRORS: dict[int, tuple[str, str]] = {
    400: ("request-invalid-query-parameter", "A query parameter is invalid."),
    401: ("authentication-invalid-api-key", "The API key is invalid."),
    403: ("authorization-suspended-account", "The account is suspended."),
    404: ("resource-not-found", "The requested resource was not found."),
    405: ("method-not-allowed", "Method is not allowed for this route."),
    429: ("too-many-requests", "Too many requests."),
    500: ("server-error", "Server error"),
}
NO_ROUTE = {"type": DOCS + "unrecognized-request-url", "title": "Unrecognized request URL.", "status": 404}


class ApiError(Exception):
    """An answer that is not a 200."""

    def __init__(self, status: int, body: Row) -> None:
        super().__init__(f"{status} {body.get('title')}")
        self.status, self.body = status, body


def problem(status: int, **extra: Any) -> ApiError:
    """The documented error for a status; ``extra`` adds or replaces fields."""
    kind, title = ERRORS.get(status, ERRORS[500])
    return ApiError(status, {"type": DOCS + kind, "title": title, "status": status, **extra})


def unexpected_parameter(name: str) -> ApiError:
    """The 400 for an unknown query parameter."""
    return problem(400, name=name, detail="This field was not expected.")


def unauthorized(kind: str, title: str) -> ApiError:
    """A 401; ``kind`` is the name of the guide's page about it."""
    return problem(401, type=DOCS + kind, title=title)


@dataclass(frozen=True)
class Query:
    """The query of a request for a page. ``filters``: (parameter, key of a map or "", value)."""

    page: int
    page_size: int
    sort_by: str
    descending: bool
    filters: tuple[tuple[str, str, str], ...]


def read_query(entry: Endpoint, pairs: Pairs) -> Query:
    """Check a list's query string as the API does; raises ApiError 400."""
    values, filters = dict(pairs), []
    for name, value in pairs:
        if name not in ("currentPage", "pageSize", "sortBy", "sortOrder"):
            filters.append(_read_filter(entry, name, value))
    page, page_size = _read_paging(values)
    sort_by = values.get("sortBy", "value" if entry.path == "/tags" else "createdAt")
    if "sortBy" in values and sort_by not in sortable_by(entry):
        raise problem(400, name="sortBy", detail=f"Allowed values: {', '.join(sortable_by(entry))}.")
    if values.get("sortOrder", "asc") not in ("asc", "desc"):
        raise problem(400, name="sortOrder", detail="Allowed values: asc, desc.")
    return Query(page, page_size, sort_by, values.get("sortOrder") == "desc", tuple(filters))


def sortable_by(entry: Endpoint) -> tuple[str, ...]:
    """Values that ``sortBy`` accepts: the fields that the API can sort by, if the list has them."""
    columns = {column.path for column in entry.columns}
    names = tuple(name for name in SORTABLE if name in columns) + ALSO_SORTABLE.get(entry.path, ())
    return names if entry.sort_by is None or entry.sort_by in names else (*names, entry.sort_by)


def _read_paging(values: dict[str, str]) -> tuple[int, int]:
    page, size = _integer(values.get("currentPage", "1")), _integer(values.get("pageSize", str(DEFAULT_PAGE_SIZE)))
    problems: list[Row] = []
    title = "This parameter is out of the allowed range of values."
    if page is None or page < 1:
        problems.append({"title": title, "name": "page", "range": {"min": 1}})  # so named in OpenAPI's example
    if size is None or not MIN_PAGE_SIZE <= size <= MAX_PAGE_SIZE:
        problems.append({"title": title, "name": "pageSize", "range": {"min": MIN_PAGE_SIZE, "max": MAX_PAGE_SIZE}})
    if problems or page is None or size is None:
        raise ApiError(400, {**problems[0], "status": 400, "problems": problems})
    return page, size


def _integer(text: str) -> int | None:
    return int(text) if text.lstrip("-").isdecimal() else None


def _read_filter(entry: Endpoint, name: str, value: str) -> tuple[str, str, str]:
    for known in entry.filters:
        parameter = known.parameter
        if known.kind == "map" and name.startswith(parameter + "[") and name.endswith("]"):
            return parameter, name[len(parameter) + 1 : -1], value
        if name == parameter:
            if known.allowed and value not in known.allowed:
                raise problem(400, name=name, detail=f"Allowed values: {', '.join(known.allowed)}.")
            return parameter, "", value
    raise unexpected_parameter(name)


def matcher(entry: Endpoint, query: Query) -> Callable[[Row], bool] | None:
    """A function that tells whether a row passes all filters of a query; None without filters."""
    if not query.filters:
        return None
    paths = {column.path.split(".")[-1]: column.path.split(".") for column in reversed(entry.columns)}
    return lambda row: all(_passes(row, paths.get(name, [name]), key, value) for name, key, value in query.filters)


def _passes(row: Row, path: list[str], map_key: str, value: str) -> bool:
    if map_key:
        return {"key": map_key, "value": value} in (row.get(path[0]) or [])
    found: Any = row
    for step in path:
        found = (found or {}).get(step.removesuffix("[]"))
    if isinstance(found, list):
        return value in found
    if path[-1] in CONTAINS:
        return value.casefold() in str(found or "").casefold()
    return bool(found == value)


def uses_relative_links(entry: Endpoint) -> bool:
    """Whether the documentation shows this list's links without a host."""
    return entry.path in RELATIVE_LINKS


def envelope(entry: Endpoint, query: Query, total: int, rows: list[Row], host: str | None, path: str | None = None) -> Row:
    """A page as the API sends it. ``host`` makes its links absolute; these then contain only the page number. ``path`` is
    that of a list of a parent.
    """
    pages = -(-total // query.page_size)
    pagination = {
        "currentPage": query.page,
        "currentPageItems": len(rows),
        "pageSize": query.page_size,
        "pagesTotal": pages,
        "itemsTotal": total,
        "links": _links(path or LINKS_TO.get(entry.path, entry.path), query, pages, host),
    }
    return {"data": rows, "pagination": pagination}


def _links(path: str, query: Query, pages: int, host: str | None) -> list[Row]:
    targets = {"self": query.page, "first": 1, "last": max(pages, 1)}
    if query.page > 1:
        targets["previous"] = query.page - 1
    if query.page < pages:
        targets["next"] = query.page + 1
    size = "" if host else f"&pageSize={query.page_size}"
    order = ("self", "first", "previous", "next", "last")
    return [{"rel": rel, "uri": f"{host or ''}{path}?currentPage={targets[rel]}{size}"} for rel in order if rel in targets]


def admin_page(path: str, pairs: Pairs, rows: list[Row], key: str) -> Row:
    """A page of the Admin API, with its own parameters, envelope and form of links (the size first)."""
    values = dict(pairs)
    unknown = values.keys() - {"page", "page_size", "name", "sort_by", "sort_order"}
    page, size = _integer(values.get("page", "1")), _integer(values.get("page_size", str(ADMIN_PAGE_SIZE)))
    if page is None or page < 1 or size is None or not 1 <= size <= MAX_PAGE_SIZE or unknown:
        name = min(unknown) if unknown else "page" if page is None or page < 1 else "page_size"
        raise admin_problem(name)
    sort_by = values.get("sort_by", "created_at")
    if sort_by not in ("created_at", "name") or values.get("sort_order", "asc") not in ("asc", "desc"):
        raise admin_problem("sort_by" if sort_by not in ("created_at", "name") else "sort_order")
    found = [row for row in rows if values.get("name", "").casefold() in str(row.get("name")).casefold()]
    found.sort(key=lambda row: (row[sort_by], row[key]), reverse=values.get("sort_order") == "desc")
    wanted = {"previous": page - 1, "self": page, "next": page + 1}
    links = [
        {"rel": rel, "href": f"{path}?{urlencode({'page_size': size, 'page': number})}"}
        for rel, number in wanted.items()
        if rel == "self" or 1 <= number <= -(-len(found) // size)
    ]
    pagination = {"page": page, "page_size": size, "item_count": len(found)}
    return {"items": found[(page - 1) * size : page * size], "pagination": pagination, "links": links}


def admin_problem(name: str) -> ApiError:
    """A 400 of the Admin API; its body has no status (``admin-api.yaml``, BadRequest)."""
    detail = "An attribute is invalid."
    body = {"title": "Bad request.", "detail": detail, "name": name, "constraint": "invalid", "total_problems": 1}
    return ApiError(400, {"type": DOCS + "invalid-attribute", **body})
