"""What every command does first: read the settings, and tell in one message why it cannot go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from hearsight.config.errors import ConfigError, StartupError

EXIT_FAILED = 1
EXIT_MISUSED = 2
"""Exit status where the settings are at fault, as for a wrong flag."""

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="Your own TOML file.", envvar="HEARSIGHT_CONFIG", dir_okay=False),
]
PresetOption = Annotated[
    str | None,
    typer.Option("--preset", help="Shipped settings: default, gemma3n or vllm.", envvar="HEARSIGHT_PRESET"),
]


@contextmanager
def readable_errors() -> Iterator[None]:
    """End the command with one message for a `StartupError`, in place of a traceback.

    Raises:
        typer.Exit: With status 2 for settings at fault, 1 for anything else.
    """
    try:
        yield
    except StartupError as error:
        console = Console(stderr=True, soft_wrap=True)
        for line in str(error).splitlines():
            console.print(Text.assemble(("error: ", "bold red"), line))
        raise typer.Exit(EXIT_MISUSED if isinstance(error, ConfigError) else EXIT_FAILED) from error
