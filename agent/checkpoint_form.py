"""What a conversation looks like as a LangGraph checkpoint."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    Checkpoint,
    CheckpointTuple,
    empty_checkpoint,
)

from hearsight.agent.claims import Claim
from hearsight.agent.messages import blocks
from hearsight.streams.ports import Medium, Record

FORMAT: Final = 1
"""Of the ``hearsight`` channel; another one is not understood."""
RESULT: Final = "hearsight_result"
"""The channel of results that are noted: LangGraph's pending writes of the checkpoint."""
TITLE_CHARS: Final = 60
DAMAGED: Final = "(cannot be read)"


@dataclass(frozen=True, slots=True)
class Kept:
    """A conversation that is kept, as it stands in a list."""

    session_id: str
    title: str
    """How the user began."""
    turns: int
    """Messages of the user."""
    updated_at: datetime | None
    """None where that cannot be read."""


def as_checkpoint(saver: BaseCheckpointSaver[Any], record: Record) -> tuple[Checkpoint, Any]:
    """A record as a checkpoint with an id of its own, and what a list shows of it."""
    agent = dict(record.agent)
    messages: list[BaseMessage] = agent.pop("messages")
    media = {file_id: asdict(replace(medium, data=None)) for file_id, medium in record.media.items()}
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {
        "messages": messages,
        "hearsight": {
            "format": FORMAT,
            "session": record.session,
            "agent": agent,
            "wire": record.wire,
            "media": media,
        },
    }
    version = saver.get_next_version(None, None)
    checkpoint["channel_versions"] = dict.fromkeys(checkpoint["channel_values"], version)
    metadata: Any = {
        "source": "update",
        "step": len(messages),
        "title": _title(messages),
        "turns": sum(isinstance(message, HumanMessage) for message in messages),
        "updated_at": checkpoint["ts"],
    }
    return checkpoint, metadata


def as_record(found: CheckpointTuple, epoch: int | None) -> Record:
    """A checkpoint as a record; of a conversation that is only looked at, the epoch is None.

    Raises:
        LookupError: Something is missing.
        TypeError: Something is there that does not belong.
        ValueError: It is of another version.
    """
    values = found.checkpoint["channel_values"]
    own = values["hearsight"]
    if own["format"] != FORMAT:
        raise ValueError(f"its format is {own['format']}, not {FORMAT}")
    return Record(
        own["session"],
        {**own["agent"], "messages": values["messages"]},
        own["wire"],
        {file_id: Medium(**medium) for file_id, medium in own.get("media", {}).items()},
        {call_id: value for call_id, channel, value in found.pending_writes or () if channel == RESULT},
        str(Claim(epoch, found.checkpoint["id"])) if epoch is not None else "",
    )


def as_kept(session_id: str, metadata: Any) -> Kept | None:
    """A conversation in the list; None for a checkpoint that another graph has made."""
    try:
        about = metadata if isinstance(metadata, dict) else json.loads(metadata)
        if "updated_at" not in about:
            return None
        updated_at = datetime.fromisoformat(about["updated_at"]).astimezone(UTC)
        return Kept(session_id, str(about["title"]), int(about["turns"]), updated_at)
    except (ValueError, TypeError, KeyError):
        return Kept(session_id, DAMAGED, 0, None)


def _title(messages: Sequence[BaseMessage]) -> str:
    """How the user began, in a few words."""
    text = next(filter(None, map(_said, _of_user(messages))), "")
    return text if len(text) <= TITLE_CHARS else f"{text[:TITLE_CHARS]}…"


def _of_user(messages: Sequence[BaseMessage]) -> Iterator[BaseMessage]:
    return (message for message in messages if isinstance(message, HumanMessage))


def _said(message: BaseMessage) -> str:
    said = (block.get("text") or block.get("transcript") or "" for block in blocks(message))
    return " ".join(filter(None, said)).strip()
