"""How a conversation looks in a terminal: what is said scrolls by; the last lines show how things stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.rule import Rule
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from hearsight.streams.events import Usage
from hearsight.streams.local.levels import SILENCE_DB
from hearsight.talking import Line, Phase

LABEL_WIDTH: Final = 6
METER_WIDTH: Final = 10
STATUS_ROWS: Final = 6
PHASES: Final[dict[Phase, str]] = {
    "listening": "green",
    "hearing you": "bold green",
    "thinking": "yellow",
    "speaking": "bold cyan",
}
TEXT_STYLES: Final = {"you": "", "answer": "bold", "tool": "cyan", "note": "yellow"}


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand, all that the last lines show."""

    phase: Phase
    microphone_db: float | None
    """None where there is no microphone."""
    speaker_db: float
    camera: str | None
    """Its name, None where there is none."""
    usage: Usage | None
    latency_s: float | None
    typed: str
    talking: bool | None
    """Push-to-talk: whether the user holds the floor; None where the microphone is always open."""


def show_line(line: Line) -> RenderableType:
    """One thing that was said, done or noted; what nobody heard is struck out."""
    text = Text(line.text or ("…" if not line.complete else ""), style=TEXT_STYLES[line.who])
    if line.unheard:
        text.append(line.unheard, style="strike dim not bold")
    if line.who == "tool":
        if line.outcome is None:
            text.append(" …")
        else:
            text.append(f" {'→' if line.ok else '✗'} ", style="" if line.ok else "red")
            text.append(line.outcome, style="not bold default" if line.ok else "red")
    row = Table.grid(padding=(0, 2))
    row.add_column(style="dim", justify="right", width=LABEL_WIDTH)
    row.add_column(overflow="fold")
    row.add_row(line.who, text)
    return row


def show_status(status: Status) -> RenderableType:
    """The last lines."""
    return Group(Rule(style="dim"), _first_row(status), _second_row(status), *_input_rows(status))


def show_live(lines: list[Line], status: Status, rows: int) -> RenderableType:
    """The lines that may still change, as far as there is room, and below them how things stand.

    Args:
        lines: Oldest first.
        status: What stands below.
        rows: Height of the terminal.
    """
    room = max(1, rows - STATUS_ROWS)
    return Group(_Tail(Group(*(show_line(line) for line in lines)), room), show_status(status))


class _Tail:
    """The last rows of something."""

    def __init__(self, whole: RenderableType, rows: int) -> None:
        self._whole = whole
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for row in console.render_lines(self._whole, options, pad=False)[-self._rows :]:
            yield from row
            yield Segment.line()


def _first_row(status: Status) -> Text:
    row = Text.assemble(("● ", PHASES[status.phase]), (f"{status.phase:<12}", PHASES[status.phase]))
    if status.microphone_db is not None:
        row.append_text(_meter("microphone", status.microphone_db))
    row.append_text(_meter("speaker", status.speaker_db))
    if status.camera is not None:
        row.append(f"  camera {status.camera}", style="dim")
    row.truncate(200)
    row.no_wrap, row.overflow = True, "ellipsis"
    return row


def _meter(name: str, level_db: float) -> Text:
    filled = round(METER_WIDTH * (1 - level_db / SILENCE_DB))
    color = "red" if level_db > -3 else "green"
    return Text.assemble((f"  {name} ", "dim"), ("▮" * filled, color), ("▯" * (METER_WIDTH - filled), "dim"))


def _second_row(status: Status) -> Text:
    parts = []
    if status.usage is not None:
        parts.append(tokens(status.usage))
    if status.latency_s is not None:
        parts.append(f"first sound after {status.latency_s:.2f} s")
    row = Text("  " + " · ".join(parts or ["say something"]), style="dim", no_wrap=True, overflow="ellipsis")
    return row


def _input_rows(status: Status) -> list[Text]:
    if status.talking is None:
        keys = "type and press Enter · Ctrl-C ends"
    elif status.talking:
        keys = "space: you have spoken · Ctrl-C ends"
    else:
        keys = "space: speak · type and press Enter · Ctrl-C ends"
    typed = Text.assemble(("> ", "dim"), status.typed, ("▏" if status.typed else "", "dim"))
    typed.append("" if status.typed else keys, style="dim")
    return [typed]


def tokens(usage: Usage) -> str:
    """The tokens of the conversation by kind, and how many there may be."""
    kinds = {"text": usage.input_text, "audio": usage.input_audio, "image": usage.input_image}
    answer = usage.output_text + usage.output_audio
    by_kind = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
    whole = sum(kinds.values()) + answer
    return f"{whole:,} of {usage.context_limit:,} tokens ({by_kind}, {answer:,} answer)"
