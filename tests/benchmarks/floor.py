"""The least that a load can cost: requests page after page, and DuckDB's ``read_json`` of what came."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import duckdb
import requests


def main(file: str, *, load: bool = True) -> None:
    """Reads every page of /videos, one after another, and loads them into ``file``."""
    base_url, key = os.environ["BENCH_URL"], os.environ["BENCH_KEY"]
    with tempfile.TemporaryDirectory() as folder, requests.Session() as session:
        session.auth = (key, "")
        path, number, pages = Path(folder) / "videos.jsonl", 0, 1
        with path.open("w") as rows:
            while number < pages:
                number += 1
                params: dict[str, str | int] = {"currentPage": number, "pageSize": 100, "sortBy": "updatedAt"}
                body = session.get(f"{base_url}/videos", params=params).json()
                pages = body["pagination"]["pagesTotal"]
                rows.writelines(json.dumps(row) + "\n" for row in body["data"])
        if load:
            with duckdb.connect(file) as connection:
                connection.execute("CREATE OR REPLACE TABLE videos AS SELECT * FROM read_json(?)", [str(path)])


if __name__ == "__main__":
    main(sys.argv[1])
