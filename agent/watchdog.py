"""Sees to it that an answer gets somewhere: an engine or a voice that hangs ends it, and not the session.

What counts is time in which nothing happens although something is waited for: not the whole of an answer,
which may be long, nor tools, which have limits of their own, nor a client that does not take what is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hearsight.streams.errors import EngineError

T = TypeVar("T")

STALLED = "The answer was given up: nothing came of it for {patience_s:g} seconds. Please try again."
STALLED_CODE = "engine_stalled"


class Watchdog:
    """Watches one answer.

    Args:
        patience_s: For which nothing may happen; 0: for ever.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._limit: asyncio.Timeout | None = None
        self._resting = 0

    def progress(self) -> None:
        """Something has happened that is no event yet."""
        if self._limit is not None and not self._resting:
            self._limit.reschedule(self._deadline())

    @contextmanager
    def resting(self) -> Iterator[None]:
        """While something is done that has a limit of its own."""
        self._resting += 1
        if self._limit is not None:
            self._limit.reschedule(None)
        try:
            yield
        finally:
            self._resting -= 1
            self.progress()

    async def watch(self, events: AsyncIterator[T]) -> AsyncGenerator[T]:
        """The events as they come.

        Raises:
            EngineError: They stopped coming. What makes them has been cancelled.
        """
        while True:
            limit = asyncio.timeout_at(None if self._resting else self._deadline())
            try:
                async with limit as self._limit:
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                if not limit.expired():
                    raise
                message = STALLED.format(patience_s=self._patience_s)
                raise EngineError(message, code=STALLED_CODE) from error
            finally:
                self._limit = None
            yield event

    def _deadline(self) -> float | None:
        return asyncio.get_running_loop().time() + self._patience_s if self._patience_s else None
