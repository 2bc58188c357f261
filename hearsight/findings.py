"""What ``hearsight doctor`` finds, and how it is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

Status = Literal["ok", "note", "failed"]
"""``note`` is worth knowing; ``failed`` keeps the configured engine from running."""

_SIGNS: dict[Status, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "note": ("!", "yellow"),
    "failed": ("✗", "red"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    check: str
    status: Status
    found: str
    mend: str = ""
    """What to do about it, where something can be done."""


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether nothing has failed."""
    return all(finding.status != "failed" for finding in findings)


def show_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print one line a finding, and a verdict."""
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        sign, style = _SIGNS[finding.status]
        text = Text(finding.found)
        if finding.mend:
            text.append(f"\n{finding.mend}", style="dim" if finding.status == "ok" else style)
        table.add_row(Text(sign, style=style), finding.check, text)
    console.print(table)
    failed = [finding.check for finding in findings if finding.status == "failed"]
    verdict = f"Needs mending: {', '.join(failed)}." if failed else "Ready to serve."
    console.print(Text(verdict, style="bold red" if failed else "bold green"))


def as_json(findings: Sequence[Finding]) -> str:
    """The findings as one JSON object, for machines."""
    body = {"ok": healthy(findings), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(body, ensure_ascii=False, indent=2)
