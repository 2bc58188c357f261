"""``hearsight serve``: the service in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Annotated

import typer
from rich.console import Console

from hearsight.compose import REALTIME_PATH, open_service, server_options
from hearsight.config.errors import StartupError
from hearsight.config.payloads import PayloadStore, required_payloads
from hearsight.config.settings import Settings, load_settings
from hearsight.logs import configure_logging
from hearsight.models_command import open_store, pull_with_progress
from hearsight.startup import ConfigOption, PresetOption, readable_errors
from hearsight.streams.server import serve


def serve_command(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes any free one.")] = None,
    engine: Annotated[str | None, typer.Option(help="embedded, gemma3n, openai or scripted.")] = None,
    offline: Annotated[bool | None, typer.Option("--offline", help="Fetch nothing.")] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Start the assistant. The first start fetches the models; later ones need no network."""
    with readable_errors():
        overrides = {
            "server.host": host,
            "server.port": port,
            "engine.name": engine,
            "models.offline": offline,
        }
        settings = load_settings(preset=preset, config_file=config, overrides=overrides).settings
        configure_logging(settings.log)
        console = Console(stderr=True)
        store = fetch_models(settings, console)
        asyncio.run(_serve(settings, store, console))


def fetch_models(settings: Settings, console: Console) -> PayloadStore:
    """Have every model that the settings need on this machine.

    Raises:
        PayloadError: One cannot be had.
    """
    store = open_store(settings)
    pull_with_progress(store, required_payloads(settings, store.manifest), console)
    return store


async def _serve(settings: Settings, store: PayloadStore, console: Console) -> None:
    started_at = time.perf_counter()
    with console.status(f"Loading the {settings.engine.name} engine …"):
        stack = contextlib.AsyncExitStack()
        service = await stack.enter_async_context(open_service(settings, store))
    async with stack:
        server = service.new_server(server_options(settings))
        server.readiness.reason = None
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(_run(server, settings))
            started = tasks.create_task(server.started.wait())
            await asyncio.wait((running, started), return_when=asyncio.FIRST_COMPLETED)
            started.cancel()
            if not running.done():
                _greet(console, settings, server.port, time.perf_counter() - started_at)


async def _run(server, settings: Settings) -> None:  # type: ignore[no-untyped-def]
    try:
        await serve(server)
    except OSError as error:
        raise StartupError(
            f"Cannot listen on {settings.server.host} port {settings.server.port}: {error.strerror}. "
            "Choose another port with --port, or stop what uses it."
        ) from error


def _greet(console: Console, settings: Settings, port: int, seconds: float) -> None:
    host = settings.server.host
    console.print(
        f"[bold]Hearsight[/bold] is listening ({settings.engine.name} engine, {seconds:.1f} s to load)."
    )
    console.print(f"  realtime  ws://{host}:{port}{REALTIME_PATH}", highlight=False)
    console.print(f"  health    http://{host}:{port}/readyz", highlight=False)
    console.print("  try it    hearsight ask question.wav   (in another terminal; Ctrl-C stops the server)")
