"""A server of chat completions that fails as it is told to, which no real one does at will."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from hearsight.config.engines import OpenAISettings


@dataclass
class Reply:
    """What comes for a request.

    Attributes:
        status: Of the response; anything but 200 is an error with ``body``.
        body: JSON of an error, or text.
        deltas: Chunks of the answer: texts, or whole ``delta`` objects.
        then: What follows them: ``end``, ``hang``, ``break`` (the connection) or ``error`` (in the stream).
        usage: Told at the end.
        headers: Of the response.
        finish: Why it ended.
    """

    status: int = 200
    body: Any = None
    deltas: tuple[Any, ...] = ()
    then: str = "end"
    usage: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    finish: str = "stop"


@dataclass
class FailingServer:
    """Gives its replies in order, and the last one for ever.

    Attributes:
        replies: Those.
        models: What it lists; None: it has no list.
        requests: Bodies of what was asked.
        headers: Headers of it.
        gone: Set once a client has left in the midst of an answer.
        began: Set once the first delta was sent.
    """

    replies: deque[Reply] = field(default_factory=deque)
    models: tuple[dict[str, Any], ...] | None = ({"id": "tiny", "object": "model"},)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    key: str | None = None
    port: int = 0
    """Where it listens; 0 takes any that is free."""

    def settings(self, **changes: Any) -> OpenAISettings:
        """Those of an engine that asks it."""
        return OpenAISettings(base_url=f"http://127.0.0.1:{self.port}/v1", model="tiny", **changes)

    async def list_models(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        if self.models is None:
            return web.json_response({"detail": "Not Found"}, status=404)
        return web.json_response({"object": "list", "data": list(self.models)})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        self.requests.append(await request.json())
        self.headers.append(dict(request.headers))
        reply = self.replies[0] if len(self.replies) == 1 else self.replies.popleft()
        if reply.status != 200:
            if isinstance(reply.body, str):
                return web.Response(status=reply.status, text=reply.body, headers=reply.headers)
            return web.json_response(reply.body, status=reply.status, headers=reply.headers)
        return await self._stream(request, reply)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}":
            return None
        error = {"message": "Unauthorized", "type": "invalid_request_error"}
        return web.json_response({"error": error}, status=401)

    async def _stream(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for delta in reply.deltas:
                await _send(response, _chunk(delta))
                self.began.set()
            if reply.then == "hang":
                while True:  # until whoever asked has left
                    await asyncio.sleep(0.02)
                    if request.transport is None or request.transport.is_closing():
                        raise ConnectionResetError
            if reply.then == "break":
                assert request.transport is not None
                request.transport.abort()
                return response
            if reply.then == "error":
                await _send(response, {"error": {"message": "the engine died", "code": 500}})
                return response
            await _send(response, _chunk({}, finish=reply.finish))
            if reply.usage is not None:
                await _send(response, {**_chunk({}), "choices": [], "usage": reply.usage})
            await response.write(b"data: [DONE]\n\n")
        except (ConnectionResetError, asyncio.CancelledError):
            self.gone.set()
            raise
        return response


def _chunk(delta: Any, finish: str | None = None) -> dict[str, Any]:
    content = {"content": delta} if isinstance(delta, str) else delta
    choice = {"index": 0, "delta": content, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "tiny",
        "choices": [choice],
    }


async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(f"data: {json.dumps(event)}\n\n".encode())


@asynccontextmanager
async def failing_server(*replies: Reply, **options: Any) -> AsyncIterator[FailingServer]:
    """A server that gives these replies, on a free port."""
    server = FailingServer(deque(replies or (Reply(deltas=("Yes.",)),)), **options)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_get("/v1/models", server.list_models)
    app.router.add_post("/v1/chat/completions", server.complete)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", server.port)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
