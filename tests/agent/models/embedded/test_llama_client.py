"""Talking to a server on a socket file: events as they come, errors in words, and an end at any moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hearsight.agent.models.embedded import llama_client
from hearsight.agent.models.embedded.llama_client import LlamaClient
from hearsight.streams.errors import EngineError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """What stands for llama.cpp's: a handler that each test sets."""

    def __init__(self) -> None:
        self.handler: Handler | None = None
        self.asked: list[Any] = []
        self.closed_early = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((str(request.rel_url), await request.json()))
        assert self.handler is not None
        try:
            return await self.handler(request)
        except (asyncio.CancelledError, ConnectionError):
            self.closed_early.set()
            raise


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.handle)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s")).start()
    yield made
    await runner.cleanup()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[LlamaClient]:
    made = LlamaClient(tmp_path / "s")
    yield made
    await made.aclose()
    await made.aclose()


def streaming(*events: Any, hang: bool = False) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        while hang:
            await response.write(b": still here\n")
            await asyncio.sleep(0)
        return response

    return handle


async def test_events_come_in_order_and_comments_do_not(server: Server, client: LlamaClient) -> None:
    server.handler = streaming({"content": "Grüße"}, {"content": "", "stop": True})
    events = [event async for event in client.complete({"prompt": [1]})]
    assert events == [{"content": "Grüße"}, {"content": "", "stop": True}]
    assert server.asked == [("/completion", {"prompt": [1], "stream": True})]


async def test_an_event_may_be_as_long_as_the_context(server: Server, client: LlamaClient) -> None:
    server.handler = streaming({"prompt": "word " * 200_000})
    (event,) = [event async for event in client.complete({})]
    assert len(event["prompt"]) == 1_000_000


async def test_closing_the_iterator_closes_the_connection(server: Server, client: LlamaClient) -> None:
    server.handler = streaming({"content": "a"}, hang=True)
    async with aclosing(client.complete({})) as events:
        assert await anext(events) == {"content": "a"}
    await asyncio.wait_for(server.closed_early.wait(), 5)


async def test_an_error_status_is_an_error_in_words(server: Server, client: LlamaClient) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": {"type": "exceed_context_size_error"}}, status=400)

    server.handler = refuse
    with pytest.raises(EngineError, match="longer than the language model can read") as caught:
        await anext(client.complete({}))
    assert caught.value.code == "context_exceeded"


async def test_an_error_amid_the_events_is_an_error(server: Server, client: LlamaClient) -> None:
    server.handler = streaming({"content": "a"}, {"error": {"message": "out of memory"}})
    events = client.complete({})
    assert await anext(events) == {"content": "a"}
    with pytest.raises(EngineError, match="failed while writing"):
        await anext(events)


async def test_no_server_is_an_error(client: LlamaClient) -> None:
    with pytest.raises(EngineError, match="failed while writing"):
        await anext(client.complete({}))
    with pytest.raises(EngineError, match="could not be moved"):
        await client.move("save", 0, "x.kv")


async def test_a_server_that_says_nothing_any_more_is_given_up(
    server: Server, client: LlamaClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_client, "TIMEOUT_S", 0.05)
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    server.handler = hang
    with pytest.raises(EngineError, match="failed while writing"):
        await anext(client.complete({}))


async def test_a_cache_is_moved_by_name(server: Server, client: LlamaClient) -> None:
    async def moved(request: web.Request) -> web.StreamResponse:
        return web.json_response({"n_saved": 7, "n_restored": 5})

    server.handler = moved
    assert await client.move("save", 1, "x.kv") == 7
    assert await client.move("restore", 2, "x.kv") == 5
    assert server.asked == [
        ("/slots/1?action=save", {"filename": "x.kv"}),
        ("/slots/2?action=restore", {"filename": "x.kv"}),
    ]


async def test_a_cache_that_cannot_be_moved_is_an_error(server: Server, client: LlamaClient) -> None:
    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    server.handler = refuse
    with pytest.raises(EngineError, match="could not be moved"):
        await client.move("save", 1, "x.kv")
