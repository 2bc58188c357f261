"""What clients should not send, over a real socket: an error or a stated drop, and the service stays up.

The sessions are real, down to the voice activity model; only the agent is a plain one, so that the input
and not the answers take the time.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import time
import zlib
from collections.abc import AsyncIterator

import cv2
import numpy as np
import platformdirs
import psutil
import pytest
import websockets
from plain_agent import PlainAgent

from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.events import SessionConfig
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.streams.server import Server
from hearsight.streams.transport import Endpoint, ServerOptions

PATH = "/v1/realtime"
SECOND = 24_000


class Finished:
    async def probability(self, samples):
        return 0.9


class Service:
    """A running server, and sockets to it."""

    def __init__(self, server: Server, agent: PlainAgent) -> None:
        self.server = server
        self.agent = agent

    def connect(self):
        return websockets.connect(
            f"ws://127.0.0.1:{self.server.port}{PATH}", max_size=None, close_timeout=0.5
        )

    async def still_answers(self) -> None:
        """A newcomer has a whole conversation."""
        async with self.connect() as socket:
            await send(socket, "response.create")
            done = await until(socket, "response.done")
            assert done["response"]["status"] == "completed"


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    path = platformdirs.user_cache_path("hearsight") / "models" / "silero-vad" / "silero_vad.onnx"
    perception = Perception(SileroModel(path), Finished())
    agent = PlainAgent()

    def new_runtime(session_id: str) -> SessionRuntime:
        return SessionRuntime(session_id, agent, perception, RuntimeOptions())

    def new_codec(session_id: str) -> OpenAIRealtimeCodec:
        return OpenAIRealtimeCodec(session_id, "plain", SessionConfig())

    options = ServerOptions(port=0, session_ttl_s=0.05, events_per_s=5_000, close_timeout_s=0.5)
    server = Server(options, {PATH: Endpoint("openai-realtime", new_codec)}, new_runtime)
    server.readiness.reason = None
    running = asyncio.create_task(server.run())
    await server.started.wait()
    yield Service(server, agent)
    server.stop()
    server.stop()
    await running


async def send(socket, kind, **fields):
    await socket.send(json.dumps({"type": kind, **fields}))


async def append(socket, samples):
    for at in range(0, samples.size, SECOND):
        data = samples[at : at + SECOND].astype("<i2").tobytes()
        await send(socket, "input_audio_buffer.append", audio=base64.b64encode(data).decode())


async def until(socket, kind):
    async with asyncio.timeout(60):
        while True:
            event = json.loads(await socket.recv())
            if event["type"] == kind:
                return event


async def push_to_talk(socket):
    await until(socket, "session.created")
    audio = {"input": {"turn_detection": None}}
    await send(socket, "session.update", session={"type": "realtime", "audio": audio})
    await until(socket, "session.updated")


def picture(width=64, height=48, *, kind=".jpg"):
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(kind, pixels)[1].tobytes()


def huge_png_header() -> bytes:
    """A small file that claims to hold 60,000 × 60,000 pixels: a decompression bomb."""
    small = bytearray(picture(kind=".png"))
    small[16:24] = (60_000).to_bytes(4, "big") * 2
    small[29:33] = zlib.crc32(small[12:29]).to_bytes(4, "big")
    return bytes(small)


BROKEN_PICTURES = {
    "cut off": picture()[:-200],
    "no picture": b"not a picture at all",
    "empty": b"",
    "a GIF": b"GIF89a" + bytes(64),
    "a bomb": huge_png_header(),
    "mangled": picture()[:300] + bytes(200) + picture()[500:],
}


@pytest.mark.parametrize("name", BROKEN_PICTURES)
async def test_pictures_that_do_not_decode(service, name):
    data = base64.b64encode(BROKEN_PICTURES[name]).decode()
    async with service.connect() as socket:
        content = [{"type": "input_image", "image_url": f"data:image/jpeg;base64,{data}"}]
        item = {"type": "message", "role": "user", "content": content}
        await send(socket, "conversation.item.create", item=item, event_id="mine")
        error = (await until(socket, "error"))["error"]
        assert error["event_id"] == "mine"
        assert error["message"]
        await send(socket, "input_image_buffer.append", image=data, event_id="live")
        assert (await until(socket, "error"))["error"]["event_id"] == "live"
        await send(socket, "response.create")
        await until(socket, "response.done")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"audio": "this is not base64!"}, "audio"),
        ({"audio": 12}, "audio"),
        ({}, "audio"),
    ],
)
async def test_audio_that_is_none(service, fields, param):
    async with service.connect() as socket:
        await send(socket, "input_audio_buffer.append", **fields)
        assert (await until(socket, "error"))["error"]["param"] == param
        await send(socket, "response.create")
        await until(socket, "response.done")


async def test_samples_cut_in_half_between_messages(service):
    samples = (np.sin(np.arange(SECOND) / 20) * 5_000).astype("<i2").tobytes()
    async with service.connect() as socket:
        await push_to_talk(socket)
        for at in range(0, len(samples), 333):
            data = base64.b64encode(samples[at : at + 333]).decode()
            await send(socket, "input_audio_buffer.append", audio=data)
        await send(socket, "input_audio_buffer.commit")
        await until(socket, "conversation.item.done")
        (session,) = service.agent.sessions.values()
        heard = np.concatenate(next(iter(session.heard.values())))
        assert 15_000 < heard.size <= 16_500
        assert np.abs(heard[2_000:14_000]).max() == pytest.approx(5_000, rel=0.05), "no byte was shifted"


@pytest.mark.parametrize("rate", [0, 7, 5_000_000, "fast"])
async def test_rates_that_are_none(service, rate):
    async with service.connect() as socket:
        format_ = {"type": "audio/pcm", "rate": rate}
        session = {"type": "realtime", "audio": {"input": {"format": format_}}}
        await send(socket, "session.update", session=session)
        assert "rate" in (await until(socket, "error"))["error"]["param"]
        await send(socket, "response.create")
        await until(socket, "response.done")


@pytest.mark.parametrize("message", ["", "{", "[]", "12", '{"type": "do.magic"}', b"\xff\xfe", b"\x00" * 100])
async def test_messages_that_are_none(service, message):
    async with service.connect() as socket:
        await socket.send(message)
        await until(socket, "error")
        await send(socket, "response.create")
        await until(socket, "response.done")


async def test_silence_and_noise_start_no_answer(service):
    rng = np.random.default_rng(5)
    async with service.connect() as socket:
        await append(socket, np.zeros(SECOND * 5, np.int16))
        await append(socket, rng.normal(0, 400, SECOND * 5).astype(np.int16))
        await append(socket, np.full(SECOND, 32_767, np.int16))
        await send(socket, "input_audio_buffer.clear")
        await until(socket, "input_audio_buffer.cleared")
        (session,) = service.agent.sessions.values()
        assert session.requests == []


async def test_five_minutes_without_a_pause(service, speech_24k):
    monologue = np.tile(trimmed(speech_24k), 1 + SECOND * 300 // trimmed(speech_24k).size)[: SECOND * 300]
    async with service.connect() as socket:
        sending = asyncio.create_task(append(socket, monologue))
        committed = [await until(socket, "input_audio_buffer.committed") for _ in range(4)]
        await sending
        await append(socket, np.zeros(SECOND * 2, np.int16))
        done = await until(socket, "response.done")
        assert done["response"]["status"] == "completed"
        assert len({event["item_id"] for event in committed}) == 4
        (session,) = service.agent.sessions.values()
        heard = sum(sum(part.size for part in parts) for parts in session.heard.values())
        assert heard >= 16_000 * 299


def trimmed(samples):
    """Without the pauses at its ends, so that repeating it leaves none long enough to end a turn."""
    loud = np.flatnonzero(np.abs(samples) > 1_500)
    return samples[loud[0] : loud[-1]]


async def test_five_minutes_into_a_push_to_talk_buffer(service):
    async with service.connect() as socket:
        await push_to_talk(socket)
        await append(socket, np.zeros(SECOND * 300, np.int16))
        await send(socket, "input_audio_buffer.commit")
        await until(socket, "input_audio_buffer.committed")


async def test_a_hundred_pictures_in_a_second(service):
    data = base64.b64encode(picture(640, 480)).decode()
    started_at = time.monotonic()
    async with service.connect() as socket:
        for _ in range(100):
            await send(socket, "input_image_buffer.append", image=data, mime_type="image/jpeg")
        await send(socket, "response.create")
        events = []
        async with asyncio.timeout(60):
            while not events or events[-1]["type"] != "response.done":
                events.append(json.loads(await socket.recv()))
        dropped = [event for event in events if "dropped" in json.dumps(event).lower()]
        # 30 a second are looked at, and 30 more at once; a slow machine takes longer and so drops fewer.
        looked_at = 30 + 30 * (time.monotonic() - started_at)
        assert len(dropped) >= 100 - looked_at - 1
        assert all("second" in json.dumps(event) for event in dropped)


async def test_a_megabyte_of_text(service):
    async with service.connect() as socket:
        content = [{"type": "input_text", "text": "word " * 200_000}]
        item = {"type": "message", "role": "user", "content": content}
        await send(socket, "conversation.item.create", item=item)
        await send(socket, "response.create")
        await until(socket, "response.done")


async def test_a_message_beyond_all_measure(service):
    socket = await service.connect()
    await until(socket, "session.created")
    with pytest.raises((websockets.ConnectionClosed, ConnectionError)):
        await send(socket, "input_audio_buffer.append", audio="A" * 17_000_000)
        await until(socket, "never")
    await socket.wait_closed()
    assert socket.close_code == 1009
    assert "bytes" in socket.close_reason
    await service.still_answers()


async def eventually(condition):
    """Lets the service come to rest; its tasks end within a few turns of the loop once their socket has."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the service does not come to rest")


async def speaking(socket, speech):
    await append(socket, speech)
    await until(socket, "input_audio_buffer.speech_started")


async def answering(socket, speech):
    await send(socket, "response.create")
    await until(socket, "response.output_audio.delta")


async def committing(socket, speech):
    await push_to_talk(socket)
    await append(socket, np.zeros(SECOND, np.int16))
    await send(socket, "input_audio_buffer.commit")


async def showing(socket, speech):
    for _ in range(5):
        await send(socket, "input_image_buffer.append", image=base64.b64encode(picture(640, 480)).decode())


async def idle(socket, speech):
    await until(socket, "session.created")


async def nothing(socket, speech):
    pass


@pytest.mark.parametrize("state", [nothing, idle, speaking, answering, committing, showing])
@pytest.mark.parametrize("how", ["goodbye", "cut"])
async def test_a_client_that_vanishes_leaves_nothing(service, speech_24k, state, how):
    before = len(asyncio.all_tasks())
    socket = await service.connect()
    await state(socket, speech_24k)
    if how == "cut":
        socket.transport.abort()
    await socket.close()
    await eventually(lambda: not len(service.server.sessions) and len(asyncio.all_tasks()) <= before)
    assert all(session.closed for session in service.agent.sessions.values())
    assert all(session.running == 0 for session in service.agent.sessions.values())
    await service.still_answers()


async def test_many_clients_come_and_go_without_leaving_memory_or_tasks(service, speech_24k):
    async def visit():
        async with service.connect() as socket:
            await append(socket, speech_24k)
            await append(socket, np.zeros(SECOND, np.int16))
            await until(socket, "response.done")

    async def visits(count):
        for _ in range(count):
            await asyncio.gather(*(visit() for _ in range(4)))
        await eventually(lambda: not len(service.server.sessions))
        service.agent.sessions.clear()
        gc.collect()

    process = psutil.Process(os.getpid())
    await visits(8)
    tasks, memory, files = len(asyncio.all_tasks()), process.memory_info().rss, process.num_fds()
    await visits(16)
    assert len(asyncio.all_tasks()) <= tasks
    assert process.num_fds() <= files + 2
    assert process.memory_info().rss < memory + 24_000_000, "64 sessions may not cost 24 MB for good"
