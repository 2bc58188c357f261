"""A client in a room: an open microphone, a speaker that it may hear, and somebody who speaks."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from seen import Said, Seen
from websockets.asyncio.client import ClientConnection, connect

from hearsight.streams.events import OUTPUT_RATE_HZ, Samples

TICK_S = 0.02
TICK = round(OUTPUT_RATE_HZ * TICK_S)
ECHO_DELAY_TICKS = 6
"""From the speaker to the microphone: 120 ms, as a computer takes."""
PATIENCE_S = 60.0
"""For all of it: whoever waits for a cue that does not come leaves."""


class Room:
    """Has one conversation and notes what happens.

    Args:
        url: Of the service.
        said: What is heard in the room, in order.
        question: Typed at first, so that there is an answer; None where the user speaks first.
        echo: Amplitude at which the microphone hears the answer; 0 with headphones.
        session: What the client sets for its session at first.
    """

    def __init__(
        self,
        url: str,
        said: Sequence[Said],
        question: str | None,
        echo: float = 0.0,
        session: dict[str, Any] | None = None,
    ) -> None:
        self._url = url
        self._said = said
        self._question = question
        self._session = session
        self._echo = echo
        self._noise = np.random.default_rng(3)
        self._speaker = np.zeros(0, np.int16)
        self._heard_ms = 0.0
        self._item_id: str | None = None
        self._clock_s = time.monotonic()
        """Of the stream: how far the microphone has been sent. On a machine that keeps up, it is the time."""
        self._air: list[np.ndarray] = [np.zeros(TICK)] * ECHO_DELAY_TICKS
        self.seen = Seen()

    async def run(self, *, lasts_s: float, done: Callable[[Seen], bool] = lambda seen: False) -> Seen:
        """Be in the room.

        Args:
            lasts_s: How long after the last word.
            done: Whether all has happened that there is to see; asked once all is said.
        """
        async with connect(self._url, max_size=None, compression=None, proxy=None) as connection:
            async with asyncio.TaskGroup() as tasks:
                listening = tasks.create_task(self._listen(connection))
                await self._open(connection)
                await self._live(connection, lasts_s, done)
                listening.cancel()
        return self.seen

    async def _open(self, connection: ClientConnection) -> None:
        messages: list[dict[str, Any]] = []
        if self._session is not None:
            messages.append({"type": "session.update", "session": {"type": "realtime", **self._session}})
        if self._question is not None:
            content = [{"type": "input_text", "text": self._question}]
            item = {"type": "message", "role": "user", "content": content}
            messages += [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]
        for message in messages:
            await connection.send(json.dumps(message))

    async def _live(self, connection: ClientConnection, lasts_s: float, done: Callable[[Seen], bool]) -> None:
        due = self._clock_s = time.monotonic()
        patience_s = due + PATIENCE_S
        self.seen.mark("start", due)
        while due < patience_s and not self._over(due, lasts_s, done):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            audio = base64.b64encode(self._microphone(due).tobytes()).decode()
            await connection.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            due = self._clock_s = due + TICK_S

    def _over(self, now_s: float, lasts_s: float, done: Callable[[Seen], bool]) -> bool:
        ends_s = [self._when(one) + one.ends_s for one in self._said]
        last_s = max(ends_s, default=now_s)
        # What was understood is told when it is known, on a busy machine after the answer to it.
        told = len(self.seen.heard) >= self.seen.committed
        return now_s > last_s and (now_s > last_s + lasts_s or (done(self.seen) and told))

    def _when(self, one: Said) -> float:
        """The moment from which its times count; not yet, before its cue."""
        return self.seen.moments.get(one.after, float("inf"))

    def _microphone(self, now_s: float) -> Samples:
        heard = self._noise.standard_normal(TICK) * 4
        played, self._speaker = self._speaker[:TICK], self._speaker[TICK:]
        self._heard_ms += played.size * 1000 / OUTPUT_RATE_HZ
        self._air.append(np.pad(played.astype(float), (0, TICK - played.size)))
        heard += self._echo * self._air.pop(0)
        for one in self._said:
            since_s = now_s - self._when(one) - one.at_s
            if since_s < -TICK_S:
                continue
            at = round(since_s / TICK_S) * TICK
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
            elif event["type"] == "response.output_audio.delta":
                self._play(event)
            self.seen.note(event, self._clock_s)

    def _play(self, event: dict[str, Any]) -> None:
        if event["item_id"] != self._item_id:
            self._item_id, self._heard_ms = event["item_id"], 0.0
        samples = np.frombuffer(base64.b64decode(event["delta"]), "<i2")
        self._speaker = np.concatenate([self._speaker, samples])
