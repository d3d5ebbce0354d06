"""``python -m include.api_video.docs``: writes what documents say of the code.

That is the groups and the places of changes in README.md, the resources in docs/tables.md, the rooms in
docs/architecture.md, and all of docs/data_dictionary.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from include.api_video.catalog.endpoints import ENDPOINTS, group_names
from include.api_video.catalog.model import Endpoint
from include.api_video.catalog.naming import snake, tables_of
from include.api_video.docs.dictionary import (
    DLT_TABLES,
    ColumnEntry,
    TableEntry,
    how_current,
    references,
    source_of,
    tables,
)
from include.api_video.docs.rooms import around, rooms
from include.api_video.settings.config import PROJECT_DIR

START, END = "<!-- {}: written by make docs -->\n", "<!-- end of {} -->"
ARCHITECTURE = PROJECT_DIR / "docs/architecture.md"
DICTIONARY = PROJECT_DIR / "docs/data_dictionary.md"
TYPES = {
    "text": ("VARCHAR", "varchar"),
    "timestamp": ("TIMESTAMP WITH TIME ZONE", "timestamp with time zone"),
    "bool": ("BOOLEAN", "boolean"),
    "bigint": ("BIGINT", "bigint"),
    "double": ("DOUBLE", "double precision"),
}
INTRODUCTION = """\
# Data dictionary

<!-- Written by make docs from the table of endpoints and the schema: change those. -->

Every table and column of the dataset `api_video_data`. A load creates them all, even if no row has a value yet. The same
descriptions are comments on tables and columns in destinations that have comments: DuckDB, PostgreSQL, BigQuery,
Databricks, and Snowflake (columns only).

- Names are the API's in snake_case; a field inside an object has the object's name and two underscores in front.
- A list inside a row is a child table: one row per item, in the order of `_dlt_list_idx`, joined by its parent's key.
- Times are UTC with zone. A field that the API leaves out, or sends empty where an object should be, is null.
- `removed_at` is null while the API lists the row: `WHERE removed_at IS NULL` is what api.video shows now. Child tables
  keep the items of a removed row: join them to it.
- A key in the column "key" names the row that it belongs to; that row may be removed, or not be there, as the API says.
- A value that its column cannot hold as it is stands beside it, in a column of its own type: `created_at__v_text`. Two
  fields of one row that would share a column each have one: `foo_bar` and `foo_bar_09bfb5`; a new field with the name of
  a column of ours is `api_...`, one without a name `_empty`.
- NUL, half an emoji and a byte that is no UTF-8 are stored as their JSON escape (`cut \\ud83d`); numbers beyond 64 bits,
  NaN and infinities as text. What is nested deeper than eight levels is text, as JSON.
- A table has at most 250 columns, a resource 25 tables: what new fields bring beyond is JSON in `_more_fields`.
- What cannot be a row at all, such as a video without its id, is in `_rejected` until it can.
- Fields of the API that nobody declared become new columns and tables beside these; the report of a run names them.
- Never stored: stream keys, restream addresses, upload tokens, tokens of private videos and live streams, values of API
  keys.
"""


def group_table() -> str:
    """README's table: the tables of each task group."""
    rows = [
        [name, ", ".join(f"`{e.name}`{f' ({e.switch})' if e.switch else ''}" for e in ENDPOINTS if e.group == name)]
        for name in group_names()
    ]
    return _table(("group", "tables"), rows)


def resource_table() -> str:
    """The table of resources as Markdown."""
    head = ("table", "what it holds", "endpoint", "key", "how it is kept current", "child tables")
    return _table(head, (_row(endpoint) for endpoint in ENDPOINTS))


def _row(endpoint: Endpoint) -> list[str]:
    switch = f" ({endpoint.switch})" if endpoint.switch else ""
    children = ", ".join(f"`{name.removeprefix(endpoint.name)}`" for name in tables_of(endpoint)[1:]) or ""
    key = f"`{snake(endpoint.key)}`"
    return [f"`{endpoint.name}`{switch}", endpoint.meaning, source_of(endpoint), key, how_current(endpoint), children]


def change_table() -> str:
    """README's table: in which folder each kind of change begins."""
    rows = [[room.changes, f"`include/api_video/{room.path}/`"] for room in rooms() if room.changes]
    rows += [["DAG, trigger form, `make run`; the page and the connection type", "`dags/`; `plugins/`"]]
    return _table(("to change", "open"), rows)


def room_table() -> str:
    """Where each change goes: a row per file of each room."""
    rows = [[f"`{room.path}/{name}.py`", what] for room in rooms() for name, what in room.files.items()]
    rows += [[f"`{path}`", what] for path, what in around().items()]
    return _table(("file", "what to change there"), rows)


def with_generated_part(text: str, name: str, part: str) -> str:
    """A document with one of its generated parts renewed."""
    before, rest = text.split(START.format(name))
    _, after = rest.split(END.format(name))
    return f"{before}{START.format(name)}{part}{END.format(name)}{after}"


def data_dictionary() -> str:
    """The data dictionary as Markdown."""
    entries = list(tables())
    types = _table(("type", "DuckDB", "PostgreSQL"), ([name, *there] for name, there in TYPES.items()))
    overview = _table(("table", "what it holds", "deletes"), ([_link(t.name), t.meaning, t.deletes] for t in entries))
    of_dlt = _table(("table", "what it holds"), ([f"`{name}`", meaning] for name, meaning in DLT_TABLES.items()))
    parts = [
        f"{INTRODUCTION}\n{types}",
        f"## Tables and their keys\n\n```mermaid\n{diagram(children=False)}```\n",
        f"<details>\n<summary>Lists inside rows are child tables</summary>\n\n"
        f"```mermaid\n{diagram(children=True)}```\n\n</details>\n",
        f"## Tables\n\n{overview}",
        *(_section(entry) for entry in entries),
        "## dlt's own tables\n\n"
        f"{of_dlt}\ndlt merges by way of a second dataset, `api_video_data_staging`; nothing there is meant to be read.\n",
    ]
    return "\n".join(parts)


def _section(table: TableEntry) -> str:
    switch = f" {table.switch.capitalize()}." if table.switch else ""
    facts = [f"{table.meaning}.{switch}", f"- **Source**: {table.source}", f"- **Kept current**: {table.current}"]
    facts += [f"- **Deletes**: {table.deletes}"]
    head = ("column", "type", "unit", "null", "key", "meaning", "source")
    return f"## {table.name}\n\n{facts[0]}\n\n" + "\n".join(facts[1:]) + f"\n\n{_table(head, map(_cells, table.columns))}"


def _cells(column: ColumnEntry) -> list[str]:
    keys = ["primary"] if column.is_primary else []
    if column.joins:
        table = column.joins.partition(".")[0]
        keys.append(f"→ {_link(column.joins, 'dlts-own-tables' if table in DLT_TABLES else table)}")
    null = "yes" if column.nullable else "no"
    unit = column.unit or ("UTC" if column.data_type == "timestamp" else "")
    return [f"`{column.name}`", column.data_type, unit, null, " ".join(keys), column.meaning, column.source]


def diagram(*, children: bool) -> str:
    """Tables and their keys as a Mermaid ``erDiagram``: all resources, or those with child tables, and these.

    Two diagrams, since one of all tables is too wide to read. Our own tables have no keys.
    """
    entries = {table.name: table for table in tables() if not table.name.startswith("_")}
    arrows = [
        (entries[table], column, other)
        for table, column, other in references()
        if table in entries and other in entries and (entries[table].parent is not None) == children
    ]
    ends = {name for table, _, other in arrows for name in (table.name, other)}
    lines = ["erDiagram", "    direction LR"]
    for name, table in entries.items():
        if name in ends or (not children and table.parent is None):
            keys = [c for c in table.columns if c.is_primary or any((table, c) == arrow[:2] for arrow in arrows)]
            lines += [f"    {name} {{", *(f"        {_attribute(column)}" for column in keys), "    }"]
    return "\n".join([*lines, *(_relation(*arrow) for arrow in arrows)]) + "\n"


def _attribute(column: ColumnEntry) -> str:
    roles = [role for role, is_one in (("PK", column.is_primary), ("FK", bool(column.joins))) if is_one]
    return f"{column.data_type} {column.name} {', '.join(roles)}"


def _relation(table: TableEntry, column: ColumnEntry, other: str) -> str:
    one = "||" if column.is_primary or table.parent else "|o"
    return f"    {other} {one}--{'o|' if column.is_primary else 'o{'} {table.name} : {column.name}"


def _link(text: str, anchor: str = "") -> str:
    return f"[`{text}`](#{anchor or text})"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    lines = [titles, *rows]
    body = [f"| {' | '.join(cells)} |" for cells in lines]
    return "\n".join([body[0], "|" + "---|" * len(titles), *body[1:]]) + "\n"


def main() -> int:
    """Rewrites the documents."""
    for file, name, part in GENERATED:
        text = file.read_text(encoding="utf-8")
        file.write_text(with_generated_part(text, name, part()), encoding="utf-8")
    DICTIONARY.write_text(data_dictionary(), encoding="utf-8")
    return 0


GENERATED = (
    (PROJECT_DIR / "README.md", "groups", group_table),
    (PROJECT_DIR / "README.md", "changes", change_table),
    (PROJECT_DIR / "docs/tables.md", "resources", resource_table),
    (ARCHITECTURE, "rooms", room_table),
)
