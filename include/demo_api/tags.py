"""The list of tags, which follows from the videos: a tag exists as long as a video has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator

from include.demo_api.collection import Collection
from include.demo_api.samples import Row


class TagList:
    """The tags of ``videos``. They are counted at the first request, and with each change from then on."""

    def __init__(self, videos: Collection) -> None:
        self._videos = videos
        self._counts: Counter[str] | None = None
        self._order: dict[str, list[str]] = {}
        videos.watch(self._follow)

    def _count(self) -> Counter[str]:
        if self._counts is None:
            self._counts = Counter(tag for key in self._videos for tag in _tags_of(self._videos.row(key)))
        return self._counts

    def _follow(self, before: Row | None, after: Row | None) -> None:
        if self._counts is None or _tags_of(before) == _tags_of(after):
            return
        self._counts.update(_tags_of(after))
        self._counts.subtract(_tags_of(before))
        self._counts = +self._counts
        self._order.clear()

    def __contains__(self, key: str) -> bool:
        return key in self._count()

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._count()))

    def __len__(self) -> int:
        return len(self._count())

    def row(self, key: str) -> Row:
        """A tag; its count as text, as in the description's example (OpenAPI, /tags)."""
        return {"value": key, "videoCount": str(self._count()[key])}

    def keys(
        self,
        sort_by: str,
        descending: bool = False,
        where: Callable[[Row], bool] | None = None,
        name: Hashable = None,  # noqa: ARG002  # as Collection.keys
    ) -> list[str]:
        """The tags in order for which ``where`` is true."""
        if sort_by not in self._order:
            by_count: Callable[[str], tuple[int, str]] = lambda tag: (self._count()[tag], tag)  # noqa: E731
            self._order[sort_by] = sorted(self._count(), key=by_count if sort_by == "videoCount" else None)
        keys = [key for key in self._order[sort_by] if where is None or where(self.row(key))]
        return keys[::-1] if descending else keys


def _tags_of(video: Row | None) -> list[str]:
    return list((video or {}).get("tags") or ())
