"""A service whose model is elsewhere: a tiny Gemma 3n behind ``transformers serve``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

pytest.importorskip("torch", reason="the gemma3n extra is not installed")
pytest.importorskip("fastapi", reason="transformers' server needs it")

from live_server import LiveServer
from model_servers import VLLM, model_server, served_checkpoint
from realtime_user import connected

pytestmark = pytest.mark.models

CHIME = {
    "type": "function",
    "name": "ring_chime",
    "description": "Ring the chime.",
    "parameters": {"type": "object", "properties": {}},
}
FEW_WORDS = 24


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("gateway")
    model = served_checkpoint(folder / "tiny")
    with ExitStack() as stack:
        base_url = stack.enter_context(model_server(model, folder / "server.log"))
        overrides = {
            "engine.name": "openai",
            "openai.base_url": base_url,
            "openai.model": str(model),
            "openai.seed": 1,
            "assistant.instructions": "Be brief.",
            "context.max_tokens": 4096,
            "context.reserve_tokens": 256,
            "assistant.max_output_tokens": 256,
            "tools.memory_path": str(folder / "memory.sqlite"),
            "conversations.store": "none",
            "tools.enabled": ["get_time"],
        }
        yield stack.enter_context(LiveServer(overrides))


def typed(text: str) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


async def test_speech_is_heard_answered_and_transcribed(gateway, speech_24k):
    async with connected(gateway, max_output_tokens=FEW_WORDS) as user:
        await user.speak(speech_24k)
        done = await user.until("response.done")
        transcript = await user.until("conversation.item.input_audio_transcription.completed")
        assert done.response.status in ("completed", "incomplete")
        assert done.response.usage.input_token_details.audio_tokens >= 188
        assert isinstance(transcript.transcript, str)
        assert user.said().size or VLLM, (
            "vLLM is not kept to letters, and what it writes may not be speakable"
        )


async def test_what_is_typed_is_answered(gateway):
    async with connected(gateway, max_output_tokens=FEW_WORDS, output_modalities=["text"]) as user:
        await user.connection.conversation.item.create(item=typed("Hello?"))
        await user.connection.response.create()
        done = await user.until("response.done")
        assert done.response.output[0].content[0].text
        assert done.response.usage.output_tokens > 0
        assert done.response.usage.input_tokens > 100, "as the server has counted: a letter is a token here"


async def test_a_demanded_call_is_made_and_its_result_is_taken(gateway):
    demanded = {"type": "function", "name": "ring_chime"}
    async with connected(gateway, tools=[CHIME], max_output_tokens=64) as user:
        await user.connection.conversation.item.create(item=typed("Ring."))
        await user.connection.response.create(response={"tool_choice": demanded})
        await user.until("response.function_call_arguments.done")
        await user.until("response.done")
        made = [e.item for e in user.all("response.output_item.done") if e.item.type == "function_call"]
        assert made[0].name == "ring_chime"
        output = {"type": "function_call_output", "call_id": made[0].call_id, "output": "It rang."}
        await user.connection.conversation.item.create(item=output)
        await user.connection.response.create(response={"tool_choice": "none"})
        done = await user.until("response.done", count=2)
        assert done.response.status in ("completed", "incomplete")


async def test_an_answer_can_be_cancelled_and_the_next_one_comes(gateway):
    async with connected(gateway, max_output_tokens=256, output_modalities=["text"]) as user:
        await user.connection.conversation.item.create(item=typed("Tell me a story."))
        await user.connection.response.create()
        await user.until("response.output_text.delta")
        await user.connection.response.cancel()
        done = await user.until("response.done")
        assert done.response.status in ("cancelled", "completed", "incomplete")
        await user.connection.conversation.item.create(item=typed("Stop."))
        await user.connection.response.create()
        assert (await user.until("response.done", count=2)).response.status != "failed"


async def test_more_than_the_model_can_read_is_told_and_the_session_goes_on(gateway):
    async with connected(gateway, max_output_tokens=FEW_WORDS, output_modalities=["text"]) as user:
        await user.connection.conversation.item.create(item=typed("word " * 4000))
        await user.connection.response.create()
        done = await user.until("response.done")
        assert done.response.status == "failed"
        [item] = [event.item for event in user.all("conversation.item.done")][:1]
        await user.connection.conversation.item.delete(item_id=item.id)
        await user.connection.conversation.item.create(item=typed("Hello?"))
        await user.connection.response.create()
        assert (await user.until("response.done", count=2)).response.status in ("completed", "incomplete")
