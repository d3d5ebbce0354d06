"""Rows of an invented company that hosts its videos on api.video, in the shapes that the API documents.

A row depends on the seed and its index alone, so a list of 100,000 videos needs no memory until it is read. Fields that the
API may omit are omitted now and then; nulls appear only where the API documents them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from hashlib import blake2b
from typing import Any, TypeVar

from include.demo_api import texts

Row = dict[str, Any]
T = TypeVar("T")

FIRST_S = int(datetime(2023, 6, 1, tzinfo=timezone.utc).timestamp())
LAST_S = int(datetime(2026, 5, 31, 18, tzinfo=timezone.utc).timestamp())
HOUR_S, DAY_S, PERIOD_S = 3600, 86_400, 30 * 86_400
SUMMARY_EVERY, SUMMARY_OFFSET = 8, 3  # one video in eight has a summary: 12.5 %
NEWEST_S_ROWS = 4  # number of the newest videos that were changed in the same second

COLOURS: tuple[str, ...] = ("text", "link", "linkHover", "linkActive", "trackPlayed", "trackUnplayed")
COLOURS += ("trackBackground", "backgroundTop", "backgroundBottom", "backgroundText")
SWITCHES = ("enableApi", "enableControls", "forceAutoplay", "hideTitle", "forceLoop")


class Dice:
    """Choices that depend on (seed, kind, index) alone. One hash per row is faster than ``Random(seed)``."""

    def __init__(self, seed: int, kind: str, index: int) -> None:
        digest = blake2b(f"{seed}/{kind}/{index}".encode(), digest_size=64).digest()
        self._bits = int.from_bytes(digest, "big")

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit - 1``."""
        self._bits, value = divmod(self._bits, limit)
        return value

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def one_in(self, count: int) -> bool:
        """True once in ``count`` times."""
        return self.below(count) == 0


def timestamp(seconds: float) -> str:
    """A time as the API writes it: UTC with its offset, no fraction (OpenAPI examples)."""
    return datetime.fromtimestamp(int(seconds), timezone.utc).isoformat()


def make_id(prefix: str, seed: int, index: int) -> str:
    """An identifier in the API's form: a prefix and 22 letters and digits, upper and lower case."""
    digest = blake2b(f"{seed}/{prefix}/{index}".encode(), digest_size=16).digest()
    return prefix + base64.b64encode(digest, b"Qz").decode().rstrip("=")


def make_uuid(seed: int, kind: str, index: int) -> str:
    """A UUID-shaped token, never a real one."""
    text = blake2b(f"{seed}/{kind}/{index}".encode(), digest_size=16).hexdigest()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True)
class Company:
    """Makes the rows of one world. ``videos`` sets the size of the lists of videos and summaries; the others are fixed."""

    videos: int
    seed: int

    def count(self, resource: str) -> int:
        """Number of rows that a list starts with."""
        counts = {
            "videos": self.videos,
            "discarded_videos": min(25, max(3, self.videos // 60)),
            "summaries": (self.videos + SUMMARY_EVERY - SUMMARY_OFFSET - 1) // SUMMARY_EVERY,
            "players": 5,
            "live_streams": 7,
            "watermarks": 3,
            "webhooks": 4,
            "upload_tokens": 6,
            "projects": 2,
            "projects_api_keys": 5,
        }
        return counts.get(resource, 30)

    def video_id(self, index: int) -> str:
        return make_id("vi", self.seed, index)

    def summarized_video(self, index: int) -> int:
        """Index of the video that summary ``index`` belongs to."""
        return index * SUMMARY_EVERY + SUMMARY_OFFSET

    def _video_times(self, index: int, dice: Dice) -> tuple[int, int]:
        """Seconds of createdAt and updatedAt. Higher indexes are newer videos; one in five was edited in bulk."""
        span = (LAST_S - FIRST_S) // max(self.videos, 1)
        place = index if index < self.videos else 37 * index % max(self.videos * 9 // 10, 1)  # discarded ones: any age
        created = FIRST_S + place * span + dice.below(max(span, 1))
        if self.videos - NEWEST_S_ROWS <= index < self.videos:
            return created, LAST_S
        kind = dice.below(10)
        bulk_edit = (created // PERIOD_S + 1) * PERIOD_S
        if kind < 2 and bulk_edit < LAST_S:  # a script changed many videos at once
            return created, bulk_edit
        if kind < 6:
            return created, created
        return created, created + dice.below(min(60 * DAY_S, max(LAST_S - created, 1)))

    def video(self, index: int) -> Row:
        """A row of ``/videos`` without its assets, whose private tokens are new at each read (guide,
        delivery/video-privacy-access-management).
        """
        dice = Dice(self.seed, "video", index)
        video_id = self.video_id(index)
        created_s, updated_s = self._video_times(index, dice)
        language = dice.pick(texts.LANGUAGES)
        patterns, topics, description = texts.TITLES[language]
        created = timestamp(created_s)
        quarter = f"{created[:4]} Q{(int(created[5:7]) + 2) // 3}"
        row: Row = {
            "videoId": video_id,
            "createdAt": created,
            "title": f"{dice.pick(patterns).format(dice.pick(topics))} ({quarter}, {index})",
            "description": description,
            "publishedAt": created,
            "updatedAt": timestamp(updated_s),
            "discardedAt": None,
            "deletesAt": None,
            "discarded": False,
            "language": language,
            "languageOrigin": "auto" if dice.one_in(3) else "api",
            "tags": sorted({dice.pick(texts.TAGS) for _ in range(dice.below(4))}),
            "metadata": [{"key": key, "value": dice.pick(values)} for key, values in texts.METADATA if dice.one_in(2)],
            "source": {"uri": f"/videos/{video_id}/source", "type": "upload"},
            "playerId": make_id("pl", self.seed, dice.below(5)),
            "public": not dice.one_in(5),
            "panoramic": dice.one_in(40),
            "mp4Support": not dice.one_in(9),
        }
        return self._with_gaps(row, dice)

    def _with_gaps(self, row: Row, dice: Dice) -> Row:
        """Adds the live stream to recordings; omits fields of other rows or sets them to null, as OpenAPI's examples do."""
        kind = dice.below(24)
        if kind < 2:
            stream_id = make_id("li", self.seed, dice.below(7))
            link = {"rel": "self", "uri": f"/live-streams/{stream_id}"}
            del row["source"]["type"]
            row["source"]["liveStream"] = {"liveStreamId": stream_id, "links": [link]}
        elif kind < 6:
            for name in (("playerId",), ("description",), ("language", "languageOrigin"), ("createdAt",))[kind - 2]:
                del row[name]
        elif kind == 6:
            row["language"] = row["languageOrigin"] = None
        return row

    def discarded_video(self, index: int) -> Row:
        """A row of ``/discarded/videos``; its indexes follow those of ``/videos``."""
        row = self.video(index)
        discarded_s = LAST_S - (index - self.videos + 1) % 30 * DAY_S
        times = {"discardedAt": timestamp(discarded_s), "deletesAt": timestamp(discarded_s + 90 * DAY_S)}
        return {**row, **times, "discarded": True}

    def summary(self, index: int) -> Row:
        """A row of ``/summaries``; one in eight is not completed, in varying states."""
        dice = Dice(self.seed, "summary", index)
        state = ("missing", "waiting", "failed", "unprocessable")[index // 8 % 4] if index % 8 == 1 else "completed"
        video = self.summarized_video(index)
        created_s = min(LAST_S, self._video_times(video, Dice(self.seed, "video", video))[0] + HOUR_S)
        took_s = 0 if state in ("missing", "waiting") else 60 * (1 + dice.below(30))
        return {
            "summaryId": make_id("summary_", self.seed, index),
            "createdAt": timestamp(created_s),
            "updatedAt": timestamp(min(LAST_S, created_s + took_s)),
            "videoId": self.video_id(video),
            "origin": "api" if state == "missing" or dice.one_in(6) else "auto",
            "sourceStatus": state,
        }

    def summary_source(self, index: int) -> Row:
        """A body of ``/summaries/{summaryId}/source``: both parts, or only the one that was requested."""
        dice = Dice(self.seed, "source", index)
        row: Row = {"abstract": dice.pick(texts.ABSTRACTS), "takeaways": list(texts.TAKEAWAYS[: 1 + dice.below(3)])}
        kind = dice.below(10)
        if kind == 0:
            del row["takeaways"]
        elif kind == 1:
            row["takeaways"] = []
        elif kind == 2:
            del row["abstract"]
        return row

    def player(self, index: int) -> Row:
        """A row of ``/players``."""
        dice = Dice(self.seed, "player", index)
        created_s = FIRST_S + index * 40 * DAY_S
        row: Row = {
            "playerId": make_id("pl", self.seed, index),
            "createdAt": timestamp(created_s),
            "updatedAt": timestamp(created_s + dice.below(300) * DAY_S),
            **{name: _colour(dice) for name in COLOURS},
            **{name: dice.one_in(2) for name in SWITCHES},
        }
        if index % 4 != 3:  # the oldest themes have no name
            row["name"] = texts.PLAYER_NAMES[index % len(texts.PLAYER_NAMES)]
        if index % 2 == 0:
            logo = f"https://cdn.api.video/player/{row['playerId']}/logo.png"
            row["assets"] = {"logo": logo, "link": "https://www.example.com/videos"}
        return row

    def live_stream(self, index: int) -> Row:
        """A row of ``/live-streams`` without its assets."""
        dice = Dice(self.seed, "live stream", index)
        created_s = FIRST_S + index * 60 * DAY_S
        restreams = [
            {
                "name": name,
                "serverUrl": f"rtmp://{name.lower()}.broadcast.example.com/app",
                "streamKey": make_uuid(self.seed, f"demo-restream-{name}", index),
            }
            for name in texts.RESTREAM_NAMES[: index % 3]
        ]
        row: Row = {
            "liveStreamId": make_id("li", self.seed, index),
            "createdAt": timestamp(created_s),
            "updatedAt": timestamp(created_s + dice.below(200) * DAY_S),
            "streamKey": make_uuid(self.seed, "demo-stream-key", index),
            "name": f"{texts.STREAM_NAMES[index % len(texts.STREAM_NAMES)]} {index + 1}",
            "public": index % 4 != 2,
            "broadcasting": index == 0,
            "restreams": restreams,
        }
        if index % 3 != 1:
            row["playerId"] = make_id("pl", self.seed, dice.below(5))
        return row

    def captions(self, index: int) -> list[Row]:
        """The list ``/videos/{videoId}/captions`` of a video: up to three languages, the first of them the default."""
        dice, video_id = Dice(self.seed, "captions", index), self.video_id(index)
        languages = [["en"], ["fr", "en"], ["de"], ["en", "es", "pt-BR"]][dice.below(4)] if not dice.one_in(3) else []
        return [
            {
                "uri": f"/videos/{video_id}/captions/{language}",
                "src": f"https://cdn.api.video/vod/{video_id}/captions/{language}.vtt",
                "srclang": language,
                "languageName": texts.LANGUAGE_NAMES[language],
                "default": place == 0,
            }
            for place, language in enumerate(languages)
        ]

    def chapters(self, index: int) -> list[Row]:
        """The list ``/videos/{videoId}/chapters`` of a video; one in five has chapters."""
        dice, video_id = Dice(self.seed, "chapters", index), self.video_id(index)
        return [
            {
                "uri": f"/videos/{video_id}/chapters/{language}",
                "src": f"https://cdn.api.video/vod/{video_id}/chapters/{language}.vtt",
                "language": language,
            }
            for language in (["en"] if dice.one_in(5) else [])
        ]

    def watermark(self, index: int) -> Row:
        """A row of ``/watermarks``."""
        return {
            "watermarkId": make_id("watermark_", self.seed, index),
            "createdAt": timestamp(FIRST_S + index * 100 * DAY_S),
        }

    def webhook(self, index: int) -> Row:
        """A row of ``/webhooks``; its URL and its secret open nothing."""
        path = make_uuid(self.seed, "demo-hook", index)
        return {
            "webhookId": make_id("webhook_", self.seed, index),
            "createdAt": timestamp(FIRST_S + index * 50 * DAY_S),
            "events": list(texts.WEBHOOK_EVENTS[index % 3 : index % 3 + 1 + index % 2]),
            "url": f"https://{texts.WEBHOOK_HOSTS[index % len(texts.WEBHOOK_HOSTS)]}/hooks/{path}",
            "signatureSecret": f"demo-secret-{make_uuid(self.seed, 'signature', index)}",
        }

    def upload_token(self, index: int) -> Row:
        """A row of ``/upload-tokens``; every other one never expires and has no expiresAt (OpenAPI's example)."""
        created_s = FIRST_S + index * 200 * DAY_S
        row: Row = {
            "token": make_id("to", self.seed, index),
            "ttl": 0 if index % 2 else 4 * 365 * DAY_S,
            "createdAt": timestamp(created_s),
        }
        return {**row, "expiresAt": timestamp(created_s + row["ttl"])} if row["ttl"] else row

    def delivery_usage(self, index: int, today: date) -> list[Row]:
        """What a project delivered on each of the 30 days before ``today``."""
        return [
            {
                "collected_on": day.isoformat(),
                "video_hls_duration_minutes": 100 + Dice(self.seed, f"hls {day}", index).below(900),
                "video_mp4_duration_minutes": Dice(self.seed, f"mp4 {day}", index).below(90),
                "live_stream_hls_duration_minutes": Dice(self.seed, f"live {day}", index).below(400),
            }
            for day in _days_before(today)
        ]

    def hosting_usage(self, index: int, today: date) -> list[Row]:
        """What a project hosted on each of the 30 days before ``today``: one minute more each day."""
        level = 20 * self.videos + 1000 * index - date(2023, 6, 1).toordinal()
        return [
            {"collected_on": day.isoformat(), "video_duration_minutes": level + day.toordinal()}
            for day in _days_before(today)
        ]

    def project(self, index: int) -> Row:
        """A row of the Admin API's ``/projects``."""
        return {
            "project_id": make_id("project_", self.seed, index),
            "created_at": timestamp(FIRST_S + index * 90 * DAY_S),
            "name": texts.PROJECT_NAMES[index % len(texts.PROJECT_NAMES)],
            "deletes_at": timestamp(LAST_S + 30 * DAY_S) if index % 2 else None,
            "region": "eu-central-1",
            "deleted": False,
        }

    def api_key(self, index: int) -> Row:
        """A row of the Admin API's list of keys; the projects take turns."""
        return {
            "project_id": make_id("project_", self.seed, index % self.count("projects")),
            "api_key_id": make_id("api_key_", self.seed, index),
            "created_at": timestamp(FIRST_S + index * 45 * DAY_S),
            "name": texts.API_KEY_NAMES[index % len(texts.API_KEY_NAMES)],
            "value": f"demo-secret-{make_uuid(self.seed, 'value', index)}",
        }


def _days_before(today: date) -> list[date]:
    """The last 30 days, oldest first."""
    return [today - timedelta(days=ago) for ago in range(30, 0, -1)]


def _colour(dice: Dice) -> str:
    return f"rgba({dice.below(256)}, {dice.below(256)}, {dice.below(256)}, .{1 + dice.below(9)}5)"


def vod_assets(row: Row, token: str) -> Row | None:
    """URLs of a video's files; private ones contain the token (guide, delivery/video-privacy-access-management)."""
    if row.get("discarded"):
        return None
    private = row.get("public") is False
    player = f"https://embed.api.video/vod/{row['videoId']}" + (f"?token={token}" if private else "")
    base = f"https://vod.api.video/vod/{row['videoId']}" + (f"/token/{token}" if private else "")
    assets = {
        "hls": f"{base}/hls/manifest.m3u8",
        "iframe": iframe(player),
        "player": player,
        "thumbnail": f"{base}/thumbnail.jpg",
    }
    return {**assets, "mp4": f"{base}/mp4/source.mp4"} if row.get("mp4Support") else assets


def live_assets(row: Row, token: str) -> Row:
    """URLs of a live stream. The form of private tokens is not documented: the manifest's is that of the vendor's players
    (api.video-android-player, ``VideoOptions``), the others' is assumed to be as for videos.
    """
    private = row.get("public") is False
    player = f"https://embed.api.video/live/{row['liveStreamId']}" + (f"?token={token}" if private else "")
    base = "https://live.api.video" + (f"/private/{token}" if private else "") + f"/{row['liveStreamId']}"
    return {"hls": f"{base}.m3u8", "iframe": iframe(player), "player": player, "thumbnail": f"{base}/thumbnail.jpg"}


def iframe(player: str) -> str:
    """The HTML that embeds a player."""
    layout = 'width="100%" height="100%" frameborder="0" scrolling="no" allowfullscreen="true"'
    return f'<iframe src="{player}" {layout}></iframe>'
