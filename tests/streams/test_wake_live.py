"""Asleep, through real voice activity and recorded speech; the words come from a plain agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
from plain_agent import PlainAgent

from hearsight.streams.events import (
    AudioChunk,
    AudioCommitted,
    AudioFormat,
    ClearAudio,
    ResponseStarted,
    SessionConfig,
    SpeechStarted,
    WakeChanged,
)
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.streams.session.settings import SessionLimits, WakeRules
from hearsight.wav import read_wav

SPEECH = Path(__file__).parents[1] / "data" / "speech"
CONFIG = SessionConfig(input_format=AudioFormat("pcm16", 16_000))
LIMITS = SessionLimits(wake=WakeRules(("seven of clubs",), sleep_after_s=20.0))
CHUNK = 320


class Bedroom:
    """A microphone that never closes, on a clock of its own."""

    def __init__(self, silero, agent: PlainAgent) -> None:
        self.now = 10.0
        self.agent = agent
        options = RuntimeOptions(CONFIG, LIMITS)
        self.runtime = SessionRuntime("s1", agent, Perception(silero, None), options, lambda: self.now)
        self.outputs: list = []

    async def read(self) -> None:
        async for output in self.runtime.outputs():
            self.outputs.append(output)

    async def hear(self, samples: np.ndarray) -> None:
        for at in range(0, samples.size, CHUNK):
            self.now += CHUNK / 16_000
            await self.runtime.receive(AudioChunk(samples[at : at + CHUNK].astype("<i2").tobytes()))
            for _ in range(3):
                await asyncio.sleep(0)

    async def quiet(self, duration_s: float) -> None:
        await self.hear(np.random.default_rng(3).normal(0, 4, round(duration_s * 16_000)))

    def all(self, kind: type) -> list:
        return [output for output in self.outputs if isinstance(output, kind)]


@asynccontextmanager
async def bedroom(silero, agent: PlainAgent) -> AsyncIterator[Bedroom]:
    place = Bedroom(silero, agent)
    life, reading = asyncio.create_task(place.runtime.run()), asyncio.create_task(place.read())
    await place.quiet(0.5)
    yield place
    await place.runtime.close()
    await asyncio.gather(life, reading)


async def test_whoever_says_something_else_is_not_heard(silero):
    async with bedroom(silero, PlainAgent(transcript="Had he married her?")) as place:
        await place.hear(read_wav(SPEECH / "ten_of_clubs.wav", 16_000))
        await place.quiet(1.5)
        session = place.agent.sessions["s1"]
        assert place.outputs == [] and session.heard == {} and session.requests == []
        assert {note[0] for note in session.notes} == {"configure", "overhear"}


async def test_the_phrase_wakes_and_the_utterance_is_answered_whole(silero):
    async with bedroom(silero, PlainAgent(transcript="A more amiable woman.")) as place:
        await place.hear(read_wav(SPEECH / "ten_of_clubs.wav", 16_000))
        await place.quiet(1.5)
        place.agent.transcript = "Seven of clubs."
        speech = read_wav(SPEECH / "seven_of_clubs.wav", 16_000)
        await place.hear(speech)
        await place.quiet(1.5)
        assert [type(output) for output in place.outputs[:2]] == [WakeChanged, SpeechStarted]
        (committed,) = place.all(AudioCommitted)
        heard = np.concatenate(place.agent.sessions["s1"].heard[committed.item_id])
        loud = int(np.argmax(np.abs(speech.astype(int)) > 2_000))
        assert heard.size > speech.size - loud, "from its first sound on"
        assert place.all(ResponseStarted)


async def test_it_falls_asleep_by_itself(silero):
    async with bedroom(silero, PlainAgent(transcript="Seven of clubs.")) as place:
        await place.hear(read_wav(SPEECH / "seven_of_clubs.wav", 16_000))
        await place.quiet(10.0)
        place.now += 20.0
        for _ in range(200):  # the runtime's timer is a real one, and due at once
            await asyncio.sleep(0)
            await place.quiet(0.02)
            if len(place.all(WakeChanged)) == 2:
                break
        assert [change.awake for change in place.all(WakeChanged)] == [True, False]


async def test_words_that_nobody_waits_for_any_more_are_not_written_down(silero):
    async with bedroom(silero, PlainAgent(deaf=asyncio.Event())) as place:
        await place.hear(read_wav(SPEECH / "ten_of_clubs.wav", 16_000))
        await place.quiet(0.5)
        notes = place.agent.sessions["s1"].notes
        assert "overhear" in [note[0] for note in notes]
        await place.runtime.receive(ClearAudio())
        await place.quiet(0.1)
        assert ("gave up",) in notes
