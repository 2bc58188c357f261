"""A whole service with MCP servers: from the settings to what a client is told, over real sockets."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import psutil
import pytest
from mcp_http import STDIO, HttpServer

from hearsight.asking import Question, ask
from hearsight.compose import open_service
from hearsight.config.errors import StartupError
from hearsight.models_command import open_store
from hearsight.tools.mcp import McpServers

RAIN = Question(text="Will it rain in Oslo?")


@pytest.fixture
async def http():
    server = HttpServer()
    await server.start()
    yield server
    await server.kill()


async def test_a_question_is_answered_by_the_tool_of_a_server(script, scripted, serving):
    path = script({"call": "weather_forecast", "arguments": {"city": "Oslo"}}, {"say": "Take an umbrella."})
    async with serving(scripted(path, tools__mcp={"weather": STDIO})) as (_, url):
        reply = await ask(url, RAIN)
    [call] = reply.calls
    assert (call.name, json.loads(call.arguments)) == ("weather_forecast", {"city": "Oslo"})
    assert call.ok and call.output == "It rains in Oslo for 1 days."
    assert reply.text == "Take an umbrella."
    assert not [each for each in psutil.Process().children() if "mcp_tools" in str(each.cmdline())]


async def test_a_server_that_dies_is_told_and_comes_back(script, scripted, serving):
    call = {"call": "weather_forecast", "arguments": {"city": "Oslo"}}
    path = script({"call": "weather_die"}, {"say": "It broke."}, call, {"say": "Rain."})
    async with serving(scripted(path, tools__mcp={"weather": STDIO})) as (_, url):
        first = await ask(url, RAIN)
        second = await ask(url, RAIN)
    assert [call.ok for call in first.calls] == [False] and first.text == "It broke."
    assert "The connection to weather broke" in first.calls[0].output
    assert [call.ok for call in second.calls] == [True] and second.text == "Rain."


async def test_a_service_starts_without_a_server_and_takes_it_when_it_comes(
    script, scripted, http, monkeypatch
):
    monkeypatch.setattr("hearsight.tools.mcp.McpServers", partial(McpServers, retry_s=(0.01,)))
    await http.kill()
    settings = scripted(script(), tools__mcp={"weather": {"url": http.url}})
    async with open_service(settings, open_store(settings)) as service:
        assert service.agent.registry.find("weather_pid") is None
        assert service.agent.registry.find("get_time") is not None
        [awaited] = [task for task in asyncio.all_tasks() if task.get_name() == "mcp weather awaited"]
        await http.start()
        await awaited
        assert service.agent.registry.find("weather_pid") is not None
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("mcp ")]


async def test_without_its_packages_the_service_says_what_to_install(script, scripted, installation):
    installation("langchain-mcp-like; extra == 'mcp'")
    settings = scripted(script(), tools__mcp={"weather": STDIO})
    with pytest.raises(StartupError) as caught:
        async with open_service(settings, open_store(settings)):
            pass
    assert str(caught.value) == (
        "The MCP servers in the settings (tools.mcp) need packages that are not installed "
        "(langchain-mcp-like): run `pip install 'hearsight[mcp]'`."
    )


def test_a_service_without_servers_does_not_import_what_they_need():
    import subprocess
    import sys

    code = (
        "import sys, hearsight.compose, hearsight.doctor\n"
        "sys.exit(', '.join({'mcp', 'langchain_mcp_adapters'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
