"""Calls to a real MCP server, over both transports, and what becomes of them when it fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil
import pytest
from mcp_http import STDIO, HttpServer

from hearsight.config.mcp import McpServerSettings
from hearsight.tools import mcp_server
from hearsight.tools.calls import MAX_CONTENT_BYTES, ToolOutcome
from hearsight.tools.mcp_connection import Unavailable
from hearsight.tools.mcp_server import McpServer
from hearsight.tools.registry import ToolRegistry

Open = Callable[..., Any]


@pytest.fixture(autouse=True)
async def nothing_is_left() -> AsyncIterator[None]:
    """No test leaves a task or a process behind."""
    yield
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not [process for process in psutil.Process().children() if "mcp_tools" in str(process.cmdline())]


@pytest.fixture
async def opened(session) -> AsyncIterator[Open]:
    """Connect to a server, and let the session call its tools; gives the server."""
    servers: list[McpServer] = []

    async def connect(**settings: Any) -> McpServer:
        server = McpServer("test", McpServerSettings(**settings))
        servers.append(server)
        session.registry = ToolRegistry(await server.tools())
        return server

    yield connect
    for server in servers:
        await server.aclose()


@pytest.fixture(params=["stdio", "http"])
async def connected(request, opened) -> AsyncIterator[McpServer]:
    if request.param == "stdio":
        yield await opened(**STDIO)
    else:
        http = HttpServer()
        await http.start()
        server = await opened(url=http.url)
        yield server
        await server.aclose()
        await http.kill()


async def call(session, tool: str, /, **arguments: object) -> str:
    outcome: ToolOutcome = await session.call(tool, **arguments)
    assert outcome.ok, outcome.content
    return outcome.content


async def failure(session, tool: str, /, **arguments: object) -> str:
    outcome: ToolOutcome = await session.call(tool, **arguments)
    assert not outcome.ok, outcome.content
    return outcome.content


async def test_tools_are_listed_as_the_registry_wants_them(session, connected):
    specs = {spec.name: spec for spec in session.registry.specs()}
    forecast = specs["forecast"]
    assert forecast.description.startswith("Tell the weather.")
    assert forecast.parameters["required"] == ["city"]
    assert forecast.parameters["properties"]["days"] == {"default": 1, "type": "integer"}
    assert not forecast.client and not forecast.return_direct and not forecast.long_running


async def test_only_what_is_declared_to_read_has_no_side_effects(session, connected):
    effects = {spec.name: spec.side_effects for spec in session.registry.specs()}
    assert not effects["forecast"]
    assert effects["note"], "nothing is declared"
    assert effects["pid"], "the opposite is declared"


async def test_what_is_declared_to_destroy_is_asked_about_first(session, connected):
    asked = {spec.name for spec in session.registry.specs() if spec.confirm}
    assert asked == {"shred"}


async def test_a_call_is_answered(session, connected):
    assert await call(session, "forecast", city="Oslo", days="3") == "It rains in Oslo for 3 days."


async def test_arguments_are_checked_before_the_server_is_asked(session, connected):
    reason = await failure(session, "forecast", town="Oslo")
    assert "town: there is no such argument" in reason
    assert "def forecast(city: str, days: int = 1)" in reason


async def test_arguments_may_have_names_that_the_libraries_use_themselves(session, connected):
    said = await call(session, "reserved", config="a", run_manager="b", runtime="c")
    assert said == "a b c"


async def test_a_failed_tool_says_why(session, connected):
    assert "The printer is out of paper." in await failure(session, "broken")
    assert "Oslo" in await call(session, "forecast", city="Oslo"), "the connection has not suffered"


async def test_calls_do_not_wait_for_each_other(session, connected):
    hanging = asyncio.create_task(session.call("hang"))
    assert "Oslo" in await call(session, "forecast", city="Oslo")
    assert not hanging.done()
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)


async def test_a_result_that_is_too_long_is_cut(session, connected):
    flood = await call(session, "flood")
    assert len(flood.encode()) <= MAX_CONTENT_BYTES
    assert flood.endswith("[Cut: 400000 bytes, of which this is the beginning.]")


async def test_what_is_no_text_is_named(session, connected):
    assert (await call(session, "mixture")).splitlines() == [
        "Look:",
        "[A picture that cannot be shown here: image/png]",
        "[A sound that cannot be played here: audio/wav]",
        "Buy milk.",
        "[A link: report, https://example.org/report]",
    ]
    assert await call(session, "nothing") == "Done; there is no output."
    assert await call(session, "nothing_as_data") == '{"result": null}'


async def test_a_tool_that_hangs_is_stopped_at_its_servers_limit(session, opened):
    await opened(**STDIO, timeout_s=0.2)
    assert await failure(session, "hang") == "hang took longer than 0.2 seconds and was stopped."


async def test_after_a_call_without_an_answer_the_connection_stays_if_the_server_does(session, opened):
    server = await opened(**STDIO)
    before = await call(session, "pid")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await session.call("hang")
    assert await call(session, "pid") == before
    assert len(server._open) == 1


async def test_a_server_that_is_frozen_is_started_anew(session, opened, monkeypatch):
    monkeypatch.setattr(mcp_server, "PING_S", 0.1)
    await opened(**STDIO)
    before = await call(session, "pid")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await session.call("freeze")
    assert await call(session, "pid") != before


async def test_a_process_that_dies_in_a_call_fails_it_and_the_next_starts_another(session, opened):
    await opened(**STDIO)
    before = await call(session, "pid")
    assert await failure(session, "die") == (
        "The connection to test broke during the call, which may or may not have been done."
    )
    assert await call(session, "pid") != before


async def test_a_process_that_died_between_two_calls_is_not_noticed(session, opened):
    await opened(**STDIO)
    process = psutil.Process(int(await call(session, "pid")))
    process.kill()
    await asyncio.to_thread(process.wait)
    # Whether the end of its output has been read by now is chance: if not, this call finds out.
    await session.call("pid")
    assert int(await call(session, "pid")) != process.pid


async def test_two_calls_share_a_new_connection(session, opened):
    server = await opened(**STDIO)
    await failure(session, "die")
    first, second = await asyncio.gather(call(session, "pid"), call(session, "pid"))
    assert first == second
    await asyncio.gather(*(each.task for each in server._open if not each.usable))
    assert len(server._open) == 1


async def test_a_server_over_http_may_be_started_anew(session, opened, http):
    await opened(url=http.url)
    before = await call(session, "pid")
    await http.kill()
    await http.start()
    after = await session.call("pid")
    if not after.ok:  # the old connection was still taken for a good one
        after = await session.call("pid")
    assert after.ok and after.content == str(http.pid) != before


async def test_a_server_that_is_gone_is_told_and_the_next_call_looks_again(session, opened, http):
    await opened(url=http.url)
    await http.kill()
    told = [await failure(session, "pid"), await failure(session, "pid")]
    assert told[1] == "test, which does this, cannot be reached at the moment."
    await http.start()
    assert await call(session, "pid") == str(http.pid)


async def test_a_process_gets_the_variables_of_its_settings(session, opened, monkeypatch):
    monkeypatch.setenv("OF_THE_SERVICE", "handed on")
    await opened(**STDIO, env={"TOKEN": "abc", "REFERENCE": "${OF_THE_SERVICE}"})
    assert await call(session, "environment", name="TOKEN") == "abc"
    assert await call(session, "environment", name="REFERENCE") == "handed on"
    assert await call(session, "environment", name="OF_THE_SERVICE") == "unset"
    assert await call(session, "environment", name="PATH") != "unset"


async def test_a_server_gets_the_headers_of_its_settings(session, opened, http):
    await opened(url=http.url, headers={"Authorization": "Bearer abc"})
    assert await call(session, "header", name="authorization") == "Bearer abc"


async def test_closing_ends_the_process_and_calls(session, opened):
    server = await opened(**STDIO)
    process = psutil.Process(int(await call(session, "pid")))
    hanging = asyncio.create_task(session.call("hang"))
    await call(session, "forecast", city="Oslo")
    await server.aclose()
    outcome = await hanging
    assert not outcome.ok and "broke during the call" in outcome.content
    assert not process.is_running()
    await server.aclose()


async def unavailable(**settings: Any) -> str:
    server = McpServer("test", McpServerSettings(**settings))
    try:
        with pytest.raises(Unavailable) as caught:
            await server.tools()
    finally:
        await server.aclose()
    return str(caught.value)


PYTHON = sys.executable
HELLO = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "odd", "version": "1"}}


def odd(answer: dict[str, Any] | None) -> dict[str, Any]:
    """A program that is greeted like a server, and answers so when it is asked for its tools."""
    program = f"""
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    answer = {{"result": {HELLO!r}}} if asked["method"] == "initialize" else {answer!r}
    if "id" in asked:
        if answer is None:
            break
        print(json.dumps({{"jsonrpc": "2.0", "id": asked["id"], **answer}}), flush=True)
"""
    return {"command": PYTHON, "args": ["-c", program]}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"command": "no-such-program-anywhere"}, "its command was not found"),
        ({"command": "/"}, "its command may not be run"),
        ({"command": PYTHON, "args": ["-c", ""]}, "it ended before it answered"),
        (
            {"command": PYTHON, "args": ["-c", "input(); input(); input()"], "connect_timeout_s": 0.3},
            "it did not answer within 0.3 seconds",
        ),
        (odd(None), "it ended when it was asked for its tools"),
        (
            odd({"error": {"code": -32601, "message": "There are none."}}),
            "it does not tell its tools: There are none.",
        ),
        (odd({"result": {"tools": "many"}}), "what it says of its tools cannot be understood"),
    ],
)
async def test_a_command_that_is_no_server_is_explained(settings, reason):
    assert await unavailable(**settings) == reason


async def test_a_url_where_no_server_is_is_explained(http, unused_tcp_port):
    assert await unavailable(url=f"http://127.0.0.1:{unused_tcp_port}/mcp") == "nothing answers at its url"
    elsewhere = http.url.removesuffix("mcp") + "elsewhere"
    assert await unavailable(url=elsewhere) == "its url answers with HTTP status 404"


async def test_what_it_has_to_say_is_asked_of_the_server_again_after_a_failure(http):
    server = McpServer("test", McpServerSettings(url=http.url))
    await http.kill()
    with pytest.raises(Unavailable):
        await server.tools()
    await http.start()
    assert "pid" in [tool.name for tool in await server.tools()]
    await server.aclose()
