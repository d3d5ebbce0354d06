"""The table of api.video's endpoints: one entry is one resource, one Airflow task and one table in the warehouse.

To load another list of api.video, add its columns and one entry to ``ENDPOINTS``. The source, the DAG, the validation,
the demo API, the README's table of resources and the data dictionary all read this table; nothing else has to change.

Facts about the API come from its OpenAPI description (https://docs.api.video/reference, file ``openapi.yaml``) and, for
``projects_api_keys``, from the Admin API's (file ``admin-api.yaml``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

DataType = Literal["text", "timestamp", "bool", "bigint", "double"]
MAX_PAGE_SIZE = 100  # "Allowed values 1-100" (OpenAPI, parameter pageSize); the default is 25


class Sync(Enum):
    """How a table is kept equal to what the API lists."""

    NEWEST_FIRST = "newest first"  # sorted by updatedAt, read down to the newest row loaded before
    COUNTED = "whole list where it may have changed"  # no cursor, but a count: page 1 tells whether to read on
    WHOLE = "whole list"  # neither can be trusted: every page, every time
    PER_PARENT = "per parent"  # one request per row of the parent's table, where that row is new or changed


class Host(Enum):
    """Which of api.video's hosts serves an endpoint; each has a key of its own."""

    MAIN = "main"
    ADMIN = "admin"


@dataclass(frozen=True)
class Column:
    """A documented field of a payload.

    ``path`` is the API's own name, with dots into objects and ``[]`` for each list (``encoding.qualities[].status``);
    what stands behind a ``[]`` lands in a child table. ``unit`` is that of a number, ``joins`` the column of another table
    (``players.player_id``) that it names a row of.
    """

    path: str
    data_type: DataType
    meaning: str
    unit: str = ""
    joins: str = ""

    @property
    def description(self) -> str:
        """The meaning with unit and join: the comment in the destination."""
        unit, joins = f" ({self.unit})" if self.unit else "", f"; joins {self.joins}" if self.joins else ""
        return f"{self.meaning}{unit}{joins}"


@dataclass(frozen=True)
class Filter:
    """A filter that a list accepts. ``name`` is ours (snake_case), ``parameter`` the API's."""

    name: str
    parameter: str
    kind: Literal["text", "list", "map"] = "text"
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Endpoint:
    """One resource. A quirk of the API is a field here, never an ``if name == ...`` elsewhere.

    Attributes:
        path: of the list, or of one object with the parent's key in braces.
        key: name of the field that identifies a row, as the API spells it.
        group: task group in the DAG.
        sort_by: the value of ``sortBy`` that gives a list a stable order; None where the API sorts nothing.
        one_path: of one row of a list, with its key in braces: asked whether a row is still there.
        bin: list that rows of this one go to and come back from; it is loaded before.
        parent: resource whose loaded rows say which objects to ask for.
        parent_where: only parents whose fields have these values.
        missing_ok: a 404 says "there is none", and is remembered as such.
        is_final: whether a loaded object can still change without its parent changing (False: ask again).
        secrets: fields that must never be stored, at any depth of this payload.
        via: list that must be walked first, as (path, key): one call of ``path`` per row of it.
        listed_path: path to use where the host does not know ``via``.
        on_by_default: whether a fresh install loads it.
    """

    name: str
    path: str
    key: str
    group: str
    sync: Sync
    meaning: str
    columns: tuple[Column, ...]
    sort_by: str | None = None
    filters: tuple[Filter, ...] = ()
    one_path: str | None = None
    bin: str | None = None
    parent: str | None = None
    parent_where: Mapping[str, str] = field(default_factory=dict)
    missing_ok: bool = False
    is_final: Callable[[Mapping[str, Any]], bool] = lambda _: True
    secrets: tuple[str, ...] = ()
    host: Host = Host.MAIN
    via: tuple[str, str] | None = None
    listed_path: str | None = None
    on_by_default: bool = True

    @property
    def is_list(self) -> bool:
        """Whether one request answers with many rows."""
        return self.sync is not Sync.PER_PARENT


def is_status_final(status: Mapping[str, Any]) -> bool:
    """Whether nothing more will happen to a video's status without a change of the video.

    Done means: the file has arrived, and every rendition is encoded or has failed. ``playable`` does not say so: it is
    true "as soon as the first asset is encoded" (guide, vod/show-video-upload-status).
    """
    ingest, encoding = _object(status.get("ingest")), _object(status.get("encoding"))
    qualities = encoding.get("qualities")
    states = [_object(quality).get("status") for quality in qualities] if isinstance(qualities, list) else []
    arrived = ingest.get("status") in ("uploaded", "ingested")
    return arrived and bool(states) and all(state in ("encoded", "failed") for state in states)


def _object(value: Any) -> Mapping[str, Any]:
    """An object's fields; none where the API sends something else in its place, which is loaded all the same."""
    return value if isinstance(value, Mapping) else {}


# --- documented columns ----------------------------------------------------------------------------------------------
# fmt: off
VIDEO = (
    Column("videoId",        "text",      "Identifier of the video"),
    Column("createdAt",      "timestamp", "When the video object was created"),
    Column("title",          "text",      "Title"),
    Column("description",    "text",      "Description"),
    Column("publishedAt",    "timestamp", "When the API created the video"),
    Column("updatedAt",      "timestamp", "When the video was last changed"),
    Column("discardedAt",    "timestamp", "When the video was discarded (Video Restore only)"),
    Column("deletesAt",      "timestamp", "When a discarded video will be deleted for good"),
    Column("discarded",      "bool",      "Whether the video is discarded"),
    Column("language",       "text",      "Language of the video, IETF tag"),
    Column("languageOrigin", "text",      "Who set the language: api or auto"),
    Column("playerId",       "text",      "Player theme used", joins="players.player_id"),
    Column("public",         "bool",      "Whether anyone may play it; false needs a private token"),
    Column("panoramic",      "bool",      "Whether it is a 360 degree video"),
    Column("mp4Support",     "bool",      "Whether an mp4 version is offered"),
    Column("source.uri",     "text",      "Path of the source file in the API"),
    Column("source.type",    "text",      "Where the source came from, such as upload"),
    Column("source.liveStream.liveStreamId", "text", "Live stream this is a recording of", joins="live_streams.live_stream_id"),
    Column("source.liveStream.links[].rel",  "text", "Kind of link to the live stream"),
    Column("source.liveStream.links[].uri",  "text", "Path of the live stream in the API"),
    Column("assets.hls",       "text", "URL of the HLS manifest, private token removed"),
    Column("assets.iframe",    "text", "HTML to embed the player, private token removed"),
    Column("assets.player",    "text", "URL of the player, private token removed"),
    Column("assets.thumbnail", "text", "URL of the thumbnail, private token removed"),
    Column("assets.mp4",       "text", "URL of the mp4 file, private token removed"),
    Column("tags[]",           "text", "A tag of the video"),
    Column("metadata[].key",   "text", "Name of a metadata entry"),
    Column("metadata[].value", "text", "Value of a metadata entry"),
)
STATUS = (
    Column("videoId",               "text",   "Identifier of the video"),
    Column("ingest.status",         "text",   "uploading, uploaded (file upload), ingesting or ingested (from a URL)"),
    Column("ingest.filesize",       "bigint", "Size of the source file", "bytes"),
    Column("ingest.receivedBytes[].from",  "bigint", "First byte of a received range", "bytes"),
    Column("ingest.receivedBytes[].to",    "bigint", "Last byte of a received range", "bytes"),
    Column("ingest.receivedBytes[].total", "bigint", "Size of the whole file", "bytes"),
    Column("ingest.receivedParts.parts[]", "bigint", "Number of a received part"),
    Column("ingest.receivedParts.total",   "bigint", "How many are expected", "parts"),
    Column("encoding.playable",            "bool",   "Whether at least one rendition can be played"),
    Column("encoding.metadata.width",      "bigint", "Width of the source", "pixels"),
    Column("encoding.metadata.height",     "bigint", "Height of the source", "pixels"),
    Column("encoding.metadata.bitrate",    "double", "Bitrate of the source, as the API gives it", "bit/s as documented, kbit/s as samples look"),
    Column("encoding.metadata.duration",   "bigint", "Length of the source", "seconds"),
    Column("encoding.metadata.framerate",  "double", "Frame rate of the source", "frames per second"),
    Column("encoding.metadata.samplerate", "bigint", "Audio sample rate", "Hz"),
    Column("encoding.metadata.videoCodec", "text",   "Video codec of the source"),
    Column("encoding.metadata.audioCodec", "text",   "Audio codec of the source"),
    Column("encoding.metadata.aspectRatio", "text",  "Aspect ratio of the source, such as 16/9"),
    Column("encoding.qualities[].type",    "text",   "hls or mp4"),
    Column("encoding.qualities[].quality", "text",   "240p to 2160p"),
    Column("encoding.qualities[].status",  "text",   "waiting, encoding, encoded or failed"),
)
SUMMARY = (
    Column("summaryId",    "text",      "Identifier of the summary"),
    Column("createdAt",    "timestamp", "When the summary was created"),
    Column("updatedAt",    "timestamp", "When the summary was last changed"),
    Column("videoId",      "text",      "Video it summarises", joins="videos.video_id"),
    Column("origin",       "text",      "Who wrote it: api or auto"),
    Column("sourceStatus", "text",      "missing, waiting, failed, completed or unprocessable"),
)
SUMMARY_SOURCE = (
    Column("summaryId",   "text", "Identifier of the summary"),
    Column("abstract",    "text", "The summary in a paragraph"),
    Column("takeaways[]", "text", "A takeaway, in the order of the video"),
)
PLAYER = (
    Column("playerId",         "text",      "Identifier of the player theme"),
    Column("createdAt",        "timestamp", "When the theme was created"),
    Column("updatedAt",        "timestamp", "When the theme was last changed"),
    Column("name",             "text",      "Name of the theme"),
    Column("text",             "text",      "Colour of timer text and icons, CSS rgba"),
    Column("link",             "text",      "Colour of the controls, CSS rgba"),
    Column("linkHover",        "text",      "Colour of hovered controls, CSS rgba"),
    Column("linkActive",       "text",      "Colour of active controls, CSS rgba"),
    Column("trackPlayed",      "text",      "Colour of the played part of the bar, CSS rgba"),
    Column("trackUnplayed",    "text",      "Colour of the loaded, unplayed part of the bar, CSS rgba"),
    Column("trackBackground",  "text",      "Colour of the bar, CSS rgba"),
    Column("backgroundTop",    "text",      "Top colour of the background, CSS rgba"),
    Column("backgroundBottom", "text",      "Bottom colour of the background, CSS rgba"),
    Column("backgroundText",   "text",      "Colour of the title's background, CSS rgba"),
    Column("enableApi",        "bool",      "Whether the player can be steered by script"),
    Column("enableControls",   "bool",      "Whether controls are shown"),
    Column("forceAutoplay",    "bool",      "Whether playing starts by itself"),
    Column("hideTitle",        "bool",      "Whether the title is hidden"),
    Column("forceLoop",        "bool",      "Whether the video repeats"),
    Column("assets.logo",      "text",      "URL of the logo"),
    Column("assets.link",      "text",      "Where a click on the logo leads"),
)
LIVE_STREAM = (
    Column("liveStreamId",     "text",      "Identifier of the live stream"),
    Column("createdAt",        "timestamp", "When the live stream was created"),
    Column("updatedAt",        "timestamp", "When the live stream was last changed"),
    Column("name",             "text",      "Name"),
    Column("public",           "bool",      "Whether anyone may watch it"),
    Column("playerId",         "text",      "Player theme used", joins="players.player_id"),
    Column("broadcasting",     "bool",      "Whether it is on air; changes without a change of updated_at"),
    Column("assets.hls",       "text",      "URL of the HLS manifest, private token removed"),
    Column("assets.iframe",    "text",      "HTML to embed the player, private token removed"),
    Column("assets.player",    "text",      "URL of the player, private token removed"),
    Column("assets.thumbnail", "text",      "URL of the thumbnail, private token removed"),
    Column("restreams[].name", "text",      "Name of a service that the stream is sent on to"),
)
API_KEY = (
    Column("api_key_id", "text",      "Identifier of the API key"),
    Column("project_id", "text",      "Project that the key opens"),
    Column("created_at", "timestamp", "When the key was created"),
    Column("name",       "text",      "Name of the key"),
)

VIDEO_FILTERS = (
    Filter("title",          "title"),
    Filter("tags",           "tags[]", kind="list"),
    Filter("metadata",       "metadata", kind="map"),
    Filter("description",    "description"),
    Filter("live_stream_id", "liveStreamId"),
)
SUMMARY_FILTERS = (
    Filter("video_id",      "videoId"),
    Filter("origin",        "origin",       allowed=("api", "auto")),
    Filter("source_status", "sourceStatus", allowed=("missing", "waiting", "failed", "completed", "unprocessable")),
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("videos",            "/videos",                        key="videoId",      group="videos",       sync=Sync.NEWEST_FIRST, columns=VIDEO,
             sort_by="updatedAt", filters=VIDEO_FILTERS, one_path="/videos/{videoId}", bin="discarded_videos",
             meaning="Videos and recordings, without those discarded"),
    Endpoint("video",             "/videos/{videoId}",              key="videoId",      group="videos",       sync=Sync.PER_PARENT,   columns=VIDEO,
             parent="videos", missing_ok=True, on_by_default=False,
             meaning="Each video asked for on its own; the list holds the same object"),
    Endpoint("video_status",      "/videos/{videoId}/status",       key="videoId",      group="videos",       sync=Sync.PER_PARENT,   columns=STATUS,
             parent="videos", missing_ok=True, is_final=is_status_final,
             meaning="Upload and encoding state of each video, size, length, codecs"),
    Endpoint("discarded_videos",  "/discarded/videos",              key="videoId",      group="videos",       sync=Sync.COUNTED,      columns=VIDEO,
             sort_by="createdAt", filters=VIDEO_FILTERS, one_path="/discarded/videos/{videoId}",
             meaning="Videos in the bin, where Video Restore is subscribed"),
    Endpoint("summaries",         "/summaries",                     key="summaryId",    group="videos",       sync=Sync.NEWEST_FIRST, columns=SUMMARY,
             sort_by="updatedAt", filters=SUMMARY_FILTERS,
             meaning="Summaries of videos and how far they are"),
    Endpoint("summary_source",    "/summaries/{summaryId}/source",  key="summaryId",    group="videos",       sync=Sync.PER_PARENT,   columns=SUMMARY_SOURCE,
             parent="summaries", parent_where={"sourceStatus": "completed"}, missing_ok=True,
             meaning="Text of each completed summary"),
    Endpoint("players",           "/players",                       key="playerId",     group="players",      sync=Sync.NEWEST_FIRST, columns=PLAYER,
             sort_by="updatedAt", one_path="/players/{playerId}",
             meaning="Player themes"),
    Endpoint("live_streams",      "/live-streams",                  key="liveStreamId", group="live_streams", sync=Sync.WHOLE,        columns=LIVE_STREAM,
             sort_by="createdAt", filters=(Filter("name", "name"),), one_path="/live-streams/{liveStreamId}", secrets=("streamKey", "serverUrl"),
             meaning="Live streams, on air or not"),
    Endpoint("projects_api_keys", "/projects/{project_id}/api-keys", key="api_key_id",  group="account",      sync=Sync.WHOLE,        columns=API_KEY,
             host=Host.ADMIN, via=("/projects", "project_id"), listed_path="/projects/api-keys", secrets=("value",), on_by_default=False,
             meaning="Names and ages of API keys, never their values"),
)
# fmt: on


def by_name(endpoints: Iterable[Endpoint] = ENDPOINTS) -> dict[str, Endpoint]:
    """The table as a dictionary, in its own order."""
    return {endpoint.name: endpoint for endpoint in endpoints}


def in_load_order(names: Iterable[str]) -> list[str]:
    """Resources in the order in which one process loads them: each after what it takes something from."""
    table = by_name()
    ordered: list[str] = []

    def add(name: str) -> None:
        for earlier in upstream(table[name]):
            if earlier in wanted:
                add(earlier)
        if name not in ordered:
            ordered.append(name)

    wanted = list(names)
    for name in wanted:
        add(name)
    return ordered


def upstream(endpoint: Endpoint) -> list[str]:
    """Resources that are loaded before this one where they are loaded at all: its parent, its bin."""
    return [name for name in (endpoint.parent, endpoint.bin) if name]


def group_names(endpoints: Iterable[Endpoint] = ENDPOINTS) -> dict[str, list[str]]:
    """``{group: [resource, ...]}``, each child after its parent."""
    groups: dict[str, list[str]] = {}
    for endpoint in endpoints:
        groups.setdefault(endpoint.group, []).append(endpoint.name)
    return groups
