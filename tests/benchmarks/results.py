"""Writes the results into ``docs/``: as a table, a picture and JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import Measured

OURS, PLAIN, FLOOR, READING, EMPTY = "api_video", "plain dlt", "floor", "reading only", "empty tasks"
SINGER = "singer, target-duckdb"
BASELINES = (FLOOR, READING, EMPTY)
COLOURS = {OURS: "#2563eb", PLAIN: "#f59e0b", SINGER: "#16a34a", FLOOR: "#94a3b8", READING: "#94a3b8", EMPTY: "#94a3b8"}
LEAST = "the least it can take"
SHADES = {OURS: COLOURS[OURS], PLAIN: COLOURS[PLAIN], SINGER: COLOURS[SINGER], LEAST: COLOURS[FLOOR]}
START, END = "<!-- benchmarks: written by make bench -->\n", "<!-- end of benchmarks -->"
DOCUMENT = "benchmarks.md"


@dataclass
class Result:
    """The measured runs of a contender in a scenario, and how its rows differ from the API's (empty: they are equal)."""

    scenario: str
    contender: str
    runs: list[Measured] = field(default_factory=list)
    note: str = ""

    @property
    def seconds(self) -> float:
        """The median of all runs."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak_mb(self) -> float:
        """The largest value of all runs; 0 if none was measured."""
        return max(run.peak_mb for run in self.runs)


def baseline_of(result: Result, results: Sequence[Result]) -> Result | None:
    """The result of the floor in the same scenario, measured beside ``result``."""
    return next((r for r in results if r.scenario == result.scenario and r.contender in BASELINES), None)


def table(results: Sequence[Result]) -> str:
    """The results as Markdown."""
    lines = [
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"dlt {version('dlt')}, duckdb {version('duckdb')}, apache-airflow {version('apache-airflow')}. Seconds are "
        "medians and include the start of Python; memory is the peak of the whole process tree.",
        "",
        "| scenario | contender | requests | 429 | seconds | x least | peak MB | rows |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for result in results:
        least, last = baseline_of(result, results), result.runs[-1]
        cells = [
            result.scenario,
            result.contender,
            "" if result.contender == EMPTY else last.requests,
            "" if result.contender == EMPTY else last.refused,
            f"{result.seconds:.1f}",
            f"{result.seconds / least.seconds:.1f}" if least else "",
            f"{result.peak_mb:.0f}" if result.peak_mb else "",
            "" if result.contender in (READING, EMPTY) else result.note or "equal",
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def picture(results: Sequence[Result]) -> str:
    """Requests, seconds and memory of each contender in each scenario, as SVG."""
    import altair as alt
    import vl_convert

    def panel(title: str, values: list[dict[str, Any]], labels: bool) -> Any:
        data = alt.Chart(alt.Data(values=values))
        y = alt.Y(
            "scenario:N", sort=None, title=None, axis=alt.Axis(labels=labels, labelLimit=260, ticks=False, domain=False)
        )
        kind = "symlog" if "logarithmic" in title else "linear"
        x = alt.X("value:Q", title=None, scale=alt.Scale(type=kind), axis=None)
        bars = data.mark_bar(cornerRadiusEnd=2).encode(
            x=x,
            y=y,
            yOffset=alt.YOffset("contender:N", sort=list(COLOURS)),
            color=alt.Color(
                "contender:N",
                scale=alt.Scale(domain=list(SHADES), range=list(SHADES.values())),
                legend=alt.Legend(title=None, orient="top", direction="horizontal") if labels else None,
            ),
        )
        figures = data.mark_text(align="left", dx=4, fontSize=10, color="#334155").encode(
            x=x, y=y, yOffset=alt.YOffset("contender:N", sort=list(COLOURS)), text="label:N"
        )
        return (bars + figures).properties(title=title, width=230, height=alt.Step(15))

    panels = []
    for index, (title, name, form) in enumerate(
        (
            ("requests, logarithmic", "requests", "{:,.0f}"),
            ("seconds, logarithmic", "seconds", "{:,.1f}"),
            ("peak memory, MB", "peak_mb", "{:,.0f}"),
        )
    ):
        values = []
        for result in results:
            value = result.runs[-1].requests if name == "requests" else getattr(result, name)
            shown = LEAST if result.contender in BASELINES else result.contender
            label = form.format(value) + (f"  ({result.note})" if result.note and name == "requests" else "")
            if (name == "peak_mb" and not value) or (name == "requests" and result.contender == EMPTY):
                value, label = 0, ""
            values.append({"scenario": result.scenario, "contender": shown, "value": value, "label": label})
        panels.append(panel(title, values, labels=index == 0))
    chart = alt.hconcat(*panels, spacing=24).configure(background="white", padding=16, font="sans-serif")
    chart = chart.configure_view(stroke=None).configure_title(anchor="start", fontSize=13).configure_axis(labelFontSize=11)
    return str(vl_convert.vegalite_to_svg(chart.to_json()))


def write(results: Sequence[Result], folder: Path) -> None:
    """Writes ``benchmarks.json`` and ``.svg``, and the table within ``benchmarks.md``, whose other text stays."""
    folder.mkdir(exist_ok=True)
    (folder / "benchmarks.json").write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    (folder / "benchmarks.svg").write_text(picture(results))
    document = folder / DOCUMENT
    text = document.read_text(encoding="utf-8") if document.exists() else f"# Benchmarks\n\n{START}{END}\n"
    document.write_text(with_table(text, table(results)), encoding="utf-8")


def with_table(text: str, renewed: str) -> str:
    """The text of a document with a new table."""
    before, rest = text.split(START)
    return f"{before}{START}{renewed}{END}{rest.split(END)[1]}"


def read(folder: Path) -> list[Result]:
    """The results that ``write`` left in a folder, to draw them again."""
    rows = json.loads((folder / "benchmarks.json").read_text())
    return [Result(r["scenario"], r["contender"], [Measured(**run) for run in r["runs"]], r["note"]) for r in rows]
