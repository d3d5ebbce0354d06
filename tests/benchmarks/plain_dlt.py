"""The same lists with dlt's ``rest_api`` as in its documentation, with the page size and the paginator that work."""

from __future__ import annotations

import os
import sys
from typing import Any, cast

import dlt
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig

STATUS: dict[str, Any] = {
    "name": "video_status",
    "write_disposition": "merge",
    "primary_key": "_videos_videoId",
    "include_from_parent": ["videoId"],
    "endpoint": {"path": "videos/{resources.videos.videoId}/status", "data_selector": "$", "paginator": "single_page"},
}


def listed(name: str, path: str, key: str, sort_by: str) -> dict[str, Any]:
    """A list, read incrementally where the API sorts it by ``updatedAt``."""
    params = {"pageSize": 100, **({"sortBy": sort_by, "sortOrder": "desc"} if sort_by else {})}
    endpoint: dict[str, Any] = {"path": path, "params": params, "data_selector": "data"}
    if sort_by == "updatedAt":
        endpoint["incremental"] = {"cursor_path": sort_by, "initial_value": "2000-01-01T00:00:00+00:00"}
    return {"name": name, "primary_key": key, "write_disposition": "merge", "endpoint": endpoint}


def main(file: str, *resources: str) -> None:
    """Loads lists (``videos=/videos=videoId=updatedAt``), and the statuses of the videos where asked to, into ``file``; its
    state stays beside the file.
    """
    lists = [listed(*resource.split("=")) for resource in resources if resource != STATUS["name"]]
    config: dict[str, Any] = {
        "client": {
            "base_url": os.environ["BENCH_URL"],
            "auth": {"type": "http_basic", "username": os.environ["BENCH_KEY"], "password": ""},
            "paginator": PageNumberPaginator(base_page=1, page_param="currentPage", total_path="pagination.pagesTotal"),
        },
        "resources": [*lists, STATUS] if STATUS["name"] in resources else lists,
    }
    pipeline = dlt.pipeline(
        "plain", destination=dlt.destinations.duckdb(file), dataset_name="plain", pipelines_dir=f"{file}.dlt"
    )
    pipeline.run(rest_api_source(cast(RESTAPIConfig, config)))


if __name__ == "__main__":
    main(*sys.argv[1:])
