"""How late the event loop is: what waits for it waits at least so long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

EVERY_S: Final = 0.25


@contextmanager
def watched_loop(note: Callable[[float], None], every_s: float = EVERY_S) -> Iterator[None]:
    """Measure the running loop while the block runs.

    Args:
        note: Is given by how many seconds the loop was late.
        every_s: Seconds between two measurements.
    """
    loop = asyncio.get_running_loop()

    def measure(due_s: float) -> None:
        nonlocal timer
        now_s = loop.time()
        note(max(0.0, now_s - due_s))
        timer = loop.call_at(now_s + every_s, measure, now_s + every_s)

    due_s = loop.time() + every_s
    timer = loop.call_at(due_s, measure, due_s)
    try:
        yield
    finally:
        timer.cancel()
