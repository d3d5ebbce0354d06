"""The five lists of a measured run, and the field of each row that is compared."""

from __future__ import annotations

TEXTS = {"videos": "title", "discarded_videos": "title", "players": "name", "live_streams": "name", "summaries": "origin"}
