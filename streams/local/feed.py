"""From the threads of the sound devices to the event loop: what was heard and what was played, in order."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from hearsight.streams.events import INPUT_RATE_HZ, Samples

MAX_WAITING: Final = 500
"""Blocks that may wait: 5 s of both directions. Beyond, the oldest goes, and is counted."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A block of the microphone, 16 kHz mono."""

    samples: Samples = field(repr=False)
    latency_s: float = 0.0
    """From its sound to its arrival."""
    overflowed: bool = False
    """Whether the system has lost audio right before it."""


@dataclass(frozen=True, slots=True)
class Played:
    """A block that the speaker was given, silence included, 24 kHz mono."""

    samples: Samples = field(repr=False)
    speech: int = 0
    """How many of its samples, from the first, are speech."""
    latency_s: float = 0.0
    """From its departure to its sound."""


Block: TypeAlias = Heard | Played


class SoundFeed:
    """A bounded queue that threads write and one task reads.

    One queue for both directions keeps their order, which an echo canceller needs, even when the event loop
    is late.

    Args:
        loop: Where it is read.
        max_waiting: Blocks.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, max_waiting: int = MAX_WAITING) -> None:
        self._loop = loop
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._blocks: deque[Block] = deque()
        self._arrived = asyncio.Event()
        self._closed = False
        self.lost_s = 0.0
        """Audio of the microphone that was dropped because nobody read it in time, so far."""

    def put(self, block: Block) -> None:
        """Add a block; from any thread, never waits."""
        with self._lock:
            if self._closed:
                return
            if len(self._blocks) >= self._max_waiting:
                oldest = self._blocks.popleft()
                if isinstance(oldest, Heard):
                    self.lost_s += oldest.samples.size / INPUT_RATE_HZ
            self._blocks.append(block)
            self._loop.call_soon_threadsafe(self._arrived.set)

    async def take(self) -> list[Block]:
        """All that waits, oldest first; waits for the next where there is none."""
        await self._arrived.wait()
        self._arrived.clear()
        with self._lock:
            blocks = list(self._blocks)
            self._blocks.clear()
        return blocks

    def close(self) -> None:
        """Take no more: the event loop is about to end. Idempotent."""
        with self._lock:
            self._closed = True
