"""The openai engine in front of llama.cpp's own server, whose model understands what it is asked."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from model_servers import free_port

from hearsight.agent.models.base import GenerateRequest, GenerationEnd
from hearsight.agent.models.embedded.llama_server import signal_handlers_kept
from hearsight.agent.models.openai.engine import OpenAIEngine
from hearsight.agent.models.openai.remote import Remote
from hearsight.agent.router import Router, SpeechText, ToolCallText
from hearsight.config.engines import OpenAISettings
from hearsight.config.settings import load_settings
from hearsight.models_command import open_store
from hearsight.tools.calls import ToolSpec
from hearsight.tools.signature import positional_names

pytestmark = pytest.mark.models

WEATHER = ToolSpec(
    "get_weather",
    "Tell the weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)
STORY = "The lighthouse keeper counts ships, feeds the gulls and writes letters to nobody. " * 24


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    xllamacpp = pytest.importorskip("xllamacpp", reason="the embedded extra is not installed")
    params = xllamacpp.CommonParams()
    params.model.path = str(open_store(load_settings().settings).file("qwen2.5-1.5b"))
    params.hostnames, params.port = ["127.0.0.1"], free_port()
    params.n_ctx, params.n_parallel = 4096, 1
    params.ui, params.verbosity = False, -1
    with signal_handlers_kept():
        server = xllamacpp.Server(params)
    yield f"http://127.0.0.1:{params.port}/v1"
    del server


@pytest.fixture(params=["prompt", "server"])
async def engine(request: pytest.FixtureRequest, base_url: str) -> AsyncIterator[OpenAIEngine]:
    settings = OpenAISettings(
        base_url=base_url,
        model="qwen",
        audio=False,
        pictures=False,
        temperature=0.0,
        tools=request.param,
    )
    opened = OpenAIEngine(Remote(settings))
    yield opened
    await opened.aclose()


def asked(*messages, **changes) -> GenerateRequest:
    options = {"instructions": "You are a helpful assistant. Answer briefly.", "max_tokens": 48, **changes}
    return GenerateRequest(tuple(messages), **options)


async def answer(engine: OpenAIEngine, request: GenerateRequest) -> tuple[list, GenerationEnd]:
    """What the router makes of an answer, and its end."""
    router, events = Router(positional_names(request.tools)), []
    conversation = engine.open("me")
    try:
        async for delta in conversation.generate(request):
            if isinstance(delta, GenerationEnd):
                return [*events, *router.flush()], delta
            events += router.feed(delta)
    finally:
        await conversation.aclose()
    raise AssertionError("the answer has no end")


def said(events: list) -> str:
    return "".join(event.text for event in events if isinstance(event, SpeechText))


async def test_a_question_is_answered(engine):
    events, end = await answer(engine, asked(HumanMessage("What is the capital of France? One word.")))
    assert "Paris" in said(events)
    assert end.prompt_tokens > 20 and 0 < end.output_tokens <= 48


async def test_a_tool_is_called_and_its_result_is_told(engine):
    question = HumanMessage("What's the weather like in Oslo right now?")
    events, _ = await answer(engine, asked(question, tools=(WEATHER,)))
    calls = [event for event in events if isinstance(event, ToolCallText)]
    assert calls == [ToolCallText("get_weather", {"city": "Oslo"})]
    assert "tool_code" not in said(events), "nothing of a call is spoken"
    made = AIMessage(
        "", tool_calls=[{"type": "tool_call", "id": "c1", "name": "get_weather", "args": {"city": "Oslo"}}]
    )
    result = ToolMessage("It is snowing, minus four degrees.", tool_call_id="c1")
    events, _ = await answer(engine, asked(question, made, result, tools=(WEATHER,)))
    assert "snow" in said(events).lower()


async def test_what_was_said_before_is_known(engine):
    before = [HumanMessage("My name is Ada."), AIMessage("Nice to meet you, Ada.")]
    events, _ = await answer(engine, asked(*before, HumanMessage("What is my name?")))
    assert "Ada" in said(events)


async def test_what_was_read_ahead_is_not_read_again_and_the_answer_comes_sooner(engine):
    """What the option is for, on a server that keeps prefixes: the same question, with and without."""

    async def first_word(story: str, *, ahead: bool) -> tuple[float, GenerationEnd]:
        conversation = engine.open("me")
        before = asked(HumanMessage(story), AIMessage("Go on."), max_tokens=4)
        if ahead:
            await conversation.prefill(before)
        request = asked(*before.messages, HumanMessage("What does the keeper count?"), max_tokens=4)
        started, took = time.perf_counter(), 0.0
        async for delta in conversation.generate(request):
            took = took or time.perf_counter() - started
            end = delta
        await conversation.aclose()
        assert isinstance(end, GenerationEnd)
        return took, end

    cold, without = await first_word("First. " + STORY, ahead=False)
    warm, with_it = await first_word("Second. " + STORY, ahead=True)
    assert with_it.cached_tokens > 0.8 * with_it.prompt_tokens
    assert without.cached_tokens < 0.3 * without.prompt_tokens
    assert warm < cold / 2
