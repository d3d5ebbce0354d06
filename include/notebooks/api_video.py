# /// script
# [tool.marimo.display]
# theme = "system"
# ///
"""A marimo notebook on the loaded data: ``make notebook``.

Each question is SQL in DuckDB's dialect. dlt translates it for the destination and sends it over a connection of its own,
so the DuckDB file is open only for moments. The destination adds up; no whole table is fetched. Sums are cast, since some
destinations return them as decimals.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="api.video: the library")

with app.setup(hide_code=True):
    import os
    import sys
    from pathlib import Path
    from typing import Any

    # Before dlt is imported: no telemetry, no lookup in Airflow's Variables. The project's folder may not be on the path.
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

    import altair as alt
    import dlt
    import marimo as mo
    import pandas as pd
    from dlt.destinations.exceptions import DatabaseUndefinedRelation

    from include.api_video.catalog.endpoints import ENDPOINTS
    from include.api_video.catalog.naming import SKIPPED
    from include.api_video.catalog.storable import now_utc
    from include.api_video.settings.accounts import read_accounts
    from include.api_video.settings.config import use_project_config
    from include.api_video.settings.destination import duckdb_file
    from include.api_video.warehouse.destinations.make import make_destination
    from include.api_video.warehouse.schema import build_schema

    use_project_config()
    BLUE, VIOLET, GREEN, AMBER, RED, GREY = "#3b82f6", "#8b5cf6", "#10a37f", "#e0a100", "#e5484d", "#8b95a3"
    HEIGHT, UNKNOWN = 240, "\N{EN DASH}"
    DEMO_SOURCES = ("demo", "local")  # what the ledger's base_url says of the demo
    LAST_CHECKED = "(SELECT max(checked_at) FROM _checks)"


@app.cell(hide_code=True)
def _():
    mo.md("""
    # api.video: the library

    Each table as api.video listed it when a run last read it. Rows that are gone or in the bin count only where a chart
    says so. "Freshness", at the end, says for each table which run that was, and what is proven.
    """)
    return


@app.cell(hide_code=True)
def accounts():
    _accounts = {account.label: account for account in read_accounts()}
    chosen = mo.ui.dropdown(_accounts, value=next(iter(_accounts)), label="Account", allow_select_none=False)
    chosen if len(_accounts) > 1 else None
    return (chosen,)


@app.cell(hide_code=True)
def questions(chosen):
    _file = duckdb_file()
    _is_there = _file is None or _file.exists()  # looking must not create one
    _dataset = dlt.dataset(make_destination(), chosen.value.dataset, build_schema()) if _is_there else None

    def ask(sql: str) -> pd.DataFrame | None:
        """Rows of a question; None where a table is not loaded."""
        try:
            return _dataset(sql, "duckdb").df() if _dataset else None
        except DatabaseUndefinedRelation:
            return None

    def ask_one(sql: str) -> dict[str, float]:
        """The only row of a question; empty where a table is not loaded. Nulls are left out."""
        rows = ask(sql)
        return {} if rows is None else rows.iloc[0].dropna().to_dict()

    return ask, ask_one


@app.function(hide_code=True)
def bars(rows: pd.DataFrame, x: str, y: str, title: str, *, sort: Any = "-x", color: Any = None) -> Any:
    """Horizontal bars, longest first unless ``sort`` says otherwise."""
    if rows.empty:
        return note(f"{title}: none yet.")
    base = alt.Chart(rows, title=title).encode(
        x=alt.X(f"sum({x}):Q", title=x, axis=alt.Axis(tickMinStep=1, tickCount=6, format="~s", grid=True)),
        y=alt.Y(f"{y}:N", title=None, sort=sort, axis=alt.Axis(labelLimit=200)),
        tooltip=[*rows.columns],
    )
    thickness = min(22, 0.7 * HEIGHT / max(rows[y].nunique(), 1))
    return framed(base.mark_bar(size=thickness).encode(color=color or alt.value(BLUE)))


@app.function(hide_code=True)
def columns(rows: pd.DataFrame, x: str, y: str, title: str, order: list[str]) -> Any:
    """Columns in a given order."""
    if rows.empty:
        return note(f"{title}: none yet.")
    base = alt.Chart(rows, title=title).mark_bar(color=BLUE, size=36)
    return framed(
        base.encode(
            x=alt.X(f"{x}:N", title=None, sort=order, axis=alt.Axis(labelAngle=0)),
            y=alt.Y(f"{y}:Q", axis=alt.Axis(tickMinStep=1, format="~s")),
            tooltip=[x, y],
        )
    )


@app.function(hide_code=True)
def framed(chart: alt.Chart) -> alt.Chart:
    """Gives charts the same height and style, and the width of their place; text and lines have the theme's colours."""
    plain = {"embedOptions": {"actions": False}}
    styled: alt.Chart = (
        chart.properties(width="container", height=HEIGHT, usermeta=plain, background="transparent")
        .configure_title(anchor="start", fontSize=13, fontWeight=600, offset=10)
        .configure_axis(titleFontWeight="normal", domain=False, ticks=False, gridOpacity=0.5, labelPadding=6)
        .configure_axisX(grid=False)
        .configure_legend(titleFontWeight="normal")
        .configure_view(stroke=None)
    )
    return styled


@app.function(hide_code=True)
def section(title: str, text: str, *items: object) -> mo.Html:
    """A heading, a sentence, and what it is about."""
    return mo.vstack([mo.md(f"## {title}"), mo.md(text), *items], gap=0.75)


@app.function(hide_code=True)
def side_by_side(*items: object) -> mo.Html:
    """Items of one width in a row."""
    return mo.hstack(items, widths="equal", gap=2)


@app.function(hide_code=True)
def table(rows: pd.DataFrame, **more: Any) -> mo.Html:
    """Rows to look at; times to the minute, in UTC."""
    times = {name: rows[name].dt.strftime("%Y-%m-%d %H:%M") for name in rows.select_dtypes("datetimetz").columns}
    shown = rows.assign(**times).rename(columns=lambda name: str(name).replace("_", " "))
    return mo.ui.table(shown, selection=None, show_column_summaries=False, show_data_types=False, **more)


@app.function(hide_code=True)
def note(text: str) -> mo.Html:
    """A text in place of a chart."""
    return mo.callout(mo.md(text), kind="neutral")


@app.function(hide_code=True)
def not_loaded(*tables: str) -> mo.Html:
    """Says which resources to switch on."""
    names = " and ".join(f"`{table}`" for table in tables)
    return note(f"Needs {names}, which is not loaded: switch it on (`resources` in `include/.dlt/config.toml`).")


@app.function(hide_code=True)
def say_source(freshness: pd.DataFrame | None) -> mo.Html | None:
    """What to say above all figures: that there are none, or that they are the demo's."""
    if freshness is None or not len(freshness):
        text = "**Nothing is loaded yet.** Run `make run` first: with your API key, or without one for demo data."
    elif freshness.base_url.iloc[0] in DEMO_SOURCES:
        text = (
            '**Demo data.** None of it is from your account. Set your API key (README, "Load your own account") and run '
            "again: the demo's rows are dropped."
        )
    else:
        return None
    return mo.callout(mo.md(text), kind="warn")


@app.function(hide_code=True)
def judge(resource: str, run_id: str, checks: pd.DataFrame | None) -> tuple[str, str]:
    """The state of a table by the newest checks, and why it is not "equal". ``run_id`` is the last run that read it."""
    if checks is None or not len(checks):
        return "not checked", "No run has made checks."
    made = checks[checks.table_name == resource]
    broke, opened = made[made.passed.eq(False)], made[made.passed.isna()]
    if len(broke):
        return "failed", "Does not hold: " + ", ".join(broke.check_name)
    if len(opened):
        return "not proven", " ".join(dict.fromkeys(opened.note.dropna()))
    if not len(made) or run_id != checks.run_id.iloc[0]:
        return "not checked", "The run that made the newest checks did not read it."
    return "equal", ""


@app.cell(hide_code=True)
def ledger(ask):
    freshness = ask(f"""
        SELECT s.resource, s.mode, s.finished_at, s.active_rows, s.waiting_rows, s.run_id, s.base_url
        FROM _syncs s
        JOIN (SELECT resource, max(finished_at) AS newest FROM _syncs WHERE mode <> '{SKIPPED}' GROUP BY resource) n
          ON n.resource = s.resource AND n.newest = s.finished_at
        ORDER BY s.finished_at DESC
    """)
    last_checks = ask(f"""
        SELECT run_id, checked_at, table_name, check_name, passed, note FROM _checks WHERE checked_at = {LAST_CHECKED}
    """)
    is_loaded = freshness is not None and len(freshness) > 0
    say_source(freshness)
    return freshness, is_loaded, last_checks


@app.cell(hide_code=True)
def key_figures(ask_one, freshness, is_loaded, last_checks):
    videos = ask_one("""
        SELECT count(*) AS active, sum(CASE WHEN NOT "public" THEN 1 ELSE 0 END) AS private
        FROM videos WHERE removed_at IS NULL
    """)
    media = ask_one("""
        SELECT count(*) AS known, count(s.encoding__metadata__duration) AS timed, count(s.ingest__filesize) AS sized,
               CAST(sum(s.encoding__metadata__duration) / 3600.0 AS DOUBLE) AS hours,
               CAST(sum(s.ingest__filesize) / 1e9 AS DOUBLE) AS gigabytes
        FROM video_status s JOIN videos v ON v.video_id = s.video_id
        WHERE s.removed_at IS NULL AND v.removed_at IS NULL
    """)
    failed = ask_one("""
        SELECT count(DISTINCT q.video_id) AS videos
        FROM video_status__encoding__qualities q
        JOIN video_status s ON s.video_id = q.video_id JOIN videos v ON v.video_id = q.video_id
        WHERE q.status = 'failed' AND s.removed_at IS NULL AND v.removed_at IS NULL
    """)
    streams = ask_one("""
        SELECT count(*) AS active, sum(CASE WHEN broadcasting THEN 1 ELSE 0 END) AS on_air
        FROM live_streams WHERE removed_at IS NULL
    """)

    def _checks() -> tuple[str, str, str]:
        """The checks of the newest run that made any: of tables that it read itself, and those that do not hold."""
        if last_checks is None or not len(last_checks):
            return "none", "Checks", "made so far"
        run = last_checks.iloc[0]
        read = set(freshness[freshness.run_id == run.run_id].resource)
        own = last_checks[last_checks.table_name.isin(read) | ~last_checks.passed.eq(True)]
        opened, broke = int(own.passed.isna().sum()), int(own.passed.eq(False).sum())
        said = [f"{opened} not proven"] * bool(opened) + [f"{broke} failed"] * bool(broke)
        said += [f"{run.checked_at:%d %b %H:%M} UTC, run {run.run_id}"]
        return f"{int(own.passed.eq(True).sum())} of {len(own)}", "Checks that held", "; ".join(said)

    def _figure(value: float | None, form: str = ",.0f", unit: str = "") -> str:
        return "–" if value is None else f"{value:{form}}{unit}"

    def _stats() -> mo.Html:
        last = freshness.iloc[0]
        figures = [
            (_figure(videos.get("active")), "Videos", f"{_figure(videos.get('private'))} not public"),
            (_figure(media.get("hours"), ",.1f"), "Hours of video", f"length known of {media.get('timed', 0):,.0f}"),
            (_figure(media.get("gigabytes"), ",.1f", " GB"), "Source files", f"size known of {media.get('sized', 0):,.0f}"),
            (_figure(failed.get("videos")), "Failed videos", f"a rendition failed, of {media.get('known', 0):,.0f}"),
            (_figure(streams.get("on_air")), "On air", f"of {_figure(streams.get('active'))} live streams"),
            (f"{last.finished_at:%H:%M} UTC", "Last load", f"{last.finished_at:%d %b}, run {last.run_id}"),
            _checks(),
        ]
        return mo.hstack([mo.stat(*figure, bordered=True) for figure in figures], widths="equal", gap=0.75, wrap=True)

    _stats() if is_loaded else None
    return failed, media, streams, videos


@app.cell(hide_code=True)
def who_watches(ask, is_loaded):
    viewing_days = ask("""
        SELECT day, timezone, plays FROM analytics_days WHERE removed_at IS NULL ORDER BY day
    """)
    viewing_hours = ask("""
        SELECT h.hour_start AS hour, h.plays FROM analytics_hours h
        WHERE h.removed_at IS NULL AND h.day = (SELECT max(day) FROM analytics_days WHERE state NOT IN ('open', 'gap'))
        ORDER BY h.hour_start
    """)
    # The last seven days that are loaded.
    _week = "a.removed_at IS NULL AND a.day IN (SELECT day FROM analytics_days ORDER BY day DESC LIMIT 7)"
    most_played = ask(f"""
        SELECT max(coalesce(v.title, l.name, a.media_id)) AS video, CAST(sum(a.plays) AS BIGINT) AS plays,
               CAST(sum(a.starts) AS BIGINT) AS starts, CAST(sum(a.ends) AS BIGINT) AS ends
        FROM analytics_videos a
        LEFT JOIN videos v ON v.video_id = a.media_id
        LEFT JOIN live_streams l ON l.live_stream_id = a.media_id
        WHERE {_week} GROUP BY a.media_id ORDER BY 2 DESC, a.media_id LIMIT 10
    """)
    countries = ask(f"""
        SELECT a.country, CAST(sum(a.plays) AS BIGINT) AS plays FROM analytics_countries a
        WHERE {_week} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10
    """)
    devices = ask(f"""
        SELECT a.device_type AS device, CAST(sum(a.plays) AS BIGINT) AS plays FROM analytics_devices a
        WHERE {_week} GROUP BY 1 ORDER BY 2 DESC, 1
    """)

    def _curve(rows: pd.DataFrame, x: str, title: str, form: str) -> Any:
        if rows.empty:
            return note(f"{title}: none yet.")
        base = alt.Chart(rows, title=title).mark_area(line={"color": BLUE}, color=BLUE, fillOpacity=0.2)
        return framed(
            base.encode(
                x=alt.X(f"{x}:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format=form, tickCount=8)),
                y=alt.Y("plays:Q", axis=alt.Axis(format="~s")),
                tooltip=[x, "plays"],
            )
        )

    def _section() -> mo.Html:
        title = "Who watches"
        text = "Plays by day and hour; of the last seven days, what is played most, where, on what, and to the end or not."
        needed = {
            ("analytics_days",): viewing_days,
            ("analytics_hours",): viewing_hours,
            ("analytics_videos", "videos", "live_streams"): most_played,
            ("analytics_countries",): countries,
            ("analytics_devices",): devices,
        }
        if lacking := [name for names, rows in needed.items() if rows is None for name in names]:
            return section(title, text, not_loaded(*lacking))
        if not len(viewing_days):
            return section(title, text, note("No day of analytics is loaded."))
        days = _curve(viewing_days.assign(day=pd.to_datetime(viewing_days.day)), "day", "Plays by day", "%d %b")
        zone = viewing_days.timezone.iloc[-1]  # days begin at its midnight
        clock = viewing_hours.assign(
            hour=pd.to_datetime(viewing_hours.hour, utc=True).dt.tz_convert(zone).dt.tz_localize(None)
        )
        hours = _curve(clock[["hour", "plays"]], "hour", f"Plays by hour of the last whole day, {zone}", "%H:%M")
        share = most_played.ends / most_played.starts.where(most_played.starts > 0)
        videos = most_played.assign(completed=share.map(lambda part: UNKNOWN if pd.isna(part) else f"{part:.0%}"))
        return section(
            title,
            text,
            side_by_side(days, hours),
            table(videos.drop(columns=["starts", "ends"]), label="Most played. Completed: ends, as a share of starts"),
            side_by_side(bars(countries, "plays", "country", "Countries"), bars(devices, "plays", "device", "Devices")),
        )

    _section() if is_loaded else None
    return countries, devices, most_played, viewing_days, viewing_hours


@app.cell(hide_code=True)
def library_growth(ask, is_loaded):
    growth = ask("""
        SELECT date_trunc('month', coalesce(created_at, published_at)) AS month, count(*) AS videos
        FROM videos WHERE removed_at IS NULL AND coalesce(created_at, published_at) IS NOT NULL
        GROUP BY 1 ORDER BY 1
    """)
    growth_hours = ask("""
        SELECT date_trunc('month', coalesce(v.created_at, v.published_at)) AS month,
               CAST(sum(s.encoding__metadata__duration) / 3600.0 AS DOUBLE) AS hours
        FROM videos v JOIN video_status s ON s.video_id = v.video_id
        WHERE v.removed_at IS NULL AND s.removed_at IS NULL AND s.encoding__metadata__duration IS NOT NULL
          AND coalesce(v.created_at, v.published_at) IS NOT NULL
        GROUP BY 1 ORDER BY 1
    """)

    def _area(rows: pd.DataFrame, what: str, title: str, colour: str) -> Any:
        """The running total at the end of each month; 0 at the beginning of the first."""
        if rows.empty:
            return note(f"{title}: none yet.")
        ends = (rows.month + pd.DateOffset(months=1)).clip(upper=pd.Timestamp(now_utc()))
        start = pd.DataFrame({"end": rows.month.head(1), "total": [0.0]})
        totals = pd.concat([start, pd.DataFrame({"end": ends, "total": rows[what].cumsum()})])
        base = alt.Chart(totals, title=title).mark_area(line={"color": colour}, color=colour, fillOpacity=0.2)
        return framed(
            base.encode(
                x=alt.X(
                    "end:T", title="created by", scale=alt.Scale(type="utc"), axis=alt.Axis(format="%b %Y", tickCount=6)
                ),
                y=alt.Y("total:Q", title=what, axis=alt.Axis(format="~s")),
                tooltip=[
                    alt.Tooltip("utcyearmonthdate(end):T", title="created before"),
                    alt.Tooltip("total:Q", title=what, format=",.1~f"),
                ],
            )
        )

    def _section() -> mo.Html:
        left = not_loaded("videos") if growth is None else _area(growth, "videos", "Videos", BLUE)
        right = (
            not_loaded("video_status") if growth_hours is None else _area(growth_hours, "hours", "Hours of video", VIOLET)
        )
        text = "Today's videos by the time they were created; what was deleted since is not among them."
        return section("Growth", text, side_by_side(left, right))

    _section() if is_loaded else None
    return growth, growth_hours


@app.cell(hide_code=True)
def encoding(ask, is_loaded):
    states = ask("""
        SELECT CASE WHEN s.video_id IS NULL THEN 'status not read yet'
                    WHEN s.ingest__status IS NULL THEN 'nothing uploaded'
                    WHEN s.ingest__status IN ('uploading', 'ingesting') THEN s.ingest__status
                    WHEN q.failed > 0 THEN 'a rendition failed'
                    WHEN q.encoded = q.renditions THEN 'ready'
                    WHEN q.encoded > 0 OR q.started > 0 THEN 'encoding'
                    ELSE 'waiting' END AS state,
               count(*) AS videos
        FROM videos v
        LEFT JOIN video_status s ON s.video_id = v.video_id AND s.removed_at IS NULL
        LEFT JOIN (
            SELECT video_id, count(*) AS renditions, sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed,
                   sum(CASE WHEN status = 'encoded' THEN 1 ELSE 0 END) AS encoded,
                   sum(CASE WHEN status = 'encoding' THEN 1 ELSE 0 END) AS started
            FROM video_status__encoding__qualities GROUP BY video_id
        ) q ON q.video_id = s.video_id
        WHERE v.removed_at IS NULL
        GROUP BY 1
    """)
    renditions = ask("""
        SELECT q.quality, q.type, q.status, count(*) AS renditions
        FROM video_status__encoding__qualities q
        JOIN video_status s ON s.video_id = q.video_id JOIN videos v ON v.video_id = q.video_id
        WHERE s.removed_at IS NULL AND v.removed_at IS NULL
        GROUP BY 1, 2, 3
    """)
    failures = ask("""
        SELECT v.title, q.type, q.quality, v.updated_at, v.video_id
        FROM video_status__encoding__qualities q
        JOIN video_status s ON s.video_id = q.video_id JOIN videos v ON v.video_id = q.video_id
        WHERE q.status = 'failed' AND s.removed_at IS NULL AND v.removed_at IS NULL
        ORDER BY v.updated_at DESC LIMIT 100
    """)
    state_colours = {
        "ready": GREEN,
        "encoding": BLUE,
        "waiting": GREY,
        "uploading": VIOLET,
        "ingesting": VIOLET,
        "nothing uploaded": AMBER,
        "a rendition failed": RED,
        "status not read yet": GREY,
    }
    rendition_colours = {"encoded": GREEN, "encoding": BLUE, "waiting": GREY, "failed": RED}

    def _palette(colours: dict[str, str]) -> alt.Scale:
        return alt.Scale(domain=list(colours), range=list(colours.values()))

    def _section() -> mo.Html:
        title, text = "Encoding", "Where each video stands, and what became of its renditions."
        if states is None or renditions is None:
            return section(title, text, not_loaded("videos", "video_status"))
        left = bars(
            states,
            "videos",
            "state",
            "Videos by state",
            sort=list(state_colours),
            color=alt.Color("state:N", scale=_palette(state_colours), legend=None),
        )
        colour = alt.Color("status:N", title=None, scale=_palette(rendition_colours), legend=alt.Legend(orient="top"))
        heights = sorted(set(renditions.quality.dropna()), key=lambda name: int("".join(filter(str.isdigit, name)) or 0))
        right = bars(renditions, "renditions", "quality", "Renditions by height", sort=heights, color=colour)
        found = (
            table(failures, page_size=5, label="Renditions that failed") if len(failures) else note("No rendition failed.")
        )
        return section(title, text, side_by_side(left, right), found)

    _section() if is_loaded else None
    return failures, renditions, states


@app.cell(hide_code=True)
def sizes_and_codecs(ask, is_loaded):
    length_names = ["under 1 min", "1 to 5", "5 to 15", "15 to 30", "30 to 60", "over 60 min"]
    size_names = ["under 10 MB", "10 to 50", "50 to 100", "100 to 500", "500 to 1000", "over 1 GB"]
    _active = """
        FROM video_status s JOIN videos v ON v.video_id = s.video_id
        WHERE s.removed_at IS NULL AND v.removed_at IS NULL
    """
    lengths = ask(f"""
        SELECT CASE WHEN s.encoding__metadata__duration < 60 THEN '{length_names[0]}'
                    WHEN s.encoding__metadata__duration < 300 THEN '{length_names[1]}'
                    WHEN s.encoding__metadata__duration < 900 THEN '{length_names[2]}'
                    WHEN s.encoding__metadata__duration < 1800 THEN '{length_names[3]}'
                    WHEN s.encoding__metadata__duration < 3600 THEN '{length_names[4]}'
                    ELSE '{length_names[5]}' END AS length, count(*) AS videos
        {_active} AND s.encoding__metadata__duration IS NOT NULL GROUP BY 1
    """)
    sizes = ask(f"""
        SELECT CASE WHEN s.ingest__filesize < 10000000 THEN '{size_names[0]}'
                    WHEN s.ingest__filesize < 50000000 THEN '{size_names[1]}'
                    WHEN s.ingest__filesize < 100000000 THEN '{size_names[2]}'
                    WHEN s.ingest__filesize < 500000000 THEN '{size_names[3]}'
                    WHEN s.ingest__filesize < 1000000000 THEN '{size_names[4]}'
                    ELSE '{size_names[5]}' END AS size, count(*) AS videos
        {_active} AND s.ingest__filesize IS NOT NULL GROUP BY 1
    """)
    heights = ask(f"""
        SELECT s.encoding__metadata__width AS width, s.encoding__metadata__height AS height, count(*) AS videos
        {_active} AND s.encoding__metadata__height IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 12
    """)
    codecs = ask(f"""
        SELECT s.encoding__metadata__video_codec AS video_codec,
               coalesce(s.encoding__metadata__audio_codec, 'no audio') AS audio_codec, count(*) AS videos
        {_active} AND s.encoding__metadata__video_codec IS NOT NULL GROUP BY 1, 2
    """)

    def _section() -> mo.Html:
        title, text = "Sizes and codecs", "Of the source files, as far as they are known."
        if lengths is None:
            return section(title, text, not_loaded("videos", "video_status"))
        by_size = heights.assign(
            size=heights.width.astype("Int64").astype(str) + " × " + heights.height.astype("Int64").astype(str)
        )
        audio = alt.Color(
            "audio_codec:N",
            title="audio",
            scale=alt.Scale(range=[BLUE, VIOLET, GREEN, AMBER]),
            legend=alt.Legend(orient="top"),
        )
        return section(
            title,
            text,
            side_by_side(
                columns(lengths, "length", "videos", "Length, minutes", length_names),
                columns(sizes, "size", "videos", "File size, MB", size_names),
            ),
            side_by_side(
                bars(by_size, "videos", "size", "Picture, pixels"),
                bars(codecs, "videos", "video_codec", "Codecs", color=audio),
            ),
        )

    _section() if is_loaded else None
    return codecs, heights, lengths, sizes


@app.cell(hide_code=True)
def tags_and_languages(ask, ask_one, is_loaded):
    tags = ask("""
        SELECT t.value AS tag, count(DISTINCT t.video_id) AS videos
        FROM videos__tags t JOIN videos v ON v.video_id = t.video_id
        WHERE v.removed_at IS NULL AND t.value IS NOT NULL
        GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 15
    """)
    untagged = ask_one("""
        SELECT count(*) AS videos FROM videos
        WHERE removed_at IS NULL AND video_id NOT IN (SELECT video_id FROM videos__tags WHERE video_id IS NOT NULL)
    """)
    languages = ask("""
        SELECT coalesce("language", 'not set') AS language, count(*) AS videos
        FROM videos WHERE removed_at IS NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 15
    """)

    def _section() -> mo.Html:
        if tags is None or languages is None:
            return section("Tags and languages", "", not_loaded("videos"))
        left = bars(tags, "videos", "tag", "Most used tags") if len(tags) else note("No video has a tag.")
        right = bars(languages, "videos", "language", "Languages")
        return section("Tags and languages", f"{untagged['videos']:,.0f} videos have no tag.", side_by_side(left, right))

    _section() if is_loaded else None
    return languages, tags, untagged


@app.cell(hide_code=True)
def live(ask, is_loaded):
    live_streams = ask("""
        SELECT l.name, l.broadcasting AS on_air, l."public", l.created_at, l.live_stream_id
        FROM live_streams l WHERE l.removed_at IS NULL
        ORDER BY l.broadcasting DESC, l.created_at DESC LIMIT 200
    """)
    recordings = ask("""
        SELECT source__live_stream__live_stream_id AS live_stream_id, count(*) AS recordings
        FROM videos WHERE removed_at IS NULL AND source__live_stream__live_stream_id IS NOT NULL GROUP BY 1
    """)

    def _section() -> mo.Html:
        title = "Live streams"
        text = "The newest 200, those on air first, and the recordings of each that are in the library."
        if live_streams is None:
            return section(title, text, not_loaded("live_streams"))
        if not len(live_streams):
            return section(title, text, note("There is no live stream."))
        rows = live_streams
        if recordings is not None:
            rows = rows.merge(recordings, "left", "live_stream_id").fillna({"recordings": 0}).astype({"recordings": int})
        return section(title, text, table(rows, page_size=10))

    _section() if is_loaded else None
    return live_streams, recordings


@app.cell(hide_code=True)
def summary_states(ask, ask_one, is_loaded):
    summaries = ask("""
        SELECT source_status AS state, coalesce(origin, 'unknown') AS origin, count(*) AS summaries
        FROM summaries WHERE removed_at IS NULL GROUP BY 1, 2
    """)
    summarised = ask_one("""
        SELECT count(*) AS videos, count(s.video_id) AS summarised
        FROM videos v
        LEFT JOIN (SELECT DISTINCT video_id FROM summaries WHERE removed_at IS NULL AND source_status = 'completed') s
          ON s.video_id = v.video_id
        WHERE v.removed_at IS NULL
    """)

    def _section() -> mo.Html:
        title, text = "Summaries", "How far they are, and who wrote them: api.video (auto) or a person (api)."
        if summaries is None:
            return section(title, text, not_loaded("summaries"))
        if not len(summaries):
            return section(title, text, note("No video has a summary."))
        colour = alt.Color(
            "origin:N",
            title="written by",
            scale=alt.Scale(domain=["auto", "api", "unknown"], range=[BLUE, VIOLET, GREY]),
            legend=alt.Legend(orient="top"),
        )
        chart = bars(summaries, "summaries", "state", "Summaries by state", color=colour)
        if not summarised.get("videos"):
            return section(title, text, chart)
        share = summarised["summarised"] / summarised["videos"]
        figure = mo.stat(
            f"{share:.1%}",
            "Videos with a completed summary",
            f"{summarised['summarised']:,.0f} of {summarised['videos']:,.0f}",
        )
        return section(title, text, mo.hstack([figure, chart], widths=[1, 3], gap=2, align="center"))

    _section() if is_loaded else None
    return summaries, summarised


@app.cell(hide_code=True)
def gone(ask, is_loaded):
    _answers = [
        ask(f"""
            SELECT '{endpoint.name}' AS resource, date_trunc('day', removed_at) AS day, count(*) AS removed
            FROM {endpoint.name} WHERE removed_at IS NOT NULL GROUP BY 2
        """)
        for endpoint in ENDPOINTS
        if endpoint.is_list
    ]
    _found = [rows for rows in _answers if rows is not None and len(rows)]
    removed = pd.concat(_found) if _found else pd.DataFrame({"resource": [], "day": [], "removed": []})
    discarded = ask("""
        SELECT date_trunc('day', deletes_at) AS day, count(*) AS videos
        FROM discarded_videos WHERE removed_at IS NULL AND deletes_at IS NOT NULL GROUP BY 1 ORDER BY 1
    """)

    def _days(rows: pd.DataFrame, what: str, title: str, unit: str, day: str, colour: object) -> alt.Chart:
        dated = rows.assign(day=rows.day.dt.strftime("%Y-%m-%d"))
        return framed(
            alt.Chart(dated, title=title)
            .mark_bar(size=min(36, 320 / len(set(dated.day))))
            .encode(
                x=alt.X("day:O", title=day, axis=alt.Axis(labelOverlap=True)),
                y=alt.Y(f"{what}:Q", title=unit, axis=alt.Axis(tickMinStep=1, tickCount=6, format="~s")),
                color=colour,
                tooltip=[*dated.columns],
            )
        )

    def _section() -> mo.Html:
        text = (
            "Rows that api.video no longer lists, by the day on which a run noticed. A video that moved to the bin is "
            "removed from `videos`, and stays in the bin until it is deleted for good."
        )
        names = [endpoint.name for endpoint in ENDPOINTS if endpoint.is_list]
        scale = alt.Scale(domain=names, range=[BLUE, AMBER, GREEN, VIOLET, RED, GREY])
        legend = alt.Color(
            "resource:N", title=None, scale=scale, legend=alt.Legend(orient="top", values=sorted(set(removed.resource)))
        )
        left = (
            _days(removed, "removed", "Removed rows", "rows", "day noticed, UTC", legend)
            if len(removed)
            else note("No row was removed since the first load.")
        )
        if discarded is None:
            right: Any = not_loaded("discarded_videos")
        elif not len(discarded):
            right = note("The bin is empty.")
        else:
            right = _days(
                discarded, "videos", "Videos in the bin", "videos", "day of deletion for good, UTC", alt.value(AMBER)
            )
        return section("Removed and discarded", text, side_by_side(left, right))

    _section() if is_loaded else None
    return discarded, removed


@app.cell(hide_code=True)
def fresh(ask, freshness, is_loaded, last_checks):
    changes = ask("""
        SELECT run_id, max(finished_at) AS finished_at, CAST(sum(new_rows) AS BIGINT) AS new,
               CAST(sum(changed_rows) AS BIGINT) AS changed, CAST(sum(removed_rows) AS BIGINT) AS removed,
               CAST(sum(restored_rows) AS BIGINT) AS restored
        FROM _syncs WHERE mode NOT IN ('first', 'skipped')
        GROUP BY run_id ORDER BY 2 DESC LIMIT 48
    """)

    def _age(finished_at: pd.Timestamp) -> str:
        minutes = int((now_utc() - finished_at).total_seconds() // 60)
        return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"

    def _states() -> pd.DataFrame:
        said = [judge(row.resource, row.run_id, last_checks) for row in freshness.itertuples()]
        rows = freshness.drop(columns=["base_url", "mode"])
        rows.insert(2, "age", rows.finished_at.map(_age))
        rows.insert(1, "state", [verdict for verdict, _ in said])
        if any(reason for _, reason in said):
            rows.insert(2, "why", [reason for _, reason in said])
        return rows

    def _section() -> mo.Html:
        title = "Freshness"
        text = (
            "Which run last read each table, whether the newest checks prove it equal to what was listed, and what the "
            "runs since the first load found."
        )
        rows = _states()
        wrapped = [name for name in ("why", "run id") if name.replace(" ", "_") in rows]
        state = table(rows, pagination=False, show_download=False, wrapped_columns=wrapped)
        if changes is None or not len(changes):
            return section(title, text, state, note("No run after the first one yet."))
        kinds = {"new": GREEN, "changed": BLUE, "removed": RED, "restored": AMBER}
        rows = changes.assign(run=changes.finished_at.dt.strftime("%m-%d %H:%M:%S")).melt(
            ["run"], list(kinds), "kind", "rows"
        )
        chart = (
            alt.Chart(rows, title="Changes by run")
            .mark_bar(size=min(36, 640 / len(changes)))
            .encode(
                x=alt.X("run:O", title="end of the run, UTC", axis=alt.Axis(labelOverlap=True)),
                y=alt.Y("sum(rows):Q", title="rows", axis=alt.Axis(tickMinStep=1, format="~s")),
                color=alt.Color(
                    "kind:N",
                    title=None,
                    scale=alt.Scale(domain=list(kinds), range=list(kinds.values())),
                    legend=alt.Legend(orient="top"),
                ),
                tooltip=["run", "kind", "rows"],
            )
        )
        return section(title, text, state, framed(chart))

    _section() if is_loaded else None
    return (changes,)


if __name__ == "__main__":
    app.run()
