"""The account: its webhooks and upload tokens, and with an admin key its projects, their API keys and usage. No secret is stored.

Source: OpenAPI, /webhooks (schema ``webhook``) and /upload-tokens (schema ``upload-token``); the Admin API's description
(``admin-api.yaml``), /projects, /projects/{project_id}/api-keys, -/delivery-usage and -/hosting-usage.
"""

from __future__ import annotations

from include.api_video.catalog.derived import host_of, sha256_of
from include.api_video.catalog.model import Column, Due, Endpoint, Host, Sync

# fmt: off
WEBHOOK = (
    Column("webhookId", "text",      "Identifier of the webhook"),
    Column("createdAt", "timestamp", "When the webhook was created"),
    Column("events[]",  "text",      "Event that is sent to it, such as video.encoding.quality.completed"),
    Column("urlHost",   "text",      "Host that receives the events; the rest of the URL may hold a secret and is never stored", made_of="url", made_by=host_of),
    Column("urlHash",   "text",      "SHA-256 of the whole URL, in hex: equal for equal URLs", made_of="url", made_by=sha256_of),
)
UPLOAD_TOKEN = (
    Column("tokenHash", "text",      "SHA-256 of the token, in hex; whoever has the token may upload, so it is never stored", made_of="token", made_by=sha256_of),
    Column("createdAt", "timestamp", "When the token was created"),
    Column("ttl",       "bigint",    "How long it is valid after its creation; 0: for ever", unit="s"),
    Column("expiresAt", "timestamp", "When it expires; null: never"),
)
PROJECT = (
    Column("project_id", "text",      "Identifier of the project"),
    Column("created_at", "timestamp", "When the project was created"),
    Column("name",       "text",      "Name of the project"),
    Column("region",     "text",      "Region of its storage, such as eu-central-1"),
    Column("deleted",    "bool",      "Whether it is being deleted"),
    Column("deletes_at", "timestamp", "When it will be deleted, at the end of the billing cycle; null: not planned"),
)
API_KEY = (
    Column("api_key_id", "text",      "Identifier of the API key"),
    Column("project_id", "text",      "Project that the key belongs to", joins="projects.project_id"),
    Column("created_at", "timestamp", "When the key was created"),
    Column("name",       "text",      "Name of the key"),
)
DELIVERY_USAGE = (
    Column("usageKey",     "text",   "project_id and collected_on, joined by a slash"),
    Column("project_id",   "text",   "Project", joins="projects.project_id"),
    Column("collected_on", "text",   "The day: 2026-11-26"),
    Column("video_hls_duration_minutes",       "bigint", "Delivered that day as HLS, of videos", "minutes"),
    Column("video_mp4_duration_minutes",       "bigint", "Delivered that day as mp4, of videos", "minutes"),
    Column("live_stream_hls_duration_minutes", "bigint", "Delivered that day as HLS, of live streams", "minutes"),
)
HOSTING_USAGE = (
    Column("usageKey",     "text",   "project_id and collected_on, joined by a slash"),
    Column("project_id",   "text",   "Project", joins="projects.project_id"),
    Column("collected_on", "text",   "The day: 2026-11-26"),
    Column("video_duration_minutes", "bigint", "Hosted on that day, in all: a level, not to be added up over days", "minutes"),
)
# fmt: on
# The Admin API answers for the last 30 days; what it forgets stays here.
EVERY_SIX_HOURS = Due(every_days=0.25)


def _usage(resource: str, path: str, columns: tuple[Column, ...], meaning: str) -> Endpoint:
    return Endpoint(
        resource,
        f"/projects/{{project_id}}/{path}",
        key="usageKey",
        key_parts=("project_id", "collected_on"),
        group="account",
        sync=Sync.LIST_PER_PARENT,
        columns=columns,
        parent="projects",
        host=Host.ADMIN,
        params={"interval": "month"},
        keeps_rows=True,
        due=EVERY_SIX_HOURS,
        missing_ok=True,
        on_by_default=False,
        meaning=meaning,
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "webhooks",
        "/webhooks",
        key="webhookId",
        group="account",
        sync=Sync.WHOLE,
        columns=WEBHOOK,
        secrets=("url", "signatureSecret"),
        meaning="Webhooks: which events go to which host",
    ),
    Endpoint(
        "upload_tokens",
        "/upload-tokens",
        key="tokenHash",
        group="account",
        sync=Sync.WHOLE,
        columns=UPLOAD_TOKEN,
        sort_by="createdAt",
        meaning="Active upload tokens; one that is removed has expired or was deleted",
    ),
    Endpoint(
        "projects",
        "/projects",
        key="project_id",
        group="account",
        sync=Sync.WHOLE,
        columns=PROJECT,
        host=Host.ADMIN,
        on_by_default=False,
        meaning="Projects of the account",
    ),
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
    _usage(
        "delivery_usage", "delivery-usage", DELIVERY_USAGE, "What was delivered each day, by project: what api.video bills"
    ),
    _usage(
        "hosting_usage", "hosting-usage", HOSTING_USAGE, "What was hosted on each day, by project: what api.video bills"
    ),
)
