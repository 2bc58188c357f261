"""How late the event loop is: what waits for it waits at least so long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

EVERY_S: Final = 0.25


class _Watch:
    """Measures until it is stopped."""

    def __init__(self, note: Callable[[float], None], every_s: float) -> None:
        self._note = note
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()
        self._timer = self._wait()

    def _wait(self) -> asyncio.TimerHandle:
        due_s = self._loop.time() + self._every_s
        return self._loop.call_at(due_s, self._measure, due_s)

    def _measure(self, due_s: float) -> None:
        self._note(max(0.0, self._loop.time() - due_s))
        self._timer = self._wait()

    def stop(self) -> None:
        """Measure no more."""
        self._timer.cancel()


@contextmanager
def watched_loop(note: Callable[[float], None], every_s: float = EVERY_S) -> Iterator[None]:
    """Measure the running loop while the block runs.

    Args:
        note: Is given by how many seconds the loop was late.
        every_s: Seconds between two measurements.
    """
    watch = _Watch(note, every_s)
    try:
        yield
    finally:
        watch.stop()
