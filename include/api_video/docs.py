"""``python -m include.api_video.docs``: writes the generated part of README.md, the table of resources."""

from __future__ import annotations

import sys

from include.api_video.endpoints import ENDPOINTS, Endpoint, Host, Sync
from include.api_video.schema import snake, tables_of
from include.api_video.settings import PROJECT_DIR

START, END = "<!-- resources: written by make docs -->\n", "<!-- end of resources -->"
HOW = {
    Sync.NEWEST_FIRST: "newest changes first, down to the last one known; removals found by the count",
    Sync.COUNTED: "whole list where its count or page 1 shows a change, else one request",
    Sync.WHOLE: "whole list, compared row by row",
    Sync.PER_PARENT: "one request per new, changed or unfinished row of `{parent}`",
}


def resource_table() -> str:
    """The table of resources as Markdown."""
    lines = [
        "| table | what it holds | endpoint | key | how it is kept current | child tables |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join(lines + [_row(endpoint) for endpoint in ENDPOINTS]) + "\n"


def _row(endpoint: Endpoint) -> str:
    switch = "" if endpoint.on_by_default else " (off by default)"
    host = " (Admin API)" if endpoint.host is Host.ADMIN else ""
    how = HOW[endpoint.sync].format(parent=endpoint.parent)
    children = ", ".join(f"`{name.removeprefix(endpoint.name)}`" for name in tables_of(endpoint)[1:]) or ""
    cells = [
        f"`{endpoint.name}`{switch}",
        endpoint.meaning,
        f"`{endpoint.path}`{host}",
        f"`{snake(endpoint.key)}`",
        how,
        children,
    ]
    return f"| {' | '.join(cells)} |"


def with_generated_parts(text: str) -> str:
    """A README with its generated part renewed."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f"{before}{START}{resource_table()}{END}{after}"


def main() -> int:
    """Rewrites README.md."""
    readme = PROJECT_DIR / "README.md"
    readme.write_text(with_generated_parts(readme.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
