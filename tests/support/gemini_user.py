"""A person at a microphone, through the real google-genai SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from google import genai
from google.genai import errors, types

RATE_HZ = 16_000
MODEL = "hearsight"


def new_client(url: str, *, api_key: str = "unused", version: str = "v1beta") -> genai.Client:
    """A client as anybody makes one; which certificates it trusts, ``SSL_CERT_FILE`` says."""
    return genai.Client(api_key=api_key, http_options={"base_url": url, "api_version": version})


@asynccontextmanager
async def connected(url: str, **config: Any) -> AsyncIterator[GeminiUser]:
    """A user in an open session."""
    async with new_client(url).aio.live.connect(model=MODEL, config=config) as session:
        user = GeminiUser(session)
        reading = asyncio.create_task(user.read())
        try:
            yield user
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


class GeminiUser:
    """Speaks and listens; every message that arrives is kept."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.messages: list[types.LiveServerMessage] = []
        self.errors: list[errors.APIError] = []
        self._changed = asyncio.Event()

    async def read(self) -> None:
        while True:
            try:
                async for message in self.session.receive():
                    self.messages.append(message)
                    self._changed.set()
            except errors.APIError as error:
                self.errors.append(error)
                self._changed.set()
                if 1_000 <= error.code < 2_000:
                    return  # the close code of the connection

    async def _wait(self, reached: Callable[[], bool], what: str, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not reached():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            said = [each.model_dump_json(exclude_none=True)[:200] for each in self.messages]
            raise AssertionError(f"no {what}; there were {said}; errors: {self.errors}") from None

    async def until(
        self,
        wanted: Callable[[types.LiveServerMessage], Any],
        what: str,
        *,
        count: int = 1,
        timeout_s: float = 60,
    ) -> types.LiveServerMessage:
        """Wait for a message; returns the one that made the count full."""
        await self._wait(
            lambda: len([each for each in self.messages if wanted(each)]) >= count, what, timeout_s
        )
        return [each for each in self.messages if wanted(each)][count - 1]

    async def until_error(self, *, timeout_s: float = 30) -> errors.APIError:
        await self._wait(lambda: bool(self.errors), "error", timeout_s)
        return self.errors[-1]

    async def turn(self, *, count: int = 1, timeout_s: float = 60) -> types.LiveServerMessage:
        """Wait until a turn is complete."""
        return await self.until(
            lambda message: message.server_content and message.server_content.turn_complete,
            "complete turn",
            count=count,
            timeout_s=timeout_s,
        )

    async def call(self, *, count: int = 1, timeout_s: float = 60) -> list[types.FunctionCall]:
        """Wait until the client is asked to run functions."""
        message = await self.until(lambda each: each.tool_call, "tool call", count=count, timeout_s=timeout_s)
        assert message.tool_call is not None and message.tool_call.function_calls
        return message.tool_call.function_calls

    async def interruption(self, *, timeout_s: float = 60) -> types.LiveServerMessage:
        return await self.until(
            lambda each: each.server_content and each.server_content.interrupted,
            "interruption",
            timeout_s=timeout_s,
        )

    async def speak(
        self, samples: np.ndarray, *, pace: float = 4.0, silence_ms: int = 1_200, rate_hz: int = RATE_HZ
    ) -> None:
        """Say something, `pace` times as fast as in life, and be quiet after it."""
        quiet = np.zeros(rate_hz * silence_ms // 1_000, np.int16)
        audio = np.concatenate((quiet[: rate_hz // 5], samples, quiet))
        await self.send(audio, pace=pace, rate_hz=rate_hz)

    async def send(self, audio: np.ndarray, *, pace: float = 4.0, rate_hz: int = RATE_HZ) -> None:
        """Send audio in pieces of 20 ms."""
        chunk = rate_hz // 50
        for at in range(0, audio.size, chunk):
            data = audio[at : at + chunk].astype("<i2").tobytes()
            blob = types.Blob(data=data, mime_type=f"audio/pcm;rate={rate_hz}")
            await self.session.send_realtime_input(audio=blob)
            await asyncio.sleep(0.02 / pace)

    async def write(self, text: str, *, turn_complete: bool = True) -> None:
        """Add a turn of the user's."""
        turn = types.Content(role="user", parts=[types.Part(text=text)])
        await self.session.send_client_content(turns=turn, turn_complete=turn_complete)

    @property
    def contents(self) -> list[types.LiveServerContent]:
        return [each.server_content for each in self.messages if each.server_content is not None]

    def said(self) -> np.ndarray:
        """The audio of the answers, 24 kHz."""
        return np.frombuffer(b"".join(each.data or b"" for each in self.messages), "<i2").astype(np.int16)

    def written(self) -> str:
        """The written answers."""
        return "".join(each.text or "" for each in self.messages)

    def words(self) -> str:
        """The words of the spoken answers."""
        return "".join(
            content.output_transcription.text or ""
            for content in self.contents
            if content.output_transcription
        )

    def heard(self) -> list[str]:
        """What the user said, as the server understood it."""
        return [
            content.input_transcription.text or "" for content in self.contents if content.input_transcription
        ]

    def handles(self) -> list[str]:
        """Handles to come back with."""
        updates = [each.session_resumption_update for each in self.messages if each.session_resumption_update]
        return [update.new_handle or "" for update in updates]
