"""The content of the demo's api.video, its changes, and a clock that only changes move.

    world = World(videos=300, seed=1)           # the same arguments give the same rows
    world.update_video(world.ids("videos")[0], title="A new title")
    world.listed("videos")                      # what the API would list now

A row's fields have the API's own names and shapes; keys are api.video's identifiers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, cast

from include.api_video.catalog.endpoints import ENDPOINTS, by_name
from include.api_video.catalog.model import Endpoint
from include.demo_api import generic
from include.demo_api.collection import Collection
from include.demo_api.samples import Company, Row, live_assets, make_uuid, vod_assets
from include.demo_api.statuses import state_of, status_in
from include.demo_api.tags import TagList
from include.demo_api.viewing import Viewing

START = datetime(2026, 6, 1, tzinfo=timezone.utc)  # every row is older
RETENTION = timedelta(days=90)  # of a discarded video: OpenAPI, deletesAt
CREATED = ("createdAt", "publishedAt", "created_at")
ASSETS: dict[str, Callable[[Row, str], Row | None]] = {
    "videos": vod_assets,
    "discarded_videos": vod_assets,
    "live_streams": live_assets,
}


class World:
    """The rows of every list in the table of endpoints, and the single objects of each row.

    Attributes:
        now: the clock, in UTC. Each change moves it by ``step_s`` and sets updatedAt to it. Set it to move time.
        step_s: seconds per change; 0 gives several changes the same updatedAt.
        lock: held while a page is read or a change is made, since tests change a world that a server reads.
    """

    def __init__(self, videos: int = 300, seed: int = 1, endpoints: Iterable[Endpoint] = ENDPOINTS) -> None:
        self.endpoints = by_name(endpoints)
        self.company = Company(videos, seed)
        self.viewing = Viewing(self.company)
        self.now, self.step_s = START, 1.0
        self.lock = threading.RLock()
        self._reads = self._added = 0
        self._key_fields = {name: entry.sent_key for name, entry in self.endpoints.items() if entry.is_list}
        self._key_fields |= {via_name(entry): entry.per_row_of[1] for entry in self.endpoints.values() if entry.per_row_of}
        self._lists: dict[str, Any] = {name: self._new_list(name) for name in self._key_fields if name != "tags"}
        if "tags" in self._key_fields and "videos" in self._lists:
            self._lists["tags"] = TagList(self._lists["videos"])
        self._bodies: dict[tuple[str, str], Row | None] = {}  # set by a test; None answers 404
        self._inner: dict[tuple[str, str], list[Row]] = {}  # lists of parents, set by a test
        self._summary_of = {row["videoId"]: row["summaryId"] for row in self._rows("summaries")}

    def _new_list(self, name: str) -> Collection:
        company, seed = self.company, self.company.seed
        makers: dict[str, tuple[Callable[[int], Row], int]] = {
            "videos": (company.video, 0),
            "discarded_videos": (company.discarded_video, company.videos),
            "summaries": (company.summary, 0),
            "players": (company.player, 0),
            "live_streams": (company.live_stream, 0),
            "watermarks": (company.watermark, 0),
            "webhooks": (company.webhook, 0),
            "upload_tokens": (company.upload_token, 0),
            "projects": (company.project, 0),
            "projects_api_keys": (company.api_key, 0),
        }
        if name not in makers:
            entry = self.endpoints[name]
            keys = (generic.make_key(entry, seed, index) for index in range(generic.ROWS))
            return Collection(lambda index: generic.make_row(entry, seed, index, self._known_ids()), keys)
        make, first = makers[name]
        indexes = range(first, first + company.count(name))
        if first or name == "videos":  # the long list: make its keys without its rows
            return Collection(make, map(company.video_id, indexes), first)
        return Collection(make, (make(index)[self._key_fields[name]] for index in indexes))

    # --- reading -----------------------------------------------------------------------------------------------------

    def ids(self, resource: str) -> list[str]:
        """Keys of a list in the order they were added; for children, of those that have a body."""
        with self.lock:
            if resource in self._lists:
                return list(self._lists[resource])
            if self._entry(resource).asks:
                return []  # analytics come from ``viewing``, not from rows
            if self._entry(resource).sync.is_list_per_parent:
                return [row[self._entry(resource).key] for row in self.listed(resource)]
            parent = self._entry(resource).parent or ""
            return [key for key in self._lists[parent] if self.body(resource, key) is not None]

    def listed(self, resource: str) -> list[Row]:
        """All rows as the API would return them now; children with the key of their parent."""
        with self.lock:
            if resource in self._lists:
                return [self._served(resource, row) for row in self._rows(resource)]
            if self._entry(resource).asks:
                return []
            if self._entry(resource).sync.is_list_per_parent:
                return list(self._all_inner(self._entry(resource)))
            field = self._entry(resource).key
            return [{field: key, **(self.body(resource, key) or {})} for key in self.ids(resource)]

    def page(
        self,
        resource: str,
        start: int,
        count: int,
        sort_by: str,
        descending: bool = False,
        where: Callable[[Row], bool] | None = None,
        name: Hashable = None,
    ) -> tuple[int, list[Row]]:
        """Number of all rows, and ``count`` rows as returned. ``name`` identifies ``where`` for the cache."""
        with self.lock:
            rows = self._lists[resource]
            keys = rows.keys(sort_by, descending, where, name)
            return len(keys), [self._served(resource, rows.row(key)) for key in keys[start : start + count]]

    def one(self, resource: str, key: str) -> Row | None:
        """A row of a list as its single object; None stands for a 404."""
        with self.lock:
            rows = self._lists[resource]
            return self._served(resource, rows.row(key)) if key in rows else None

    def body(self, resource: str, key: str) -> Row | None:
        """A single object's body by its parent's key; None stands for a 404."""
        entry = self._entry(resource)
        parents = self._lists[entry.parent or ""]
        with self.lock:
            if key not in parents:
                return None
            parent = parents.row(key)
            if any(parent.get(field) != value for field, value in entry.parent_where.items()):
                return None
            if is_detail(entry, self.endpoints):
                return self._served(entry.parent or "", parent)
            if (resource, key) in self._bodies:
                return self._bodies[resource, key]
            return self._make_body(entry, parent, parents.index[key])

    def inner(self, resource: str, parent_key: str) -> list[Row] | None:
        """The list that a parent has, as the API returns it; None stands for a 404."""
        entry = self._entry(resource)
        parents = self._lists[entry.parent or ""]
        with self.lock:
            if parent_key not in parents:
                return None
            if (resource, parent_key) in self._inner:
                return [dict(row) for row in self._inner[resource, parent_key]]
            company, today = self.company, self.viewing.now().date()
            makers: dict[str, Callable[[int], list[Row]]] = {
                "captions": company.captions,
                "chapters": company.chapters,
                "delivery_usage": lambda index: company.delivery_usage(index, today),
                "hosting_usage": lambda index: company.hosting_usage(index, today),
            }
            return makers[resource](parents.index[parent_key]) if resource in makers else []

    def _all_inner(self, entry: Endpoint) -> Iterable[Row]:
        """The rows of all parents' lists, with the parent's key and their own."""
        of_parent, *parts = entry.key_parts
        for parent in self._lists[entry.parent or ""]:
            for row in self.inner(entry.name, parent) or ():
                yield {entry.key: "/".join([parent, *(row[part] for part in parts)]), of_parent: parent, **row}

    def set_inner(self, resource: str, parent_key: str, rows: Iterable[Row]) -> None:
        """Replace the list of a parent. The parent does not change."""
        with self.lock:
            self._list(self._entry(resource).parent or "", parent_key)
            self._inner[resource, parent_key] = [dict(row) for row in rows]
            self._tick()

    def _make_body(self, entry: Endpoint, parent: Row, index: int) -> Row:
        company = self.company
        if entry.name == "video_status":
            state = state_of(index, company.videos)
            return status_in(state, company.seed, index, mp4=bool(parent.get("mp4Support")))
        if entry.name == "summary_source":
            return company.summary_source(index)
        return generic.make_row(entry, company.seed, index, self._known_ids())

    def _known_ids(self) -> dict[str, Callable[[int], str]]:
        """Makers of values for fields of a list without samples that refer to a video."""
        return {"videoId": lambda number: self.company.video_id(number % max(self.company.videos, 1))}

    def _rows(self, resource: str) -> Iterable[Row]:
        rows = self._lists.get(resource)
        return map(rows.row, rows) if rows else ()

    def _served(self, resource: str, row: Row) -> Row:
        """A copy of the row with the URLs of its files; private ones contain a token that is new at each read."""
        row = dict(row)
        if resource in ASSETS and "assets" not in row:
            self._reads += 1
            row["assets"] = ASSETS[resource](row, make_uuid(self.company.seed, "token", self._reads))
        return row

    # --- changes -----------------------------------------------------------------------------------------------------

    def add(self, resource: str, **fields: Any) -> str:
        """Add a row, made like the others, but with these ``fields``; returns its key."""
        with self.lock:
            self._added += 1
            rows, index = self._changeable(resource), self.company.videos + 1000 + self._added
            row, now = rows.make(index), self._tick()
            row.update({name: now for name in (*CREATED, "updatedAt") if name in row})
            if (
                resource == "summaries"
            ):  # for a video without one: a video has at most one (OpenAPI, 409 summary-already-exists)
                row["videoId"] = next((key for key in self._lists["videos"] if key not in self._summary_of), "")
            row.update(fields)
            key: str = row[self._key_fields[resource]]
            rows.put(key, row, index)
            if resource == "summaries":
                self._summary_of[row["videoId"]] = key
            return key

    def update(self, resource: str, key: str, *, silently: bool = False, **fields: Any) -> None:
        """Change fields of a row. ``silently``: updatedAt stays, as api.video does not document what moves it."""
        with self.lock:
            rows, now = self._changeable(resource, key), self._tick()
            row = {**rows.row(key), **fields}
            if "updatedAt" in row and "updatedAt" not in fields and not silently:
                row["updatedAt"] = now
            rows.put(key, row, rows.index[key])

    def delete(self, resource: str, key: str) -> None:
        """Delete a row and all that belongs to it: a video's status, captions, chapters and summary."""
        with self.lock:
            self._changeable(resource, key).remove(key)
            self._tick()
            for entry in self.endpoints.values():
                self._bodies.pop((entry.name, key), None)
                self._inner.pop((entry.name, key), None)
            summary = self._summary_of.pop(key, None)
            if summary in self._lists.get("summaries", ()):
                self.delete("summaries", str(summary))

    def add_video(self, **fields: Any) -> str:
        """A new video; returns its videoId."""
        return self.add("videos", **fields)

    def update_video(self, video_id: str, **fields: Any) -> None:
        """Change a video; its updatedAt moves forward."""
        self.update("videos", video_id, **fields)

    def update_silently(self, video_id: str, **fields: Any) -> None:
        """Change a video; its updatedAt does not move."""
        self.update("videos", video_id, silently=True, **fields)

    def delete_video(self, video_id: str) -> None:
        """Delete a video for good, discarded or not."""
        self.delete("discarded_videos" if video_id in self._lists["discarded_videos"] else "videos", video_id)

    def discard_video(self, video_id: str, *, silently: bool = True) -> None:
        """Move a video to the bin. Whether that moves updatedAt is not documented: by default it does not."""
        with self.lock:
            self._move(video_id, "videos", "discarded_videos", silently=silently)
            times = {"discardedAt": self.now.isoformat(), "deletesAt": (self.now + RETENTION).isoformat()}
            self._patch("discarded_videos", video_id, {"discarded": True, **times})

    def restore_video(self, video_id: str, *, silently: bool = True) -> None:
        """Take a video out of the bin again."""
        with self.lock:
            self._move(video_id, "discarded_videos", "videos", silently=silently)
            self._patch("videos", video_id, {"discarded": False, "discardedAt": None, "deletesAt": None})

    def set_status(self, video_id: str, status: Mapping[str, Any]) -> None:
        """Set the answer of the status endpoint; ``statuses.status_in(state)`` makes one. The video does not change."""
        self._list("videos", video_id)
        self._bodies["video_status", video_id] = dict(status)

    def set_summary_source(self, summary_id: str, source: Mapping[str, Any] | None, *, silently: bool = False) -> None:
        """Set the text of a summary and the matching status; None: completed, but its source answers 404."""
        self.update("summaries", summary_id, silently=silently, sourceStatus="completed")
        self._bodies["summary_source", summary_id] = None if source is None else dict(source)

    def _move(self, key: str, source: str, target: str, *, silently: bool) -> None:
        row, index = self._list(source, key).remove(key)
        now = self._tick()
        self._lists[target].put(key, row if silently else {**row, "updatedAt": now}, index)

    def _patch(self, resource: str, key: str, fields: Row) -> None:
        rows = self._lists[resource]
        rows.put(key, {**rows.row(key), **fields}, rows.index[key])

    def _tick(self) -> str:
        """Move the clock by one change; returns the new time."""
        self.now += timedelta(seconds=self.step_s)
        return self.now.replace(microsecond=0).isoformat()

    def _changeable(self, resource: str, key: str | None = None) -> Collection:
        """A list that can be changed.

        Raises:
            KeyError: it follows from another one.
        """
        if isinstance(self._list(resource, key), TagList):
            raise KeyError(f"{resource} follow from the videos: change the tags of a video")
        return cast(Collection, self._list(resource, key))

    def _list(self, resource: str, key: str | None = None) -> Any:
        if resource not in self._lists:
            raise KeyError(f"no list {resource!r}; known: {', '.join(self._lists)}")
        if key is not None and key not in self._lists[resource]:
            raise KeyError(f"no {resource} with key {key!r}")
        return self._lists[resource]

    def _entry(self, resource: str) -> Endpoint:
        if resource not in self.endpoints:
            raise KeyError(f"no resource {resource!r}; known: {', '.join(self.endpoints)}")
        return self.endpoints[resource]


def via_name(entry: Endpoint) -> str:
    """Name of the list to walk before ``entry``: ``projects`` for ``/projects``."""
    return entry.per_row_of[0].strip("/") if entry.per_row_of else ""


def is_detail(entry: Endpoint, endpoints: Mapping[str, Endpoint]) -> bool:
    """Whether ``entry`` returns the rows of its parent's list one by one, as ``/videos/{videoId}`` does."""
    parent = endpoints.get(entry.parent or "")
    return parent is not None and entry.path == f"{parent.path}/{{{parent.key}}}"
