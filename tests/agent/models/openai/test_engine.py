"""The engine as the service opens it: what it is told at the start, and what hears and sees here instead."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from failing_chat_server import Reply, failing_server
from langchain_core.messages import AIMessage, HumanMessage
from model_servers import free_port

from hearsight.agent.messages import audio_block, human, image_block
from hearsight.agent.models.base import Capabilities, GenerateRequest, GenerationEnd
from hearsight.agent.models.openai.engine import OpenAIEngine, open_openai_engine
from hearsight.agent.models.openai.remote import Remote
from hearsight.config.engines import EmbeddedSettings, OpenAISettings
from hearsight.config.settings import load_settings
from hearsight.models_command import open_store
from hearsight.streams.camera.decode import content_key
from hearsight.streams.errors import EngineError
from hearsight.streams.events import Picture
from hearsight.wav import read_wav

DATA = Path(__file__).parents[3] / "data"
HELLO = GenerateRequest((HumanMessage("Hello."),), "Be brief.", max_tokens=4)


async def opened(settings: OpenAISettings, **options) -> OpenAIEngine:
    store = open_store(load_settings().settings)
    return await open_openai_engine(settings, EmbeddedSettings(threads=1, ocr=False), store, **options)


async def test_an_engine_knows_what_its_server_takes(served):
    engine = await opened(served.settings(), context_limit=4096)
    assert engine.name == "openai"
    assert engine.capabilities == Capabilities(audio=True, pictures=True)
    assert engine.context_limit == 4096
    await engine.warm_up(HELLO)
    await engine.aclose()


async def test_the_server_s_context_holds_where_it_is_shorter():
    listed = ({"id": "tiny", "object": "model", "max_model_len": 2048},)
    async with failing_server(models=listed) as server:
        engine = await opened(server.settings())
        assert engine.context_limit == 2048
        await engine.aclose()


async def test_counts_are_put_right_from_the_first_prompt_on(served):
    engine = await opened(served.settings())
    before = engine.calibration.bytes_per_token
    await engine.warm_up(GenerateRequest((), "Speak in plain sentences, as people do. " * 10))
    assert engine.calibration.bytes_per_token < before, "the tiny tokenizer knows hardly more than letters"
    await engine.aclose()


async def test_a_server_that_is_not_there_is_told_with_its_address():
    settings = OpenAISettings(base_url=f"http://127.0.0.1:{free_port()}/v1", retries=0)
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        await opened(settings)
    assert settings.base_url in caught.value.message


async def test_a_server_that_starts_late_is_waited_for():
    port = free_port()
    settings = OpenAISettings(base_url=f"http://127.0.0.1:{port}/v1", model="tiny", start_timeout_s=30)
    opening = asyncio.create_task(opened(settings))
    done, _ = await asyncio.wait([opening], timeout=0.3)
    assert not done
    async with failing_server(port=port):
        engine = await asyncio.wait_for(opening, 20)
        await engine.aclose()


async def test_a_wrong_key_is_told_at_the_start_and_not_waited_for():
    async with failing_server(key="right") as server:
        with pytest.raises(EngineError, match="HEARSIGHT_OPENAI__API_KEY"):
            await opened(server.settings(api_key="wrong", start_timeout_s=60))


async def test_a_model_that_the_server_has_not_is_told_at_the_start(served):
    engine = OpenAIEngine(Remote(served.settings().model_copy(update={"model": "other"})))
    with pytest.raises(EngineError, match=r"no model 'other' \(openai.model\)"):
        await engine.warm_up(HELLO)
    await engine.aclose()


async def test_a_server_without_a_list_of_models_is_fine():
    async with failing_server(models=None) as server:
        engine = await opened(server.settings())
        await engine.warm_up(HELLO)
        await engine.aclose()


async def test_a_conversation_that_was_reckoned_too_short_is_answered_from_its_newer_half():
    complaint = {"error": {"message": "This model's maximum context length is 512 tokens.", "code": 400}}
    async with failing_server(Reply(400, complaint), Reply(deltas=("Yes.",))) as server:
        engine = OpenAIEngine(Remote(server.settings()))
        messages = [each for n in range(3) for each in (HumanMessage(f"q{n}"), AIMessage(f"a{n}"))]
        request = GenerateRequest((*messages, HumanMessage("last")), "Be brief.")
        deltas = [delta async for delta in engine.open("me").generate(request)]
        assert deltas[0] == "Yes."
        sent = [[message["content"] for message in body["messages"]] for body in server.requests]
        assert sent == [
            ["Be brief.", "q0", "a0", "q1", "a1", "q2", "a2", "last"],
            ["Be brief.", "q2", "a2", "last"],
        ]
        await engine.aclose()


async def test_a_conversation_that_is_too_long_makes_the_next_one_shorter():
    complaint = {"error": {"message": "This model's maximum context length is 512 tokens.", "code": 400}}
    async with failing_server(Reply(400, complaint)) as server:
        engine = OpenAIEngine(Remote(server.settings()))
        conversation = engine.open("me")
        before = conversation.counter.text("x" * 1000)
        with pytest.raises(EngineError, match="longer than the model can read") as caught:
            _ = [delta async for delta in conversation.generate(HELLO)]
        assert caught.value.code == "context_length_exceeded"
        assert conversation.counter.text("x" * 1000) > before
        await engine.aclose()


@pytest.mark.models
async def test_a_model_that_does_not_hear_gets_what_whisper_has_written_down(served):
    engine = await opened(served.settings(audio=False))
    assert engine.capabilities.audio is False
    conversation = engine.open("me")
    said = read_wav(DATA / "speech" / "seven_of_clubs.wav", 16_000)
    conversation.hear("u", said)
    heard = await conversation.transcribe("u")
    assert "clubs" in heard.text.lower()
    request = GenerateRequest((human("u", [audio_block("u", said.size, heard.text)]),), max_tokens=4)
    served_remote = served.remote(audio=False)
    again = OpenAIEngine(served_remote).open("me")
    assert isinstance([delta async for delta in again.generate(request)][-1], GenerationEnd)
    assert served.bodies[-1]["messages"][-1]["content"] == heard.text
    await conversation.aclose()
    await served_remote.aclose()
    await engine.aclose()


@pytest.mark.models
async def test_whisper_may_write_down_for_a_model_that_hears(served):
    engine = await opened(served.settings(transcripts="local"))
    conversation = engine.open("me")
    conversation.hear("u", read_wav(DATA / "speech" / "seven_of_clubs.wav", 16_000))
    assert "clubs" in (await conversation.transcribe("u")).text.lower()
    assert await conversation.overhear("u") is None
    await conversation.aclose()
    await engine.aclose()


@pytest.mark.models
async def test_a_model_that_does_not_see_gets_words(served):
    engine = await opened(served.settings(pictures=False))
    conversation = engine.open("me")
    data = (DATA / "pictures" / "cat.jpg").read_bytes()
    cat = Picture(data, "image/jpeg", 640, 480, content_key(data))
    conversation.see(cat)
    caption = await conversation.caption(cat.key)
    assert "cat" in caption
    assert "cat" in await conversation.describe(cat, "What is it?", "auto")
    request = GenerateRequest((human("u", [image_block(cat.key, caption)]),), max_tokens=4)
    assert isinstance([delta async for delta in conversation.generate(request)][-1], GenerationEnd)
    await conversation.aclose()
    await engine.aclose()
