"""The connection type ``api_video``: what Airflow needs to know of it, without importing its hook."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

PACKAGE, VERSION = "api-video-airflow", "0.1.0"
# Airflow has one list of providers for its own processes, and one for those of tasks.
MANAGERS = {
    "airflow.providers_manager": "ProvidersManager",
    "airflow.sdk.providers_manager_runtime": "ProvidersManagerTaskRuntime",
}
TEXT = {"type": ["string", "null"]}


def get_provider_info() -> dict[str, Any]:
    """As a provider's entry point gives it. Extra fields are named as the package's settings."""
    return {
        "package-name": PACKAGE,
        "name": "api.video",
        "description": "Loads api.video into a warehouse.",
        "connection-types": [
            {
                "connection-type": "api_video",
                "hook-class-name": "api_video_airflow.connection.ApiVideoHook",
                "hook-name": "api.video",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema"],
                    "relabeling": {"password": "API key", "host": "Base URL"},
                    "placeholders": {
                        "host": "empty: https://ws.api.video, or sandbox.api.video",
                        # Airflow 3.3 sends 0 for a port that is not set, and then refuses to test "another port".
                        "port": "443; without one, Airflow's Test button says Bad Request",
                    },
                },
                "conn-fields": {
                    "environment": {
                        "label": "Environment",
                        "description": "A key belongs to one environment.",
                        "schema": {"type": "string", "enum": ["production", "sandbox"], "default": "production"},
                    },
                    "admin_api_key": {
                        "label": "Admin API key",
                        "description": "Only for projects_api_keys; api.video's support hands it out.",
                        "schema": {**TEXT, "format": "password"},
                    },
                    "admin_base_url": {
                        "label": "Admin base URL",
                        "description": "Empty: https://admin.api.video",
                        "schema": TEXT,
                    },
                },
            }
        ],
    }


def register() -> None:
    """Adds the connection type to Airflow's lists.

    Airflow looks for connection types in installed packages only, and this one is copied into a folder. Package metadata in
    that folder does not help: Airflow makes the list while it loads its configuration, before its folder of plugins is on
    Python's path. So this relies on ``providers`` being the list itself, as ``tests/unit/test_private_parts.py`` says.
    """
    for module, manager in MANAGERS.items():
        if module in sys.modules:
            runtime = import_module(module)
            runtime.__dict__[manager]().providers.setdefault(PACKAGE, runtime.ProviderInfo(VERSION, get_provider_info()))
