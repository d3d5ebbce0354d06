"""The paginator for dlt's ``rest_api``: requests the pages that the sync names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import PreparedRequest, Request, Response

from include.api_video.api.client import ApiVideoSession

OPPOSITE = {"asc": "desc", "desc": "asc"}


class ParentPaginator(BasePaginator):
    """Requests the pages of a list that belongs to a parent's row: ``on_page(parent_key, body, rows)`` names the next one.

    ``path`` is that of the list, with the parent's key in braces.
    """

    def __init__(
        self, session: ApiVideoSession, path: str, on_page: Callable[[str, dict[str, Any], list[Any]], range]
    ) -> None:
        super().__init__()
        self._session, self._path, self._on_page = session, path, on_page
        self._next: int | None = 1

    def __deepcopy__(self, memo: dict[int, Any]) -> ParentPaginator:
        """A fresh one for each list: dlt copies the paginator for every parent row."""
        return ParentPaginator(self._session, self._path, self._on_page)

    def init_request(self, request: Request) -> None:
        """Requests page 1."""
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Hands the answer to the reading, with the parent's key, which the URL tells."""
        numbers = self._on_page(
            self._parent_of(response.request.url or ""), response.json(), data if data is not None else []
        )
        self._next = numbers[0] if numbers else None
        self._has_next_page = bool(numbers)

    def _parent_of(self, url: str) -> str:
        before, after = re.split(r"{\w+}", self._path)
        found = re.search(f"{re.escape(before)}([^/?]+){re.escape(after)}$", url.partition("?")[0])
        return unquote(found[1]) if found else ""

    def update_request(self, request: Request) -> None:
        """Requests the page that the reading named."""
        if self._next is not None:
            request.params = {**(request.params or {}), "currentPage": self._next}


class Paginator(BasePaginator):
    """Requests pages by number: ``on_page(body, rows)`` returns the numbers of the next ones, empty at the end.

    A negative number counts pages from the other end of the list: it is requested in the opposite sort order.
    """

    def __init__(self, session: ApiVideoSession, on_page: Callable[[dict[str, Any], list[Any]], range]) -> None:
        super().__init__()
        self._session, self._on_page = session, on_page
        self._next: int | None = 1
        self._parameter, self._order = "currentPage", "asc"

    def __deepcopy__(self, memo: dict[int, Any]) -> Paginator:
        """A fresh one for each list: dlt copies the paginator for every parent row."""
        return Paginator(self._session, self._on_page)

    def init_request(self, request: Request) -> None:
        """Requests page 1. The main API names the parameter currentPage, the Admin API page (OpenAPI of both)."""
        params = request.params or {}
        self._parameter, self._order = "page" if "page_size" in params else "currentPage", params.get("sortOrder", "")
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        """Hands the answer to the sync, and reads ahead the pages that are certain to be needed."""
        numbers = self._on_page(response.json(), data if data is not None else [])
        self._next = numbers[0] if numbers else None
        self._has_next_page = bool(numbers)
        if len(numbers) > 1:
            self._session.read_ahead(response.request, (self._url_of(response.request, number) for number in numbers))

    def _url_of(self, request: PreparedRequest, number: int) -> str:
        return re.sub(rf"([?&]{self._parameter}=)\d+", rf"\g<1>{number}", request.url or "")

    def update_request(self, request: Request) -> None:
        """Requests the page that the sync named."""
        if self._next is not None:
            order = {"sortOrder": self._order if self._next > 0 else OPPOSITE[self._order]} if self._order else {}
            request.params = {**(request.params or {}), **order, self._parameter: abs(self._next)}
