"""``hearsight sessions``: the conversations that are kept."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

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
from hearsight.streams.ports import Medium, Record
from hearsight.streams.session.state import SessionState

if TYPE_CHECKING:  # they bring langgraph, which the other commands need not wait for
    from hearsight.agent.checkpoint_form import Kept
    from hearsight.agent.checkpoints import Checkpoints

sessions_app = typer.Typer(
    name="sessions",
    help="List, show, export and delete the conversations that are kept.",
    no_args_is_help=True,
)

_SUFFIXES: Final = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "audio/wav": ".wav",
}

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="Its id, or how the id begins.")]


@sessions_app.command("list")
def list_sessions(config: ConfigOption = None, preset: PresetOption = None) -> None:
    """List the conversations, the latest last."""

    async def work(checkpoints: Checkpoints) -> None:
        found = sorted(await checkpoints.all(), key=_latest_last)
        console = Console()
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("session", no_wrap=True)
        table.add_column("last word", no_wrap=True)
        table.add_column("turns", justify="right")
        table.add_column("began with", overflow="ellipsis", no_wrap=True)
        for kept in found:
            when = kept.updated_at.astimezone().strftime("%Y-%m-%d %H:%M") if kept.updated_at else ""
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
    to: Annotated[
        Path | None,
        typer.Option("--to", help="The file; its media go into a folder beside it. Unless given, no media."),
    ] = None,
    config: ConfigOption = None,
    preset: PresetOption = None,
) -> None:
    """Write a conversation as JSON: its items, the messages as the model has them, and its media."""

    async def work(checkpoints: Checkpoints) -> None:
        kept, record = await _find(checkpoints, session)
        if to is None:
            Console().file.write(_written(as_json(kept, record, {})))
            return
        found = {file_id: await checkpoints.data(medium) for file_id, medium in record.media.items()}
        files = {
            file_id: (file_name(record.media[file_id]), data)
            for file_id, data in found.items()
            if data is not None
        }
        try:
            await asyncio.to_thread(_write, to, _written(as_json(kept, record, files)), dict(files.values()))
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
        if older_than_days is None:
            found = [await _named(checkpoints, session) for session in sessions or ()]
            found = await checkpoints.all() if every else found
            for kept in found:
                await checkpoints.forget(kept.session_id)
            count = len(found)
        else:
            count = await checkpoints.forget_older(datetime.now(UTC) - timedelta(days=older_than_days))
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


def as_json(kept: Kept, record: Record, files: Mapping[str, tuple[str, bytes]]) -> dict[str, Any]:
    """A conversation to take elsewhere; it lacks what would let its reader go on with the session.

    Args:
        kept: How it stands in the list.
        record: The conversation.
        files: Names, and data, of the files that are written of its media, by file id.
    """
    from langchain_core.messages import messages_to_dict

    media = {
        file_id: {name: value for name, value in asdict(medium).items() if name != "data" and value}
        | ({"file": files[file_id][0]} if file_id in files else {})
        for file_id, medium in record.media.items()
    }
    return {
        "began_with": kept.title,
        "updated_at": None if kept.updated_at is None else kept.updated_at.isoformat(),
        "media": media,
        "items": record.session["items"],
        "messages": messages_to_dict(record.agent["messages"]),
    }


def file_name(medium: Medium) -> str:
    """What a medium is called outside of the store."""
    return f"{medium.sha256[:16]}{_SUFFIXES.get(medium.mime_type, '')}"


def _written(exported: dict[str, Any]) -> str:
    return f"{json.dumps(exported, ensure_ascii=False, indent=2)}\n"


def _write(to: Path, written: str, files: Mapping[str, bytes]) -> None:
    to.write_text(written, encoding="utf-8")
    folder = to.with_name(f"{to.stem}.media")
    for name, data in files.items():
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)


async def _named(checkpoints: Checkpoints, wanted: str) -> Kept:
    """The one conversation whose id begins like this, even if it cannot be read."""
    found = [kept for kept in await checkpoints.all() if kept.session_id.startswith(wanted)]
    if len(found) != 1:
        many = f"{len(found)} conversations begin with" if found else "No conversation is called"
        raise ConfigError(f"{many} {wanted}; `hearsight sessions list` shows them.")
    return found[0]


async def _find(checkpoints: Checkpoints, wanted: str) -> tuple[Kept, Record]:
    kept = await _named(checkpoints, wanted)
    record = await checkpoints.find(kept.session_id)
    if record is None:
        raise ConfigError(f"The conversation {wanted} has just been deleted.")
    return kept, record


def _latest_last(kept: Kept) -> float:
    return kept.updated_at.timestamp() if kept.updated_at is not None else 0.0


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
        except sqlite3.Error as error:
            raise ConfigError(
                f"{settings.conversations.path} cannot be read: {error}. What is left of it may be saved by "
                "`sqlite3 FILE .recover`."
            ) from error


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Checkpoints]:
    from hearsight.conversation_store import open_conversations

    # Whoever looks deletes nothing on the way, however old it is.
    async with open_conversations(settings.conversations, tidy=False) as checkpoints:
        if checkpoints is None:
            raise ConfigError("No conversations are kept: conversations.store is none.")
        yield checkpoints
