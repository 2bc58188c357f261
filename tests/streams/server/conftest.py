"""A server on a free port, over a small session that does as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from hearsight.streams.errors import NotFound
from hearsight.streams.events import (
    AddItem,
    AudioChunk,
    AudioDelta,
    CancelResponse,
    ClientEvent,
    ConfigureSession,
    CreateResponse,
    DeleteItem,
    ItemAdded,
    ItemDeleted,
    Output,
    ResponseEnded,
    ResponseStarted,
    RetrieveItem,
    SessionConfig,
    SessionConfigured,
)
from hearsight.streams.gemini_live.codec import GeminiLiveCodec, read_opening
from hearsight.streams.observing import Observer, Observers
from hearsight.streams.openai_realtime.client_secrets import CLIENT_SECRETS_PATH, SecretsDesk, configuring
from hearsight.streams.openai_realtime.codec import OpenAIRealtimeCodec
from hearsight.streams.overload import Relief
from hearsight.streams.page import Page
from hearsight.streams.server import Server
from hearsight.streams.transport import Endpoint, Handle, Resumption, ServerOptions

PATH = "/v1/realtime"
GEMINI_PATH = "/ws/gemini"


class ObedientRuntime:
    """A session without an agent: adding an item shows it, a response lasts until it is cancelled."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.received: list[ClientEvent] = []
        self.closed_with: str | None = None
        self._outputs: asyncio.Queue[Output | None] = asyncio.Queue()
        self._closed = asyncio.Event()
        self._broken: Exception | None = None
        self.hangs = False
        self.reliefs: list[Relief] = []
        self.describe_wire = dict
        self.observers = Observers()

    async def receive(self, event: ClientEvent) -> None:
        self.received.append(event)
        match event:
            case ConfigureSession(config):
                self.tell(SessionConfigured(config))
            case AddItem(item, previous):
                self.tell(ItemAdded(item, previous))
            case DeleteItem(item_id):
                self.tell(ItemDeleted(item_id))
            case RetrieveItem("broken"):
                raise RuntimeError("a fault with /secret/path in it")
            case RetrieveItem():
                raise NotFound("There is no such item.", param="item_id")
            case CreateResponse():
                self.tell(ResponseStarted("resp_1", "audio"))
            case CancelResponse():
                self.tell(ResponseEnded("resp_1", "audio", "cancelled", "client_cancelled"))
            case AudioChunk(data):
                samples = np.frombuffer(data, dtype=np.int16)
                self.tell(AudioDelta("resp_1", "item_1", 0, samples))

    def tell(self, output: Output) -> None:
        self.observers.tell(output)
        self._outputs.put_nowait(output)

    def break_down(self) -> None:
        self._broken = RuntimeError("a fault with /secret/path in it")
        self._closed.set()

    def relieve(self, relief: Relief) -> None:
        self.reliefs.append(relief)

    async def outputs(self) -> AsyncIterator[Output]:
        while (output := await self._outputs.get()) is not None:
            yield output

    def observe(self, observer: Observer) -> None:
        self.observers.add(observer)

    async def kept(self) -> None:
        """Nothing is kept."""

    async def owned(self) -> bool:
        return True

    async def run(self) -> None:
        await self._closed.wait()
        if self._broken is not None:
            raise self._broken

    async def close(self, reason: str) -> None:
        if self.closed_with is None:
            self.closed_with = reason
            self._outputs.put_nowait(None)
            self._closed.set()
        if self.hangs:
            await asyncio.Event().wait()


class Service:
    """A running server, and what a test needs to see of it."""

    def __init__(self, options: ServerOptions, page: Page | None = None) -> None:
        self.runtimes: dict[str, ObedientRuntime] = {}
        self.on_open: Callable[[str], None] = lambda session_id: None
        openai = Endpoint("openai-realtime", self._codec, subprotocols=("realtime",), configuring=configuring)
        gemini = Endpoint("gemini-live", self._gemini_codec, key_in_query=True, read_opening=self._opening)
        posts = {CLIENT_SECRETS_PATH: SecretsDesk("hearsight", SessionConfig()).answer}
        endpoints = {PATH: openai, GEMINI_PATH: gemini}
        self.server = Server(options, endpoints, self._runtime, page=page, posts=posts)
        self.server.readiness.reason = None
        self.task: asyncio.Task[None] | None = None

    def _codec(self, session_id: str) -> OpenAIRealtimeCodec:
        return OpenAIRealtimeCodec(session_id, "hearsight", SessionConfig())

    def _gemini_codec(self, session_id: str) -> GeminiLiveCodec:
        return GeminiLiveCodec(session_id, SessionConfig(), 10.0)

    def _opening(self, message: str | bytes) -> Handle | None:
        return read_opening(message, SessionConfig())

    def _runtime(self, session_id: str, resumed: Resumption | None = None) -> ObedientRuntime:
        self.on_open(session_id)
        self.runtimes[session_id] = runtime = ObedientRuntime(session_id)
        return runtime

    async def start(self) -> None:
        self.task = asyncio.create_task(self.server.run())
        started = asyncio.create_task(self.server.started.wait())
        await asyncio.wait((self.task, started), return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if self.task.done():
            await self.task

    async def stop(self) -> None:
        self.server.stop()
        self.server.stop()
        if self.task is not None:
            await self.task

    def url(self, query: str = "model=hearsight", path: str = PATH) -> str:
        return f"ws://127.0.0.1:{self.server.port}{path}?{query}"

    def connect(self, query: str = "model=hearsight", **options: Any) -> websockets.connect:
        return websockets.connect(self.url(query), **options)

    async def open(self, **options: Any) -> tuple[ClientConnection, str]:
        """Open a session; returns its socket and its id."""
        socket = await self.connect(**options)
        return socket, (await receive(socket))["session"]["id"]

    async def request(self, head: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """Send one HTTP request, written as its lines; returns status, headers and body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        writer.write(head.strip().replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        answer = await reader.read()
        writer.close()
        top, _, content = answer.partition(b"\r\n\r\n")
        status, *lines = top.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return int(status.split(" ")[1]), headers, content


async def receive(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(await socket.recv())


async def closing(socket: ClientConnection) -> tuple[list[dict[str, Any]], int | None, str | None]:
    """Read to the end; returns what came, and the close code and reason."""
    events = []
    try:
        while True:
            events.append(await receive(socket))
    except websockets.ConnectionClosed:
        return events, socket.close_code, socket.close_reason


@pytest.fixture
def read() -> Callable[[ClientConnection], Awaitable[dict[str, Any]]]:
    return receive


@pytest.fixture
def read_to_close() -> Callable[
    [ClientConnection], Awaitable[tuple[list[dict[str, Any]], int | None, str | None]]
]:
    return closing


@pytest.fixture
def make_service() -> Callable[..., Service]:
    def make(page: Page | None = None, **options: Any) -> Service:
        return Service(ServerOptions(**{"port": 0, **options}), page)

    return make


@pytest.fixture
async def start_service(
    make_service: Callable[..., Service],
) -> AsyncIterator[Callable[..., Awaitable[Service]]]:
    async with AsyncExitStack() as stack:

        async def start(**options: Any) -> Service:
            service = make_service(**options)
            await service.start()
            stack.push_async_callback(service.stop)
            return service

        yield start
