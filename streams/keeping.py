"""Keeps one session's conversation where it outlasts the process, as often as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog

from hearsight.streams.errors import NotKept, Superseded
from hearsight.streams.events import (
    ContentDone,
    ContentStarted,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemTruncated,
    OutputItemDone,
    OutputItemStarted,
    ResponseEnded,
    ResponseStarted,
    SessionConfigured,
    TextDelta,
    TranscriptionCompleted,
)
from hearsight.streams.ports import Keeper, Record

LASTING = (
    ContentDone,
    ContentStarted,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    ItemTruncated,
    OutputItemDone,
    OutputItemStarted,
    ResponseEnded,
    ResponseStarted,
    SessionConfigured,
    TranscriptionCompleted,
)
"""What a client may rely on once it was told, whatever becomes of this process."""
CHANGING = (*LASTING, TextDelta)
"""What changes the conversation: the client is told after it has been kept."""

PATIENCE_S = 5.0
"""Time that writing a record may take; a disk that hangs is one that fails."""
RETRY_S = 1.0
"""Time after which what could not be kept is tried again."""
FAILING = (
    "This conversation cannot be kept at the moment. It goes on, but what is said until that is mended would "
    "be lost in a restart."
)

log = structlog.get_logger(__name__)


class Keeping:
    """Writes a session's record whenever something of it has changed, and says when that is safe.

    What changes while a record is being written goes into the next one, so that a slow disk makes for fewer
    records and not for a queue. A disk that fails costs what it would have kept, and not the conversation: it
    is tried again every now and then, and nobody waits for it meanwhile. Once the conversation goes on
    elsewhere, nothing more is written.

    Args:
        session_id: Whose conversation it is.
        keeper: Where it is kept.
        snapshot: Makes the record, at a moment that suits it; None while there is nothing worth keeping.
        revision: Of the record that the session goes on from.
        done: Told of each record that was kept.
        patience_s: See `PATIENCE_S`.
        retry_s: See `RETRY_S`.
    """

    def __init__(
        self,
        session_id: str,
        keeper: Keeper,
        snapshot: Callable[[], Awaitable[Record | None]],
        revision: str = "",
        *,
        done: Callable[[Record], None] = lambda _: None,
        patience_s: float = PATIENCE_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self._patience_s = patience_s
        self._retry_s = retry_s
        self._session_id = session_id
        self._keeper = keeper
        self._snapshot = snapshot
        self._done = done
        self._revision = revision
        self._changes = 0
        self._kept = 0
        self._progress = asyncio.Event()
        self._closing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._trouble: NotKept | None = None
        self._refusal: Superseded | None = None

    def changed(self) -> None:
        """Something has changed: keep it, without waiting."""
        self._changes += 1
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name=f"keep {self._session_id}")

    async def kept(self) -> None:
        """Wait until all changes so far are safe.

        Raises:
            NotKept: They could not be made so; once they are, later calls return again.
            Superseded: The conversation goes on elsewhere.
        """
        target = self._changes
        while self._kept < target and self._refusal is None:
            if self._trouble is not None:
                raise self._trouble
            await self._progress.wait()
        if self._refusal is not None:
            raise self._refusal

    async def note(self, call_id: str, result: Mapping[str, Any]) -> None:
        """Keep what a call has returned, without the rest; what fails is left to the next record."""
        if not self._revision or self._refusal is not None:
            return
        try:
            async with asyncio.timeout(self._patience_s):
                await self._keeper.note(self._session_id, self._revision, call_id, result)
        # The record that follows has the result as well, and tells of whatever is wrong.
        except Exception as error:
            log.warning("tool result not noted", session_id=self._session_id, call_id=call_id, exc_info=error)

    async def owned(self) -> bool:
        """Whether the conversation is still this session's; a store that is away takes it from nobody."""
        if self._refusal is not None:
            return False
        if not self._revision:
            return True
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._keeper.owns(self._session_id, self._revision)
        except Exception as error:
            log.warning("conversation's owner not known", session_id=self._session_id, exc_info=error)
            return True

    async def aclose(self) -> None:
        """Keep what has changed; no task remains."""
        self._closing.set()
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        while self._kept < self._changes and self._refusal is None:
            if self._trouble is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), self._retry_s)
            upto = self._changes
            if await self._keep():
                self._kept = upto
            progress, self._progress = self._progress, asyncio.Event()
            progress.set()
            if self._trouble is not None and self._closing.is_set():
                break
        self._writer = None

    async def _keep(self) -> bool:
        try:
            async with asyncio.timeout(self._patience_s):
                record = await self._snapshot()
                if record is not None:
                    self._revision = await self._keeper.keep(self._session_id, record, self._revision)
                    self._done(record)
        except Superseded as error:
            log.warning("conversation goes on elsewhere", session_id=self._session_id, reason=error.message)
            self._refusal = error
            return False
        # Whatever is wrong with the store, people go on talking; the log says it once and not at every word.
        except Exception as error:
            if self._trouble is None:
                log.error("conversation not kept", session_id=self._session_id, exc_info=error)
            self._trouble = error if isinstance(error, NotKept) else NotKept(FAILING)
            return False
        if self._trouble is not None:
            log.info("conversation kept again", session_id=self._session_id)
            self._trouble = None
        return True
