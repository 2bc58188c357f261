"""Speech over an answer, through real voice activity: remarks, words, and the answer's own echo."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import soxr
from plain_agent import PlainAgent

from hearsight.streams.events import (
    AudioChunk,
    AudioCommitted,
    AudioDelta,
    AudioFormat,
    CreateResponse,
    ResponseEnded,
    SessionConfig,
    SpeechDismissed,
    SpeechStarted,
)
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.wav import read_wav

SPEECH = Path(__file__).parents[1] / "data" / "speech"
CONFIG = SessionConfig(input_format=AudioFormat("pcm16", 16_000))
LONG = "word " * 60
CHUNK = 320


class Room:
    """A client in real time on a clock of its own: a microphone that never closes, and what is sent to it."""

    def __init__(self, silero, agent: PlainAgent, *, echo_guard: bool = True) -> None:
        self.now = 10.0
        options = RuntimeOptions(CONFIG, echo_guard=echo_guard)
        self.runtime = SessionRuntime("s1", agent, Perception(silero, None), options, lambda: self.now)
        self.outputs: list = []
        self.times_s: list[float] = []
        self.agent = agent

    async def read(self) -> None:
        async for output in self.runtime.outputs():
            self.outputs.append(output)
            self.times_s.append(self.now)

    async def hear(self, samples: np.ndarray) -> None:
        """Time passes with this on the microphone."""
        for at in range(0, samples.size, CHUNK):
            self.now += CHUNK / 16_000
            await self.runtime.receive(AudioChunk(samples[at : at + CHUNK].astype("<i2").tobytes()))
            for _ in range(3):
                await asyncio.sleep(0)  # whoever was asked something replies

    async def quiet(self, duration_s: float) -> None:
        await self.hear(np.random.default_rng(3).normal(0, 4, round(duration_s * 16_000)))

    def all(self, kind: type) -> list:
        return [output for output in self.outputs if isinstance(output, kind)]

    def times_of(self, kind: type) -> list[float]:
        """When such outputs came."""
        return [at for at, output in zip(self.times_s, self.outputs, strict=True) if isinstance(output, kind)]

    def audio_s(self) -> float:
        return sum(output.samples.size for output in self.all(AudioDelta)) / 24_000


@asynccontextmanager
async def room(silero, agent: PlainAgent, *, listens_s: float = 1.0, **options):
    place = Room(silero, agent, **options)
    life, reading = asyncio.create_task(place.runtime.run()), asyncio.create_task(place.read())
    await place.quiet(0.5)
    await place.runtime.receive(CreateResponse())
    await place.quiet(listens_s)
    yield place
    await place.runtime.close()
    await asyncio.gather(life, reading)


def word() -> np.ndarray:
    """A third of a second of somebody's speech."""
    speech = read_wav(SPEECH / "seven_of_clubs.wav", 16_000)
    start = int(np.argmax(np.abs(speech.astype(int)) > 2_000))
    return speech[start : start + 5_600]


async def test_a_remark_holds_the_answer_and_lets_it_go_on(silero):
    async with room(silero, PlainAgent([LONG], transcript="Mhm.")) as place:
        await place.hear(word())
        await place.quiet(1.0)
        assert ("overhear" in [note[0] for note in place.agent.sessions["s1"].notes]) is True
        assert place.all(ResponseEnded) == [] and place.all(SpeechStarted) == []
        assert [dismissed.reason for dismissed in place.all(SpeechDismissed)] == ["remark"]
        await place.quiet(12.0)
        (ended,) = place.all(ResponseEnded)
        assert ended.status == "completed" and place.audio_s() == pytest.approx(12.0)


async def test_a_word_that_means_something_stops_it(silero):
    async with room(silero, PlainAgent([LONG], transcript="Stop.")) as place:
        await place.hear(word())
        await place.quiet(1.5)
        (ended, *_) = place.all(ResponseEnded)
        assert (ended.status, ended.reason) == ("cancelled", "turn_detected")
        (committed,) = place.all(AudioCommitted)
        heard = np.concatenate(place.agent.sessions["s1"].heard[committed.item_id])
        assert heard.size > word().size + 4_000


@pytest.mark.parametrize(
    "name", ["seven_of_clubs", "eight_of_spades", "ten_of_clubs", "amiable_woman", "cold_hearted"]
)
async def test_an_answer_stops_within_a_fifth_of_a_second_of_speech(silero, name):
    speech = read_wav(SPEECH / f"{name}.wav", 16_000)
    loud = np.flatnonzero(np.abs(speech.astype(int)) > 1_000)[0]
    async with room(silero, PlainAgent([LONG], transcript="Stop.")) as place:
        onset_s = place.now + loud / 16_000
        await place.hear(speech[:32_000])
        assert place.all(ResponseEnded)[0].status == "cancelled"
        assert onset_s - 0.3 < max(place.times_of(AudioDelta)) <= onset_s + 0.2


async def test_after_a_false_alarm_it_goes_on_at_once(silero):
    async with room(silero, PlainAgent([LONG], transcript="Mhm.")) as place:
        await place.hear(word())
        await place.quiet(1.5)
        (dismissed_s,) = place.times_of(SpeechDismissed)
        assert min(at for at in place.times_of(AudioDelta) if at >= dismissed_s) <= dismissed_s + 0.3


async def test_words_that_cannot_be_had_are_judged_by_their_length(silero):
    async with room(silero, PlainAgent([LONG], transcript=None)) as place:
        await place.hear(word()[:3_000])
        await place.quiet(0.5)
        assert place.all(ResponseEnded) == []


async def test_words_that_nobody_waits_for_are_not_written_down(silero):
    async with room(silero, PlainAgent([LONG], deaf=asyncio.Event())) as place:
        await place.hear(word())
        await place.quiet(0.4)
        notes = place.agent.sessions["s1"].notes
        assert "overhear" in [note[0] for note in notes] and ("gave up",) not in notes
        await place.quiet(0.8)
        assert ("gave up",) in notes


@pytest.mark.parametrize("decibel", [-10, -20, -30])
async def test_its_own_voice_does_not_interrupt_it(silero, decibel):
    voice = read_wav(SPEECH / "amiable_woman.wav", 24_000)
    echo = soxr.resample(voice.astype(np.float64), 24_000, 16_000) * 10 ** (decibel / 20)
    async with room(silero, PlainAgent([LONG], audio=voice), listens_s=0.12) as place:
        await place.hear(echo + np.random.default_rng(5).normal(0, 8, echo.size))
        await place.quiet(1.0)
        assert place.all(SpeechStarted) == [] and place.all(SpeechDismissed) == []
        (ended,) = place.all(ResponseEnded)
        assert ended.status == "completed"


async def test_whoever_speaks_over_its_voice_is_heard(silero):
    voice = read_wav(SPEECH / "amiable_woman.wav", 24_000)
    heard = soxr.resample(voice.astype(np.float64), 24_000, 16_000) * 0.03
    user = read_wav(SPEECH / "eight_of_spades.wav", 16_000)
    heard[24_000 : 24_000 + user.size] += user[: heard.size - 24_000]
    async with room(silero, PlainAgent([LONG], audio=voice), listens_s=0.12) as place:
        await place.hear(heard)
        (started, *_) = place.all(SpeechStarted)
        assert 620 + 1_500 - 300 < started.audio_start_ms < 620 + 1_500 + 1_000
        assert place.all(ResponseEnded)[0].status == "cancelled"


async def test_without_the_guard_it_does(silero):
    voice = read_wav(SPEECH / "amiable_woman.wav", 24_000)
    echo = soxr.resample(voice.astype(np.float64), 24_000, 16_000) * 0.3
    async with room(silero, PlainAgent([LONG], audio=voice), listens_s=0.12, echo_guard=False) as place:
        await place.hear(echo)
        assert place.all(SpeechStarted) != []
