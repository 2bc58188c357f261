"""All the servers of a service: what their tools are called, which are used, and what is without them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil
import pytest
import structlog
from langchain_core.tools import StructuredTool
from mcp_http import STDIO

from hearsight.config.mcp import McpServerSettings
from hearsight.tools.mcp import McpServers, mountable
from hearsight.tools.registry import ToolRegistry

Open = Callable[..., Any]


@pytest.fixture
async def opened(session) -> AsyncIterator[Open]:
    """Open servers; gives the registries that were put to use, of which the session has the latest."""
    opened: list[McpServers] = []

    async def open_servers(*, retry_s: tuple[float, ...] = (3600.0,), **servers: Any):
        used: asyncio.Queue[ToolRegistry] = asyncio.Queue()

        def use(registry: ToolRegistry) -> None:
            session.registry = registry
            used.put_nowait(registry)

        settings = {name: McpServerSettings(**each) for name, each in servers.items()}
        opened.append(McpServers(settings, retry_s=retry_s))
        await opened[-1].open(session.registry, use)
        return used

    yield open_servers
    for servers in opened:
        await servers.aclose()
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not [process for process in psutil.Process().children() if "mcp_tools" in str(process.cmdline())]


def names(session) -> list[str]:
    return [spec.name for spec in session.registry.specs()]


def tool(name: str, schema: dict[str, Any] | None = None, description: str = "Do it.") -> StructuredTool:
    async def run(**arguments: Any) -> str:
        return name

    return StructuredTool(
        name=name,
        description=description,
        args_schema=schema or {"type": "object", "properties": {}},
        coroutine=run,
    )


async def test_tools_stand_behind_the_built_in_ones_and_bear_the_servers_name(session, opened):
    built_in = names(session)
    used = await opened(weather={**STDIO, "enabled": ["forecast", "pid"]})
    assert used.qsize() == 1
    assert names(session) == [*built_in, "weather_forecast", "weather_pid"]
    outcome = await session.call("weather_forecast", city="Oslo")
    assert outcome.ok and outcome.content == "It rains in Oslo for 1 days."
    assert (await session.call("get_time")).ok


async def test_several_servers_may_have_the_same_tools(session, opened, http):
    await opened(a={**STDIO, "enabled": ["pid"]}, b={"url": http.url, "enabled": ["pid"]})
    a, b = await session.call("a_pid"), await session.call("b_pid")
    assert b.content == str(http.pid) != a.content


async def test_a_name_that_is_taken_is_refused_with_a_word_about_it(session, opened):
    session.registry = ToolRegistry([tool("test_pid"), tool("test-forecast")])
    with structlog.testing.capture_logs() as logs:
        await opened(test={**STDIO, "enabled": ["pid", "forecast", "note"]})
    assert names(session) == ["test_pid", "test-forecast", "test_note"]
    assert [log["reason"] for log in logs if log["event"] == "mcp tool left out"] == [
        "there is a test_forecast already",
        "there is a test_pid already",
    ]
    assert (await session.call("test_pid")).content == "test_pid", "it is still the one that was there"


async def test_a_server_that_cannot_be_reached_stops_nobody(session, opened):
    with structlog.testing.capture_logs() as logs:
        await opened(lost={"command": "no-such-program"}, test={**STDIO, "enabled": ["pid"]})
    assert "test_pid" in names(session)
    [warning] = [log for log in logs if log["log_level"] == "warning"]
    assert (warning["server"], warning["reason"]) == ("lost", "its command was not found")


async def test_a_server_that_was_not_there_is_waited_for(session, opened, http):
    await http.kill()
    used = await opened(
        retry_s=(0.01,), test={"url": http.url, "enabled": ["pid"]}, b={**STDIO, "enabled": ["pid"]}
    )
    before = used.get_nowait()
    assert before.find("test_pid") is None and before.find("b_pid") is not None
    await http.start()
    after = await used.get()
    assert [spec.name for spec in after.specs()][-2:] == ["test_pid", "b_pid"], "as in the settings"
    assert (await session.call("test_pid")).content == str(http.pid)
    assert used.empty()


async def test_a_service_may_end_while_it_waits(session, opened, unused_tcp_port):
    await opened(test={"url": f"http://127.0.0.1:{unused_tcp_port}/mcp"})


async def test_servers_have_their_own_time_limits(session, opened):
    await opened(quick={**STDIO, "timeout_s": 0.2, "enabled": ["hang"]}, slow={**STDIO, "enabled": ["hang"]})
    outcome = await session.call("quick_hang")
    assert outcome.content == "quick_hang took longer than 0.2 seconds and was stopped."
    hanging = asyncio.create_task(session.call("slow_hang"))
    assert (await asyncio.wait({hanging}, timeout=0.4))[0] == set()
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)


def test_a_name_that_begins_like_the_server_is_left_as_it_is():
    tools, problems = mountable("git", [tool("git_status"), tool("git-log"), tool("gitignore"), tool("push")])
    assert [each.name for each in tools] == ["git_status", "git-log", "git_gitignore", "git_push"]
    assert problems == []


def test_a_tool_that_is_wanted_and_not_there_is_told():
    tools, problems = mountable("git", [tool("status"), tool("log")], ["statsu", "log", "zebra"])
    assert [each.name for each in tools] == ["git_log"]
    assert problems == [
        "the server has no tool statsu; did you mean status?",
        "the server has no tool zebra",
    ]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (tool("a b"), "a tool's name starts with a letter"),
        (tool("x", {"type": "array"}), 'the outermost "type" must be "object"'),
        (tool("x", {"properties": {"a": 1}}), "must be a schema object"),
        (tool("x", {"properties": {}, "required": ["a"]}), "must list names found in"),
        (tool("x", {"properties": {"a": {"description": "long" * 5000}}}), "larger than 16 KiB"),
        (tool("x", {"properties": {"a": {"type": "integer", "minimum": "one"}}}), "x cannot be used: "),
    ],
)
def test_a_tool_that_no_model_could_call_is_left_out(bad, reason):
    tools, [problem] = mountable("test", [bad, tool("good")])
    assert [each.name for each in tools] == ["test_good"]
    assert reason in problem


def test_an_endless_description_has_an_end():
    [long], _ = mountable("test", [tool("x", description="word " * 10_000)])
    assert len(long.description) < 5000


def test_schemas_with_definitions_elsewhere_are_taken():
    schema = {"$defs": {"P": {"type": "object"}}, "properties": {"p": {"$ref": "#/$defs/P"}}}
    [taken], _ = mountable("test", [tool("x", schema)])
    [spec] = ToolRegistry([taken]).specs()
    assert spec.parameters["properties"] == {"p": {"$ref": "#/$defs/P"}}
