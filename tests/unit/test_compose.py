"""docker-compose.yaml and its files: no secret in any file, and limits for each service."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.api_video.settings.addresses import check_address
from include.api_video.settings.config import PROJECT_DIR
from include.api_video.settings.destination import DESTINATIONS, VARIABLE

TEXT = (PROJECT_DIR / "docker-compose.yaml").read_text(encoding="utf-8")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
ONCE = ("secrets", "init")
EXAMPLE = (PROJECT_DIR / ".env.example").read_text(encoding="utf-8")
each = pytest.mark.parametrize("name", SERVICES)


@each
def test_each_service_is_restarted_bounded_and_may_gain_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert service["mem_limit"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in (*ONCE, "demo-api")])
def test_each_service_that_stays_says_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ("postgres", "redis")])
def test_nothing_of_airflow_runs_as_root(name: str) -> None:
    assert SERVICES[name]["user"] == "50000:0"


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"]


def test_no_secret_has_a_default_or_a_value() -> None:
    secret = re.compile(r"(PASSWORD|SECRET|FERNET_KEY|SQL_ALCHEMY_CONN|BROKER_URL|RESULT_BACKEND|API_KEY|CREDENTIALS)\b")
    for service in SERVICES.values():
        for name, value in (service.get("environment") or {}).items():
            if secret.search(name) and "DUCKDB" not in name:
                raise AssertionError(f"{name}={value}")
            assert "password" not in str(value) or str(value).startswith(("cat /opt", "/secrets/", "/opt")), name


def test_what_compose_takes_from_the_environment_is_in_the_example() -> None:
    for name in set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT)) - {"DESTINATION__DUCKDB__CREDENTIALS"}:
        assert re.search(rf"^#? ?{name}=", EXAMPLE, re.MULTILINE), name


def make(folder: Path, **environment: str) -> dict[str, str]:
    script = str(PROJECT_DIR / "docker/make_secrets.py")
    subprocess.run([sys.executable, script, str(folder)], env=environment, check=True)
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir()}


def test_secrets_are_made_once_and_differ_each_time(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()

    made = make(first)

    assert make(first, POSTGRES_PASSWORD="later") == made, "PostgreSQL keeps what it was first started with"
    assert all(made[name] != text for name, text in make(second).items())
    assert all(text for text in made.values())
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o644 for file in first.iterdir())


def test_every_file_that_compose_names_is_made(tmp_path: Path) -> None:
    made = make(tmp_path)
    named = set(re.findall(r"/(?:opt/airflow/)?secrets/([\w.]+)", TEXT))
    dockerfile = (PROJECT_DIR / "Dockerfile").read_text(encoding="utf-8")
    named |= set(re.findall(r"/opt/airflow/secrets/([\w.]+)", dockerfile))
    assert named <= set(made)
    assert {"postgres_password", "fernet_key", "jwt_secret", "sql_alchemy_conn", "broker_url", "dlt_secrets.toml"} <= named


def test_a_password_of_one_s_own_is_taken_with_every_character(tmp_path: Path) -> None:
    made = make(tmp_path, POSTGRES_PASSWORD="a/b@c:d%e", AIRFLOW_ADMIN_PASSWORD='q"uote')
    assert made["postgres_password"] == "a/b@c:d%e"
    assert made["sql_alchemy_conn"] == "postgresql+psycopg2://airflow:a%2Fb%40c%3Ad%25e@postgres/airflow"
    assert json.loads(made["passwords.json"]) == {"admin": 'q"uote'}


def test_the_values_for_the_helm_chart_name_settings_that_there_are() -> None:
    document = (PROJECT_DIR / "docs/production.md").read_text(encoding="utf-8")
    values = yaml.safe_load(document.split("```yaml\n")[1].split("```")[0])
    dockerfile = (PROJECT_DIR / "Dockerfile").read_text(encoding="utf-8")

    assert f"FROM apache/airflow:{values['airflowVersion']}\n" in dockerfile
    # The Helm chart expects these two as text.
    (setting,) = yaml.safe_load(values["extraEnv"])
    assert (setting["name"], setting["value"] in DESTINATIONS) == (VARIABLE, True)
    assert yaml.safe_load(values["extraEnvFrom"]) == [{"secretRef": {"name": "api-video"}}]


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ("postgres", "redis")])
def test_no_service_is_reached_through_a_proxy(name: str) -> None:
    """The execution API, the demo and health checks are local, whatever HTTP_PROXY in .env says."""
    environment = SERVICES[name]["environment"]
    called = set(re.findall(r"http://([\w-]+):\d", TEXT + EXAMPLE))
    assert {"localhost", "api-server", "demo-api"} <= called
    for spelling in ("NO_PROXY", "no_proxy"):
        local, _, own = environment[spelling].partition("$")
        assert called <= set(local.split(",")), "what has a URL here needs no proxy"
        assert own == "{NO_PROXY:+,${NO_PROXY:-}}", "what the user has set is kept, and nothing is said where it is not"


def test_the_demo_s_address_in_the_example_is_one_that_the_settings_take() -> None:
    (url,) = re.findall(r"API_VIDEO_DEMO_URL=(http://\S+)", EXAMPLE)
    assert check_address("base_url", url) == url
