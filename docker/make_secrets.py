"""Makes what nobody should have to think up: passwords and keys of the stack, in a volume that only its containers see.

A value in the environment (``.env``) is taken in place of a made one. What is there stays as it is: PostgreSQL keeps the
password that it was first started with.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import quote


def main(folder: Path) -> None:
    """Writes the files that docker-compose.yaml names into ``folder``."""
    postgres = value_of(folder / "postgres_password", "POSTGRES_PASSWORD", secrets.token_urlsafe(24))
    redis = value_of(folder / "redis_password", "REDIS_PASSWORD", secrets.token_urlsafe(24))
    admin = value_of(folder / "admin_password", "AIRFLOW_ADMIN_PASSWORD", secrets.token_urlsafe(12))
    value_of(folder / "fernet_key", "FERNET_KEY", base64.urlsafe_b64encode(os.urandom(32)).decode())
    value_of(folder / "jwt_secret", "JWT_SECRET", secrets.token_urlsafe(48))
    value_of(folder / "secret_key", "SECRET_KEY", secrets.token_urlsafe(48))
    login = f"airflow:{quote(postgres, safe='')}@postgres"
    write(folder / "sql_alchemy_conn", f"postgresql+psycopg2://{login}/airflow")
    write(folder / "result_backend", f"db+postgresql://{login}/airflow")
    write(folder / "broker_url", f"redis://:{quote(redis, safe='')}@redis:6379/0")
    write(folder / "redis.conf", f"requirepass {redis}\nprotected-mode yes\nbind 0.0.0.0\n")
    write(folder / "passwords.json", json.dumps({"admin": admin}))
    # Read by dlt beside its other files; the environment wins over it.
    write(folder / "dlt_secrets.toml", f'[destination.postgres]\ncredentials = "postgresql://{login}:5432/warehouse"\n')


def value_of(file: Path, variable: str, made: str) -> str:
    """The value in the file; a new one where there is none."""
    if not file.exists():
        write(file, os.environ.get(variable) or made)
    return file.read_text(encoding="utf-8")


def write(file: Path, text: str) -> None:
    """Writes a file that the other containers' users may read; the volume is seen by them alone."""
    file.write_text(text, encoding="utf-8")
    file.chmod(0o644)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
