"""``hearsight ask``: one question from files, to a running server or to an engine loaded for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hearsight.asking import Question, Reply, ask
from hearsight.compose import REALTIME_PATH, open_service, server_options
from hearsight.config.errors import StartupError
from hearsight.config.settings import Settings, load_settings
from hearsight.logs import configure_logging
from hearsight.serve_command import fetch_models
from hearsight.startup import ConfigOption, PresetOption, readable_errors
from hearsight.streams.errors import HearsightError
from hearsight.streams.events import OUTPUT_RATE_HZ
from hearsight.wav import write_wav


def ask_command(
    speech: Annotated[Path | None, typer.Argument(metavar="[WAV]", help="A recorded question.")] = None,
    text: Annotated[str | None, typer.Option("--text", "-t", help="A typed question.")] = None,
    pictures: Annotated[
        list[Path] | None, typer.Option("--picture", "-p", help="A picture to show; may be given often.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Where to write the spoken answer, as WAV.")] = None,
    server: Annotated[
        str | None, typer.Option(help="A server's address, such as ws://127.0.0.1:8765.")
    ] = None,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Load the engine here, even if a server is running.")
    ] = False,
    api_key: Annotated[
        str | None, typer.Option(envvar="HEARSIGHT_API_KEY", help="Bearer token of the server.")
    ] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Ask one question and show the transcript, the tool calls and the answer.

    Without --server, the server of the settings is asked if it runs; else the engine is loaded for this
    question.
    """
    console = Console()
    with readable_errors():
        settings = load_settings(preset=preset, config_file=config).settings
        configure_logging(settings.log.model_copy(update={"level": "warning"}))
        question = Question(speech, text, tuple(pictures or ()))
        if api_key is None and settings.server.api_keys:
            api_key = settings.server.api_keys[0].get_secret_value()
        try:
            reply = asyncio.run(_ask(settings, question, server, in_process=in_process, api_key=api_key))
        except HearsightError as error:
            raise StartupError(error.message) from error
        show_reply(reply, console)
        if save is not None:
            write_wav(save, reply.samples, OUTPUT_RATE_HZ)
            console.print(f"The spoken answer is in {save}.", highlight=False)


async def _ask(
    settings: Settings, question: Question, server: str | None, *, in_process: bool, api_key: str | None
) -> Reply:
    if server is not None:
        url = server if server.endswith(REALTIME_PATH) else server.rstrip("/") + REALTIME_PATH
        return await ask(
            url.replace("http", "ws", 1) if url.startswith("http") else url, question, api_key=api_key
        )
    host, port = settings.server.host, settings.server.port
    if not in_process and await _answers(host, port):
        return await ask(f"ws://{host}:{port}{REALTIME_PATH}", question, api_key=api_key)
    return await _ask_here(settings, question)


async def _answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _ask_here(settings: Settings, question: Question) -> Reply:
    console = Console(stderr=True)
    store = fetch_models(settings, console)
    with console.status(f"Loading the {settings.engine.name} engine …"):
        opening = open_service(settings, store)
        service = await opening.__aenter__()
    try:
        options = replace(server_options(settings), host="127.0.0.1", port=0, api_keys=())
        server = service.new_server(options)
        server.readiness.reason = None
        running = asyncio.create_task(server.run())
        await server.started.wait()
        try:
            return await ask(f"ws://127.0.0.1:{server.port}{REALTIME_PATH}", question)
        finally:
            server.stop()
            await running
    finally:
        await opening.__aexit__(None, None, None)


def show_reply(reply: Reply, console: Console) -> None:
    """Print what was heard, done and said."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", justify="right")
    rows.add_column(overflow="fold")
    if reply.transcript is not None:
        rows.add_row("you", Text(reply.transcript or "(nothing was heard)"))
    for call in reply.calls:
        rows.add_row("tool", Text(f"{call.name}({call.arguments}) → {call.output}", style="cyan"))
    rows.add_row("answer", Text(reply.text or "(silence)", style="bold"))
    seconds = reply.samples.size / OUTPUT_RATE_HZ
    if reply.first_audio_s is not None:
        rows.add_row(
            "", Text(f"{seconds:.1f} s of speech, first heard after {reply.first_audio_s:.2f} s", "dim")
        )
    if reply.usage:
        rows.add_row("", Text(_tokens(reply), style="dim"))
    console.print(rows)


def _tokens(reply: Reply) -> str:
    details = reply.usage.get("input_token_details") or {}
    kinds = (
        ("text", "text_tokens"),
        ("audio", "audio_tokens"),
        ("image", "image_tokens"),
        ("cached", "cached_tokens"),
    )
    parts = [f"{details[key]} {kind}" for kind, key in kinds if details.get(key)]
    return f"{reply.usage.get('input_tokens', 0)} tokens in ({', '.join(parts)}), {reply.usage.get('output_tokens', 0)} out"
