"""``hearsight sessions``: the conversations that are kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from hearsight.config.errors import ConfigError
from hearsight.config.settings import Settings, load_settings
from hearsight.startup import ConfigOption, PresetOption, readable_errors
from hearsight.streams.errors import HearsightError
from hearsight.streams.events import Item
from hearsight.streams.ids import SHOWN_CHARS
from hearsight.streams.ports import Record
from hearsight.streams.session.state import SessionState

if TYPE_CHECKING:  # they bring langgraph, which the other commands need not wait for
    from hearsight.agent.checkpoints import Checkpoints, Kept

sessions_app = typer.Typer(
    name="sessions",
    help="List, show, export and delete the conversations that are kept.",
    no_args_is_help=True,
)

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="Its id, or how the id begins.")]


@sessions_app.command("list")
def list_sessions(config: ConfigOption = None, preset: PresetOption = None) -> None:
    """List the conversations, the latest last."""

    async def work(checkpoints: Checkpoints) -> None:
        found = sorted([kept for kept in await checkpoints.all()], key=lambda kept: kept.updated_at)
        console = Console()
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("session", no_wrap=True)
        table.add_column("last word", no_wrap=True)
        table.add_column("turns", justify="right")
        table.add_column("began with", overflow="ellipsis", no_wrap=True)
        for kept in found:
            when = kept.updated_at.astimezone().strftime("%Y-%m-%d %H:%M")
            table.add_row(kept.session_id[:SHOWN_CHARS], when, str(kept.turns), Text(kept.title))
        if found:
            console.print(table)
        console.print(f"{len(found)} kept.", highlight=False)

    _run(work, config, preset)


@sessions_app.command()
def show(session: SessionId, config: ConfigOption = None, preset: PresetOption = None) -> None:
    """Print a conversation."""

    async def work(checkpoints: Checkpoints) -> None:
        _, record = await _find(checkpoints, session)
        console = Console()
        for item in SessionState.from_json(record.session).items:
            console.print(line_of(item), soft_wrap=True)

    _run(work, config, preset)


@sessions_app.command()
def export(
    session: SessionId,
    to: Annotated[Path | None, typer.Option("--to", help="Where to; standard output, unless given.")] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Write a conversation as JSON: its items, and the messages as the model has them."""

    async def work(checkpoints: Checkpoints) -> None:
        kept, record = await _find(checkpoints, session)
        written = json.dumps(as_json(kept, record), ensure_ascii=False, indent=2)
        if to is None:
            Console().file.write(f"{written}\n")
            return
        try:
            await asyncio.to_thread(to.write_text, f"{written}\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{to} cannot be written: {error.strerror}.") from error

    _run(work, config, preset)


@sessions_app.command()
def delete(
    sessions: Annotated[
        list[str] | None, typer.Argument(metavar="[SESSION]...", help="Their ids, or how the ids begin.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Delete every conversation.")] = False,
    older_than_days: Annotated[
        float | None, typer.Option("--older-than", metavar="DAYS", min=0, help="Those without a word since.")
    ] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Delete conversations, without asking."""

    async def work(checkpoints: Checkpoints) -> None:
        if sum((bool(sessions), every, older_than_days is not None)) != 1:
            raise ConfigError("Say which conversations to delete: their ids, --older-than DAYS, or --all.")
        if sessions:
            ids = [(await _find(checkpoints, session))[0].session_id for session in sessions]
            for session_id in ids:
                await checkpoints.forget(session_id)
            count = len(ids)
        else:
            count = await checkpoints.forget_older(datetime.now(UTC) - timedelta(days=older_than_days or 0.0))
        Console().print(f"Deleted {count}.", highlight=False)

    _run(work, config, preset)


def line_of(item: Item) -> Text:
    """One item of a conversation, as it is shown."""
    if item.call is not None and item.kind != "function_call_output":
        outcome = item.error if item.error is not None else item.output
        shown = f"{item.call.name} {item.call.arguments}" + (f" → {outcome}" if outcome is not None else "")
        return Text("  tool  ", "yellow") + Text(shown, "default")
    if item.kind == "function_call_output":
        return Text("result  ", "yellow") + Text(item.output or "", "default")
    who = {"user": ("   you  ", "cyan"), "assistant": ("answer  ", "green"), "system": ("system  ", "dim")}
    rest = " (interrupted)" if item.status == "incomplete" else ""
    return Text(*who[item.role]) + Text(item.text or "(nothing in words)", "default") + Text(rest, "dim")


def as_json(kept: Kept, record: Record) -> dict[str, Any]:
    """A conversation to take elsewhere; it lacks what would let its reader go on with the session."""
    from langchain_core.messages import messages_to_dict

    return {
        "began_with": kept.title,
        "updated_at": kept.updated_at.isoformat(),
        "items": record.session["items"],
        "messages": messages_to_dict(record.agent["messages"]),
    }


async def _find(checkpoints: Checkpoints, wanted: str) -> tuple[Kept, Record]:
    """The one conversation whose id begins like this."""
    found = [kept for kept in await checkpoints.all() if kept.session_id.startswith(wanted)]
    if len(found) != 1:
        many = f"{len(found)} conversations begin with" if found else "No conversation is called"
        raise ConfigError(f"{many} {wanted}; `hearsight sessions list` shows them.")
    record = await checkpoints.find(found[0].session_id)
    if record is None:
        raise ConfigError(f"The conversation {wanted} has just been deleted.")
    return found[0], record


def _run(work: Callable[[Checkpoints], Awaitable[None]], config: Path | None, preset: str | None) -> None:
    with readable_errors():
        settings = load_settings(preset=preset, config_file=config).settings
        asyncio.run(_work(settings, work))


async def _work(settings: Settings, work: Callable[[Checkpoints], Awaitable[None]]) -> None:
    async with _opened(settings) as checkpoints:
        try:
            await work(checkpoints)
        except HearsightError as error:
            raise ConfigError(error.message) from error


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Checkpoints]:
    from hearsight.conversation_store import open_conversations

    # Whoever looks deletes nothing on the way, however old it is.
    looked_at = settings.conversations.model_copy(update={"keep_days": 0})
    async with open_conversations(looked_at) as checkpoints:
        if checkpoints is None:
            raise ConfigError("No conversations are kept: conversations.store is none.")
        yield checkpoints
