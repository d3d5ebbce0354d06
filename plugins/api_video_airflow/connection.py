"""The hook of the connection type ``api_video``, for its Test button."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow.sdk.bases.hook import BaseHook

# plugins/ and include/ are side by side.
PROJECT = str(Path(__file__).resolve().parents[2])
sys.path += [PROJECT] if PROJECT not in sys.path else []


class ApiVideoHook(BaseHook):
    """A connection to api.video: password is the API key, host the base URL, extra the rest."""

    conn_name_attr = "api_video_conn_id"
    default_conn_name = "api_video"
    conn_type = "api_video"
    hook_name = "api.video"

    def __init__(self, api_video_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self._conn_id = api_video_conn_id

    def get_conn(self) -> Any:
        """The settings from this Connection alone, without environment and files.

        Raises:
            SettingsError: the Connection has no key, or an unknown value.
        """
        from include.api_video.settings.settings import connection_values, settings_from

        connection = self.get_connection(self._conn_id)
        fields = connection.host, connection.password, connection.extra_dejson, connection.port
        return settings_from(connection_values(*fields))

    def test_connection(self) -> tuple[bool, str]:
        """Requests each list once, and names those that the key may not read."""
        from include.api_video.api.permissions import find_permissions
        from include.api_video.errors import ApiVideoError

        try:
            found = find_permissions(self.get_conn())
        except ApiVideoError as error:
            return False, str(error)
        return not found.refused, str(found)
