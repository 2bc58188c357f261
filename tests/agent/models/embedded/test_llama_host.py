"""Starting llama.cpp's server, and starting it again; a server that is real but holds no model stands in."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from hearsight.agent.models.embedded import llama_host
from hearsight.agent.models.embedded.llama_host import LlamaHost
from hearsight.agent.models.embedded.llama_server import SOCKET
from hearsight.streams.errors import EngineError


@pytest.fixture
def starts(monkeypatch):
    """The folders for which a server was started; and errors, of which each is raised in place of a start."""
    started: list[Path] = []
    troubles: list[EngineError] = []

    def start(model, folder, *, threads, context_tokens, slots):
        if troubles:
            raise troubles.pop()
        started.append(folder)
        return object()

    monkeypatch.setattr(llama_host, "start_server", start)
    return started, troubles


@pytest.fixture
def restarts():
    return []


@pytest.fixture
async def host(starts, restarts):
    host = LlamaHost(
        Path("m.gguf"), threads=1, context_tokens=64, slots=1, restarted=lambda: restarts.append(1)
    )
    yield host
    await host.aclose()


@asynccontextmanager
async def healthy(folder: Path):
    """Something that says on the socket file that it is well."""

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.router.add_get("/health", health)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(folder / SOCKET)).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_it_is_loaded_once(host, starts):
    await host.load()
    await host.load()
    assert starts[0] == [host.folder]
    assert host.folder.stat().st_mode & 0o077 == 0, "nobody else may enter"


async def test_a_model_that_cannot_be_loaded_says_so(host, starts):
    starts[1].append(EngineError("No such model."))
    with pytest.raises(EngineError, match="No such model"):
        await host.load()


async def test_while_nothing_is_wrong_nobody_waits(host):
    await host.load()
    async with asyncio.timeout(1):
        await host.ready()


async def test_a_server_that_still_answers_is_left_alone(host, starts, restarts):
    await host.load()
    async with healthy(host.folder):
        host.lost()
        await host.ready()
    assert len(starts[0]) == 1 and restarts == []


async def test_a_server_that_does_not_answer_is_started_again_once(host, starts, restarts):
    await host.load()
    (host.folder / SOCKET).touch()
    for _ in range(3):
        host.lost()
    await asyncio.gather(host.ready(), host.ready())
    assert len(starts[0]) == 2 and restarts == [1]
    assert not (host.folder / SOCKET).exists(), "the next server makes its own"


async def test_where_that_fails_it_is_tried_anew_the_next_time(host, starts, restarts):
    await host.load()
    starts[1].append(EngineError("There is not enough memory."))
    host.lost()
    await host.ready()
    assert len(starts[0]) == 1
    host.lost()
    await host.ready()
    assert len(starts[0]) == 2 and len(restarts) == 2


async def test_it_can_be_closed_in_the_midst_of_a_restart(host):
    await host.load()
    host.lost()
    await host.aclose()
    assert not host.folder.exists()
    await host.aclose()
