"""What waits to be sent to one client, in order, and whether the voice should wait for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from hearsight.streams.events import AudioDelta, Output

MAX_WAITING_AUDIO_BYTES = 4 * 1024 * 1024
"""Answer audio that may wait for the client; the voice pauses beyond that (87 s at 24 kHz)."""


class Outgoing:
    """A queue whose writer never waits, and says when whoever makes audio should."""

    def __init__(self) -> None:
        self._waiting: deque[Output] = deque()
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._settled = asyncio.Event()
        self._closed = False
        self._unsent_bytes = 0
        self.audio_bytes = 0
        """Size of the audio in it."""

    def put(self, output: Output) -> None:
        """Add one output."""
        self._waiting.append(output)
        self._settled.clear()
        if isinstance(output, AudioDelta):
            self.audio_bytes += output.samples.nbytes
        self._arrived.set()

    def mind_room(self, unsent_bytes: int) -> None:
        """Judge anew whether there is room.

        Args:
            unsent_bytes: Audio that is held back before it comes here.
        """
        self._unsent_bytes = unsent_bytes
        held = self.audio_bytes + unsent_bytes
        if held <= MAX_WAITING_AUDIO_BYTES // 2 or self._closed:
            self._has_room.set()
        elif held > MAX_WAITING_AUDIO_BYTES:
            self._has_room.clear()

    async def room(self) -> None:
        """Wait while too much audio waits."""
        await self._has_room.wait()

    def close(self) -> None:
        """Nothing more comes; nobody waits any longer."""
        self._closed = True
        self._settled.set()
        self._arrived.set()
        self._has_room.set()

    async def settled(self) -> None:
        """Wait until all was taken and whoever takes it has come back for more, or there is no more.

        When this returns, it is so at that very moment.
        """
        while not self._settled.is_set():
            await self._settled.wait()

    async def take(self) -> AsyncIterator[Output]:
        """Everything in order; ends once it is closed and empty."""
        while True:
            while self._waiting:
                output = self._waiting.popleft()
                if isinstance(output, AudioDelta):
                    self.audio_bytes -= output.samples.nbytes
                    self.mind_room(self._unsent_bytes)
                yield output
            self._settled.set()
            if self._closed:
                return
            self._arrived.clear()
            await self._arrived.wait()
