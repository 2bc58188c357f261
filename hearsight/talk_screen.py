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
    typed = _Input(status.typed, status.talking)
    return Group(Rule(style="dim"), _first_row(status), _second_row(status), typed)


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
    row.no_wrap, row.overflow = True, "ellipsis"
    return row


def _meter(name: str, level_db: float) -> Text:
    filled = round(METER_WIDTH * (1 - level_db / SILENCE_DB))
    color = "red" if level_db > -3 else "green"
    return Text.assemble((f"  {name} ", "dim"), ("▮" * filled, color), ("▯" * (METER_WIDTH - filled), "dim"))


def _second_row(status: Status) -> Text:
    parts = []
    if status.latency_s is not None:
        parts.append(f"delay {status.latency_s:.2f} s")
    if status.usage is not None:
        parts.append(f"tokens {tokens(status.usage)}")
    told = "  " + " · ".join(parts or ["say something"])
    return Text(told, style="dim", no_wrap=True, overflow="ellipsis")


class _Input:
    """What is being typed, as far as there is room for its end, or else which keys there are."""

    def __init__(self, typed: str, talking: bool | None) -> None:
        self._typed = typed
        self._keys = {
            None: "type and press Enter · Ctrl-C ends",
            False: "space: speak · type and press Enter · Ctrl-C ends",
            True: "space: you have spoken · Ctrl-C ends",
        }[talking]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        row = Text("> ", style="dim", no_wrap=True, overflow="ellipsis")
        if self._typed:
            row.append(self._typed[-max(1, options.max_width - 4) :], style="not dim")
            row.append("▏")
        else:
            row.append(self._keys)
        yield row


def tokens(usage: Usage) -> str:
    """The tokens of the conversation, how many there may be, and how many of each kind."""
    kinds = {
        "text": usage.input_text,
        "audio": usage.input_audio,
        "image": usage.input_image,
        "answer": usage.output_text + usage.output_audio,
    }
    by_kind = ", ".join(f"{kind} {count:,}" for kind, count in kinds.items() if count)
    return f"{sum(kinds.values()):,} of {usage.context_limit:,}: {by_kind}"
