"""A server listens while a block runs, and is gone after it."""

import asyncio

import pytest

from hearsight.addresses import occupant
from hearsight.config.errors import StartupError
from hearsight.listening import listening
from hearsight.streams.server import Server
from hearsight.streams.transport import ServerOptions


def new_server(port: int = 0) -> Server:
    return Server(ServerOptions(port=port), {}, lambda session_id: None)


async def test_it_listens_inside_and_not_outside():
    server = new_server()
    async with listening(server, server.run(), address="here") as running:
        assert not running.done()
        assert await asyncio.to_thread(occupant, "127.0.0.1", server.port) == "hearsight"
    assert running.done()
    assert await asyncio.to_thread(occupant, "127.0.0.1", server.port) == "nobody"


async def test_a_server_that_is_stopped_ends_its_task():
    server = new_server()
    async with listening(server, server.run(), address="here") as running:
        server.stop()
        await running


async def test_a_taken_port_is_refused_before_the_block_begins():
    first = new_server()
    async with listening(first, first.run(), address="here"):
        second = new_server(first.port)
        with pytest.raises(StartupError, match="Cannot listen on there: another program uses it"):
            async with listening(second, second.run(), address="there"):
                raise AssertionError("the block must not run")


async def test_an_error_of_the_block_stops_the_server_and_rises():
    server = new_server()
    with pytest.raises(StartupError, match="no model"):
        async with listening(server, server.run(), address="here") as running:
            raise StartupError("no model")
    assert running.done()


async def test_a_fault_of_the_server_rises():
    server = new_server()

    async def fail() -> None:
        server.started.set()
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError, match="a fault"):
        async with listening(server, fail(), address="here"):
            pass
