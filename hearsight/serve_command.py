"""``hearsight serve``: the service in the foreground, until it is told to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from hearsight.addresses import REALTIME_PATH, service_url
from hearsight.certificates import Certificate, find_certificate, server_context
from hearsight.config.payloads import PayloadStore
from hearsight.config.settings import Settings, load_settings
from hearsight.guard import require_key
from hearsight.loading import fetch_models
from hearsight.logs import configure_logging
from hearsight.startup import ConfigOption, PresetOption, readable_errors


def serve_command(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes any free one.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="Who answers: embedded, gemma3n, openai or scripted.")
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Encrypt, with a certificate made for this machine.")
    ] = False,
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
            "server.tls": "self-signed" if tls else None,
            "engine.name": engine,
            "models.offline": offline or None,
        }
        settings = load_settings(preset=preset, config_file=config, overrides=overrides).settings
        configure_logging(settings.log)
        require_key(settings.server)
        store = fetch_models(settings, console)
        asyncio.run(_serve(settings, store, console))


async def _serve(settings: Settings, store: PayloadStore, console: Console) -> None:
    """Listen first and load then: a taken port is told at once, and whoever probes is told to wait."""
    from hearsight.compose import Service, new_server, open_service
    from hearsight.listening import listening
    from hearsight.options import server_options
    from hearsight.streams.server import serve

    started_s = time.perf_counter()
    loaded: asyncio.Future[Service] = asyncio.get_running_loop().create_future()
    certificate = find_certificate(settings.server)
    options = replace(server_options(settings), tls=server_context(certificate))
    server = new_server(settings, options, lambda *who: loaded.result().new_runtime(*who))
    address = f"{options.host} port {options.port}"
    async with AsyncExitStack() as opened, listening(server, serve(server), address=address) as serving:
        with console.status(f"Loading the {settings.engine.name} engine …"):
            service = await opened.enter_async_context(
                open_service(settings, store, loading=server.readiness.load)
            )
        if serving.done():
            return
        loaded.set_result(service)
        server.sessions.keeper = service.options.keeper
        server.readiness.reason = None
        console.print(
            f"[bold]Hearsight[/bold] listens: the {settings.engine.name} engine took "
            f"{time.perf_counter() - started_s:.1f} s to load.",
            highlight=False,
        )
        for line in _addresses(settings, server.port, certificate):
            console.print(Text(line), soft_wrap=True)
        await serving


def _addresses(settings: Settings, port: int, certificate: Certificate | None) -> Iterator[str]:
    """Where to find what."""
    web = service_url(settings.server, "http", port)
    yield f"  page      {web}/"
    yield f"  realtime  {service_url(settings.server, 'ws', port)}{REALTIME_PATH}"
    in_python = "" if certificate is not None else "; in Python, they need --tls"
    yield f"  gemini    {web}   (the base_url of its clients{in_python})"
    yield f"  state     {web}/readyz"
    if certificate is not None and certificate.trust is not None:
        yield f"  trust     SSL_CERT_FILE={certificate.trust}   (for clients on this machine)"
    yield '  try it    hearsight ask --text "What time is it?"   (in another terminal; Ctrl-C stops this one)'
