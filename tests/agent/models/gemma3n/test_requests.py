from __future__ import annotations

from typing import Any

import pytest
from gemma3n_media import noise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from hearsight.agent.ledger import Ledger
from hearsight.agent.messages import audio_block, image_block, text_block
from hearsight.agent.models.base import GenerateRequest
from hearsight.agent.models.gemma3n.adapter import Gemma3nAdapter
from hearsight.agent.models.gemma3n.counter import Gemma3nCounter
from hearsight.agent.models.gemma3n.media import SessionMedia
from hearsight.agent.models.gemma3n.requests import Requests, before_last_turn, media_of
from hearsight.streams.errors import EngineError
from hearsight.tools.calls import ToolSpec

SIDES_PX: Any = {"low": 64, "auto": 64, "high": 64}
TOOL = ToolSpec("set_timer", "Start a countdown.", {"properties": {"seconds": {"type": "integer"}}})


@pytest.fixture(scope="module")
def adapter(model, processor):
    return Gemma3nAdapter(model, processor)


def requests(adapter) -> tuple[Requests, SessionMedia]:
    media = SessionMedia(adapter, SIDES_PX)
    return Requests(adapter, media, seed=1), media


def test_media_are_named_in_order_with_their_kind():
    messages = [
        HumanMessage([image_block("p"), text_block("What?"), audio_block("a", 5)]),
        AIMessage("A cup."),
        HumanMessage("Thanks."),
        HumanMessage([audio_block("b", 5)]),
    ]
    assert media_of(messages) == [("p", True), ("a", False), ("b", False)]


@given(st.lists(st.sampled_from([HumanMessage("u"), AIMessage("m"), ToolMessage("t", tool_call_id="c")])))
def test_the_users_last_messages_are_taken_off_and_no_others(messages: list[BaseMessage]):
    kept = before_last_turn(messages)
    assert list(kept) == messages[: len(kept)]
    assert all(isinstance(message, HumanMessage) for message in messages[len(kept) :])
    assert not kept or not isinstance(kept[-1], HumanMessage)


def test_an_answer_follows_the_request(adapter):
    made, _ = requests(adapter)
    asked = GenerateRequest((HumanMessage("Hi"),), max_tokens=3, temperature=0.25, tool_choice="set_timer")
    generation = made.generation(asked, made.new_cache())
    assert generation.answer.max_tokens == 3
    assert adapter.tokenizer.decode(list(generation.answer.forced)).startswith("```tool_code\nset_timer(")
    usual = made.generation(GenerateRequest((HumanMessage("Hi"),)), made.new_cache())
    assert not usual.answer.forced


def test_a_prompt_that_leaves_no_room_for_the_answer_is_told(adapter):
    made, _ = requests(adapter)
    asked = GenerateRequest((HumanMessage("Hi"),), max_tokens=adapter.context_limit)
    with pytest.raises(EngineError, match="0 fit beside the answer") as failed:
        made.generation(asked, made.new_cache()).prompt()
    assert failed.value.code == "context_length_exceeded"


def test_an_open_prompt_is_how_the_closed_one_begins(adapter):
    made, media = requests(adapter)
    speech = (noise(24_000) * 20_000).astype("int16")
    media.hear("a", speech)
    media.step()
    history = (HumanMessage("Hi"), AIMessage("Hello."))
    opened = made.open_prompt(GenerateRequest(history, "Be brief.", (TOOL,)))
    media.end("a")
    whole = (*history, HumanMessage([audio_block("a", speech.size)]))
    closed = made.generation(GenerateRequest(whole, "Be brief.", (TOOL,)), made.new_cache()).prompt()
    assert closed.tokens[: len(opened.tokens)] == opened.tokens
    assert opened.boundaries[-1] == len(opened.tokens), "it may be returned to its end"


words = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=30)
messages_of_any_kind = st.lists(
    st.one_of(
        words.map(HumanMessage),
        words.map(AIMessage),
        st.integers(0, 9**9).map(
            lambda n: AIMessage("", tool_calls=[{"id": "c", "name": "set_timer", "args": {"seconds": n}}])
        ),
        words.map(lambda text: ToolMessage(text, tool_call_id="c")),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=messages_of_any_kind, instructions=words, tools=st.sampled_from([(), (TOOL,)]))
def test_the_ledger_counts_no_less_than_the_prompt_has(adapter, messages, instructions, tools):
    made, _ = requests(adapter)
    asked = GenerateRequest((HumanMessage("Hi"), *messages), instructions, tools, max_tokens=1)
    prompt = made.generation(asked, made.new_cache()).prompt()
    ledger = Ledger(Gemma3nCounter(adapter))
    counted = ledger.head(instructions, tools) + ledger.count(asked.messages)
    assert len(prompt.tokens) <= counted.total <= len(prompt.tokens) + 8 * len(asked.messages) + 8
    assert counted.exactly(len(prompt.tokens)).total == len(prompt.tokens)
