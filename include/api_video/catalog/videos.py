"""Videos: the list, each one by itself, the status of each, the bin; their captions, chapters, tags and watermarks.

Source: OpenAPI, /videos, /videos/{videoId}, /videos/{videoId}/status and /discarded/videos, schemas ``video`` and
``video-status``; /videos/{videoId}/captions and /videos/{videoId}/chapters, schemas ``caption`` and ``chapter``; /tags, whose description writes ``videoCount`` as a number and as text; /watermarks, schema ``watermark``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.api_video.catalog.model import Column, Due, Endpoint, Filter, Sync


def is_status_final(status: Mapping[str, Any]) -> bool:
    """Whether a status can only change again when its video changes.

    It is final once the file has arrived and every rendition is encoded or has failed. The API documents no final state;
    ``playable`` is none, since it is true "as soon as the first asset is encoded" (guide, vod/show-video-upload-status).
    """
    ingest, encoding = _object(status.get("ingest")), _object(status.get("encoding"))
    qualities = encoding.get("qualities")
    states = [_object(quality).get("status") for quality in qualities] if isinstance(qualities, list) else []
    arrived = ingest.get("status") in ("uploaded", "ingested")
    return arrived and bool(states) and all(state in ("encoded", "failed") for state in states)


def _object(value: Any) -> Mapping[str, Any]:
    """The fields of an object; none where the API sends another type (``ingest: []``). That value is loaded all the same."""
    return value if isinstance(value, Mapping) else {}


# fmt: off
VIDEO = (
    Column("videoId",        "text",      "Identifier of the video"),
    Column("createdAt",      "timestamp", "When the video was created"),
    Column("title",          "text",      "Title"),
    Column("description",    "text",      "Description"),
    Column("publishedAt",    "timestamp", "When the video was published; documented as when the API created it"),
    Column("updatedAt",      "timestamp", "When the video was last changed"),
    Column("discardedAt",    "timestamp", "When the video was discarded (Video Restore only)"),
    Column("deletesAt",      "timestamp", "When a discarded video will be deleted for good"),
    Column("discarded",      "bool",      "Whether the video is discarded"),
    Column("language",       "text",      "Language of the video, IETF tag"),
    Column("languageOrigin", "text",      "Who last set the language: api (a request) or auto (detection)"),
    Column("playerId",       "text",      "Player theme used", joins="players.player_id"),
    Column("public",         "bool",      "Whether anyone may play it; if false, playing needs a private token"),
    Column("panoramic",      "bool",      "Whether it is a 360 degree video"),
    Column("mp4Support",     "bool",      "Whether an mp4 version is offered"),
    Column("source.uri",     "text",      "Path of the source file in the API"),
    Column("source.type",    "text",      "How the source arrived, such as upload"),
    Column("source.liveStream.liveStreamId", "text", "Live stream that this video records", joins="live_streams.live_stream_id"),
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
    Column("ingest.status",         "text",   "uploading or uploaded (a file), ingesting or ingested (from a URL)"),
    Column("ingest.filesize",       "bigint", "Size of the source file", "bytes"),
    Column("ingest.receivedBytes[].from",  "bigint", "First byte of a received range", "bytes"),
    Column("ingest.receivedBytes[].to",    "bigint", "Last byte of a received range", "bytes"),
    Column("ingest.receivedBytes[].total", "bigint", "Size of the whole file", "bytes"),
    Column("ingest.receivedParts.parts[]", "bigint", "Number of a received part"),
    Column("ingest.receivedParts.total",   "bigint", "Number of parts expected", "parts"),
    Column("encoding.playable",            "bool",   "Whether at least one rendition can be played"),
    Column("encoding.metadata.width",      "bigint", "Width of the source", "pixels"),
    Column("encoding.metadata.height",     "bigint", "Height of the source", "pixels"),
    Column("encoding.metadata.bitrate",    "double", "Bitrate of the source, unchanged from the API", "documented as bit/s; samples look like kbit/s"),
    Column("encoding.metadata.duration",   "bigint", "Length of the source, unchanged from the API", "not documented; samples look like seconds"),
    Column("encoding.metadata.framerate",  "double", "Frame rate of the source", "frames per second"),
    Column("encoding.metadata.samplerate", "bigint", "Audio sample rate", "Hz"),
    Column("encoding.metadata.videoCodec", "text",   "Video codec of the source"),
    Column("encoding.metadata.audioCodec", "text",   "Audio codec of the source"),
    Column("encoding.metadata.aspectRatio", "text",  "Aspect ratio of the source, such as 16/9"),
    Column("encoding.qualities[].type",    "text",   "Format of a rendition: hls or mp4"),
    Column("encoding.qualities[].quality", "text",   "Resolution of a rendition: 240p to 2160p"),
    Column("encoding.qualities[].status",  "text",   "State of a rendition: waiting, encoding, encoded or failed"),
)
TAG = (
    Column("value",      "text",   "The tag, with the case in which it was written: apple and APPLE are two tags"),
    Column("videoCount", "bigint", "How many videos have it", "videos"),
)
WATERMARK = (
    Column("watermarkId", "text",      "Identifier of the watermark"),
    Column("createdAt",   "timestamp", "When the watermark was created"),
)
CAPTION = (
    Column("captionKey",   "text", "video_id and srclang, joined by a slash"),
    Column("videoId",      "text", "Video that it belongs to", joins="videos.video_id"),
    Column("srclang",      "text", "Language of the captions, IETF tag"),
    Column("languageName", "text", "Name of the language, as the player shows it"),
    Column("default",      "bool", "Whether the player shows these captions unless the viewer chooses others"),
    Column("src",          "text", "URL of the VTT file, private token removed"),
    Column("uri",          "text", "Path of the captions in the API"),
)
CHAPTER = (
    Column("chapterKey", "text", "video_id and language, joined by a slash"),
    Column("videoId",    "text", "Video that it belongs to", joins="videos.video_id"),
    Column("language",   "text", "Language of the chapters, IETF tag"),
    Column("src",        "text", "URL of the VTT file, private token removed"),
    Column("uri",        "text", "Path of the chapters in the API"),
)
# Captions and chapters have no time of change, and whether they move the video's updatedAt is not documented.
BY_AGE = Due(every_days=7, born="createdAt", young_h=24)

VIDEO_FILTERS = (
    Filter("title",          "title"),
    Filter("tags",           "tags[]", kind="list"),
    Filter("metadata",       "metadata", kind="map"),
    Filter("description",    "description"),
    Filter("live_stream_id", "liveStreamId"),
)
# fmt: on

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "videos",
        "/videos",
        key="videoId",
        group="videos",
        sync=Sync.NEWEST_FIRST,
        columns=VIDEO,
        sort_by="updatedAt",
        filters=VIDEO_FILTERS,
        one_path="/videos/{videoId}",
        bin="discarded_videos",
        meaning="Videos and recordings, without discarded ones",
    ),
    Endpoint(
        "video",
        "/videos/{videoId}",
        key="videoId",
        group="videos",
        sync=Sync.PER_PARENT,
        columns=VIDEO,
        parent="videos",
        missing_ok=True,
        on_by_default=False,
        meaning="Each video, requested by itself; the list holds the same object",
    ),
    Endpoint(
        "video_status",
        "/videos/{videoId}/status",
        key="videoId",
        group="videos",
        sync=Sync.PER_PARENT,
        columns=STATUS,
        parent="videos",
        missing_ok=True,
        is_final=is_status_final,
        meaning="Upload and encoding state of each video, with size, length and codecs",
    ),
    Endpoint(
        "captions",
        "/videos/{videoId}/captions",
        key="captionKey",
        key_parts=("videoId", "srclang"),
        group="videos",
        sync=Sync.LIST_PER_PARENT,
        columns=CAPTION,
        parent="videos",
        due=BY_AGE,
        missing_ok=True,
        meaning="Captions of each video, one row per language",
    ),
    Endpoint(
        "chapters",
        "/videos/{videoId}/chapters",
        key="chapterKey",
        key_parts=("videoId", "language"),
        group="videos",
        sync=Sync.LIST_PER_PARENT,
        columns=CHAPTER,
        parent="videos",
        due=BY_AGE,
        missing_ok=True,
        on_by_default=False,
        meaning="Chapters of each video, one row per language",
    ),
    Endpoint(
        "discarded_videos",
        "/discarded/videos",
        key="videoId",
        group="videos",
        sync=Sync.COUNTED,
        columns=VIDEO,
        sort_by="createdAt",
        filters=VIDEO_FILTERS,
        one_path="/discarded/videos/{videoId}",
        meaning="Discarded videos; needs the Video Restore feature",
    ),
    Endpoint(
        "tags",
        "/tags",
        key="value",
        group="videos",
        sync=Sync.WHOLE,
        columns=TAG,
        sort_by="value",
        meaning="Tags in use, with the number of videos of each",
    ),
    Endpoint(
        "watermarks",
        "/watermarks",
        key="watermarkId",
        group="videos",
        sync=Sync.COUNTED,
        columns=WATERMARK,
        sort_by="createdAt",
        meaning="Watermarks, the images that can be laid over videos",
    ),
)
