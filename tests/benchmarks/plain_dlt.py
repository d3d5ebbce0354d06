"""The same lists with dlt's ``rest_api`` as its documentation has it, plus the page size and paginator that work."""

from __future__ import annotations

import os
import sys
from typing import Any, cast

import dlt
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig

VIDEOS: dict[str, Any] = {
    "name": "videos",
    "primary_key": "videoId",
    "write_disposition": "merge",
    "endpoint": {
        "path": "videos",
        "params": {"pageSize": 100, "sortBy": "updatedAt", "sortOrder": "desc"},
        "data_selector": "data",
        "incremental": {"cursor_path": "updatedAt", "initial_value": "2000-01-01T00:00:00+00:00"},
    },
}
STATUS: dict[str, Any] = {
    "name": "video_status",
    "write_disposition": "merge",
    "primary_key": "_videos_videoId",
    "include_from_parent": ["videoId"],
    "endpoint": {"path": "videos/{resources.videos.videoId}/status", "data_selector": "$", "paginator": "single_page"},
}


def main(file: str, *resources: str) -> None:
    """Loads the videos, and their statuses where asked to, into ``file``; its state stays beside the file."""
    config: dict[str, Any] = {
        "client": {
            "base_url": os.environ["BENCH_URL"],
            "auth": {"type": "http_basic", "username": os.environ["BENCH_KEY"], "password": ""},
            "paginator": PageNumberPaginator(base_page=1, page_param="currentPage", total_path="pagination.pagesTotal"),
        },
        "resources": [VIDEOS, STATUS] if "video_status" in resources else [VIDEOS],
    }
    pipeline = dlt.pipeline(
        "plain", destination=dlt.destinations.duckdb(file), dataset_name="plain", pipelines_dir=f"{file}.dlt"
    )
    pipeline.run(rest_api_source(cast(RESTAPIConfig, config)))


if __name__ == "__main__":
    main(*sys.argv[1:])
