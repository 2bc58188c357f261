"""Hundreds of thousands of spoilt messages to each codec, and some thousands to a whole service."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import pytest
import structlog.testing
import websockets
from fuzzing import MESSAGES, fuzz, kept, messages
from plain_agent import PlainAgent

from hearsight.config.settings import Settings
from hearsight.models_command import open_store
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.errors import HearsightError
from hearsight.streams.events import (
    Item,
    OutputItemDone,
    ResponseEnded,
    ResponseStarted,
    SessionConfig,
    ToolCall,
)
from hearsight.streams.gemini_live.codec import GeminiLiveCodec, read_opening
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.streams.server import Server
from hearsight.streams.transport import Endpoint, Resumption, ServerOptions

OPENAI, GEMINI = kept("openai_realtime.jsonl"), kept("gemini_live.jsonl")
SESSION = 200
"""Messages that one codec is given before the next takes over: what came before counts."""
MAX_TOLD = 2_000
"""Characters of what a client is told, however long what it sent."""


def new_openai() -> OpenAIRealtimeCodec:
    return OpenAIRealtimeCodec("sess_1", "gemma", SessionConfig())


def new_gemini() -> GeminiLiveCodec:
    codec = GeminiLiveCodec("sess_1", SessionConfig())
    codec.decode('{"setup": {}}')
    codec.encode(ResponseStarted("resp_1", "audio"))
    call = Item("item_1", "function_call", "assistant", call=ToolCall("call_1", "f", "{}"))
    codec.encode(OutputItemDone("resp_1", 0, call))
    codec.encode(ResponseEnded("resp_1", "audio", "completed"))
    return codec


class Reader:
    """Gives messages to a codec, and to a new one every now and then."""

    def __init__(self, new_codec: Any) -> None:
        self._new_codec = new_codec
        self._codec = new_codec()
        self._read = 0

    def take(self, message: str | bytes) -> bool:
        self._read += 1
        if self._read % SESSION == 0:
            self._codec = self._new_codec()
        try:
            self._codec.decode(message)
        except HearsightError as error:
            told = self._codec.error(error, self._codec.client_event_id)
            assert len(told) < MAX_TOLD and json.loads(told)
            told.encode()
            return False
        return True


@pytest.mark.timeout(300 + MESSAGES // 100)
def test_openai_realtime_reads_or_refuses_whatever_comes() -> None:
    fuzz("openai realtime", messages(1, OPENAI, MESSAGES), Reader(new_openai).take)


@pytest.mark.timeout(300 + MESSAGES // 100)
def test_gemini_live_reads_or_refuses_whatever_comes() -> None:
    fuzz("gemini live", messages(2, GEMINI, MESSAGES), Reader(new_gemini).take)


def test_a_gemini_live_session_opens_or_is_refused_whatever_its_setup() -> None:
    def take(message: str | bytes) -> bool:
        try:
            read_opening(message, SessionConfig())
        except HearsightError as error:
            assert len(error.message) < MAX_TOLD
            return False
        GeminiLiveCodec("sess_1", SessionConfig()).decode(message)
        return True

    setups = [message for message in GEMINI if "setup" in message]
    fuzz("gemini live setup", messages(3, setups, max(1, MESSAGES // 5)), take)


@pytest.mark.models
@pytest.mark.timeout(300 + MESSAGES // 100)
@pytest.mark.parametrize("protocol", ["openai", "gemini"])
async def test_no_message_brings_down_the_service_or_its_session(protocol: str) -> None:
    """Over a real socket: behind the codec stand the session, the decoders and the agent."""
    perception = Perception(SileroModel(open_store(Settings()).file("silero-vad")), None)
    agent = PlainAgent()

    def new_runtime(session_id: str, resumed: Resumption | None = None) -> SessionRuntime:
        return SessionRuntime(session_id, agent, perception, RuntimeOptions(), resumed=resumed)

    endpoints = {
        "/openai": Endpoint(
            "openai", lambda session_id: OpenAIRealtimeCodec(session_id, "m", SessionConfig())
        ),
        "/gemini": Endpoint(
            "gemini",
            lambda session_id: GeminiLiveCodec(session_id, SessionConfig()),
            read_opening=lambda message: read_opening(message, SessionConfig()),
        ),
    }
    server = Server(ServerOptions(port=0, events_per_s=1e6, session_ttl_s=0), endpoints, new_runtime)
    server.readiness.reason = None
    running = asyncio.create_task(server.run())
    await server.started.wait()
    corpus = OPENAI if protocol == "openai" else GEMINI
    sent = 0
    with structlog.testing.capture_logs() as logs:
        inputs = messages(4, corpus, max(500, MESSAGES // 50))
        while batch := list(itertools.islice(inputs, SESSION)):
            async with asyncio.timeout(60):
                await talk(f"ws://127.0.0.1:{server.port}/{protocol}", protocol, batch)
            sent += len(batch)
    server.stop()
    server.stop()
    await running
    assert [entry for entry in logs if entry["log_level"] in ("error", "critical")] == []
    assert sent >= 500


async def talk(url: str, protocol: str, batch: list[str | bytes]) -> None:
    """Send messages, and see that the session is still there afterwards."""
    async with websockets.connect(url, compression=None, max_size=None) as socket:
        reading = asyncio.create_task(read(socket))
        if protocol == "gemini":
            await socket.send('{"setup": {"model": "m"}}')
        for message in batch:
            await socket.send(message)
        ask = '{"type": "session.update", "session": {"instructions": "Are you there?"}}'
        if protocol == "gemini":
            ask = '{"contextUpdate": {"systemInstruction": {"parts": [{"text": "Are you there?"}]}}}'
        await socket.send(ask)
        await asyncio.sleep(0.05)
        assert socket.close_code is None, f"closed with {socket.close_code} {socket.close_reason}"
        pong = await socket.ping()
        await pong
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def read(socket: websockets.ClientConnection) -> None:
    async for message in socket:
        json.loads(message)
