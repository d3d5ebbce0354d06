"""The five lists that a whole run is measured with, and the text of each row that is compared."""

from __future__ import annotations

TEXTS = {"videos": "title", "discarded_videos": "title", "players": "name", "live_streams": "name", "summaries": "origin"}
