"""Conversations as LangGraph checkpoints: one thread a session, one checkpoint a thread, the newest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple, empty_checkpoint

from hearsight.agent.messages import blocks
from hearsight.streams.errors import StateConflict
from hearsight.streams.ports import Record

FORMAT: Final = 1
"""Of the ``hearsight`` channel; another one is not understood."""
TITLE_CHARS: Final = 60

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """A conversation that is kept, as it stands in a list."""

    session_id: str
    title: str
    """How the user began."""
    turns: int
    """Messages of the user."""
    updated_at: datetime


class Checkpoints:
    """Implements ``hearsight.streams.ports.Keeper``.

    The channel ``messages`` holds the conversation as LangChain messages, so that any graph with such a
    channel reads it as a thread of its own; ``hearsight`` holds what only this service needs. A conversation
    has one checkpoint, which every change replaces: what it was a minute ago, nobody has asked for yet.

    Args:
        saver: Of LangGraph's; the caller opens and closes it.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        self.saver: Final = saver

    async def keep(self, session_id: str, record: Record, revision: str = "") -> str:
        """Put a conversation in the place of what was kept of it before.

        Args:
            session_id: Whose it is.
            record: The conversation.
            revision: What the last call for it returned; empty at first.
        """
        agent = dict(record.agent)
        messages: list[BaseMessage] = agent.pop("messages")
        checkpoint = empty_checkpoint()
        checkpoint["id"] = self._id(checkpoint["id"], revision)
        checkpoint["channel_values"] = {
            "messages": messages,
            "hearsight": {
                "format": FORMAT,
                "session": record.session,
                "agent": agent,
                "wire": record.wire,
            },
        }
        version = self.saver.get_next_version(None, None)
        checkpoint["channel_versions"] = dict.fromkeys(checkpoint["channel_values"], version)
        metadata: Any = {
            "source": "update",
            "step": len(messages),
            "title": _title(messages),
            "turns": sum(isinstance(message, HumanMessage) for message in messages),
            "updated_at": checkpoint["ts"],
        }
        await self.saver.aput(_thread(session_id), checkpoint, metadata, checkpoint["channel_versions"])
        return checkpoint["id"]

    def _id(self, new: str, revision: str) -> str:
        """The id of the next checkpoint: the same as before, so that it replaces that one."""
        return revision or new

    async def find(self, session_id: str) -> Record | None:
        """A conversation that was kept; None when there is none.

        Raises:
            StateConflict: It cannot be read.
        """
        try:
            found = await self.saver.aget_tuple(_thread(session_id))
            if found is None:
                return None
            values = found.checkpoint["channel_values"]
            own = values["hearsight"]
            if own["format"] != FORMAT:
                raise ValueError(f"its format is {own['format']}, not {FORMAT}")
            agent = {**own["agent"], "messages": values["messages"]}
            return Record(own["session"], agent, own["wire"], found.checkpoint["id"])
        # A damaged file, or one that another version wrote, fails in as many ways as there are bytes.
        except Exception as error:
            _log.error("conversation not readable", session_id=session_id, exc_info=error)
            raise StateConflict(
                "This conversation was kept, but cannot be read any more; please open a new session.",
                code="session_not_readable",
                param="session_id",
            ) from error

    async def all(self) -> list[Kept]:
        """All conversations, in no order."""
        return [_kept(found) async for found in self.saver.alist(None) if _is_root(found)]

    async def forget(self, session_id: str) -> None:
        """Delete a conversation; one that is not there is no error."""
        await self.saver.adelete_thread(session_id)

    async def forget_older(self, than: datetime) -> int:
        """Delete the conversations that were last changed before a time; returns how many."""
        old = [kept.session_id for kept in await self.all() if kept.updated_at < than]
        for session_id in old:
            await self.forget(session_id)
        return len(old)


def _is_root(found: CheckpointTuple) -> bool:
    """Whether it is a conversation's, and not of a graph inside another one."""
    return not found.config["configurable"].get("checkpoint_ns")


def _kept(found: CheckpointTuple) -> Kept:
    about: Any = found.metadata
    return Kept(
        found.config["configurable"]["thread_id"],
        about.get("title", ""),
        about.get("turns", 0),
        datetime.fromisoformat(about.get("updated_at") or found.checkpoint["ts"]),
    )


def _thread(session_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": session_id, "checkpoint_ns": ""}}


def _title(messages: Sequence[BaseMessage]) -> str:
    """How the user began, in a few words."""
    for message in messages:
        if isinstance(message, HumanMessage):
            said = (block.get("text") or block.get("transcript") or "" for block in blocks(message))
            if text := " ".join(filter(None, said)).strip():
                return text if len(text) <= TITLE_CHARS else f"{text[:TITLE_CHARS]}…"
    return ""
