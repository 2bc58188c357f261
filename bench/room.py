"""A client in a room: an open microphone, a speaker that it may hear, and somebody who speaks."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from hearsight.streams.events import OUTPUT_RATE_HZ, Samples

TICK_S = 0.02
TICK = round(OUTPUT_RATE_HZ * TICK_S)
ECHO_DELAY_TICKS = 6
"""From the speaker to the microphone: 120 ms, as a computer takes."""
SPEECH = 600
"""Amplitude from which a recording counts as having begun."""


@dataclass(frozen=True, slots=True)
class Said:
    """Something heard in the room."""

    at_s: float
    """After the first audio of the answer, or after the start where the user speaks first."""
    samples: Samples
    """24 kHz."""

    @property
    def begins_s(self) -> float:
        """Where it is first loud."""
        loud = np.flatnonzero(np.abs(self.samples.astype(int)) > SPEECH)
        return self.at_s + (int(loud[0]) if loud.size else 0) / OUTPUT_RATE_HZ

    @property
    def ends_s(self) -> float:
        """Where it is last loud."""
        loud = np.flatnonzero(np.abs(self.samples.astype(int)) > SPEECH)
        return self.at_s + (int(loud[-1]) if loud.size else 0) / OUTPUT_RATE_HZ


@dataclass(slots=True)
class Seen:
    """What became of it; times in seconds after the first audio of the answer."""

    statuses: list[str] = field(default_factory=list)
    """Of the responses that have ended."""
    calls: list[str] = field(default_factory=list)
    speech_started: int = 0
    committed: int = 0
    audio_s: list[float] = field(default_factory=list)
    """When audio came."""
    text: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether an answer was stopped."""
        return "cancelled" in self.statuses

    def last_audio_s(self, after_s: float, quiet_s: float = 0.25) -> float:
        """When the last audio before a gap came, counted from a moment; 0 where none came after it."""
        last_s = after_s
        for at in self.audio_s:
            if at > last_s + quiet_s:
                break
            last_s = max(last_s, at)
        return last_s - after_s

    def next_audio_s(self, after_s: float) -> float | None:
        """When audio came again, counted from a moment."""
        return next((at - after_s for at in self.audio_s if at >= after_s), None)


class Room:
    """Has one conversation and notes what happens.

    Args:
        url: Of the service.
        said: What is heard in the room, in order.
        question: Typed at first, so that there is an answer; None where the user speaks first.
        echo: Amplitude at which the microphone hears the answer; 0 with headphones.
    """

    def __init__(self, url: str, said: Sequence[Said], question: str | None, echo: float = 0.0) -> None:
        self._url = url
        self._said = said
        self._question = question
        self._echo = echo
        self._noise = np.random.default_rng(3)
        self._began_s: float | None = None
        self._speaker = np.zeros(0, np.int16)
        self._heard_ms = 0.0
        self._item_id: str | None = None
        self._air: list[np.ndarray] = [np.zeros(TICK)] * ECHO_DELAY_TICKS
        self.seen = Seen()

    async def run(self, *, lasts_s: float, done: Callable[[Seen], bool] = lambda seen: False) -> Seen:
        """Be in the room.

        Args:
            lasts_s: How long after the last word.
            done: Whether all has happened that there is to see.
        """
        async with connect(self._url, max_size=None, compression=None, proxy=None) as connection:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._listen(connection))
                if self._question is not None:
                    await _ask(connection, self._question)
                await self._live(connection, lasts_s, done)
                listening.cancel()
        return self.seen

    async def _live(self, connection: ClientConnection, lasts_s: float, done: Callable[[Seen], bool]) -> None:
        due = time.monotonic()
        patience_s = due + 60.0
        over_s = max((one.ends_s for one in self._said), default=0.0) + lasts_s
        if self._question is None:
            self._began_s = due
        while due < patience_s and (self._began_s is None or due - self._began_s < over_s):
            if self._began_s is not None and done(self.seen):
                return
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            audio = base64.b64encode(self._microphone(due).tobytes()).decode()
            await connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            due += TICK_S

    def _microphone(self, now_s: float) -> Samples:
        heard = self._noise.standard_normal(TICK) * 4
        played, self._speaker = self._speaker[:TICK], self._speaker[TICK:]
        self._heard_ms += played.size * 1000 / OUTPUT_RATE_HZ
        self._air.append(np.pad(played.astype(float), (0, TICK - played.size)))
        heard += self._echo * self._air.pop(0)
        if self._began_s is not None:
            for one in self._said:
                at = round((now_s - self._began_s - one.at_s) / TICK_S) * TICK
                if 0 <= at < one.samples.size:
                    part = one.samples[at : at + TICK]
                    heard[: part.size] += part
        return np.clip(np.rint(heard), -32_768, 32_767).astype("<i2")

    async def _listen(self, connection: ClientConnection) -> None:
        async for message in connection:
            event = json.loads(message)
            if event["type"] == "input_audio_buffer.speech_started" and self._item_id is not None:
                # As clients of this protocol do: silence the speaker, and say how much was heard.
                self._speaker = self._speaker[:0]
                cut = {"item_id": self._item_id, "content_index": 0, "audio_end_ms": int(self._heard_ms)}
                await connection.send(json.dumps({"type": "conversation.item.truncate", **cut}))
            self._note(event, time.monotonic())

    def _note(self, event: dict[str, Any], now_s: float) -> None:
        seen = self.seen
        match event["type"]:
            case "input_audio_buffer.speech_started":
                seen.speech_started += 1
            case "input_audio_buffer.committed":
                seen.committed += 1
            case "response.output_audio.delta":
                if event["item_id"] != self._item_id:
                    self._item_id, self._heard_ms = event["item_id"], 0.0
                samples = np.frombuffer(base64.b64decode(event["delta"]), "<i2")
                self._speaker = np.concatenate([self._speaker, samples])
                if self._began_s is None:
                    self._began_s = now_s
                seen.audio_s.append(now_s - self._began_s)
            case "response.output_audio_transcript.delta":
                seen.text += event["delta"]
            case "response.output_item.done" if event["item"]["type"] == "mcp_call":
                seen.calls.append(event["item"]["name"])
            case "response.done":
                seen.statuses.append(event["response"]["status"])


async def _ask(connection: ClientConnection, text: str) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await connection.send(json.dumps({"type": "conversation.item.create", "item": item}))
    await connection.send(json.dumps({"type": "response.create"}))
