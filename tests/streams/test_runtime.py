"""A session in its shell: real voice activity, real time, and an agent that says what it is given."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import cv2
import numpy as np
import pytest
import structlog
from plain_agent import PlainAgent

from hearsight.streams.errors import EngineError, InvalidAudio, InvalidPicture
from hearsight.streams.events import (
    AddItem,
    AudioChunk,
    AudioCommitted,
    AudioDelta,
    AudioFormat,
    AudioFrame,
    CameraFrame,
    CameraPicture,
    CancelResponse,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    Dropped,
    ImageContent,
    InsertItem,
    Item,
    Picture,
    ResponseEnded,
    ResponseStarted,
    SessionConfig,
    SpeechStarted,
    TextDelta,
    TranscriptionCompleted,
    TranscriptionError,
    TurnDetection,
)
from hearsight.streams.overload import Relief
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.streams.session.settings import SessionLimits


class Finished:
    """An end-of-turn model that has made up its mind."""

    def __init__(self, probability=0.9):
        self.value = probability

    async def probability(self, samples):
        return self.value


class Broken:
    async def probability(self, samples):
        raise RuntimeError("the model broke")


class Swamped:
    """An end-of-turn model that has no time for anyone."""

    def __init__(self):
        self.waiting = 0
        self.given_up = 0

    async def probability(self, samples):
        self.waiting += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.waiting -= 1
            self.given_up += 1


class Listener:
    """Reads a runtime's outputs as a client would."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.outputs = []
        self._changed = asyncio.Event()

    async def read(self):
        async for output in self.runtime.outputs():
            self.outputs.append(output)
            self._changed.set()

    async def until(self, kind, count=1):
        while sum(isinstance(output, kind) for output in self.outputs) < count:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 10)
        return [output for output in self.outputs if isinstance(output, kind)]


@asynccontextmanager
async def running(silero, agent, *, config=None, limits=None, end_of_turn=None):
    config = config or SessionConfig(input_format=AudioFormat("pcm16", 16_000))
    options = RuntimeOptions(config, limits or SessionLimits())
    runtime = SessionRuntime("s1", agent, Perception(silero, end_of_turn or Finished()), options)
    listener = Listener(runtime)
    async with asyncio.TaskGroup() as tasks:
        life = tasks.create_task(runtime.run())
        reading = tasks.create_task(listener.read())
        try:
            yield runtime, listener, agent.sessions["s1"]
        finally:
            await runtime.close("test over")
    assert life.done()
    assert reading.done()
    assert agent.sessions["s1"].closed
    assert agent.sessions["s1"].running == 0


MANUAL = SessionConfig(turn_detection=None, input_format=AudioFormat("pcm16", 16_000))


def jpeg(width=64, height=48, value=128):
    pixels = np.full((height, width, 3), value, np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


async def speak(runtime, samples, chunk=3_200):
    data = samples.tobytes()
    for at in range(0, len(data), chunk):
        await runtime.receive(AudioChunk(data[at : at + chunk]))


async def test_speech_is_answered(silero, recorded_speech):
    async with running(silero, PlainAgent()) as (runtime, listener, agent):
        await speak(runtime, recorded_speech)
        await speak(runtime, np.zeros(16_000, np.int16))
        (ended,) = await listener.until(ResponseEnded)
        assert ended.status == "completed"
        kinds = [type(output) for output in listener.outputs]
        assert kinds.index(SpeechStarted) < kinds.index(AudioCommitted) < kinds.index(ResponseStarted)
        text = "".join(o.text for o in listener.outputs if isinstance(o, TextDelta))
        assert text == "Hello there. How are you?"
        await listener.until(TranscriptionCompleted)
        committed = next(o for o in listener.outputs if isinstance(o, AudioCommitted))
        assert sum(part.size for part in agent.heard[committed.item_id]) > 8_000
        assert ("lull", committed.item_id) in agent.notes, "told before the turn was over"


async def test_who_goes_on_after_a_lull_is_told_to_the_agent(silero, recorded_speech):
    async with running(silero, PlainAgent()) as (runtime, _, agent):
        await speak(runtime, recorded_speech)
        await speak(runtime, np.zeros(3_200, np.int16))
        await speak(runtime, recorded_speech)
        told = [note[0] for note in agent.notes if note[0] in ("lull", "resumed")]
        assert told[:2] == ["lull", "resumed"]


async def test_ids_are_unlike_those_of_another_session(silero):
    agent = PlainAgent()
    async with running(silero, agent, config=MANUAL) as (runtime, listener, session):
        await runtime.receive(CreateResponse())
        await listener.until(ResponseEnded)
        first = session.requests[0].response_id
    async with running(silero, agent, config=MANUAL) as (runtime, listener, session):
        await runtime.receive(CreateResponse())
        await listener.until(ResponseEnded)
        assert session.requests[0].response_id != first


async def test_push_to_talk(silero):
    async with running(silero, PlainAgent(), config=MANUAL) as (runtime, listener, agent):
        await speak(runtime, np.full(16_000, 500, np.int16))
        await runtime.receive(CommitAudio())
        await runtime.receive(CreateResponse())
        await listener.until(ResponseEnded)
        assert not agent.requests[0].speculative


async def test_a_failing_agent_ends_the_response_with_a_reason(silero):
    agent = PlainAgent([EngineError("The engine is out of memory.")])
    async with running(silero, agent, config=MANUAL) as (runtime, listener, _):
        await runtime.receive(CreateResponse())
        (ended,) = await listener.until(ResponseEnded)
        assert (ended.status, ended.message) == ("failed", "The engine is out of memory.")


async def test_a_bug_in_the_agent_tells_the_client_nothing_internal(silero):
    agent = PlainAgent(["Well, ", RuntimeError("/secret/path")])
    async with running(silero, agent, config=MANUAL) as (runtime, listener, _):
        await runtime.receive(CreateResponse())
        (ended,) = await listener.until(ResponseEnded)
        assert ended.status == "failed"
        assert "secret" not in (ended.message or "")
        agent.clauses = ["Better now."]
        await runtime.receive(CreateResponse())
        assert (await listener.until(ResponseEnded, 2))[1].status == "completed"


async def test_a_transcript_that_fails_is_reported(silero):
    async with running(silero, PlainAgent(transcript=None), config=MANUAL) as (runtime, listener, _):
        await speak(runtime, np.zeros(16_000, np.int16))
        await runtime.receive(CommitAudio())
        (failed,) = await listener.until(TranscriptionError)
        assert failed.message == "no words were found"


async def test_a_broken_end_of_turn_model_costs_time_only(silero, recorded_speech):
    async with running(silero, PlainAgent(), end_of_turn=Broken()) as (runtime, listener, _):
        await speak(runtime, recorded_speech)
        await speak(runtime, np.zeros(24_000, np.int16))
        await listener.until(ResponseEnded)


async def test_a_session_asks_a_swamped_end_of_turn_model_for_one_silence_at_a_time(silero, recorded_speech):
    swamped = Swamped()
    async with running(silero, PlainAgent(), end_of_turn=swamped) as (runtime, listener, _):
        for turn in (1, 2, 3):
            await speak(runtime, recorded_speech)
            await speak(runtime, np.zeros(24_000, np.int16))
            await listener.until(ResponseEnded, count=turn)
            assert swamped.waiting == 1
    assert swamped.waiting == 0
    assert swamped.given_up == 3


async def test_audio_that_stops_coming_ends_the_turn(silero, recorded_speech):
    limits = SessionLimits(stall_ms=50)
    async with running(silero, PlainAgent(), limits=limits) as (runtime, listener, _):
        await speak(runtime, recorded_speech)
        await listener.until(ResponseEnded)


async def test_cancelling_stops_the_agent_before_its_next_clause(silero):
    gate = asyncio.Event()
    agent = PlainAgent(gate=gate)
    async with running(silero, agent, config=MANUAL) as (runtime, listener, session):
        await runtime.receive(CreateResponse())
        await listener.until(ResponseStarted)
        await asyncio.sleep(0)
        await runtime.receive(CancelResponse())
        (ended,) = await listener.until(ResponseEnded)
        assert ended.status == "cancelled"
        gate.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert session.running == 0
        assert not [o for o in listener.outputs if isinstance(o, AudioDelta)]


async def test_a_client_that_does_not_read_holds_the_voice_back(silero):
    agent = PlainAgent(["word " * 100] * 40)  # 20 s a clause: 38 MB in all
    runtime = SessionRuntime("s1", agent, Perception(silero, None), RuntimeOptions(MANUAL))
    life = asyncio.create_task(runtime.run())
    await runtime.receive(CreateResponse())
    for _ in range(500):
        await asyncio.sleep(0)
    waiting = runtime._outgoing.audio_bytes
    assert waiting < 6_000_000
    listener = Listener(runtime)
    reading = asyncio.create_task(listener.read())
    await listener.until(ResponseEnded)
    assert len([o for o in listener.outputs if isinstance(o, AudioDelta)]) == 40
    await runtime.close()
    await asyncio.gather(life, reading)


async def test_pictures_in_items_are_decoded_once_and_named_by_content(silero):
    async with running(silero, PlainAgent(), config=MANUAL) as (runtime, _, agent):
        sent = Picture(jpeg(), "image/jpeg", 0, 0, "", detail="high")
        await runtime.receive(AddItem(Item("i", "message", content=(ImageContent(sent),))))
        inserted = next(note[1] for note in agent.notes if isinstance(note[-1], InsertItem))
        (content,) = inserted.item.content
        assert (content.picture.width, content.picture.height) == (64, 48)
        assert content.picture.key
        assert content.picture.detail == "high"


async def test_a_broken_picture_goes_no_further(silero):
    async with running(silero, PlainAgent(), config=MANUAL) as (runtime, listener, agent):
        broken = Picture(jpeg()[:200], "image/jpeg", 0, 0, "")
        with pytest.raises(InvalidPicture):
            await runtime.receive(AddItem(Item("i", "message", content=(ImageContent(broken),))))
        with pytest.raises(InvalidPicture):
            await runtime.receive(CameraPicture(b"nonsense"))
        assert [note for note in agent.notes if note[0] == "edit"] == []
        await runtime.receive(CreateResponse())
        await listener.until(ResponseEnded)


async def test_pictures_given_for_one_answer_are_checked_as_well(silero):
    async with running(silero, PlainAgent(), config=MANUAL) as (runtime, listener, agent):
        for data, accepted in ((jpeg()[:200], False), (jpeg(), True)):
            item = Item("i", "message", content=(ImageContent(Picture(data, "image/jpeg", 0, 0, "")),))
            if accepted:
                await runtime.receive(CreateResponse(input=(item,)))
            else:
                with pytest.raises(InvalidPicture):
                    await runtime.receive(CreateResponse(input=(item,)))
        await listener.until(ResponseEnded)
        (request,) = agent.requests
        assert request.input[0].content[0].picture.width == 64


async def test_the_newest_camera_picture_can_be_looked_at(silero):
    async with running(silero, PlainAgent(), config=MANUAL) as (runtime, _, agent):
        assert agent.host.latest_picture() is None
        await runtime.receive(CameraPicture(jpeg(), captured_ms=12.0))
        await runtime.receive(CameraPicture(jpeg(value=130), captured_ms=40.0))
        assert agent.host.latest_picture().captured_ms == 40.0
        foreseen = [note[1:] for note in agent.notes if note[0] == "foresee"]
        assert len(foreseen) == 1, "what a turn would be shown now; the second picture shows the same"


async def test_a_flood_of_pictures_is_dropped_and_said_so(silero):
    async with running(silero, PlainAgent(), config=MANUAL) as (runtime, listener, _):
        for value in range(100):
            await runtime.receive(CameraPicture(jpeg(value=value * 2)))
        dropped = await listener.until(Dropped, 50)
        assert all(drop.what == "picture" for drop in dropped)


async def test_the_input_format_can_change(silero):
    async with running(silero, PlainAgent(), config=MANUAL) as (runtime, listener, agent):
        config = SessionConfig(turn_detection=None, input_format=AudioFormat("pcmu", 8_000))
        await runtime.receive(ConfigureSession(config))
        await runtime.receive(AudioChunk(b"\xff" * 8_000))
        await runtime.receive(CommitAudio())
        (committed,) = await listener.until(AudioCommitted)
        assert sum(part.size for part in agent.heard[committed.item_id]) == pytest.approx(16_000, abs=1_024)


async def test_an_unsupported_rate_is_refused_and_the_old_one_stays(silero):
    async with running(silero, PlainAgent(), config=MANUAL) as (runtime, listener, _):
        config = SessionConfig(turn_detection=None, input_format=AudioFormat("pcm16", 5))
        with pytest.raises(InvalidAudio):
            await runtime.receive(ConfigureSession(config))
        await speak(runtime, np.zeros(16_000, np.int16))
        await runtime.receive(CommitAudio())
        await listener.until(AudioCommitted)


async def test_announcements_are_spoken(silero):
    async with running(silero, PlainAgent(), config=MANUAL) as (_, listener, agent):
        agent.host.announce("Your tea is ready.")
        (ended,) = await listener.until(ResponseEnded)
        assert ended.items[0].content[0].transcript == "Your tea is ready."


async def test_after_long_quiet_it_checks_in(silero):
    detection = TurnDetection(idle_timeout_ms=20)
    config = SessionConfig(turn_detection=detection)
    async with running(silero, PlainAgent(["Hi."]), config=config) as (runtime, listener, agent):
        await runtime.receive(CreateResponse())
        await listener.until(ResponseEnded, 2)
        assert agent.requests[1].instructions


@pytest.mark.parametrize("wanted", [False, True])
async def test_what_was_said_is_logged_only_where_it_is_wanted(silero, wanted):
    options = RuntimeOptions(MANUAL, log_transcripts=wanted)
    with structlog.testing.capture_logs() as logged:
        agent = PlainAgent(["Good morning."])
        runtime = SessionRuntime("s1", agent, Perception(silero, None), options)
        listener = Listener(runtime)
        life, reading = asyncio.create_task(runtime.run()), asyncio.create_task(listener.read())
        await speak(runtime, np.zeros(16_000, np.int16))
        await runtime.receive(CommitAudio())
        await runtime.receive(CreateResponse())
        await listener.until(ResponseEnded)
        await listener.until(TranscriptionCompleted)
        await runtime.close()
        await asyncio.gather(life, reading)
    assert ("Good morning." in str(logged)) == wanted
    assert ("hello" in str(logged)) == wanted


async def test_closing_twice_is_closing_once(silero):
    async with running(silero, PlainAgent()) as (runtime, _, _agent):
        await runtime.close("once")
        await runtime.close("twice")
        await runtime.receive(CreateResponse())
        assert not runtime.responding


async def test_what_was_perceived_already_is_taken_as_it_is(silero):
    async with running(silero, PlainAgent()) as (runtime, listener, agent):
        for probability in [0.95] * 20 + [0.01] * 40:
            runtime.perceive(AudioFrame(np.zeros(512, np.int16), probability))
        seen = Picture(jpeg(), "image/jpeg", 64, 48, "key", 1.0)
        runtime.perceive(CameraFrame(seen))
        await listener.until(AudioCommitted)
        (ended,) = await listener.until(ResponseEnded)
        assert ended.status == "completed" and runtime.latest_picture() is seen


async def test_ids_of_two_sessions_have_nothing_in_common(silero):
    named = set()
    for _ in range(2):
        async with running(silero, PlainAgent()) as (runtime, listener, _):
            await runtime.receive(CreateResponse())
            (started,) = await listener.until(ResponseStarted)
            named.add(started.response_id)
    assert len(named) == 2


async def test_what_is_given_up_reaches_the_camera_and_the_agent(silero):
    async with running(silero, PlainAgent()) as (runtime, _, agent):
        runtime.relieve(Relief(frames_per_s=0.1, picture_px=32, history=0.5))
        await runtime.receive(CameraPicture(jpeg()))
        await runtime.receive(CameraPicture(jpeg()))
        assert (runtime.latest_picture().width, runtime.latest_picture().height) == (32, 24)
        assert ("history", 0.5) in agent.notes
