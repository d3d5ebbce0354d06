"""Bodies of ``/videos/{videoId}/status``, for each state that OpenAPI documents or api.video's clients handle."""

from __future__ import annotations

from include.demo_api.samples import Dice, Row

STATES = ("uploading", "ingesting", "never_uploaded", "waiting", "encoding", "partly_failed", "uploaded", "ingested")
UNUSUAL = STATES[:6]
HEIGHTS = {"240p": 240, "360p": 360, "480p": 480, "720p": 720, "1080p": 1080, "2160p": 2160}
PART_BYTES = 128 * 1024 * 1024


def state_of(index: int, videos: int) -> str:
    """The state of a video. Only six of the newest are unusual, so large worlds cost no more polling than small ones."""
    age = videos - 1 - index
    if 0 <= age < 2 * len(UNUSUAL) and age % 2 == 1:
        return UNUSUAL[age // 2]
    return "ingested" if index % 7 == 0 else "uploaded"


def status_in(state: str, seed: int = 1, index: int = 0, *, mp4: bool = True) -> Row:
    """The body for a video in one of ``STATES``; seed and index choose sizes and codecs."""
    if state not in STATES:
        raise ValueError(f"unknown state {state!r}; known: {', '.join(STATES)}")
    dice = Dice(seed, "status", index)
    arrived = state not in ("uploading", "ingesting", "never_uploaded")
    return {"ingest": _ingest(state, dice), "encoding": _encoding(state, dice, arrived=arrived, mp4=mp4)}


def _ingest(state: str, dice: Dice) -> Row | list[None]:
    if state == "never_uploaded":
        return []  # the API's empty object (api.video-api-client-generator, EmptyArrayFixTypeAdapterFactory)
    size_bytes = 2_000_000 + dice.below(3_000_000_000 if dice.one_in(25) else 300_000_000)
    starts = range(0, size_bytes, PART_BYTES)
    parts = len(starts)
    received = parts // 2 if state == "uploading" else parts
    ranges = [{"from": at, "to": min(at + PART_BYTES, size_bytes) - 1, "total": size_bytes} for at in starts]
    row: Row = {
        "status": {"uploading": "uploading", "ingesting": "ingesting", "ingested": "ingested"}.get(state, "uploaded"),
        "filesize": None if state == "ingesting" else size_bytes,
        "receivedBytes": [] if state in ("ingesting", "ingested") else ranges[:received],
    }
    if state == "uploading":
        row["receivedParts"] = {"parts": list(range(1, received + 1)), "total": None}
    elif dice.one_in(3):
        row["receivedParts"] = {"parts": list(range(1, parts + 1)), "total": parts}
    return row


def _encoding(state: str, dice: Dice, *, arrived: bool, mp4: bool) -> Row:
    if not arrived:
        return {"playable": False, "qualities": [], "metadata": dict.fromkeys(_metadata(dice, 720))}
    height = dice.pick((360, 720, 720, 1080, 1080, 2160))
    names = [name for name, lines in HEIGHTS.items() if lines <= height]
    qualities = [{"type": "hls", "quality": name, "status": "encoded"} for name in names]
    if mp4:
        qualities.append({"type": "mp4", "quality": names[-1], "status": "encoded"})
    if state == "waiting":
        qualities = [{**quality, "status": "waiting"} for quality in qualities]
    elif state == "encoding":
        for place, quality in enumerate(qualities[1:]):
            quality["status"] = "waiting" if place else "encoding"
    elif state == "partly_failed":
        qualities[-1]["status"] = "failed"
    return {"playable": state != "waiting", "qualities": qualities, "metadata": _metadata(dice, height)}


def _metadata(dice: Dice, height: int) -> Row:
    kilobits = 300 + dice.below(4000)
    return {
        "width": height * 16 // 9,
        "height": height,
        "bitrate": kilobits + dice.below(1000) / 1000 if dice.one_in(2) else kilobits,  # with or without a fraction
        "duration": 20 + dice.below(5400),
        "framerate": dice.pick((24, 25, 30, 60)),
        "samplerate": dice.pick((44_100, 48_000)),
        "videoCodec": dice.pick(("h264", "h264", "hevc", "vp9")),
        "audioCodec": dice.pick(("aac", "aac", "opus")),
        "aspectRatio": dice.pick(("16/9", "16/9", "16:9", "")),
    }
