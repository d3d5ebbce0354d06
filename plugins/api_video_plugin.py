"""The Airflow plugin of api.video. Every process of Airflow imports it, so it imports nothing heavy at the top."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin
from api_video_airflow import provider, warm_up

# The path below which Airflow is served, as in https://example.com/airflow.
BASE = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
PREFIX = "/api_video"
ICON = f"{BASE}{PREFIX}/static/icon.svg"


async def page(scope: Any, receive: Any, send: Any) -> None:
    """The page as an ASGI application. Only the API server imports it, at the first request."""
    from api_video_airflow.page import app

    await app(scope, receive, send)


class ApiVideoPlugin(AirflowPlugin):
    """Registers the parts of ``api_video_airflow``."""

    name = "api_video"
    listeners: ClassVar[list[Any]] = [warm_up]
    fastapi_apps: ClassVar[list[Any]] = [{"app": page, "url_prefix": PREFIX, "name": "api.video"}]
    external_views: ClassVar[list[Any]] = [
        {
            "name": "api.video",
            "href": f"{BASE}{PREFIX}/",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "api_video",
            "icon": ICON,
        },
        {
            "name": "api.video",
            "href": f"{BASE}{PREFIX}/?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "api_video_run",
            "icon": ICON,
        },
    ]

    @classmethod
    def on_load(cls, *_: Any, **__: Any) -> None:
        """Called once in each process when Airflow loads its plugins."""
        provider.register()
