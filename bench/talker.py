"""A client that talks in real time: its microphone never stops, and it listens to the answer's end."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import soxr
from voices import Recording, silence
from websockets.asyncio.client import ClientConnection, connect

from hearsight.streams.audio.vad import FRAME_SAMPLES, SileroModel, VoiceActivityStream
from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ, Samples

CHUNK_MS = 20
BEFORE_S = 0.6
"""Quiet before the user begins."""
PATIENCE_S = 60.0
SPEECH_FLOOR = 0.35
"""What counts as speech once speech has begun, in Silero's own rule."""


@dataclass(slots=True)
class Turn:
    """One request and its answer, as the client has seen them; times of ``time.monotonic``."""

    speech_ended_s: float = 0.0
    """When the last speech of the request was sent."""
    stopped_s: float | None = None
    first_audio_s: float | None = None
    audio_s: float = 0.0
    """Length of the answer."""
    text: str = ""
    calls: list[str] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    turns: int = 0
    """Times that the server said that the turn was over; more than one is a request cut in two."""


def end_of_speech(samples: Samples, vad: SileroModel) -> int:
    """Position after the last speech, by the service's own voice activity model."""
    stream = VoiceActivityStream(vad)
    end = 0
    for at in range(0, len(samples) - FRAME_SAMPLES + 1, FRAME_SAMPLES):
        if stream.process(samples[at : at + FRAME_SAMPLES]) >= SPEECH_FLOOR:
            end = at + FRAME_SAMPLES
    return end


class Talker:
    """Has one conversation."""

    def __init__(self, url: str, vad: SileroModel) -> None:
        self._url = url
        self._vad = vad
        self._turn = Turn()
        self._done = asyncio.Event()
        self._queue: list[str] = []
        self._ends_at: int | None = None
        self._quiet = _chunks(silence(1.0, OUTPUT_RATE_HZ))

    async def ask(
        self, recordings: list[Recording], ended: Callable[[Turn], None] = lambda turn: None
    ) -> list[Turn]:
        """Say one request after the other, each after the answer to the one before was heard out.

        Args:
            recordings: The requests.
            ended: Called after each answer.
        """
        async with connect(self._url, max_size=None, compression=None, proxy=None) as connection:
            async with asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(self._listen(connection)),
                    tasks.create_task(self._speak(connection)),
                ]
                turns = []
                for recording in recordings:
                    turns.append(await self._one(recording))
                    ended(turns[-1])
                for task in background:
                    task.cancel()
        return turns

    async def _one(self, recording: Recording) -> Turn:
        self._turn, self._done = Turn(), asyncio.Event()
        await asyncio.sleep(BEFORE_S)
        end = end_of_speech(recording.samples, self._vad)
        samples = soxr.resample(recording.samples, INPUT_RATE_HZ, OUTPUT_RATE_HZ)
        self._queue = _chunks(samples)
        self._ends_at = len(self._queue) - end * 1000 // INPUT_RATE_HZ // CHUNK_MS
        with contextlib.suppress(TimeoutError):  # a request that gets no answer counts as none
            async with asyncio.timeout(PATIENCE_S):
                await self._done.wait()
        turn = self._turn
        if turn.first_audio_s is not None:
            await asyncio.sleep(max(0.0, turn.first_audio_s + turn.audio_s - time.monotonic()))
        return turn

    async def _speak(self, connection: ClientConnection) -> None:
        due = time.monotonic()
        index = 0
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self._queue:
                message = self._queue.pop(0)
            else:
                message = self._quiet[index % len(self._quiet)]
            await connection.send(message)
            if self._ends_at is not None and len(self._queue) <= self._ends_at:
                self._turn.speech_ended_s, self._ends_at = time.monotonic(), None
            index += 1
            due += CHUNK_MS / 1000

    async def _listen(self, connection: ClientConnection) -> None:
        async for message in connection:
            self._take(json.loads(message), time.monotonic())

    def _take(self, event: dict[str, Any], now_s: float) -> None:
        turn = self._turn
        match event["type"]:
            case "input_audio_buffer.speech_stopped":
                turn.turns += 1
                turn.stopped_s = now_s
            case "response.output_audio.delta":
                turn.first_audio_s = turn.first_audio_s or now_s
                turn.audio_s += len(base64.b64decode(event["delta"])) / 2 / OUTPUT_RATE_HZ
            case "response.output_audio_transcript.delta":
                turn.text += event["delta"]
            case "response.output_item.done" if event["item"]["type"] == "mcp_call":
                turn.calls.append(event["item"]["name"])
            case "response.done" if event["response"]["status"] != "cancelled":
                turn.usage = event["response"]["usage"] or {}
                self._done.set()


def _chunks(samples: Samples) -> list[str]:
    size = OUTPUT_RATE_HZ * CHUNK_MS // 1000
    return [
        json.dumps(
            {
                "type": "input_audio_buffer.append",
                "audio": base64.b64encode(samples[at : at + size].astype("<i2").tobytes()).decode(),
            }
        )
        for at in range(0, len(samples), size)
    ]
