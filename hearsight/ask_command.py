"""``hearsight ask``: one question from files, to a running server or to an engine loaded for it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hearsight.addresses import REALTIME_PATH, realtime_url, running_server
from hearsight.asking import Question, Reply, ask, read_question
from hearsight.certificates import client_context
from hearsight.config.errors import StartupError
from hearsight.config.payloads import PayloadStore
from hearsight.config.settings import Settings, load_settings
from hearsight.loading import fetch_models
from hearsight.logs import configure_logging
from hearsight.startup import ConfigOption, PresetOption, readable_errors
from hearsight.streams.errors import HearsightError
from hearsight.streams.events import OUTPUT_RATE_HZ, Samples
from hearsight.wav import write_wav

TOKEN_KINDS = {"text_tokens": "text", "audio_tokens": "audio", "image_tokens": "image"}


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
        str | None, typer.Option(help="The server's bearer token; else the first of server.api_keys.")
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
        if server is not None and in_process:
            raise StartupError("Give either --server or --in-process: they contradict each other.")
        settings = load_settings(preset=preset, config_file=config).settings
        configure_logging(settings.log.model_copy(update={"level": "warning"}))
        if api_key is None and settings.server.api_keys:
            api_key = settings.server.api_keys[0].get_secret_value()
        try:
            question = read_question(speech, text, pictures or ())
            url = realtime_url(server) if server is not None else None
            if url is None and not in_process:
                url = running_server(settings.server)
            if url is not None:
                encrypted = url.startswith("wss:")
                tls = client_context(settings.server, own=server is None) if encrypted else None
                reply = asyncio.run(ask(url, question, api_key=api_key, tls=tls))
            else:
                progress = Console(stderr=True)
                store = fetch_models(settings, progress)
                reply = asyncio.run(_ask_here(settings, store, question, progress))
        except HearsightError as error:
            raise StartupError(error.message) from error
        show_reply(reply, console)
        if save is not None:
            _save(save, reply.samples, console)


async def _ask_here(settings: Settings, store: PayloadStore, question: Question, console: Console) -> Reply:
    """Ask over a socket all the same, so that what answers is what a server would."""
    from hearsight.compose import open_service
    from hearsight.listening import listening
    from hearsight.options import server_options

    options = replace(server_options(settings), host="127.0.0.1", port=0, api_keys=(), keys_file=None)
    async with AsyncExitStack() as opened:
        with console.status(f"Loading the {settings.engine.name} engine …"):
            service = await opened.enter_async_context(open_service(settings, store))
        server = service.new_server(options)
        async with listening(server, server.run(), address=options.host):
            server.readiness.reason = None
            return await ask(f"ws://{options.host}:{server.port}{REALTIME_PATH}", question)


def show_reply(reply: Reply, console: Console) -> None:
    """Print what was heard, done and said.

    Args:
        reply: What came back.
        console: Where to print.
    """
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", justify="right")
    rows.add_column(overflow="fold")
    if reply.transcript is not None:
        rows.add_row("you", Text(reply.transcript or "(nothing was heard)"))
    for call in reply.calls:
        outcome = Text(f"{call.name}({call.arguments}) ", style="cyan")
        outcome.append(f"{'→' if call.ok else '✗'} {call.output}", style="" if call.ok else "red")
        rows.add_row("tool", outcome)
    rows.add_row("answer", Text(reply.text or "(nothing was said)", style="bold"))
    for notice in reply.notices:
        rows.add_row("note", Text(notice, style="yellow"))
    for line in filter(None, (_timing(reply), _tokens(reply))):
        rows.add_row("", Text(line, style="dim"))
    console.print(rows)


def _timing(reply: Reply) -> str:
    if reply.first_audio_s is None:
        return ""
    seconds = reply.samples.size / OUTPUT_RATE_HZ
    return f"{seconds:.1f} s of speech, first heard {reply.first_audio_s:.2f} s after the question"


def _tokens(reply: Reply) -> str:
    if not reply.usage:
        return ""
    details = reply.usage["input_token_details"]
    parts = [f"{details[key]} {kind}" for key, kind in TOKEN_KINDS.items() if details[key]]
    if details["cached_tokens"]:
        parts.append(f"{details['cached_tokens']} of them from the cache")
    return f"{reply.usage['input_tokens']} tokens in ({', '.join(parts)}), {reply.usage['output_tokens']} out"


def _save(path: Path, samples: Samples, console: Console) -> None:
    try:
        write_wav(path, samples, OUTPUT_RATE_HZ)
    except OSError as error:
        raise StartupError(f"The answer cannot be saved as '{path}': {error.strerror}.") from error
    console.print(f"The spoken answer is in {path}.", highlight=False, markup=False, soft_wrap=True)
