"""``hearsight serve``: the service in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Annotated

import typer
from rich.console import Console

from hearsight.addresses import REALTIME_PATH, reachable_host
from hearsight.config.payloads import PayloadStore
from hearsight.config.settings import Settings, load_settings
from hearsight.loading import fetch_models
from hearsight.logs import configure_logging
from hearsight.startup import ConfigOption, PresetOption, readable_errors


def serve_command(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes any free one.")] = None,
    engine: Annotated[str | None, typer.Option(help="Who answers: embedded, gemma3n or scripted.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing.")] = False,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Start the assistant. The first start fetches the models; later ones need no network."""
    console = Console(stderr=True)
    with readable_errors():
        overrides = {
            "server.host": host,
            "server.port": port,
            "engine.name": engine,
            "models.offline": offline or None,
        }
        settings = load_settings(preset=preset, config_file=config, overrides=overrides).settings
        configure_logging(settings.log)
        store = fetch_models(settings, console)
        asyncio.run(_serve(settings, store, console))


async def _serve(settings: Settings, store: PayloadStore, console: Console) -> None:
    """Listen first and load then: a taken port is told at once, and whoever probes is told to wait."""
    from hearsight.compose import Service, new_server, open_service, server_options
    from hearsight.listening import listening
    from hearsight.streams.server import serve

    started_s = time.perf_counter()
    loaded: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
    options = server_options(settings)
    server = new_server(settings, options, lambda *who: loaded.result().new_runtime(*who))
    address = f"{options.host} port {options.port}"
    async with AsyncExitStack() as opened, listening(server, serve(server), address=address) as serving:
        with console.status(f"Loading the {settings.engine.name} engine …"):
            service = await opened.enter_async_context(open_service(settings, store))
        if serving.done():
            return
        loaded.set_result(service)
        server.sessions.keeper = service.options.keeper
        server.readiness.reason = None
        _greet(settings, server.port, time.perf_counter() - started_s, console)
        await serving


def _greet(settings: Settings, port: int, loaded_in_s: float, console: Console) -> None:
    at = f"{reachable_host(settings.server.host)}:{port}"
    engine = settings.engine.name
    for line in (
        f"[bold]Hearsight[/bold] listens: the {engine} engine took {loaded_in_s:.1f} s to load.",
        f"  realtime  ws://{at}{REALTIME_PATH}",
        f"  state     http://{at}/readyz",
        '  try it    hearsight ask --text "What time is it?"   (in another terminal; Ctrl-C stops this one)',
    ):
        console.print(line, highlight=False, soft_wrap=True)
