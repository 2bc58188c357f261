"""What only a server shows that keeps prefixes and answers many at a time: run by ``make vllm``."""

from __future__ import annotations

import asyncio
import re

import cv2
import httpx
import numpy as np
import pytest
from drawn_pictures import room
from langchain_core.messages import AIMessage, HumanMessage
from model_servers import VLLM

from hearsight.agent.messages import audio_block, human, image_block
from hearsight.agent.models.base import GenerateRequest, GenerationEnd
from hearsight.streams.camera.decode import content_key
from hearsight.streams.events import Picture

pytestmark = pytest.mark.skipif(not VLLM, reason="there is no vLLM: see `make vllm`")

RATE = 16_000
BLOCK = 128
"""Tokens that vLLM keeps or forgets together, on a CPU."""
INSTRUCTIONS = "Speak slowly and in whole sentences. " * 12


def speech(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(RATE) * 3000).astype(np.int16)


def picture(seed: int) -> Picture:
    data = cv2.imencode(".jpg", room(seed))[1].tobytes()
    return Picture(data, "image/jpeg", 640, 480, content_key(data))


def asked(*messages, **changes) -> GenerateRequest:
    return GenerateRequest(tuple(messages), **{"max_tokens": 8, "instructions": INSTRUCTIONS, **changes})


async def answer(conversation, request) -> tuple[str, GenerationEnd]:
    deltas = [delta async for delta in conversation.generate(request)]
    return "".join(deltas[:-1]), deltas[-1]


async def running(base_url: str) -> float:
    """Requests that the server works at."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(base_url.removesuffix("/v1") + "/metrics")).text
    return sum(map(float, re.findall(r"^vllm:num_requests_running\S* (\S+)$", text, re.MULTILINE)))


async def test_of_a_conversation_that_goes_on_only_the_newest_turn_is_read(engine):
    conversation = engine.open("me")
    conversation.hear("u", speech(1))
    conversation.see(picture(1))
    first = human("u", [image_block(picture(1).key), audio_block("u", RATE)])
    text, before = await answer(conversation, asked(first))
    conversation.hear("u", np.zeros(RATE // 2, np.int16))  # the silence in which the turn ended
    _, after = await answer(conversation, asked(first, AIMessage(text or "."), HumanMessage("And?")))
    assert before.prompt_tokens > 4 * BLOCK
    assert after.cached_tokens > before.prompt_tokens - BLOCK, "speech and picture among it"
    await conversation.aclose()


async def test_what_was_read_ahead_is_in_the_cache_when_the_turn_ends(engine, served):
    conversation = engine.open("me")
    history = (HumanMessage("Tell me of the sea. " * 20), AIMessage("It is wide."))
    await conversation.prefill(asked(*history))
    served.forget()
    conversation.see(picture(2))  # while the user speaks
    await asyncio.wait_for(served.asked.wait(), 20)
    await asyncio.wait_for(conversation._reading._task, 60)
    conversation.hear("u", speech(2))
    question = human("u", [image_block(picture(2).key), audio_block("u", RATE)])
    _, end = await answer(conversation, asked(*history, question))
    fresh = end.prompt_tokens - end.cached_tokens
    assert end.prompt_tokens > 6 * BLOCK
    assert fresh < 188 + BLOCK + 32, "the speech, what stands around it, and the rest of a block"
    await conversation.aclose()


async def test_a_prompt_that_another_session_has_begun_is_shared(engine):
    ends = []
    for session in ("one", "two"):
        conversation = engine.open(session)
        ends.append((await answer(conversation, asked(HumanMessage(session))))[1])
        await conversation.aclose()
    assert ends[1].cached_tokens > 300


async def test_closing_an_answer_stops_the_model(engine, served):
    conversation = engine.open("me")
    deltas = conversation.generate(asked(HumanMessage("Tell me a story."), max_tokens=3500))
    await anext(deltas)
    assert await running(served.base_url) == 1
    await deltas.aclose()
    async with asyncio.timeout(5):
        while await running(served.base_url):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.05)
    await conversation.aclose()


async def test_answers_are_written_side_by_side(engine):
    async def one(session: str) -> GenerationEnd:
        conversation = engine.open(session)
        _, end = await answer(conversation, asked(HumanMessage(session), max_tokens=32))
        await conversation.aclose()
        return end

    ends = await asyncio.gather(*map(one, "abcdefgh"))
    assert all(end.output_tokens for end in ends)
