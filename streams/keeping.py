"""Keeps one session's conversation where it outlasts the process, as often as it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

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

log = structlog.get_logger(__name__)


class Keeping:
    """Writes a session's record whenever something of it has changed, and says when that is safe.

    What changes while a record is being written goes into the next one, so that a slow disk makes for fewer
    records and not for a queue. A disk that fails costs what it would have kept, and not the conversation.

    Args:
        session_id: Whose conversation it is.
        keeper: Where it is kept.
        snapshot: Makes the record, at a moment that suits it; None while there is nothing worth keeping.
        revision: Of the record that the session goes on from.
        patience_s: See `PATIENCE_S`.
    """

    def __init__(
        self,
        session_id: str,
        keeper: Keeper,
        snapshot: Callable[[], Awaitable[Record | None]],
        revision: str = "",
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._session_id = session_id
        self._keeper = keeper
        self._snapshot = snapshot
        self._revision = revision
        self._changes = 0
        self._kept = 0
        self._progress = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._failing = False

    def changed(self) -> None:
        """Something has changed: keep it, without waiting."""
        self._changes += 1
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name=f"keep {self._session_id}")

    async def kept(self) -> None:
        """Wait until all changes so far are safe, or could not be made so."""
        target = self._changes
        while self._kept < target:
            await self._progress.wait()

    async def aclose(self) -> None:
        """Keep what has changed; no task remains."""
        if self._writer is not None:
            await self._writer

    async def _write(self) -> None:
        while self._kept < self._changes:
            upto = self._changes
            await self._keep()
            self._kept = upto
            progress, self._progress = self._progress, asyncio.Event()
            progress.set()
        self._writer = None

    async def _keep(self) -> None:
        try:
            async with asyncio.timeout(self._patience_s):
                record = await self._snapshot()
                if record is not None:
                    self._revision = await self._keeper.keep(self._session_id, record, self._revision)
        # Whatever is wrong with the store, people go on talking; the log says it once and not at every word.
        except Exception as error:
            if not self._failing:
                log.error("conversation not kept", session_id=self._session_id, exc_info=error)
            self._failing = True
        else:
            self._failing = False
