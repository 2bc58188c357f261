"""Who is served next where sessions share a model: one after the other, however much each of them wants."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairQueue:
    """Lets in a few at a time; of those that wait, one of each session in turn, and of a session the oldest.

    So a session that asks for a hundred things delays another by one of them and not by a hundred.

    Args:
        at_once: How many may be in.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._at_once = at_once
        self._inside = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        """By session, in the order in which they are served."""

    @property
    def idle(self) -> bool:
        """Whether nobody is in, and nobody waits."""
        return not self._inside and not self._waiting

    @asynccontextmanager
    async def turn(self, session_id: str) -> AsyncIterator[None]:
        """Wait for the session's turn, and keep it for the block."""
        await self._enter(session_id)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, session_id: str) -> None:
        if self._inside < self._at_once:
            self._inside += 1
            return
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(session_id, deque()).append(admitted)
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self._leave()  # let in at this very moment
            else:
                self._give_up(session_id, admitted)
            raise

    def _leave(self) -> None:
        self._inside -= 1
        while self._inside < self._at_once and self._waiting:
            session_id = next(iter(self._waiting))
            queue = self._waiting.pop(session_id)
            admitted = queue.popleft()
            if queue:
                self._waiting[session_id] = queue  # behind the others
            if not admitted.done():
                self._inside += 1
                admitted.set_result(None)

    def _give_up(self, session_id: str, admitted: asyncio.Future[None]) -> None:
        queue = self._waiting.get(session_id)
        if queue is not None and admitted in queue:
            queue.remove(admitted)
            if not queue:
                del self._waiting[session_id]
