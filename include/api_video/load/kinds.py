"""Maps each kind of sync to the reading that performs it."""

from __future__ import annotations

from collections.abc import Mapping

from include.api_video.catalog.model import Sync
from include.api_video.load.detail_reading import DetailReading
from include.api_video.load.list_reading import ListReading
from include.api_video.load.parent_list_reading import ParentListReading
from include.api_video.load.reading import Reading

KINDS: Mapping[Sync, type[Reading]] = {
    Sync.NEWEST_FIRST: ListReading,
    Sync.COUNTED: ListReading,
    Sync.WHOLE: ListReading,
    Sync.PER_PARENT: DetailReading,
    Sync.LIST_PER_PARENT: ParentListReading,
}
