"""One after another, some before others: who may use what only one can use at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """A lock for which those in a hurry need not queue."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False

    @asynccontextmanager
    async def turn(self, *, first: bool = False) -> AsyncIterator[None]:
        """Wait, and have it.

        Args:
            first: Before all who are waiting.
        """
        if self._taken:
            await self._wait(first)
        self._taken = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, first: bool) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:
            self._waiting.appendleft(waiter)
        else:
            self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._pass_on()  # it was given to us at the moment at which we left
            raise

    def _pass_on(self) -> None:
        """It stays taken where somebody waits, lest a newcomer slip in."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._taken = False
