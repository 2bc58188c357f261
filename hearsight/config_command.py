"""``hearsight config``: every setting in force, and where its value came from."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hearsight.config.settings import DEFAULT_ORIGIN, Loaded


def show_config(loaded: Loaded, console: Console, *, changed_only: bool = False) -> None:
    """Print the settings, secrets masked.

    A terminal gets a table; anything else gets one line a setting, its key, value and origin separated by
    tabs, which `grep` and `cut` can work on.

    Args:
        loaded: The settings and their origins.
        console: Where to print.
        changed_only: Leave out what has its default.
    """
    rows = [
        (key, value, loaded.origins[key])
        for key, value in loaded.shown().items()
        if not (changed_only and loaded.origins[key] == DEFAULT_ORIGIN)
    ]
    if not console.is_terminal:
        for row in rows:
            # Past rich, which would turn the tabs into blanks.
            console.file.write("\t".join(cell.replace("\n", "\\n") for cell in row) + "\n")
        return
    console.print(_table(rows))


def _table(rows: list[tuple[str, str, str]]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    section = None
    for key, value, origin in rows:
        if section not in (None, key.partition(".")[0]):
            table.add_row()
        section = key.partition(".")[0]
        style = "dim" if origin == DEFAULT_ORIGIN else ""
        table.add_row(key, Text(value), Text(origin), style=style)
    return table
