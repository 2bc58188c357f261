"""``hearsight models``: the model files on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from hearsight.config import payloads
from hearsight.config.errors import PayloadCorrupt, PayloadMissing
from hearsight.config.payloads import PayloadStore, required_payloads
from hearsight.config.settings import Settings, load_settings
from hearsight.extras import missing_from, require_engine
from hearsight.startup import EXIT_FAILED, ConfigOption, PresetOption, readable_errors

models_app = typer.Typer(
    name="models", help="Fetch, list and check the model files on this machine.", no_args_is_help=True
)

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Which; without any, those that the settings need."),
]
All = Annotated[bool, typer.Option("--all", help="Take every model there is.")]

_STYLES: dict[payloads.State, str] = {
    "ready": "green",
    "unverified": "yellow",
    "incomplete": "yellow",
    "missing": "dim",
}


def open_store(settings: Settings) -> PayloadStore:
    """The store of model files that the settings name."""
    return PayloadStore(settings.models.cache_dir, offline=settings.models.offline)


def pull_with_progress(store: PayloadStore, names: Sequence[str], console: Console) -> list[str]:
    """Fetch payloads and draw how far they are; what is optional and fails is told and passed over.

    Args:
        store: The store to fill.
        names: Payloads to have.
        console: Where to draw, standard error as a rule.

    Returns:
        Those of the payloads that are here now.

    Raises:
        PayloadError: If a payload that is needed cannot be had.
    """
    with _drawn(console) as progress:
        skipped = store.pull(names, progress)
    for error in skipped:
        console.print(f"Going on without {error.payload}: {error}", style="yellow", markup=False)
    failed = {error.payload for error in skipped}
    return [name for name in names if name not in failed]


@models_app.command("list")
def list_models(config: ConfigOption = None, preset: PresetOption = None) -> None:
    """List the models: what each is for, and whether it is here."""
    with readable_errors():
        settings = load_settings(preset=preset, config_file=config).settings
        store = open_store(settings)
        needed = required_payloads(settings, store.manifest)
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("model", "state", "needed", "size", "licence", "what it does"):
            table.add_column(heading, justify="right" if heading == "size" else "left")
        for status in store.status():
            payload = status.payload
            table.add_row(
                payload.name,
                f"[{_STYLES[status.state]}]{status.state}",
                ("optional" if payload.optional else "yes") if payload.name in needed else "no",
                f"{payload.bytes / 1e6:,.0f} MB",
                payload.licence,
                payload.purpose,
            )
        if settings.engine.name == "gemma3n":
            table.add_row(*_gemma_row(settings))
        console = Console()
        console.print(table)
        console.print(f"\nThey are kept in {settings.models.cache_dir}", highlight=False, soft_wrap=True)


@models_app.command()
def pull(
    names: Names = None, every: All = False, config: ConfigOption = None, preset: PresetOption = None
) -> None:
    """Fetch models that are not here yet; an interrupted pull goes on where it stopped."""
    with readable_errors():
        settings = load_settings(preset=preset, config_file=config).settings
        store = open_store(settings)
        console = Console(stderr=True)
        here = pull_with_progress(store, _chosen(store, settings, names, every), console)
        console.print(f"Ready in {settings.models.cache_dir}: {', '.join(here)}", soft_wrap=True)
        if settings.engine.name == "gemma3n" and not names:
            _pull_gemma(settings, console)


@models_app.command()
def verify(
    names: Names = None, every: All = False, config: ConfigOption = None, preset: PresetOption = None
) -> None:
    """Read models from the disk and compare every byte with what the manifest pins."""
    with readable_errors():
        settings = load_settings(preset=preset, config_file=config).settings
        store = open_store(settings)
        bad: list[PayloadCorrupt | PayloadMissing] = []
        console = Console(stderr=True)
        with _drawn(console) as progress:
            for name in _chosen(store, settings, names, every):
                try:
                    store.verify(name, progress)
                except (PayloadCorrupt, PayloadMissing) as error:
                    bad.append(error)
        for problem in bad:
            console.print(str(problem), style="red", markup=False, soft_wrap=True)
        if bad:
            raise typer.Exit(EXIT_FAILED)
        console.print("All bytes are as they should be.")


@models_app.command()
def path(
    name: Annotated[str | None, typer.Argument(help="A model; without it, the folder of them all.")] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Print the folder of a model that is here and intact, or of all models."""
    with readable_errors():
        settings = load_settings(preset=preset, config_file=config).settings
        folder: Path = open_store(settings).path(name) if name else settings.models.cache_dir
        typer.echo(folder)


def _gemma_row(settings: Settings) -> tuple[str, ...]:
    name = settings.gemma3n.model
    if missing_from("gemma3n"):
        return name, "[yellow]needs packages", "yes", "", "Gemma", "hears, sees and thinks"
    from hearsight.agent.models.gemma3n.weights import checkpoint_here, weight_bytes

    folder = checkpoint_here(name)
    state = "[green]ready" if folder else "[dim]missing"
    size = f"{weight_bytes(folder) / 1e6:,.0f} MB" if folder else ""
    return name, state, "yes", size, "Gemma", "hears, sees and thinks"


def _pull_gemma(settings: Settings, console: Console) -> None:
    """Fetch Gemma's weights, which have a place and a progress bar of their own."""
    require_engine(settings)
    from hearsight.agent.models.gemma3n.weights import find_checkpoint

    folder = find_checkpoint(settings.gemma3n.model)
    console.print(f"{settings.gemma3n.model} is in {folder}", soft_wrap=True, markup=False)


def _chosen(store: PayloadStore, settings: Settings, names: Sequence[str] | None, every: bool) -> list[str]:
    if every:
        return [payload.name for payload in store.manifest.payloads]
    return list(names or required_payloads(settings, store.manifest))


@contextmanager
def _drawn(console: Console) -> Iterator[payloads.Progress]:
    """A progress callback that draws one bar a payload."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
    tasks: dict[str, TaskID] = {}

    def update(payload: str, bytes_done: int, bytes_total: int) -> None:
        if payload not in tasks:
            tasks[payload] = bars.add_task(payload, total=bytes_total)
        bars.update(tasks[payload], completed=bytes_done)

    with bars:
        yield update
