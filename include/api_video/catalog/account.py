"""API keys of the account's projects: names and ages, never values.

Source: the Admin API's description (``admin-api.yaml``), /projects/{project_id}/api-keys.
"""

from __future__ import annotations

from include.api_video.catalog.model import Column, Endpoint, Host, Sync

# fmt: off
API_KEY = (
    Column("api_key_id", "text",      "Identifier of the API key"),
    Column("project_id", "text",      "Project that the key belongs to"),
    Column("created_at", "timestamp", "When the key was created"),
    Column("name",       "text",      "Name of the key"),
)
# fmt: on

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "projects_api_keys",
        "/projects/{project_id}/api-keys",
        key="api_key_id",
        group="account",
        sync=Sync.WHOLE,
        columns=API_KEY,
        host=Host.ADMIN,
        per_row_of=("/projects", "project_id"),
        listed_path="/projects/api-keys",
        secrets=("value",),
        on_by_default=False,
        meaning="API keys: name and age, never the value",
    ),
)
