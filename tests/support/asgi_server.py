"""A real ASGI server on a free port, for applications that mount the service."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from hearsight import Hearsight


class Uvicorn(uvicorn.Server):
    """Says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """Serve an application; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        server = Uvicorn(uvicorn.Config(app, log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(60):
                await server.up.wait()
            yield port
        finally:
            server.should_exit = True
            await serving


@contextmanager
def served_in_a_thread(make: Callable[[], Any]) -> Iterator[int]:
    """Serve an application, made in the thread of its event loop; gives its port."""
    up: list[int] = []
    ready = threading.Event()
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        done, loop = asyncio.Event(), asyncio.get_running_loop()
        async with served(make()) as port:
            up.append(port)
            stop.append(lambda: loop.call_soon_threadsafe(done.set))
            ready.set()
            await done.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="asgi-server", daemon=True)
    thread.start()
    ready.wait(120)
    assert up, "the application did not start"
    try:
        yield up[0]
    finally:
        stop[0]()
        thread.join(30)
        assert not thread.is_alive(), "the application does not stop"


def mounted(hearsight: Hearsight, at: str) -> Starlette:
    """An application with a route of its own and Hearsight at a path."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with hearsight.running():
            yield

    async def own(request: object) -> PlainTextResponse:
        return PlainTextResponse("mine")

    return Starlette(routes=[Route("/own", own), Mount(at, hearsight)], lifespan=lifespan)
