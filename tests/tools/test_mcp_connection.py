"""One connection on its own: when it is open, what breaks it, and what is told."""

from __future__ import annotations

import asyncio
import sys

import httpx
import psutil
import pytest
from anyio import BrokenResourceError
from mcp import McpError
from mcp.types import CONNECTION_CLOSED, INVALID_PARAMS, ErrorData
from mcp_http import PROGRAM

from hearsight.tools.mcp_connection import Lost, McpConnection, Unavailable, _why


@pytest.fixture
async def connection():
    place = {"transport": "stdio", "command": sys.executable, "args": [PROGRAM]}
    connection = McpConnection("test", place, 20)
    yield connection
    await connection.closed()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def called(tool: str, **arguments: object):
    return lambda session: session.call_tool(tool, arguments)


async def process_of(connection: McpConnection) -> psutil.Process:
    return psutil.Process(int((await connection.ask(called("pid"))).content[0].text))


async def test_it_opens_by_itself_and_closes_when_told(connection):
    assert connection.usable and not connection.busy
    process = await process_of(connection)
    connection.close()
    assert not connection.usable
    await connection.task
    assert not process.is_running()


async def test_it_can_be_closed_before_it_is_open(connection):
    await connection.closed()
    assert not connection.usable
    with pytest.raises(Unavailable, match="the connection was closed"):
        await connection.ask(called("pid"))


async def test_what_is_asked_of_a_closed_one_has_not_been_sent(connection):
    await process_of(connection)
    connection.close()
    with pytest.raises(Lost) as caught:
        await connection.ask(called("pid"))
    assert not caught.value.sent


async def test_what_is_being_asked_when_it_ends_may_have_been_sent(connection):
    await process_of(connection)
    asked = asyncio.create_task(connection.ask(called("die")))
    with pytest.raises(Lost) as caught:
        await asked
    assert caught.value.sent and not connection.busy


async def test_closing_releases_whoever_waits(connection):
    await process_of(connection)
    asked = asyncio.create_task(connection.ask(called("hang")))
    await connection.ask(called("pid"))  # requests are sent in their order: the first is on its way
    assert connection.busy
    connection.close()
    with pytest.raises(Lost):
        await asked


async def test_giving_up_raises_a_doubt(connection):
    await process_of(connection)
    assert not connection.doubtful
    asked = asyncio.create_task(connection.ask(called("hang")))
    await connection.ask(called("pid"))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert connection.doubtful and connection.usable and not connection.busy


async def test_an_error_of_the_server_is_no_loss(connection):
    with pytest.raises(McpError):
        await connection.ask(lambda session: session.get_prompt("no such prompt"))
    assert connection.usable


async def test_giving_up_while_it_opens_does_not_stop_it(connection):
    asked = asyncio.create_task(connection.ask(called("pid")))
    await asyncio.wait({asked}, timeout=0)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert (await process_of(connection)).is_running()


ANSWER = httpx.Response(401, request=httpx.Request("POST", "http://x/?key=hunter2"))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "/secret"), "its command was not found"),
        (PermissionError(13, "/secret"), "its command may not be run"),
        (TimeoutError(), "it did not answer within 1.5 seconds"),
        (httpx.ReadTimeout("hunter2"), "it did not answer within 1.5 seconds"),
        (
            httpx.HTTPStatusError("hunter2", request=ANSWER.request, response=ANSWER),
            "its url answers with HTTP status 401",
        ),
        (httpx.ConnectError("hunter2"), "nothing answers at its url"),
        (McpError(ErrorData(code=INVALID_PARAMS, message="Too old.")), "it refuses to begin: Too old."),
        (McpError(ErrorData(code=CONNECTION_CLOSED, message="")), "it ended before it answered"),
        (BrokenResourceError(), "it ended before it answered"),
        (RuntimeError("hunter2"), "it could not be connected to (RuntimeError)"),
        (None, "the connection was closed"),
    ],
)
def test_reasons_are_words_for_the_owner_of_the_service(error, reason):
    grouped = ExceptionGroup("outer", [ExceptionGroup("inner", [error])]) if error else None
    assert _why(error, 1.5) == _why(grouped, 1.5) == reason
