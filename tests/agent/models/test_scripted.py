"""The scripted engine: in order, to the letter, and strict."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hearsight.agent.messages import (
    audio_block,
    call_message,
    human,
    image_block,
    result_message,
    text_block,
)
from hearsight.agent.models.base import Conversation, Engine, GenerateRequest, GenerationEnd, TokenCounter
from hearsight.agent.models.script import Reply, Script, Step
from hearsight.agent.models.scripted import (
    ScriptedConversation,
    ScriptedCounter,
    ScriptedEngine,
    python_call,
    split_tokens,
)
from hearsight.config.errors import ConfigError
from hearsight.streams.errors import EngineError
from hearsight.streams.events import Picture, ToolCall
from hearsight.tools.calls import ToolSpec

REQUEST = GenerateRequest(())


async def text_of(
    conversation: ScriptedConversation, request: GenerateRequest = REQUEST
) -> tuple[str, GenerationEnd]:
    parts: list[str] = []
    async for delta in conversation.generate(request):
        if isinstance(delta, GenerationEnd):
            return "".join(parts), delta
        parts.append(delta)
    raise AssertionError("no end")


def test_it_is_an_engine() -> None:
    engine: Engine = ScriptedEngine()
    conversation: Conversation = engine.open("s")
    counter: TokenCounter = conversation.counter
    assert engine.name == "scripted" and counter.text("") == 0


async def test_steps_are_followed_in_order() -> None:
    engine = ScriptedEngine(
        [
            Step(say="Hello there."),
            Step(call="set_timer", arguments={"seconds": 600, "label": "tea"}),
            Step(chunks=("A", "B")),
            Step(error="The model failed."),
        ]
    )
    conversation = engine.open("s")
    assert (await text_of(conversation))[0] == "Hello there."
    assert (await text_of(conversation))[0] == "set_timer(seconds=600, label='tea')"
    assert await text_of(conversation) == ("AB", GenerationEnd("stop", output_tokens=2))
    with pytest.raises(EngineError, match="The model failed"):
        await text_of(conversation)
    engine.expect_used()


async def test_steps_left_over_are_a_failure() -> None:
    engine = ScriptedEngine([Step(say="Hello.")])
    assert len(engine.unused) == 1
    with pytest.raises(AssertionError, match="1 steps"):
        engine.expect_used()


async def test_a_script_that_is_too_short_fails() -> None:
    with pytest.raises(EngineError, match="no more answers"):
        await text_of(ScriptedEngine().open("s"))


async def test_a_script_may_hang_and_crash_as_no_engine_should() -> None:
    engine = ScriptedEngine([Step(hang="One two"), Step(crash="MemoryError"), Step(crash="RuntimeError")])
    conversation = engine.open("s")
    async with aclosing(conversation.generate(REQUEST)) as deltas:
        assert [await anext(deltas), await anext(deltas)] == ["One", " two"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(deltas)
    assert conversation.active == 0
    for kind in (MemoryError, RuntimeError):
        with pytest.raises(kind):
            await text_of(conversation)
    engine.expect_used()


async def test_the_limit_on_tokens_cuts_the_text() -> None:
    conversation = ScriptedEngine([Step(chunks=("a", "b", "c"))]).open("s")
    assert await text_of(conversation, GenerateRequest((), max_tokens=2)) == (
        "ab",
        GenerationEnd("length", output_tokens=2),
    )


async def test_closing_stops_the_generation() -> None:
    conversation = ScriptedEngine([Step(chunks=("a", "b", "c"))]).open("s")
    async with aclosing(conversation.generate(REQUEST)) as deltas:
        assert await anext(deltas) == "a"
        assert conversation.active == 1
    assert conversation.active == 0


async def test_what_is_heard_and_seen_is_in_the_script() -> None:
    engine = ScriptedEngine(Script(transcripts=("hello", "again"), captions=("a cup",)))
    conversation = engine.open("s")
    picture = Picture(b"", "image/jpeg", 1, 1, "p")
    conversation.hear("u", np.zeros(1600, dtype=np.int16))
    conversation.see(picture)
    assert (await conversation.transcribe("u")).text == "hello"
    assert (await conversation.transcribe("u")).duration_s == 0.1
    conversation.hear("u", np.zeros(1600, dtype=np.int16))
    assert (await conversation.transcribe("u")).text == "again"
    assert await conversation.caption("p") == "a cup"
    assert await conversation.describe(picture, "what", "low") == "a cup"
    assert await conversation.read_text(Picture(b"", "image/jpeg", 1, 1, "q")) == ""
    conversation.forget("u")
    assert conversation.heard == {} and conversation.seen == ["p"]


async def test_requests_are_noted() -> None:
    engine = ScriptedEngine([Step(say="Hi.")])
    conversation = engine.open("s")
    await conversation.prefill(REQUEST)
    await text_of(conversation)
    assert conversation.prefilled == conversation.requests == [REQUEST]
    await conversation.aclose()
    await engine.aclose()
    assert conversation.closed and engine.closed and engine.conversations == [conversation]


@pytest.mark.parametrize("given_step", [{}, {"say": "a", "error": "b"}, {"says": "a"}])
def test_a_step_has_one_kind(given_step: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Step.model_validate(given_step)


def test_scripts_are_read_from_toml_and_json(tmp_path: Path) -> None:
    toml, json_file = tmp_path / "a.toml", tmp_path / "a.json"
    toml.write_text('transcripts = ["hi"]\n[[steps]]\nsay = "Hello."\n[[steps]]\ncall = "look"\n')
    json_file.write_text('{"transcripts": ["hi"], "steps": [{"say": "Hello."}, {"call": "look"}]}')
    assert Script.load(toml) == Script.load(json_file)
    assert Script.load(toml).steps[1].call == "look"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.toml", "steps = 3", "cannot be used: steps"),
        ("a.toml", "not toml", "neither TOML nor JSON"),
        ("a.json", "{", "neither TOML nor JSON"),
        ("a.json", '{"steps": [{"sing": "la"}]}', "cannot be used: steps.0"),
    ],
)
def test_a_bad_script_is_refused_with_its_reason(tmp_path: Path, name: str, text: str, reason: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        Script.load(path)


def test_a_missing_script_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Script.load(tmp_path / "none.toml")


@given(st.text())
def test_splitting_loses_nothing(text: str) -> None:
    assert "".join(split_tokens(text)) == text


def test_counting_is_deterministic() -> None:
    counter = ScriptedCounter()
    assert counter.text("Hello there") == 4
    assert counter.audio(16_000, None) == 9 and counter.picture("a cup") == 258
    call = call_message("c", ToolCall("c1", "look", '{"question": "where"}'))
    called = counter.text(python_call("look", {"question": "where"}))
    assert counter.wrapper(call) == counter.MESSAGE_TOKENS + called
    assert counter.system("Be brief.") == counter.MESSAGE_TOKENS + counter.text("Be brief.")
    assert counter.tools([ToolSpec("look", "Look.", {})]) > 0


# --- replies ----------------------------------------------------------------------------------------------


def asked(*texts: str) -> GenerateRequest:
    return GenerateRequest(tuple(human(f"item_{at}", [text_block(text)]) for at, text in enumerate(texts)))


REPLIES = (
    Reply(to="how many", given="forty-two", say="42."),
    Reply(to="how many", say="None."),
    Reply(to="^the time", call="get_time"),
)


@pytest.mark.parametrize(
    ("texts", "answer"),
    [
        (["How MANY are there?"], "None."),
        (["There are Forty-Two.", "How many are there?"], "42."),
        (["The time, please."], "get_time()"),
    ],
)
async def test_the_first_reply_that_fits_the_newest_message_is_given(texts, answer) -> None:
    conversation = ScriptedEngine(Script(replies=REPLIES)).open("s")
    for _ in range(2):  # as often as it fits
        assert (await text_of(conversation, asked(*texts)))[0] == answer


async def test_steps_are_for_what_no_reply_fits() -> None:
    engine = ScriptedEngine(Script(replies=REPLIES, steps=(Step(say="Hello."),)))
    conversation = engine.open("s")
    assert (await text_of(conversation, asked("How many?")))[0] == "None."
    assert (await text_of(conversation, asked("Good morning.")))[0] == "Hello."
    with pytest.raises(EngineError, match="no more answers"):
        await text_of(conversation, asked("What is the time?"))


async def test_replies_read_speech_pictures_and_results() -> None:
    replies = tuple(Reply(to=word, say=word) for word in ("clubs", "meadow", "saved"))
    conversation = ScriptedEngine(Script(replies=replies)).open("s")
    heard = human("a", [audio_block("a", 16_000, "ten of clubs")])
    seen = human("b", [image_block("b", "a meadow")])
    result = result_message("c", "call_1", "All saved.")
    for message, answer in ((heard, "clubs"), (seen, "meadow"), (result, "saved")):
        assert (await text_of(conversation, GenerateRequest((message,))))[0] == answer


@pytest.mark.parametrize("field", ["to", "given"])
def test_a_reply_that_is_no_expression_is_refused(field) -> None:
    with pytest.raises(ValidationError, match="is no regular expression: missing"):
        Reply.model_validate({"to": ".", "say": "x", field: "("})


def test_a_reply_does_one_thing() -> None:
    with pytest.raises(ValidationError, match="exactly one of say, call, chunks, error, hang"):
        Reply(to=".", say="x", call="y")


def test_replies_stand_in_files(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text('hears = true\n[[replies]]\nto = "a"\nsay = "b"\n')
    script = Script.load(path)
    assert script.hears and not script.speaks and script.replies == (Reply(to="a", say="b"),)
