"""A conversation over devices made of recordings, through the real session, runtime and voice activity."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pytest
from plain_agent import PlainAgent

from hearsight.streams.events import (
    AudioCommitted,
    AudioFormat,
    InsertItem,
    ItemRetrieved,
    ItemTruncated,
    KeepHeard,
    Output,
    ResponseEnded,
    SessionConfig,
    SpeechStarted,
    TurnDetection,
)
from hearsight.streams.local.camera import Frames, encode
from hearsight.streams.local.feed import Heard, SoundFeed
from hearsight.streams.local.playback_queue import PlaybackQueue
from hearsight.streams.local.recordings import RecordedMicrophone, SilentSpeaker
from hearsight.streams.local.session import Devices, LocalSession
from hearsight.streams.local.sound import Sound
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.streams.session.settings import SessionLimits
from hearsight.wav import read_wav

SPEECH = Path(__file__).parents[2] / "data" / "speech"
STORY = "once upon a time there was a dragon who read long books by the light of its own fire"
NOTHING = np.zeros(0, np.int16)


def quiet(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * 16_000), np.int16)


def recording(name: str) -> np.ndarray:
    return read_wav(SPEECH / f"{name}.wav", 16_000)


@dataclass
class Place:
    """A conversation that is going on."""

    session: LocalSession
    devices: Devices
    agent: PlainAgent
    outputs: list[Output] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    spoken: list[np.ndarray] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def all(self, kind: type) -> list:
        return [output for output in self.outputs if isinstance(output, kind)]

    async def until(self, kind: type, count: int = 1) -> Output:
        async with asyncio.timeout(20):
            while len(self.all(kind)) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.all(kind)[count - 1]

    async def played(self, samples: int) -> None:
        """Wait until so much speech has been played."""
        await self.once(lambda: sum(part.size for part in self.spoken) >= samples)

    async def once(self, true: Callable[[], object]) -> None:
        """Wait until something holds; what is waited for has no event of its own."""
        async with asyncio.timeout(20):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    def edits(self, kind: type) -> list:
        notes = self.agent.sessions["local"].notes
        return [note[1] for note in notes if note[0] == "edit" and isinstance(note[1], kind)]


@asynccontextmanager
async def conversation(
    silero, agent: PlainAgent, heard: np.ndarray, *, push_to_talk: bool = False, **limits: int
) -> AsyncIterator[Place]:
    loop = asyncio.get_running_loop()
    feed, queue = SoundFeed(loop), PlaybackQueue()
    sound = Sound(RecordedMicrophone(heard, "speech.wav", feed), SilentSpeaker(feed, queue))
    devices = Devices(sound, queue, feed, Frames(loop))
    detection = None if push_to_talk else TurnDetection(long_silence_ms=400)
    config = SessionConfig(input_format=AudioFormat("pcm16", 16_000), turn_detection=detection)
    runtime = SessionRuntime(
        "local", agent, Perception(silero, None), RuntimeOptions(config, SessionLimits(**limits))
    )
    place = Place(None, devices, agent)  # type: ignore[arg-type]

    def observe(output: Output) -> None:
        place.outputs.append(output)
        place.changed.set()

    place.session = LocalSession(
        runtime,
        devices,
        observe=observe,
        notify=place.notices.append,
        record=place.spoken.append,
        open_microphone=not push_to_talk,
    )
    await devices.start()
    running = asyncio.create_task(place.session.run())
    try:
        yield place
    finally:
        await place.session.stop()
        await running
        await devices.stop()


async def test_speech_is_answered_and_the_answer_played(silero):
    agent = PlainAgent(["hello there "], "seven of clubs")
    async with conversation(silero, agent, recording("seven_of_clubs")) as place:
        ended = await place.until(ResponseEnded)
        assert ended.status == "completed"
        await place.played(24 * 400)
    assert sum(part.size for part in place.spoken) == 24 * 400
    assert place.notices == [] and place.edits(KeepHeard) == []
    heard = next(iter(agent.sessions["local"].heard.values()))
    assert sum(part.size for part in heard) > 10_000


async def test_who_interrupts_silences_the_speaker_and_the_words_that_were_heard_are_kept(silero):
    agent = PlainAgent([STORY], "stop")
    heard = np.concatenate([recording("seven_of_clubs"), quiet(1.5), recording("ten_of_clubs")])
    # Stopped before all that was sent ahead has been played: what is still to come must not be.
    async with conversation(silero, agent, heard, barge_in_ms=400) as place:
        await place.until(SpeechStarted, 2)
        retrieved = await place.until(ItemRetrieved)
        assert place.devices.queue.take(480)[1] == 0, "nothing is left to play"
        played_ms = sum(part.size for part in place.spoken) / 24
        (truncated,) = place.all(ItemTruncated)
        assert played_ms == pytest.approx(truncated.audio_end_ms, abs=45)
        words = int(truncated.audio_end_ms // 200)
        assert 2 <= words < len(STORY.split())
        assert retrieved.item.content[0].transcript == " ".join(STORY.split()[:words])
        assert place.edits(KeepHeard)[-1].text == " ".join(STORY.split()[:words])


async def test_what_is_typed_is_answered_and_interrupts(silero):
    agent = PlainAgent([STORY])
    async with conversation(silero, agent, NOTHING) as place:
        await place.session.type("Tell me a story.")
        await place.played(24 * 900)
        await place.session.type("Another one.")
        await place.until(ResponseEnded)
        typed = [edit.item.content[0].text for edit in place.edits(InsertItem)]
        assert typed == ["Tell me a story.", "Another one."]
        kept = place.edits(KeepHeard)[-1].text
        assert STORY.startswith(kept) and 4 <= len(kept.split()) < 12


async def test_push_to_talk_hears_only_between_two_presses(silero):
    agent = PlainAgent(["yes "], "ten of clubs")
    heard = np.concatenate([recording("seven_of_clubs"), recording("ten_of_clubs")])
    async with conversation(silero, agent, heard, push_to_talk=True) as place:
        await asyncio.sleep(0.4)
        assert agent.sessions["local"].heard == {}
        await place.session.begin_talking()
        await asyncio.sleep(0.6)
        await place.session.end_talking()
        assert (await place.until(ResponseEnded)).status == "completed"
        assert len(place.all(AudioCommitted)) == 1
        (parts,) = agent.sessions["local"].heard.values()
        assert 0.4 < sum(part.size for part in parts) / 16_000 < 0.9


async def test_a_press_that_is_too_short_is_told_and_not_answered(silero):
    agent = PlainAgent(["yes "])
    async with conversation(silero, agent, NOTHING, push_to_talk=True) as place:
        await place.session.begin_talking()
        await place.session.end_talking()
        assert place.notices == [
            "That was too short to be heard; press the space bar again when you have spoken."
        ]
        assert agent.sessions["local"].requests == []


async def test_pictures_are_looked_at_and_those_that_are_none_told(silero):
    agent = PlainAgent(["yes "], "what is this")
    async with conversation(silero, agent, NOTHING) as place:
        place.devices.frames.put(b"no picture")
        await place.once(lambda: place.notices)
        drawn = np.random.default_rng(1).integers(0, 255, (48, 64, 3)).astype(np.uint8)
        place.devices.frames.put(encode(cv2.resize(drawn, (640, 480))))
        await place.once(lambda: "foresee" in [note[0] for note in agent.sessions["local"].notes])
    assert len(place.notices) == 1


async def test_audio_that_came_too_fast_is_counted(silero):
    agent = PlainAgent(["yes "])
    async with conversation(silero, agent, NOTHING) as place:
        for _ in range(600):
            place.devices.feed.put(Heard(np.zeros(320, np.int16)))
        await place.once(lambda: place.notices)
    assert re.search(r"^This machine is too busy: [2-3]\.\d s of what you said were lost.$", place.notices[0])


async def test_the_speaker_and_the_microphone_have_levels(silero):
    agent = PlainAgent([STORY])
    async with conversation(silero, agent, recording("seven_of_clubs")) as place:
        await place.until(SpeechStarted)
        assert place.devices.microphone_level.level_db > -40
        await place.played(24 * 200)
        assert place.devices.speaker_level.level_db > -40


class Subtractor:
    """A canceller that says what it was given."""

    def __init__(self) -> None:
        self.played = self.heard = 0

    def play(self, samples, latency_s):
        self.played += samples.size

    def hear(self, samples, latency_s):
        self.heard += samples.size
        return samples * 0


async def test_the_session_hears_what_the_canceller_leaves(silero):
    agent = PlainAgent([STORY])
    async with conversation(silero, agent, recording("seven_of_clubs")) as place:
        canceller = place.devices.canceller = Subtractor()
        await asyncio.to_thread(place.devices.sound.microphone.ended.wait)
        assert canceller.heard > 10_000 and canceller.played > 15_000
        assert place.all(SpeechStarted) == []
