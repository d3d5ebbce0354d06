"""The floor, the least that a load can cost: requests page after page, then DuckDB's ``read_json``."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import duckdb
import requests


def main(file: str, *lists: str, load: bool = True) -> None:
    """Reads every page of the lists (``videos=/videos``), one after another, and loads them into ``file``."""
    session = requests.Session()
    session.auth = (os.environ["BENCH_KEY"], "")
    with tempfile.TemporaryDirectory() as folder, session, duckdb.connect(file or ":memory:") as connection:
        for name, _, path in (listed.partition("=") for listed in lists):
            rows = Path(folder) / f"{name}.jsonl"
            read(session, path, rows)
            if load:
                connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM read_json(?)", [str(rows)])


def read(session: requests.Session, path: str, file: Path) -> None:
    """Reads a list page by page, and writes its rows into a file."""
    number, pages = 0, 1
    with file.open("w") as rows:
        while number < pages:
            number += 1
            params: dict[str, str | int] = {"currentPage": number, "pageSize": 100}
            body = session.get(f"{os.environ['BENCH_URL']}{path}", params=params).json()
            pages = body["pagination"]["pagesTotal"]
            rows.writelines(json.dumps(row) + "\n" for row in body["data"])


if __name__ == "__main__":
    main(*sys.argv[1:])
