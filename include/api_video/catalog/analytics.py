"""Analytics: who watched what. Totals of each day, and what they are made of: hours, videos, countries, devices, ...

api.video forgets analytics after 30 days (3 or 12 months by contract; the sandbox after 24 hours), so that these tables
are the only place that keeps them. A day is a row of ``analytics_days``; everything else is a list of such a day, requested
again where its totals moved.

Source: OpenAPI, /data/metrics/{metric}/{aggregation}, /data/buckets/{metric}/{breakdown} and /data/timeseries/{metric};
guide, analytics/overview: what the metrics mean, and how long they are kept.
"""

from __future__ import annotations

import re

from include.api_video.catalog.model import Ask, Column, Due, Endpoint, Sync
from include.api_video.catalog.storable import read_timestamp

OPEN, CLOSED, SETTLED, PARTIAL_DAY, GAP = "open", "closed", "settled", "partial", "gap"  # states of a day
WITH_NUMBERS = {"state": (OPEN, CLOSED, SETTLED, PARTIAL_DAY)}  # days that have lists
ALL_TIME = "all time"  # stands for the parent of a list that belongs to no day
_HOUR = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d)")


def hour_of(emitted_at: str) -> str:
    """The hour in which something was emitted, in UTC: ``2026-11-26T05:00:00+00:00``.

    The documents show ``2024-10-01T23:59:30+00:00`` (guide) and ``2024-05-29T07+00:00:00:00`` (OpenAPI, example), neither of
    which is the beginning of the hour.
    """
    at, match = read_timestamp(emitted_at), _HOUR.match(emitted_at)
    if at is None and match:
        at = read_timestamp(f"{match[1]}T{match[2]}:00:00")
    return at.replace(minute=0, second=0, microsecond=0).isoformat() if at else emitted_at


def without_query(referrer: str) -> str:
    """A referrer without its query and fragment, which may name a person."""
    return re.split("[?#]", referrer, maxsplit=1)[0]


# fmt: off
DAY = (
    Column("day",         "text",      "The day, in the time zone of the setting analytics_timezone: 2026-11-26"),
    Column("dayStart",    "timestamp", "When the day began; of a partial day, from when on api.video still had numbers"),
    Column("dayEnd",      "timestamp", "When the day ended or will end"),
    Column("readTo",      "timestamp", "Until when the numbers of this row count"),
    Column("timezone",    "text",      "Time zone of the day"),
    Column("state",       "text",      "open: not over. closed: over, read again for three days. settled: read for the last time. partial: api.video had a part of it left. gap: api.video had forgotten it"),
    Column("impressions", "bigint",    "How often a player was shown", "times"),
    Column("plays",       "bigint",    "How often a playback began", "times"),
    Column("starts",      "bigint",    "How often a video was played from its start", "times"),
    Column("ends",        "bigint",    "How often a video was played to its end", "times"),
    Column("views",       "bigint",    "How often at least five seconds were played", "times"),
    Column("watchTimeS",  "double",    "How long was watched", "seconds"),
    Column("impressionTimeAvgMs", "double", "How long a player was shown before it was played, on average", "milliseconds"),
    Column("ccvPeak",     "bigint",    "Most viewers at one moment", "viewers"),
    Column("auditedPlays", "bigint",   "Plays that api.video counts since, of a settled day; null: still as many as plays", "times"),
)
OF_DAY = Column("day", "text", "The day", joins="analytics_days.day")
IMPRESSIONS = Column("impressions", "bigint", "How often a player was shown", "times")
PLAYS = Column("plays", "bigint", "How often a playback began", "times")
VIEWS = Column("views", "bigint", "How often at least five seconds were played", "times")
HOUR = (
    Column("hourKey",     "text",      "day and hour_start, joined by a slash"),
    OF_DAY,
    Column("hourStart",   "timestamp", "When the hour began"),
    IMPRESSIONS, PLAYS, VIEWS,
    Column("ccvPeak",     "bigint",    "Most viewers at one moment", "viewers"),
)
VIDEO_OF_DAY = (
    Column("videoDayKey", "text",      "day and media_id, joined by a slash"),
    OF_DAY,
    Column("mediaId",     "text",      "Video or live stream; it may be deleted since, which its numbers survive"),
    IMPRESSIONS, PLAYS,
    Column("starts",      "bigint",    "How often it was played from its start", "times"),
    Column("ends",        "bigint",    "How often it was played to its end", "times"),
    VIEWS,
    Column("ccvPeak",     "bigint",    "Most viewers at one moment, of a live stream", "viewers"),
)
VIDEO_COUNTRY = (
    Column("videoCountryDayKey", "text", "day, country and media_id, joined by slashes"),
    Column("countryDayKey", "text",   "day and country, joined by a slash", joins="analytics_countries.country_day_key"),
    OF_DAY,
    Column("country",       "text",   "Country, ISO 3166-1 alpha-2"),
    Column("mediaId",       "text",   "Video or live stream; it may be deleted since"),
    PLAYS,
)
WATCH_TIME = (
    Column("videoDayKey",   "text",   "day and media_id, joined by a slash", joins="analytics_videos.video_day_key"),
    OF_DAY,
    Column("mediaId",       "text",   "Video or live stream; it may be deleted since"),
    Column("watchTimeS",    "double", "How long it was watched", "seconds"),
)
TOTAL = (
    Column("mediaId",     "text",      "Video or live stream; it may be deleted since"),
    Column("playsTotal",  "bigint",    "How often it was played, ever", "times"),
)
# fmt: on


def _values(key: str, name: str, meaning: str) -> tuple[Column, ...]:
    return (
        Column(key, "text", f"day and {name}, joined by a slash"),
        OF_DAY,
        Column(name, "text", meaning),
        IMPRESSIONS,
        PLAYS,
        VIEWS,
    )


def _breakdown(resource: str, key: str, name: str, dimension: str, meaning: str, of_value: str, **more: object) -> Endpoint:
    """A table with a row per day and value of a dimension."""
    asks = [("impression", "impressions"), ("play", "plays"), ("view", "views")]
    return Endpoint(
        resource,
        f"/data/buckets/{{metric}}/{dimension}",
        key=key,
        key_parts=("day", name),
        group="analytics",
        sync=Sync.LIST_PER_PARENT,
        columns=_values(key, name, of_value),
        parent="analytics_days",
        parent_where=WITH_NUMBERS,
        asks=tuple(Ask(f"buckets/{metric}/{dimension}", column, only_if=column) for metric, column in asks),
        meaning=meaning,
        **more,  # type: ignore[arg-type]
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "analytics_days",
        "/data/metrics/{metric}/{aggregation}",
        key="day",
        group="analytics",
        sync=Sync.DAYS,
        columns=DAY,
        asks=(
            Ask("metrics/impression/count", "impressions"),
            Ask("metrics/play/count", "plays"),
            Ask("metrics/start/count", "starts"),
            Ask("metrics/end/count", "ends"),
            Ask("buckets/view/media-type", "views"),  # which totals of views there are is not documented
            Ask("metrics/watch-time/sum", "watchTimeS"),
            Ask("metrics/impression-time/average", "impressionTimeAvgMs"),
            Ask("metrics/ccv/peak", "ccvPeak"),
        ),
        meaning="Viewing of each day, in total",
    ),
    Endpoint(
        "analytics_hours",
        "/data/timeseries/{metric}",
        key="hourKey",
        key_parts=("day", "hourStart"),
        group="analytics",
        sync=Sync.LIST_PER_PARENT,
        columns=HOUR,
        parent="analytics_days",
        parent_where=WITH_NUMBERS,
        asks=(
            Ask("timeseries/impression", "impressions", only_if="impressions"),
            Ask("timeseries/play", "plays", only_if="plays"),
            Ask("timeseries/view", "views", only_if="views"),
            Ask("timeseries/ccv-peak", "ccvPeak", only_if="ccvPeak"),
        ),
        value_of=hour_of,
        meaning="Viewing of each hour",
    ),
    Endpoint(
        "analytics_videos",
        "/data/buckets/{metric}/media-id",
        key="videoDayKey",
        key_parts=("day", "mediaId"),
        group="analytics",
        sync=Sync.LIST_PER_PARENT,
        columns=VIDEO_OF_DAY,
        parent="analytics_days",
        parent_where=WITH_NUMBERS,
        asks=(
            Ask("buckets/impression/media-id", "impressions", only_if="impressions"),
            Ask("buckets/play/media-id", "plays", only_if="plays"),
            Ask("buckets/start/media-id", "starts", only_if="starts"),
            Ask("buckets/end/media-id", "ends", only_if="ends"),
            Ask("buckets/view/media-id", "views", only_if="views"),
            Ask("buckets/ccv-peak/media-id", "ccvPeak", only_if="ccvPeak"),
        ),
        meaning="Viewing of each video and live stream by day",
    ),
    _breakdown(
        "analytics_countries",
        "countryDayKey",
        "country",
        "country",
        "Viewing by day and country",
        "Country, ISO 3166-1 alpha-2",
    ),
    _breakdown(
        "analytics_devices",
        "deviceDayKey",
        "deviceType",
        "device-type",
        "Viewing by day and type of device",
        "Type of device, such as computer or phone",
    ),
    _breakdown(
        "analytics_operating_systems",
        "osDayKey",
        "operatingSystem",
        "operating-system",
        "Viewing by day and operating system",
        "Operating system",
    ),
    _breakdown("analytics_browsers", "browserDayKey", "browser", "browser", "Viewing by day and browser", "Browser"),
    _breakdown(
        "analytics_referrers",
        "referrerDayKey",
        "referrer",
        "referrer",
        "Viewing by day and referring page",
        "Page with the player, without its query; empty: none, or an app",
        value_of=without_query,
    ),
    Endpoint(
        "analytics_video_countries",
        "/data/buckets/play/media-id?filterBy[country]",
        key="videoCountryDayKey",
        key_parts=("countryDayKey", "mediaId"),
        carried=("day", "country"),
        group="analytics",
        sync=Sync.LIST_PER_PARENT,
        columns=VIDEO_COUNTRY,
        parent="analytics_countries",
        at_close=True,
        asks=(Ask("buckets/play/media-id", "plays", only_of=("country", "country")),),
        on_by_default=False,
        meaning="Plays of each video and live stream by day and country; one request per country and day",
    ),
    Endpoint(
        "analytics_watch_time",
        "/data/metrics/watch-time/sum?filterBy[mediaId]",
        key="videoDayKey",
        key_parts=("videoDayKey",),
        carried=("day", "mediaId"),
        group="analytics",
        sync=Sync.LIST_PER_PARENT,
        columns=WATCH_TIME,
        parent="analytics_videos",
        at_close=True,
        most_played=True,
        asks=(Ask("metrics/watch-time/sum", "watchTimeS", only_of=("mediaId", "mediaId")),),
        on_by_default=False,
        meaning="Watch time of each day's most played videos and live streams; one request for each",
    ),
    Endpoint(
        "analytics_totals",
        "/data/buckets/play-total/media-id",
        key="mediaId",
        key_parts=("allTime", "mediaId"),
        group="analytics",
        sync=Sync.LIST_PER_PARENT,
        columns=TOTAL,
        asks=(Ask("buckets/play-total/media-id", "playsTotal"),),
        due=Due(every_days=1),
        meaning="Plays of each video and live stream, of all time; read once a day",
    ),
)
