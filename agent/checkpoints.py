"""Conversations as LangGraph checkpoints: one thread a session, one checkpoint a thread, the newest."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Final, TypeVar

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint

from hearsight.agent import claims, payloads
from hearsight.agent.checkpoint_form import RESULT, Kept, as_checkpoint, as_kept, as_record
from hearsight.agent.claims import Claim, Sql
from hearsight.agent.payloads import Payloads
from hearsight.streams.errors import HearsightError, NotKept, StateConflict
from hearsight.streams.ports import NOT_READABLE, Medium, Record

T = TypeVar("T")

MAX_RECALLED_BYTES: Final = 64 * 1024 * 1024
"""Of the media of a conversation that is taken up, the newest first: as much as a session holds at all."""
TRY_LATER: Final = "The conversations that are kept cannot be reached at the moment; try again shortly."

_log = structlog.get_logger(__name__)


class Checkpoints(ABC):
    """Implements ``hearsight.streams.ports.Keeper``, but for what differs from database to database.

    The channel ``messages`` holds the conversation as LangChain messages, so that any graph with such a
    channel reads it as a thread of its own; ``hearsight`` holds what only this service needs. A conversation
    has one checkpoint, which every change replaces: what it was a minute ago, nobody has asked for yet.

    Args:
        saver: Of LangGraph's; the caller opens and closes it.
        media: Where the data are to which messages refer.
        max_media_bytes: What they may take in all, from one tidying to the next.
    """

    SCHEMA: ClassVar[tuple[str, ...]] = (*claims.SCHEMA, *payloads.SCHEMA)
    WRITES: ClassVar[str]
    """LangGraph's table of pending writes."""
    AWAY: ClassVar[tuple[type[Exception], ...]]
    """Errors of a store that cannot be reached, whatever is in it."""
    CANNOT_KEEP: ClassVar[str]
    """What the client is told of such an error."""

    def __init__(self, saver: BaseCheckpointSaver[Any], media: Payloads, max_media_bytes: int) -> None:
        self.saver: Final = saver
        self._media = media
        self._max_media_bytes = max_media_bytes
        self._noted: set[str] = set()
        """Conversations of which results are noted."""

    # --- what differs ---------------------------------------------------------------------------------------

    @abstractmethod
    def _reading(self) -> AbstractAsyncContextManager[Sql]:
        """To look something up."""

    @abstractmethod
    def _transaction(
        self, *, durable: bool = False
    ) -> AbstractAsyncContextManager[tuple[Sql, BaseCheckpointSaver[Any]]]:
        """To change something: all of it or nothing, one after another. The saver comes last: it may commit.

        Args:
            durable: Let it outlast a power failure, too, where that takes longer.
        """

    async def _make_room(self, sql: Sql, session_id: str, checkpoint_id: str) -> None:  # noqa: B027
        """Delete what is left of the checkpoint that is about to be replaced; as a rule, that is nothing."""

    def _seal(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """What to note of a checkpoint, so that spoilt bytes are not taken for what somebody said."""
        return {}

    async def _trying(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do some work, perhaps more than once where the store is away."""
        return await work()

    # --- the keeper -----------------------------------------------------------------------------------------

    async def keep(self, session_id: str, record: Record, revision: str = "") -> str:
        """Put a conversation in the place of what was kept of it before.

        Args:
            session_id: Whose it is.
            record: The conversation.
            revision: What the last call for it returned, or `take_up`; empty at first.

        Raises:
            Superseded: Another has taken it up since, or it was deleted.
            NotKept: It could not be kept, for a reason to tell its client.
        """
        try:
            return await self._trying(lambda: self._keep(session_id, record, revision))
        except self.AWAY as error:
            raise NotKept(self.CANNOT_KEEP) from error

    async def _keep(self, session_id: str, record: Record, revision: str) -> str:
        claim = Claim.parse(revision)
        checkpoint, metadata = as_checkpoint(self.saver, record)
        if claim is not None:
            checkpoint["id"] = claim.checkpoint_id  # so that it replaces that one
        fresh = {medium.sha256: medium.data for medium in record.media.values() if medium.data is not None}
        await self._media.prepare(fresh)
        async with self._transaction() as (sql, saver):
            if claim is not None:
                await claims.hold(sql, session_id, claim)
            epoch = claim.epoch if claim is not None else await claims.take(sql, session_id)
            await self._media.put(sql, fresh)
            await payloads.refer(sql, session_id, {medium.sha256 for medium in record.media.values()})
            if session_id in self._noted:
                await self._forget_notes(sql, session_id, record)
            await self._make_room(sql, session_id, checkpoint["id"])
            metadata |= self._seal(checkpoint)
            await saver.aput(_thread(session_id), checkpoint, metadata, checkpoint["channel_versions"])
        return str(Claim(epoch, checkpoint["id"]))

    async def note(self, session_id: str, revision: str, call_id: str, result: Mapping[str, Any]) -> None:
        """Keep what a call has returned, at once and down to the disk, until a record has it.

        Raises:
            Superseded: Another has taken the conversation up, or it was deleted.
        """
        claim = Claim.parse(revision)
        if claim is None:
            raise ValueError("a conversation that is not kept has no place for results")
        self._noted.add(session_id)
        thread = _thread(session_id)
        thread["configurable"]["checkpoint_id"] = claim.checkpoint_id

        async def write() -> None:
            async with self._transaction(durable=True) as (sql, saver):
                await claims.hold(sql, session_id, claim)
                await saver.aput_writes(thread, [(RESULT, dict(result))], call_id)

        await self._trying(write)

    async def _forget_notes(self, sql: Sql, session_id: str, record: Record) -> None:
        """Delete the results that the record has: of all calls but those that it names as running."""
        running = [call["id"] for call in record.agent.get("running", ())]
        but = f"AND task_id NOT IN ({', '.join('?' * len(running))})" if running else ""
        await sql(
            f"DELETE FROM {self.WRITES} WHERE thread_id = ? AND channel = ? {but}",
            session_id,
            RESULT,
            *running,
        )
        if not running:
            self._noted.discard(session_id)

    async def find(self, session_id: str) -> Record | None:
        """A conversation that was kept, to look at; None when there is none.

        Raises:
            StateConflict: It cannot be read.
            HearsightError: Nothing can be read at the moment.
        """
        return await self._reach(session_id, lambda: self._find(session_id, None))

    async def take_up(self, session_id: str) -> Record | None:
        """A conversation that was kept, to go on with, its media included; whoever had it has it no more.

        Raises:
            StateConflict: It cannot be read.
            HearsightError: Nothing can be read at the moment.
        """
        return await self._reach(session_id, lambda: self._take_up(session_id))

    async def _take_up(self, session_id: str) -> Record | None:
        async with self._transaction() as (sql, _):
            if not await sql("SELECT 1 FROM checkpoints WHERE thread_id = ? LIMIT 1", session_id):
                return None
            epoch = await claims.take(sql, session_id)
        # Only now, when nobody else can write to it any more.
        record = await self._find(session_id, epoch)
        if record is not None and record.results:
            self._noted.add(session_id)
        return None if record is None else replace(record, media=await self._recalled(record.media))

    async def owns(self, session_id: str, revision: str) -> bool:
        """Whether nobody has taken a conversation up since this revision."""
        claim = Claim.parse(revision)
        async with self._reading() as sql:
            return claim is not None and await claims.current(sql, session_id) == claim.epoch

    async def data(self, medium: Medium) -> bytes | None:
        """The data of a medium; None where they are not kept any more."""
        async with self._reading() as sql:
            return await self._media.get(sql, medium.sha256)

    async def _reach(self, session_id: str, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._trying(work)
        except self.AWAY as error:
            raise _away(error) from error
        # A damaged file, or one that another version wrote, fails in as many ways as there are bytes.
        except Exception as error:
            _log.error("conversation not readable", session_id=session_id, exc_info=error)
            raise StateConflict(NOT_READABLE, code="session_not_readable", param="session_id") from error

    async def _find(self, session_id: str, epoch: int | None) -> Record | None:
        found = await self.saver.aget_tuple(_thread(session_id))
        return None if found is None else as_record(found, epoch)

    async def _recalled(self, media: Mapping[str, Medium]) -> dict[str, Medium]:
        left = MAX_RECALLED_BYTES
        found: dict[str, Medium] = {}
        for file_id, medium in reversed(list(media.items())):
            try:
                data = await self.data(medium) if left > 0 else None
            # Without one of its pictures it is still a conversation to go on with; the log has the traceback.
            except Exception as error:
                _log.error("medium not readable", sha256=medium.sha256, exc_info=error)
                data = None
            left -= len(data or b"")
            found[file_id] = replace(medium, data=data)
        return dict(reversed(found.items()))

    # --- the shelf ------------------------------------------------------------------------------------------

    async def all(self) -> list[Kept]:
        """All conversations, in no order.

        Of each, only what stands outside of it is read: a damaged one harms no other.

        Raises:
            HearsightError: They cannot be reached at the moment.
        """
        try:
            async with self._reading() as sql:
                rows = await sql(
                    "SELECT thread_id, metadata FROM checkpoints WHERE checkpoint_ns = '' "
                    "ORDER BY thread_id, checkpoint_id"
                )
        except self.AWAY as error:
            raise _away(error) from error
        found: dict[str, Kept] = {}
        for session_id, metadata in rows:
            kept = as_kept(session_id, metadata)
            if kept is not None:
                found[session_id] = kept
        return list(found.values())

    async def forget(self, session_id: str) -> None:
        """Delete a conversation and its media; one that is not there is no error."""
        async with self._transaction() as (sql, saver):
            await claims.give_up(sql, session_id)
            await self._media.drop(sql, await payloads.release(sql, session_id))
            await saver.adelete_thread(session_id)
        self._noted.discard(session_id)

    async def forget_older(self, than: datetime) -> int:
        """Delete the conversations that were last changed before a time; returns how many."""
        old = [
            kept.session_id
            for kept in await self.all()
            if kept.updated_at is not None and kept.updated_at < than
        ]
        for session_id in old:
            await self.forget(session_id)
        return len(old)

    async def sweep(self) -> int:
        """Delete the media to which nothing refers, and the oldest of too many; returns how many."""
        async with self._transaction() as (sql, _):
            return await self._media.sweep(sql, self._max_media_bytes)


def _thread(session_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": session_id, "checkpoint_ns": ""}}


def _away(error: Exception) -> HearsightError:
    _log.error("conversations away", exc_info=error)
    return HearsightError(TRY_LATER, code="conversations_unavailable")
