"""Counting, to the token, and making room in the written order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from hearsight.agent.ageing import turn_starts
from hearsight.agent.context import SUMMARY_ID, Context
from hearsight.agent.ledger import Ledger, Tokens, audio_tokens
from hearsight.agent.messages import audio_block, blocks, human, image_block, text_block
from hearsight.agent.models.scripted import ScriptedCounter
from hearsight.streams.errors import EngineError
from hearsight.streams.events import ToolCall
from hearsight.tools.calls import ToolSpec

COUNTER = ScriptedCounter()
TOOL = ToolSpec("look", "Look.", {"type": "object", "properties": {}})


def ledger(limit: int = 2000, reserve: int = 100) -> Ledger:
    return Ledger(ScriptedCounter(), limit=limit, reserve=reserve)


def context_of(*messages: HumanMessage | AIMessage | SystemMessage) -> Context:
    context = Context()
    for message in messages:
        context.append(message)
    return context


@pytest.mark.parametrize(
    ("samples", "tokens"),
    [(0, 0), (512, 0), (513, 1), (513 + 160 * 15, 1), (513 + 160 * 16, 2), (16_000, 7), (480_000, 188)],
)
def test_audio_is_counted_exactly(samples: int, tokens: int) -> None:
    assert audio_tokens(samples) == tokens


@given(st.integers(513, 480_000))
def test_audio_grows_by_one_token_per_160_ms(samples: int) -> None:
    assert audio_tokens(samples + 2560) == audio_tokens(samples) + 1


def test_room_can_be_made_ahead() -> None:
    context = context_of(
        human("1", [text_block("old " * 1_750)]),
        AIMessage(id="2", content="Yes."),
        human("3", [text_block("new")]),
    )
    books = ledger()
    fits = books.count(context.for_model())
    free = books.budget - fits.total
    assert books.make_room(context, Tokens(), spare=free) == fits
    assert books.make_room(context, Tokens(), spare=free + 1).total < fits.total


def test_each_kind_is_counted_as_itself() -> None:
    messages = [
        SystemMessage(id="s", content="rule"),
        human("u", [text_block("hi"), audio_block("u", 16_000), image_block("p")]),
        AIMessage(
            id="c", content="", tool_calls=[{"id": "c1", "name": "look", "args": {}, "type": "tool_call"}]
        ),
    ]
    tokens = ledger().count(messages)
    overhead = COUNTER.MESSAGE_TOKENS
    assert tokens == Tokens(
        text=overhead + COUNTER.text("hi"),
        audio=COUNTER.audio(16_000, None),
        image=COUNTER.picture(None),
        tools=overhead + COUNTER.text("look()"),
        system=overhead + COUNTER.text("rule"),
    )
    assert tokens.total == tokens.text + tokens.audio + tokens.image + tokens.tools + tokens.system


def test_the_head_is_instructions_and_tools() -> None:
    head = ledger().head("Be brief.", [TOOL])
    assert head.system == COUNTER.system("Be brief.") and head.tools == COUNTER.tools([TOOL])
    assert ledger().head("", []).tools == 0


@given(st.builds(Tokens, *[st.integers(0, 50)] * 5), st.integers(1, 300))
def test_what_a_model_has_read_is_reported_to_the_token(parts: Tokens, total: int) -> None:
    exact = parts.exactly(total)
    assert (exact.audio, exact.image) == (parts.audio, parts.image), "of these no seam takes any"
    assert min(exact.text, exact.tools, exact.system) >= 0
    assert exact.total == max(total, parts.audio + parts.image)


def test_an_engine_that_does_not_tell_leaves_what_was_counted() -> None:
    assert Tokens(text=3, audio=1).exactly(0) == Tokens(text=3, audio=1)


def test_usage_reports_kinds_as_the_wire_names_them() -> None:
    usage = Tokens(text=1, audio=2, image=3, tools=4, system=5).usage(cached=6, output=7, limit=8)
    assert (usage.input_text, usage.input_audio, usage.input_image) == (10, 2, 3)
    assert (usage.input_cached, usage.output_text, usage.context_limit) == (6, 7, 8)


def test_what_fits_is_left_alone() -> None:
    context = context_of(human("u", [image_block("p"), image_block("p")]))
    before = context.messages
    used = ledger().make_room(context, Tokens())
    assert context.messages == before and used == ledger().count(context.messages)


def pictures(*keys: str) -> list[HumanMessage | AIMessage]:
    messages: list[HumanMessage | AIMessage] = []
    for number, key in enumerate(keys):
        messages.append(human(f"u{number}", [image_block(key, f"a {key}"), text_block("look")]))
        messages.append(AIMessage(id=f"a{number}", content="I see."))
    return messages


def test_duplicate_pictures_go_first() -> None:
    context = context_of(*pictures("p", "q", "p", "r"))
    ledger(limit=1050, reserve=0).make_room(context, Tokens())
    kinds = [[block["type"] for block in blocks(context.messages[at])] for at in (0, 2, 4, 6)]
    assert kinds == [["text"], ["image", "text"], ["image", "text"], ["image", "text"]]


def test_then_old_pictures_become_captions() -> None:
    context = context_of(*pictures("p", "q", "r"))
    ledger(limit=700, reserve=0).make_room(context, Tokens())
    first, second, newest = (blocks(context.messages[at])[0] for at in (0, 2, 4))
    assert first == text_block("[picture: a p]")
    assert second["type"] == newest["type"] == "image" or second["type"] == "text"
    assert newest["type"] == "image"


def test_then_old_speech_becomes_its_transcript() -> None:
    messages: list[HumanMessage | AIMessage] = []
    for number in range(4):
        messages += [
            human(f"u{number}", [audio_block(f"u{number}", 160_000, "short words")]),
            AIMessage(id=f"a{number}", content="Yes."),
        ]
    context = context_of(*messages)
    ledger(limit=250, reserve=0).make_room(context, Tokens())
    assert blocks(context.messages[0]) == [text_block("short words")]
    assert blocks(context.messages[6])[0]["type"] == "audio"


def test_speech_without_a_transcript_stays_speech_as_long_as_it_can() -> None:
    context = context_of(
        human("u0", [audio_block("u0", 160_000)]),
        AIMessage(id="a", content="Yes."),
        human("u1", [text_block("x")]),
    )
    ledger(limit=60, reserve=0).make_room(context, Tokens())
    assert [message.id for message in context.messages] == [SUMMARY_ID, "u1"]


def test_at_last_the_oldest_turns_become_a_summary() -> None:
    messages: list[HumanMessage | AIMessage] = []
    for number in range(40):
        messages += [
            human(f"u{number}", [text_block(f"question {number} " + "word " * 20)]),
            AIMessage(id=f"a{number}", content="answer " * 20),
        ]
    context = context_of(*messages)
    counted = ledger(limit=1000)
    used = counted.make_room(context, Tokens())
    assert used.total <= counted.budget
    assert context.messages[0].id == SUMMARY_ID
    assert "question" in str(context.messages[0].content)
    assert context.messages[-1].id == "a39"
    assert context.messages[1].id.startswith("u")  # type: ignore[union-attr]


def test_room_is_made_with_slack_so_that_the_next_turn_needs_none() -> None:
    messages = [
        human(f"u{n}", [text_block("word " * 30)]) if n % 2 else AIMessage(id=f"a{n}", content="word " * 9)
        for n in range(60)
    ]
    context = context_of(*messages)
    counted = ledger(limit=1000)
    counted.make_room(context, Tokens())
    context.add_text("more", "word " * 20, 1)
    before = context.messages
    counted.make_room(context, Tokens())
    assert context.messages == before


def test_what_is_pinned_must_fit() -> None:
    context = context_of(human("u", [text_block("word " * 5000)]))
    with pytest.raises(EngineError, match="too much at once") as raised:
        ledger().make_room(context, Tokens())
    assert raised.value.code == "context_length_exceeded"


WORDS = st.text("ab ", min_size=1, max_size=60)
BLOCKS = st.one_of(
    st.builds(text_block, WORDS),
    st.builds(audio_block, st.just("x"), st.integers(0, 200_000), st.one_of(st.none(), WORDS)),
    st.builds(image_block, st.sampled_from("pqr"), st.one_of(st.none(), WORDS)),
)
STEP = st.one_of(
    st.tuples(st.just("user"), st.lists(BLOCKS, min_size=1, max_size=3)),
    st.tuples(st.just("answer"), WORDS),
    st.tuples(st.just("call"), WORDS),
    st.tuples(st.just("remove"), st.integers(0, 30)),
    st.tuples(st.just("heard"), st.integers(0, 30)),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(STEP, max_size=30), st.integers(300, 3000))
def test_the_books_always_balance(steps: list, limit: int) -> None:  # type: ignore[type-arg]
    context, books = Context(), ledger(limit, reserve=50)
    head = books.head("Be brief.", [TOOL])
    for number, (kind, value) in enumerate(steps):
        if kind == "user":
            context.append(human(f"i{number}", value))
        elif kind == "answer":
            context.add_text(f"i{number}", value, 1)
        elif kind == "call":
            context.add_call(f"i{number}", ToolCall(f"c{number}", "look", "{}"), 1)
            context.add_tool_result(f"c{number}", value)
        elif kind == "remove":
            context.remove(f"i{value}")
        else:
            context.keep_heard(f"i{value}", "a")
        try:
            used = books.make_room(context, head)
        except EngineError:
            assert len(turn_starts(context.messages)) <= 1
            continue
        assert used.total <= books.budget
        assert used == head + ledger(limit, reserve=50).count(context.for_model())


@given(st.text("ab .", max_size=200), st.integers(0, 80))
def test_a_text_is_cut_to_the_tokens_it_may_have(text: str, tokens: int) -> None:
    kept = ledger().cut(text, tokens)
    assert text.startswith(kept) and COUNTER.text(kept) <= tokens
    assert kept == text or COUNTER.text(text) > tokens
