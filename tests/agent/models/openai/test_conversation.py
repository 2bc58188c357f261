"""A session's side of a model elsewhere, against a real server: ``transformers serve`` with a tiny Gemma 3n.

The weights are random, so that nothing here asks what is answered; what goes there, what it is made of and
what comes back can be told all the same.
"""

from __future__ import annotations

import asyncio

import cv2
import numpy as np
import pytest
from drawn_pictures import room
from langchain_core.messages import AIMessage, HumanMessage

from hearsight.agent.messages import audio_block, human, image_block, text_block
from hearsight.agent.models.base import GenerateRequest, GenerationEnd
from hearsight.agent.models.openai.conversation import SESSION_HEADER, OpenAIConversation
from hearsight.agent.models.openai.counter import PADDED_CLIP_TOKENS
from hearsight.agent.models.openai.engine import OpenAIEngine
from hearsight.streams.camera.decode import content_key
from hearsight.streams.errors import EngineError
from hearsight.streams.events import Picture
from hearsight.tools.calls import ToolSpec

RATE = 16_000
FEW = 8
TINY_PICTURE_TOKENS = 16
"""What the tiny model makes of a picture; the real one makes 256."""
CHIME = ToolSpec("ring_chime", "Ring the chime.", {"type": "object", "properties": {}})


def speech(seconds: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(3).standard_normal(round(seconds * RATE)) * 3000).astype(np.int16)


def picture(seed: int = 0) -> Picture:
    data = cv2.imencode(".jpg", room(seed))[1].tobytes()
    return Picture(data, "image/jpeg", 640, 480, content_key(data))


def asked(*messages, **changes) -> GenerateRequest:
    return GenerateRequest(tuple(messages), **{"max_tokens": FEW, "instructions": "Be brief.", **changes})


async def answer(conversation: OpenAIConversation, request: GenerateRequest) -> tuple[str, GenerationEnd]:
    deltas = [delta async for delta in conversation.generate(request)]
    assert isinstance(deltas[-1], GenerationEnd)
    return "".join(deltas[:-1]), deltas[-1]


@pytest.fixture
async def conversation(engine: OpenAIEngine):
    opened = engine.open("me")
    yield opened
    await opened.aclose()


def kinds(body: dict) -> list[str]:
    content = body["messages"][-1]["content"]
    return ["text"] if isinstance(content, str) else [part["type"] for part in content]


# --- answering ------------------------------------------------------------------------------------------


async def test_a_typed_question_is_answered_and_counted(conversation, served):
    text, end = await answer(conversation, asked(HumanMessage("Hello?")))
    assert text
    assert 0 < end.output_tokens <= FEW
    assert end.prompt_tokens > 20
    assert served.bodies[-1]["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_speech_is_heard_by_the_model_itself(conversation, served):
    _, typed = await answer(conversation, asked(HumanMessage("x")))
    conversation.hear("u", speech())
    _, spoken = await answer(conversation, asked(human("u", [audio_block("u", RATE)])))
    assert kinds(served.bodies[-1]) == ["input_audio"]
    assert abs(spoken.prompt_tokens - typed.prompt_tokens - PADDED_CLIP_TOKENS) < 8


async def test_a_picture_is_seen_by_the_model_itself(conversation, served):
    _, without = await answer(conversation, asked(human("u", [text_block("What is it?")])))
    conversation.see(picture())
    request = asked(human("u", [image_block(picture().key), text_block("What is it?")]))
    _, shown = await answer(conversation, request)
    assert kinds(served.bodies[-1]) == ["image_url", "text"]
    assert abs(shown.prompt_tokens - without.prompt_tokens - TINY_PICTURE_TOKENS) < 8


async def test_what_was_said_changes_what_is_answered(conversation):
    """The media reach the model: another sound, another picture, other logits."""
    answers = set()
    for number in range(3):
        conversation.hear(
            f"u{number}", (np.random.default_rng(number).standard_normal(RATE) * 9000).astype(np.int16)
        )
        conversation.see(picture(number))
        blocks = [image_block(picture(number).key), audio_block(f"u{number}", RATE)]
        text, _ = await answer(conversation, asked(human("u", blocks), temperature=0.0, max_tokens=24))
        answers.add(text)
    assert len(answers) > 1


async def test_the_same_conversation_gets_the_same_answer(engine):
    texts = []
    for session in ("one", "two"):
        opened = engine.open(session)
        texts.append(await answer(opened, asked(HumanMessage("Hello?"), temperature=0.0)))
        await opened.aclose()
    assert texts[0] == texts[1]


async def test_an_answer_ends_where_it_was_limited(conversation):
    _, end = await answer(conversation, asked(HumanMessage("Hello?"), max_tokens=3))
    assert end.reason == "length" and end.output_tokens == 3


async def test_a_call_that_leaves_nothing_to_the_model_is_not_asked_for(conversation, served):
    request = asked(HumanMessage("Ring."), tools=(CHIME,), tool_choice="ring_chime")
    text, end = await answer(conversation, request)
    assert text == "```tool_code\nring_chime()\n```"
    assert end == GenerationEnd("stop") and not served.bodies


async def test_closing_an_answer_frees_the_server(conversation):
    """One request at a time is all that this server does: a second answer tells that the first has ended."""
    deltas = conversation.generate(asked(HumanMessage("Tell me a story."), max_tokens=1000))
    await anext(deltas)
    started = asyncio.get_running_loop().time()
    await deltas.aclose()
    await answer(conversation, asked(HumanMessage("Stop."), max_tokens=1))
    assert asyncio.get_running_loop().time() - started < 10


async def test_the_prefix_of_a_conversation_that_goes_on_is_the_same_to_the_byte(conversation, served):
    conversation.hear("u", speech())
    conversation.see(picture())
    first = [human("u", [image_block(picture().key), audio_block("u", RATE)])]
    text, _ = await answer(conversation, asked(*first))
    conversation.hear("u", np.zeros(RATE // 2, np.int16))  # the silence in which the turn ended
    await answer(conversation, asked(*first, AIMessage(text or "."), HumanMessage("And?")))
    before, after = served.bodies[-2]["messages"], served.bodies[-1]["messages"]
    assert after[: len(before)] == before


# --- reading ahead --------------------------------------------------------------------------------------


async def test_what_is_new_is_read_ahead_once(conversation, served):
    request = asked(HumanMessage("One. " * 80), AIMessage("Yes."))
    await conversation.prefill(request)
    await conversation.prefill(request)
    [body] = served.bodies
    assert body["max_tokens"] == 1
    assert [message["role"] for message in body["messages"]][-1] == "user"


async def test_what_the_server_has_answered_is_not_read_ahead(conversation, served):
    question = HumanMessage("One. " * 80)
    text, _ = await answer(conversation, asked(question))
    await conversation.prefill(asked(question, AIMessage(text or ".")))
    assert len(served.bodies) == 1


async def test_a_picture_is_looked_at_while_the_user_speaks(conversation, served):
    await answer(conversation, asked(HumanMessage("Hello?")))
    await conversation.prefill(asked(HumanMessage("Hello?")))
    served.forget()
    conversation.see(picture())
    await asyncio.wait_for(served.asked.wait(), 20)
    assert "image_url" in kinds(served.bodies[0])
    assert served.bodies[0]["max_tokens"] == 1


async def test_an_answer_does_not_wait_for_what_is_read_ahead(conversation, served):
    reading = asyncio.create_task(conversation.prefill(asked(HumanMessage("One. " * 400))))
    await asyncio.sleep(0)
    await answer(conversation, asked(HumanMessage("Hello?"), max_tokens=1))
    await asyncio.wait_for(reading, 5)


async def test_reading_ahead_can_be_switched_off(served):
    engine = OpenAIEngine(served.remote(read_ahead=False))
    opened = engine.open("me")
    await opened.prefill(asked(HumanMessage("One. " * 200)))
    opened.see(picture())
    assert not served.bodies
    await opened.aclose()
    await engine.aclose()


async def test_what_was_foreseen_and_never_named_is_not_held(conversation, served):
    conversation.see(picture(0))
    for number in range(1, 5):
        conversation.foresee([picture(0), picture(number)])
    conversation.see(picture(4))
    conversation.foresee([])
    held = [number for number in range(5) if conversation._media.holds(picture(number).key)]
    assert held == [0, 4]
    assert not served.bodies, "the server is not asked to look at what may come"


@pytest.fixture
def brief(monkeypatch):
    """Random weights find no end."""
    monkeypatch.setattr("hearsight.agent.models.openai.conversation.ASIDE_TOKENS", FEW)


# --- asides ---------------------------------------------------------------------------------------------


async def test_what_was_said_is_written_down_by_the_model(conversation, served, brief):
    conversation.hear("u", speech(1.5))
    heard = await conversation.transcribe("u")
    assert heard.duration_s == 1.5
    assert kinds(served.bodies[-1]) == ["input_audio", "text"]
    assert served.bodies[-1]["temperature"] == 0.0
    with pytest.raises(EngineError, match="never heard"):
        await conversation.transcribe("other")


async def test_pictures_are_described_by_the_model(conversation, served, brief):
    assert isinstance(await conversation.describe(picture(), "What is this?", "auto"), str)
    assert served.bodies[-1]["messages"][-1]["content"][-1]["text"] == "What is this?"
    assert isinstance(await conversation.read_text(picture()), str)
    assert isinstance(await conversation.caption(picture().key), str)
    conversation.forget(picture().key)
    with pytest.raises(EngineError, match="no longer kept"):
        await conversation.caption(picture().key)


async def test_a_model_that_hears_needs_no_words_ahead(conversation):
    conversation.hear("u", speech())
    assert await conversation.overhear("u") is None


# --- the session ----------------------------------------------------------------------------------------


async def test_nothing_is_left_of_a_session(engine):
    opened = engine.open("me")
    opened.hear("u", speech())
    opened.see(picture())
    reading = asyncio.create_task(opened.prefill(asked(HumanMessage("One. " * 400))))
    await asyncio.sleep(0)
    await opened.aclose()
    await opened.aclose()
    await asyncio.wait_for(reading, 5)
    mine = asyncio.current_task()
    assert [
        task for task in asyncio.all_tasks() if task is not mine and "read ahead" in task.get_name()
    ] == []


async def test_a_session_is_named_without_being_given_away(engine, served):
    names = []
    for session in ("secret-1", "secret-1", "secret-2"):
        opened = engine.open(session)
        names.append(opened._headers[SESSION_HEADER])
        await opened.aclose()
    assert names[0] == names[1] != names[2]
    assert not any("secret" in name for name in names)
