"""``hearsight talk``: a conversation over this machine's own microphone, speaker and camera."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hearsight.config.errors import StartupError
from hearsight.config.settings import load_settings
from hearsight.loading import fetch_models
from hearsight.local_devices import check_devices, read_files
from hearsight.local_talk import LocalTalk
from hearsight.logs import configure_logging
from hearsight.startup import ConfigOption, PresetOption, readable_errors
from hearsight.streams.errors import HearsightError
from hearsight.streams.events import OUTPUT_RATE_HZ, Samples
from hearsight.streams.local.system import NONE, SCREEN
from hearsight.wav import WavWriter


def talk_command(
    microphone: Annotated[str | None, typer.Option("--microphone", "-m", help="Its name or number.")] = None,
    speaker: Annotated[str | None, typer.Option(help="Its name or number; none for no sound.")] = None,
    camera: Annotated[str | None, typer.Option(help="Its name or number.")] = None,
    no_camera: Annotated[bool, typer.Option("--no-camera", help="Do not look.")] = False,
    screen: Annotated[bool, typer.Option("--screen", help="Look at this machine's screen.")] = False,
    audio_file: Annotated[
        Path | None, typer.Option(help="A WAV file to be heard in place of a microphone, in real time.")
    ] = None,
    video_file: Annotated[Path | None, typer.Option(help="A film to be seen in place of a camera.")] = None,
    save: Annotated[Path | None, typer.Option(help="Where to write what is spoken, as WAV.")] = None,
    push_to_talk: Annotated[
        bool, typer.Option("--push-to-talk", help="Listen only between two presses of the space bar.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="One line per event, for logs and programs.")
    ] = False,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Talk with the assistant over this machine's microphone, speaker and camera.

    What you type is taken as well. `hearsight doctor` lists the devices. With a recording in place of the
    microphone, the conversation ends after its last answer.
    """
    console = Console()
    with readable_errors():
        if sum((screen, no_camera, camera is not None, video_file is not None)) > 1:
            raise StartupError("Give one of --camera, --screen, --video-file and --no-camera.")
        overrides = {
            "local.microphone": microphone,
            "local.speaker": speaker,
            "local.camera": NONE if no_camera else SCREEN if screen else camera,
        }
        settings = load_settings(preset=preset, config_file=config, overrides=overrides).settings
        on_screen = console.is_terminal and sys.stdin.isatty() and not plain
        configure_logging(settings.log.model_copy(update={"level": "error" if on_screen else "warning"}))
        try:
            files = read_files(audio_file, video_file)
            if files.speech is not None and push_to_talk:
                raise StartupError("Give either --audio-file or --push-to-talk: a recording presses no keys.")
            if files.speech is None and settings.local.microphone == NONE and not sys.stdin.isatty():
                raise StartupError(
                    "There is nothing to listen to: no microphone, no --audio-file, no terminal to type in."
                )
            check_devices(settings.local, files)
            store = fetch_models(settings, Console(stderr=True))
            with ExitStack() as opened:
                record = opened.enter_context(_saving(save))
                talk = LocalTalk(
                    settings, files, console, record, push_to_talk=push_to_talk, on_screen=on_screen
                )
                asyncio.run(talk.run(store))
        except HearsightError as error:
            raise StartupError(error.message) from error
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        if save is not None:
            console.print(f"What was spoken is in {save}.", highlight=False, markup=False, soft_wrap=True)


@contextmanager
def _saving(path: Path | None) -> Iterator[Callable[[Samples], None]]:
    """Gives what writes samples to the file; nothing is written without one."""
    if path is None:
        yield lambda samples: None
        return
    try:
        writer = WavWriter(path, OUTPUT_RATE_HZ)
    except OSError as error:
        raise StartupError(f"What is spoken cannot be saved as '{path}': {error.strerror}.") from error
    try:
        yield writer.write
    finally:
        writer.close()
