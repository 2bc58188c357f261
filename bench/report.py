"""Results: kept as JSON, shown in the terminal, and written into docs/benchmarks.md."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from machine import as_json, this_machine
from rich.console import Console
from rich.table import Table as RichTable

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"

PARTS = ("latency", "endpointing", "scenes", "tool_choice", "speech", "sessions", "ttft", "decode")
"""In the order of the page; each is a module here and a file in ``results``."""

INTRODUCTION = """\
# Benchmarks

Written by `make bench`; do not edit. Every number comes from a run on the machine named above its table, and
what is compared was measured side by side in one run. The page holds the latest run of each part; `make bench
ARGS="sessions latency"` runs only those.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of results."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    """Cells as they are shown; the first of each row is its name."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one part of the benchmarks has found."""

    part: str
    heading: str
    method: str
    """How it was measured, in Markdown."""
    tables: Sequence[Table]
    findings: Sequence[str] = ()
    """One sentence each: what the tables say, and what was aimed at."""
    data: dict[str, Any] = field(default_factory=dict)
    """The raw figures."""


def show(result: Result, console: Console) -> None:
    """Print a result."""
    for table in result.tables:
        shown = RichTable(title=table.title, title_justify="left")
        for index, column in enumerate(table.columns):
            shown.add_column(column, justify="left" if index == 0 else "right")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for finding in result.findings:
        console.print(f"• {finding}")


def save(result: Result) -> None:
    """Keep a result, and write the page anew from the latest result of every part."""
    RESULTS.mkdir(exist_ok=True)
    stored = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": as_json(this_machine()) | {"text": this_machine().describe()},
        **asdict(result),
    }
    path = RESULTS / f"{result.part}.json"
    path.write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_page()


def write_page() -> None:
    """Write docs/benchmarks.md."""
    sections = [INTRODUCTION]
    for part in PARTS:
        path = RESULTS / f"{part}.json"
        if path.exists():
            sections.append(_section(json.loads(path.read_text(encoding="utf-8"))))
    PAGE.write_text("\n".join(sections), encoding="utf-8")


def _section(stored: dict[str, Any]) -> str:
    lines = [f"## {stored['heading']}", "", stored["method"].strip(), ""]
    lines += [f"Measured on {stored['date']}: {stored['machine']['text']}", ""]
    for table in stored["tables"]:
        lines += [f"**{table['title']}**", "", _row(table["columns"])]
        lines.append(_row(["---", *["---:"] * (len(table["columns"]) - 1)]))
        lines += [_row(row) for row in table["rows"]]
        lines.append("")
    lines += [f"- {finding}" for finding in stored["findings"]]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def percentile(values: Sequence[float], percent: float) -> float:
    """A percentile by linear interpolation; NaN without any values."""
    if not values:
        return float("nan")
    ranked = sorted(values)
    at = (len(ranked) - 1) * percent / 100
    low = int(at)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (ranked[high] - ranked[low]) * (at - low)
