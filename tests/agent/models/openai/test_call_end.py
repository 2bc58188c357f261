"""An answer ends with its call."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from langchain_core.messages import HumanMessage

from hearsight.agent.models.base import Delta, GenerateRequest, GenerationEnd
from hearsight.agent.models.openai.call_end import MAX_BEYOND, up_to_call
from hearsight.tools.calls import ToolSpec

LIGHT = ToolSpec("light", "Switch the light.", {"type": "object", "properties": {"on": {"type": "boolean"}}})
CALL = ["```tool_", "code\n", "light(on=", "True)", "\n```"]
END = GenerationEnd("stop", 50, 40, 9)


class Source:
    """Deltas, and how many of them were asked for."""

    def __init__(self, *deltas: Delta) -> None:
        self.deltas = deltas
        self.given = 0
        self.closed = False

    async def stream(self) -> AsyncGenerator[Delta]:
        try:
            for delta in self.deltas:
                self.given += 1
                yield delta
        finally:
            self.closed = True


async def heard(source: Source, **changes) -> list[Delta]:
    request = GenerateRequest((HumanMessage("On."),), tools=(LIGHT,), **changes)
    return [delta async for delta in up_to_call(source.stream(), request)]


async def test_an_answer_without_a_call_comes_whole():
    assert await heard(Source("It ", "is ", "on.", END)) == ["It ", "is ", "on.", END]


async def test_what_the_tool_is_said_to_have_returned_is_left_out_and_the_counts_are_kept():
    source = Source("Sure. ", *CALL, "\n```tool_outputs\n", "Done.", END)
    assert await heard(source) == ["Sure. ", *CALL, END]


async def test_a_model_that_does_not_stop_is_stopped():
    source = Source(*CALL, *["and "] * 1000, END)
    *texts, end = await heard(source)
    assert texts == CALL
    assert end == GenerationEnd("stop", output_tokens=len(CALL) + MAX_BEYOND + 1)
    assert source.closed and source.given < 50


async def test_a_call_that_may_not_be_made_ends_nothing():
    source = Source(*CALL, " Well.", END)
    assert await heard(source, tool_choice="none") == [*CALL, " Well.", END]


async def test_whoever_leaves_closes_the_source():
    source = Source("One ", "two ", END)
    request = GenerateRequest((HumanMessage("On."),))
    deltas = up_to_call(source.stream(), request)
    await anext(deltas)
    await deltas.aclose()
    assert source.closed
