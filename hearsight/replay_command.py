"""``hearsight replay``: a recorded session once more, without any model, and where it differs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from hearsight.config.errors import RecordingError
from hearsight.config.settings import Settings, load_settings
from hearsight.conversation_view import happenings, summary, table
from hearsight.startup import EXIT_FAILED, ConfigOption, PresetOption, readable_errors
from hearsight.streams.recording.event_json import dumps
from hearsight.streams.recording.model import Ending, Reason
from hearsight.streams.recording.reading import Line, Recording
from hearsight.streams.recording.replaying import Divergence, Verdict, replay

MAX_CHARS = 2_000

WHY_INCOMPLETE: dict[Reason, str] = {
    "overflow": "the disk was too slow for it",
    "full": "it reached its largest size",
    "failed": "it could not be written on",
}

RecordingPath = Annotated[
    Path, typer.Argument(metavar="RECORDING", help="Its name, its folder, or an exported .zip.")
]


def replay_command(
    recording: RecordingPath,
    script: Annotated[
        Path | None,
        typer.Option("--rerun", help="Run what the client did through the whole service, on this script."),
    ] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Feed a recording to a session again and compare what comes out with what was recorded.

    Ends with status 1 where it differs. No model runs: what the models said is part of the recording. With
    --rerun, the scripted engine answers instead, through the real graph and on a made-up clock.
    """
    console = Console(soft_wrap=True)
    with readable_errors(), Recording(locate(recording, config, preset)) as opened:
        if script is None:
            verdict = replay(opened)
            show_verdict(verdict, opened.header.began_s, console)
            same = verdict.same
        else:
            settings = load_settings(preset=preset, config_file=config).settings
            same = _rerun(opened, script, settings, console)
    if not same:
        raise typer.Exit(EXIT_FAILED)


def _rerun(recording: Recording, script: Path, settings: Settings, console: Console) -> bool:
    from hearsight.agent.models.script import Script
    from hearsight.rerun import first_difference, output_lines, rerun

    entries = rerun(recording, Script.load(script), settings)
    given = output_lines(recording.header, entries)
    recorded = [line for line in recording.lines() if line.kind == "out"]
    told, retold = list(happenings(recorded)), list(happenings(given))
    console.print(table(retold, recording.header.began_s))
    index = first_difference(recorded, given)
    if index is None:
        console.print(f"[bold green]The same:[/] {len(given):,} outputs, byte for byte.", highlight=False)
        return True
    if [(each.who, each.what) for each in told] == [(each.who, each.what) for each in retold]:
        console.print(
            "[green]The same conversation[/], though not to the byte: a rerun takes no time to think.",
            highlight=False,
        )
        return True
    console.print(f"[bold red]It comes out differently[/], from output {index + 1:,} on:", highlight=False)
    for name, lines in (("recorded", recorded), ("rerun", given)):
        shown = [f"{line.at_s - recording.header.began_s:.3f} s {dumps(line.value)}" for line in lines]
        console.print(Text.assemble((f"{name:<10}", "bold"), _cut((shown[index:] or ["(nothing)"])[0])))
    return False


def locate(recording: Path, config: Path | None, preset: str | None) -> Path:
    """A recording by its path, or by its name in the folder of them all.

    Raises:
        ConfigError: The settings, which name that folder, cannot be used.
        RecordingError: No file can have such a name.
    """
    inside = load_settings(preset=preset, config_file=config).settings.recording.folder / recording
    try:
        return inside if not recording.exists() and inside.exists() else recording
    except (OSError, ValueError) as error:
        raise RecordingError(f"There is no recording '{str(recording)[:80]}'.") from error


def how_it_ended(ending: Ending | None) -> str:
    """Whether a recording is complete, in a sentence."""
    if ending is None:
        return "It is incomplete: it was cut off, or is still being written."
    if ending.complete:
        return "It holds the session from beginning to end."
    why = WHY_INCOMPLETE[ending.reason]
    return f"It is incomplete: {why}, and {ending.lost:,} messages that came later are not in it."


def show_verdict(verdict: Verdict, began_s: float, console: Console) -> None:
    """Print what came of a replay.

    Args:
        verdict: What came of it.
        began_s: The session's clock when it began.
        console: Where to print.
    """
    counts = f"{_counted(verdict.inputs, 'input')} and {_counted(verdict.outputs, 'output')}"
    extent = f"{counts} in {verdict.duration_s:.1f} s"
    if verdict.divergence is None:
        console.print(f"[bold green]The same:[/] {extent}, byte for byte.", highlight=False)
        if verdict.raised is not None:
            console.print(Text(f"The session broke down, then as now: {verdict.raised}", style="red"))
    else:
        console.print(f"[bold red]It comes out differently[/] after {extent}.", highlight=False)
        _show_divergence(verdict.divergence, began_s, console)
    if verdict.divergence is None:
        complete = verdict.ending is not None and verdict.ending.complete
        console.print(how_it_ended(verdict.ending), style="" if complete else "yellow", highlight=False)


def _show_divergence(divergence: Divergence, began_s: float, console: Console) -> None:
    console.print(f"\nBefore line {divergence.line} of events.jsonl:", style="dim", highlight=False)
    for line in (*divergence.before, divergence.cause):
        console.print(_line(line, began_s))
    console.print()
    nothing = "(nothing)"
    console.print(Text.assemble(("recorded  ", "bold"), _cut(divergence.recorded or nothing)))
    console.print(Text.assemble(("replayed  ", "bold"), _cut(divergence.replayed or nothing)))


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def _line(line: Line, began_s: float) -> Text:
    arrow = {"in": "→", "out": "←", "raised": "✗"}[line.kind]
    text = line.value if line.kind == "raised" else summary(line.value) or dumps(line.value)
    return Text.assemble((f"{line.at_s - began_s:9.3f} s {arrow} ", "dim"), _cut(text, 160))


def _cut(text: str, most: int = MAX_CHARS) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
