"""A person at a microphone, through the real openai SDK."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from openai import AsyncOpenAI

RATE_HZ = 24_000
CHUNK = RATE_HZ // 50  # 20 ms, as microphones deliver


@asynccontextmanager
async def connected(server: Any, **session: Any):
    """A user with an open connection; the session's settings are sent first."""
    client = AsyncOpenAI(api_key="unused", base_url=f"{server.http}/v1")
    async with client.realtime.connect(model="hearsight") as connection:
        user = RealtimeUser(connection)
        reading = asyncio.create_task(user.read())
        try:
            await user.until("session.created")
            if session:
                await connection.session.update(session={"type": "realtime", **session})
                await user.until("session.updated")
            yield user
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class RealtimeUser:
    """Speaks and listens; every event that arrives is kept."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.events: list[Any] = []
        self._changed = asyncio.Event()

    async def read(self) -> None:
        async for event in self.connection:
            self.events.append(event)
            self._changed.set()

    async def until(self, kind: str, *, count: int = 1, timeout_s: float = 60) -> Any:
        """Wait for an event of that type; returns the one that made the count full."""
        return await self.until_any(
            lambda event: event.type == kind, what=kind, count=count, timeout_s=timeout_s
        )

    async def until_any(
        self, wanted: Callable[[Any], bool], *, what: str = "", count: int = 1, timeout_s: float = 60
    ) -> Any:
        try:
            async with asyncio.timeout(timeout_s):
                while len(found := [event for event in self.events if wanted(event)]) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"no {what}; there were: {[e.type for e in self.events]}") from None
        return found[count - 1]

    async def speak(self, samples: np.ndarray, *, pace: float = 4.0, silence_ms: int = 1_200) -> None:
        """Say something, `pace` times as fast as in life, and be quiet after it."""
        quiet = np.zeros(RATE_HZ * silence_ms // 1000, np.int16)
        audio = np.concatenate((quiet[: RATE_HZ // 5], samples, quiet))
        for at in range(0, audio.size, CHUNK):
            data = audio[at : at + CHUNK].astype("<i2").tobytes()
            await self.connection.input_audio_buffer.append(audio=base64.b64encode(data).decode())
            await asyncio.sleep(0.02 / pace)

    def kinds(self) -> list[str]:
        return [event.type for event in self.events]

    def all(self, kind: str) -> list[Any]:
        return [event for event in self.events if event.type == kind]

    def said(self, response_id: str | None = None) -> np.ndarray:
        """The audio of the answers, or of one."""
        deltas = [
            event
            for event in self.all("response.output_audio.delta")
            if response_id is None or event.response_id == response_id
        ]
        data = b"".join(base64.b64decode(delta.delta) for delta in deltas)
        return np.frombuffer(data, "<i2").astype(np.int16)

    def words(self) -> str:
        """The transcript of the answers."""
        return "".join(event.delta for event in self.all("response.output_audio_transcript.delta"))
