"""Turns in which the model calls tools of a real MCP server, on trial and for good."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from agent_driver import Driver, collect, words
from mcp_http import STDIO

from hearsight.agent.models.script import Step
from hearsight.config.mcp import McpServerSettings
from hearsight.streams.events import AgentEvent, ServerCallFinished, ServerCallStarted
from hearsight.tools.mcp import McpServers
from hearsight.tools.registry import ToolRegistry

FORECAST = Step(call="home_forecast", arguments={"city": "Oslo"})
BOTH = Step(chunks=('[home_forecast(city="Oslo"), home_note(text="Buy milk.")]',))


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes.txt"


@pytest.fixture
async def registry(notes: Path) -> AsyncIterator[ToolRegistry]:
    used: list[ToolRegistry] = []
    servers = McpServers({"home": McpServerSettings(**STDIO, env={"NOTES": str(notes)})})
    await servers.open(ToolRegistry([]), used.append)
    yield used[0]
    await servers.aclose()


@pytest.fixture
async def driver(registry: ToolRegistry, request: pytest.FixtureRequest) -> AsyncIterator[Driver]:
    driver = Driver(request.param)
    await driver.session.aclose()
    driver.agent.registry = registry
    driver.session = driver.agent.open("with tools", driver.host)
    yield driver
    await driver.aclose()


def written(notes: Path) -> str | None:
    return notes.read_text() if notes.exists() else None


async def until_finished(events: AsyncGenerator[AgentEvent]) -> None:
    """Wait for the end of the call that only reads; the other one was made at the same time."""
    async for event in events:
        if isinstance(event, ServerCallFinished):
            return


@pytest.mark.parametrize("driver", [(FORECAST, Step(say="It will rain."))], indirect=True)
async def test_a_result_is_put_into_words(driver: Driver) -> None:
    driver.user("Will it rain?")
    events = await driver.respond()
    [finished] = [event for event in events if isinstance(event, ServerCallFinished)]
    assert finished.ok and finished.output == "It rains in Oslo for 1 days."
    assert words(events) == "It will rain."
    second = driver.engine.conversations[-1].requests[1]
    assert [message.type for message in second.messages] == ["human", "ai", "tool"], "a result, and no more"


@pytest.mark.parametrize("driver", [(FORECAST, Step(say="It will rain."))], indirect=True)
async def test_what_only_reads_is_called_on_trial(driver: Driver) -> None:
    driver.user("Will it rain?")
    events = await collect(driver.session.respond(driver.request(speculative=True)))
    assert words(events) == "It will rain."


@pytest.mark.parametrize("driver", [(BOTH, Step(say="I wrote it down."))], indirect=True)
async def test_what_may_change_something_waits_for_the_end_of_the_turn(driver: Driver, notes: Path) -> None:
    driver.user("Will it rain? And write down: buy milk.")
    request = driver.request(speculative=True)
    async with aclosing(driver.session.respond(request)) as events:
        await until_finished(events)
        assert written(notes) is None, "the user may still go on speaking"
        driver.session.confirm(request.generation)
        rest = [event async for event in events]
    assert [event.call.name for event in rest if isinstance(event, ServerCallStarted)] == ["home_note"]
    assert words(rest) == "I wrote it down."
    assert written(notes) == "Buy milk.\n"


@pytest.mark.parametrize("driver", [(BOTH, Step(say="Never mind."))], indirect=True)
async def test_a_guess_that_was_wrong_has_changed_nothing(driver: Driver, notes: Path) -> None:
    driver.user("Will it rain? And write down: buy milk.")
    request = driver.request(speculative=True)
    async with aclosing(driver.session.respond(request)) as events:
        await until_finished(events)
    driver.session.discard(request.generation)
    await driver.session.aclose()
    assert written(notes) is None


@pytest.mark.parametrize("driver", [(Step(call="home_broken"), Step(say="No paper."))], indirect=True)
async def test_a_failure_is_explained_by_the_model(driver: Driver) -> None:
    driver.user("Print it.")
    events = await driver.respond()
    [finished] = [event for event in events if isinstance(event, ServerCallFinished)]
    assert not finished.ok and "out of paper" in finished.output
    assert words(events) == "No paper."
