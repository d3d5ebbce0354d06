"""Live streams, on air or not. Source: OpenAPI, /live-streams, schema ``live-stream``."""

from __future__ import annotations

from include.api_video.catalog.derived import host_of
from include.api_video.catalog.model import Column, Endpoint, Filter, Sync

# fmt: off
LIVE_STREAM = (
    Column("liveStreamId",     "text",      "Identifier of the live stream"),
    Column("createdAt",        "timestamp", "When the live stream was created"),
    Column("updatedAt",        "timestamp", "When the live stream was last changed"),
    Column("name",             "text",      "Name"),
    Column("public",           "bool",      "Whether anyone may watch it"),
    Column("playerId",         "text",      "Player theme used", joins="players.player_id"),
    Column("broadcasting",     "bool",      "Whether it is on air; can change while updated_at stays"),
    Column("assets.hls",       "text",      "URL of the HLS manifest, private token removed"),
    Column("assets.iframe",    "text",      "HTML to embed the player, private token removed"),
    Column("assets.player",    "text",      "URL of the player, private token removed"),
    Column("assets.thumbnail", "text",      "URL of the thumbnail, private token removed"),
    Column("restreams[].name", "text",      "Name of a service to which the stream is restreamed"),
    Column("restreams[].serverHost", "text", "Host of that service; the rest of its URL is never stored", made_of="serverUrl", made_by=host_of),
)
# fmt: on

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "live_streams",
        "/live-streams",
        key="liveStreamId",
        group="live_streams",
        sync=Sync.WHOLE,
        columns=LIVE_STREAM,
        sort_by="createdAt",
        filters=(Filter("name", "name"),),
        one_path="/live-streams/{liveStreamId}",
        secrets=("streamKey", "serverUrl"),
        meaning="Live streams, on air or not",
    ),
)
