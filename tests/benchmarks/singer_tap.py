"""A Singer tap of the lists, as short as Singer's SDK allows; runs in an environment of its own (``singer``).

No tap for api.video is published. This one has what the SDK gives: no look at what is gone, no secrets left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from requests import Response
from requests.auth import HTTPBasicAuth
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.pagination import BasePageNumberPaginator

from include.api_video.catalog.endpoints import by_name
from include.api_video.catalog.model import Endpoint

TYPES = {
    "text": th.StringType(),
    "bool": th.BooleanType(),
    "bigint": th.IntegerType(),
    "double": th.NumberType(),
    "timestamp": th.DateTimeType(),
}


class Pages(BasePageNumberPaginator):
    """Pages by number, up to the total that each page tells."""

    def has_more(self, response: Response) -> bool:
        """Whether a page follows."""
        pagination = response.json()["pagination"]
        return bool(pagination["currentPage"] < pagination["pagesTotal"])


def schema_of(endpoint: Endpoint) -> dict[str, Any]:
    """JSON schema of a list's rows: objects and lists as they come."""
    properties: dict[str, Any] = {}
    for column in endpoint.columns:
        name, _, inside = column.path.partition(".")
        if name.endswith("[]"):
            properties[name[:-2]] = th.ArrayType(th.AnyType())
        else:
            properties[name] = th.ObjectType(additional_properties=True) if inside else TYPES[column.data_type]
    return th.PropertiesList(*(th.Property(name, kind) for name, kind in properties.items())).to_dict()


class Listed(RESTStream[int]):
    """One list."""

    records_jsonpath = "$.data[*]"

    def __init__(self, tap: Tap, endpoint: Endpoint) -> None:
        super().__init__(tap, name=endpoint.name, schema=schema_of(endpoint), path=endpoint.path)
        self.primary_keys = (endpoint.key,)

    @property
    def url_base(self) -> str:
        """Base URL of the API."""
        return str(self.config["url"])

    @property
    def authenticator(self) -> HTTPBasicAuth:
        """HTTP Basic with the key as user name."""
        return HTTPBasicAuth(self.config["key"], "")

    def get_new_paginator(self) -> Pages:
        """A new paginator, at page 1."""
        return Pages(1)

    def get_url_params(self, context: Mapping[str, Any] | None, next_page_token: int | None) -> dict[str, Any]:
        """Parameters of the next page."""
        return {"currentPage": next_page_token or 1, "pageSize": 100}


class TapApiVideo(Tap):
    """The lists that the configuration names."""

    name = "tap-api-video"
    config_jsonschema = th.PropertiesList(
        th.Property("url", th.StringType, required=True),
        th.Property("key", th.StringType, required=True, secret=True),
        th.Property("lists", th.ArrayType(th.StringType), required=True),
    ).to_dict()

    def discover_streams(self) -> list[Listed]:
        """One stream per list."""
        return [Listed(self, by_name()[name]) for name in self.config["lists"]]


if __name__ == "__main__":
    TapApiVideo.cli(sys.argv[1:])
