"""``hearsight recordings``: list, show, export and delete what was recorded."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hearsight.config.errors import RecordingError
from hearsight.config.settings import load_settings
from hearsight.conversation_view import happenings, table
from hearsight.replay_command import RecordingPath, how_it_ended, locate
from hearsight.startup import ConfigOption, PresetOption, readable_errors
from hearsight.streams.recording.folder import Found, delete, find
from hearsight.streams.recording.reading import Recording

recordings_app = typer.Typer(
    name="recordings", help="List, show, export and delete recorded sessions.", no_args_is_help=True
)

Names = Annotated[list[Path] | None, typer.Argument(metavar="[RECORDING]...", help="Names or folders.")]


@recordings_app.command("list")
def list_recordings(config: ConfigOption = None, preset: PresetOption = None) -> None:
    """List the recordings, the oldest first."""
    with readable_errors():
        folder = _folder(config, preset)
        found = _find(folder)
        console = Console()
        shown = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("recording", "began", "engine", "size", "state"):
            shown.add_column(heading, justify="right" if heading == "size" else "left", no_wrap=True)
        for each in found:
            shown.add_row(each.path.name, *_began(each.path), _size(each.bytes), _state(each))
        if found:
            console.print(shown)
        size = _size(sum(each.bytes for each in found))
        console.print(f"\n{len(found)} in {folder}, {size} together.", highlight=False, soft_wrap=True)


@recordings_app.command()
def show(recording: RecordingPath, config: ConfigOption = None, preset: PresetOption = None) -> None:
    """Print the conversation of a recording."""
    with readable_errors(), Recording(locate(recording, config, preset)) as opened:
        header = opened.header
        console = Console()
        console.print(f"{header.began}, {header.engine or 'engine unknown'}, {header.program}", style="dim")
        console.print(table(happenings(opened.lines()), header.began_s))
        console.print(how_it_ended(opened.ending), style="dim", highlight=False, soft_wrap=True)


@recordings_app.command()
def export(
    recording: RecordingPath,
    to: Annotated[Path | None, typer.Option("--to", help="Where to; a .zip here, unless given.")] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Write one .zip that holds a recording: what to attach to a report."""
    with readable_errors():
        path = locate(recording, config, preset).resolve()
        target = to or Path(f"{path.name.removesuffix('.zip')}.zip")
        with Recording(path) as opened, _writing(target):
            export_to(opened, target)
        size = _size(target.stat().st_size)
        Console().print(
            f"{target} ({size}) holds what was said, heard and shown: mind whom you give it to.",
            highlight=False,
            soft_wrap=True,
        )


@recordings_app.command("delete")
def delete_recordings(
    names: Names = None,
    every: Annotated[bool, typer.Option("--all", help="Delete every recording.")] = False,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Delete recordings, without asking."""
    with readable_errors():
        if bool(names) == every:
            raise RecordingError("Say which recordings to delete, or --all.")
        folder = _folder(config, preset)
        paths = [each.path for each in _find(folder)] if every else [_named(n, folder) for n in names or ()]
        for path in paths:
            try:
                delete(path)
            except OSError as error:
                raise RecordingError(f"{path} cannot be deleted: {error.strerror}.") from error
        Console().print(f"Deleted {len(paths)}.", highlight=False)


def export_to(recording: Recording, target: Path) -> None:
    """Write a recording into one .zip.

    Raises:
        OSError: It cannot be written.
        RecordingError: A file of the recording cannot be read.
    """
    name = re.sub(r"[^A-Za-z0-9]+", "-", recording.path.name.removesuffix(".zip")).strip("-") or "recording"
    with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
        for file_name, content in recording.files():
            with archive.open(f"{name}/{file_name}", "w", force_zip64=True) as copy:
                shutil.copyfileobj(content, copy)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise RecordingError(f"{target} exists; choose another name with --to.") from error
    except OSError as error:
        target.unlink(missing_ok=True)
        raise RecordingError(f"{target} cannot be written: {error.strerror}.") from error


def _folder(config: Path | None, preset: str | None) -> Path:
    return load_settings(preset=preset, config_file=config).settings.recording.folder


def _find(folder: Path) -> list[Found]:
    try:
        return find(folder)
    except OSError as error:
        raise RecordingError(f"{folder} cannot be read: {error.strerror}.") from error


def _named(recording: Path, folder: Path) -> Path:
    known = {each.path.resolve(): each.path for each in _find(folder)}
    for path in (folder / recording, recording):
        if path.resolve() in known:
            return known[path.resolve()]
    raise RecordingError(f"There is no recording {recording} in {folder}.")


def _began(path: Path) -> tuple[str, str]:
    try:
        with Recording(path) as recording:
            return recording.header.began[:16].replace("T", " "), recording.header.engine
    except RecordingError:
        return "[red]damaged[/]", ""


def _state(found: Found) -> str:
    return "[green]ended[/]" if found.ended else "[yellow]running or cut off[/]"


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
