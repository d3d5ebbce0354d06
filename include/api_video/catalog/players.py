"""Player themes. Source: OpenAPI, /players, schema ``player-theme``."""

from __future__ import annotations

from include.api_video.catalog.model import Column, Endpoint, Sync

# fmt: off
PLAYER = (
    Column("playerId",         "text",      "Identifier of the player theme"),
    Column("createdAt",        "timestamp", "When the theme was created"),
    Column("updatedAt",        "timestamp", "When the theme was last changed"),
    Column("name",             "text",      "Name of the theme"),
    Column("text",             "text",      "Colour of the timer text, CSS rgba"),
    Column("link",             "text",      "Colour of the controls, CSS rgba"),
    Column("linkHover",        "text",      "Colour of hovered controls, CSS rgba"),
    Column("linkActive",       "text",      "Colour of the play button when hovered, CSS rgba"),
    Column("trackPlayed",      "text",      "Colour of the played part of the playback bar, CSS rgba"),
    Column("trackUnplayed",    "text",      "Colour of the buffered, unplayed part of the playback bar, CSS rgba"),
    Column("trackBackground",  "text",      "Background colour of the playback bar, CSS rgba"),
    Column("backgroundTop",    "text",      "Colour of the background's upper half, CSS rgba"),
    Column("backgroundBottom", "text",      "Colour of the background's lower half, CSS rgba"),
    Column("backgroundText",   "text",      "Colour of the title text, CSS rgba"),
    Column("enableApi",        "bool",      "Whether scripts can control the player (player SDK)"),
    Column("enableControls",   "bool",      "Whether controls are shown"),
    Column("forceAutoplay",    "bool",      "Whether the video starts by itself"),
    Column("hideTitle",        "bool",      "Whether the title is hidden"),
    Column("forceLoop",        "bool",      "Whether the video repeats"),
    Column("assets.logo",      "text",      "URL of the logo"),
    Column("assets.link",      "text",      "Where a click on the logo leads"),
)
# fmt: on

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "players",
        "/players",
        key="playerId",
        group="players",
        sync=Sync.NEWEST_FIRST,
        columns=PLAYER,
        sort_by="updatedAt",
        one_path="/players/{playerId}",
        meaning="Player themes",
    ),
)
