"""The command line: the service, talking to it, its health, settings, models, keys, sessions, recordings."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console

from hearsight.ask_command import ask_command
from hearsight.config.reference import reference
from hearsight.config.settings import load_settings
from hearsight.config_command import show_config
from hearsight.doctor import doctor_command
from hearsight.keys_command import keys_app
from hearsight.models_command import models_app
from hearsight.recordings_command import recordings_app
from hearsight.replay_command import replay_command
from hearsight.serve_command import serve_command
from hearsight.sessions_command import sessions_app
from hearsight.startup import ConfigOption, PresetOption, readable_errors
from hearsight.talk_command import talk_command

app = typer.Typer(
    name="hearsight",
    help="A real-time voice-and-vision assistant that you run yourself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.add_typer(models_app)
app.add_typer(sessions_app)
app.add_typer(keys_app)
app.add_typer(recordings_app)
app.command("serve")(serve_command)
app.command("talk")(talk_command)
app.command("ask")(ask_command)
app.command("doctor")(doctor_command)
app.command("replay")(replay_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        Console().print(f"hearsight {version('hearsight')}", highlight=False)
        raise typer.Exit


@app.callback()
def _root(
    shown: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command("config")
def config_command(
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs from the defaults.")] = False,
    described: Annotated[
        bool, typer.Option("--reference", help="All settings there are, described, as Markdown.")
    ] = False,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Show the settings in force and where each comes from."""
    if described:
        Console().file.write(reference())
        return
    with readable_errors():
        show_config(load_settings(preset=preset, config_file=config), Console(), changed_only=changed)


def main() -> None:
    """Entry point of the ``hearsight`` command."""
    app()
