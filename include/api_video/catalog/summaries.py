"""Summaries of videos, and the text of each."""

from __future__ import annotations

from include.api_video.catalog.model import Column, Endpoint, Filter, Sync

# fmt: off
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
SUMMARY_FILTERS = (
    Filter("video_id",      "videoId"),
    Filter("origin",        "origin",       allowed=("api", "auto")),
    Filter("source_status", "sourceStatus", allowed=("missing", "waiting", "failed", "completed", "unprocessable")),
)
# fmt: on

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "summaries",
        "/summaries",
        key="summaryId",
        group="videos",
        sync=Sync.NEWEST_FIRST,
        columns=SUMMARY,
        sort_by="updatedAt",
        filters=SUMMARY_FILTERS,
        meaning="Summaries of videos and how far they are",
    ),
    Endpoint(
        "summary_source",
        "/summaries/{summaryId}/source",
        key="summaryId",
        group="videos",
        sync=Sync.PER_PARENT,
        columns=SUMMARY_SOURCE,
        parent="summaries",
        parent_where={"sourceStatus": "completed"},
        missing_ok=True,
        meaning="Text of each completed summary",
    ),
)
