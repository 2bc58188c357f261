"""The openai SDK talks to a service that hears with Gemma 3n: a tiny one, random weights, a fixed seed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="the gemma3n extra is not installed")

from live_server import LiveServer
from realtime_user import connected
from tiny_gemma3n import build_tiny_gemma3n

pytestmark = pytest.mark.models

CHIME = {
    "type": "function",
    "name": "ring_chime",
    "description": "Ring the chime.",
    "parameters": {"type": "object", "properties": {}},
}
FEW_WORDS = 24
"""Of an answer by random weights, a little is enough."""


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("gemma")
    overrides = {
        "engine.name": "gemma3n",
        "gemma3n.model": str(build_tiny_gemma3n(folder / "tiny")),
        "gemma3n.dtype": "float32",
        "gemma3n.seed": 1,
        "assistant.instructions": "Be brief.",
        "context.max_tokens": 4096,
        "context.reserve_tokens": 256,
        "assistant.max_output_tokens": 256,
        "tools.memory_path": str(folder / "memory.sqlite"),
        "conversations.store": "none",
        "tools.enabled": ["get_time"],
    }
    with LiveServer(overrides) as server:
        yield server


async def test_speech_is_heard_answered_and_transcribed(gemma, speech_24k):
    async with connected(gemma, max_output_tokens=FEW_WORDS) as user:
        await user.speak(speech_24k)
        done = await user.until("response.done")
        transcript = await user.until("conversation.item.input_audio_transcription.completed")
        assert done.response.status in ("completed", "incomplete")
        assert done.response.usage.input_token_details.audio_tokens > 0
        assert isinstance(transcript.transcript, str)
        assert user.said().size


async def test_what_is_typed_is_answered(gemma):
    async with connected(gemma, max_output_tokens=FEW_WORDS, output_modalities=["text"]) as user:
        await user.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello?"}]}
        )
        await user.connection.response.create()
        done = await user.until("response.done")
        assert done.response.output[0].content[0].text


async def test_a_demanded_call_is_made_and_its_result_is_taken(gemma):
    demanded = {"type": "function", "name": "ring_chime"}
    async with connected(gemma, tools=[CHIME], max_output_tokens=64) as user:
        await user.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Ring."}]}
        )
        await user.connection.response.create(response={"tool_choice": demanded})
        call = await user.until("response.function_call_arguments.done")
        await user.until("response.done")
        assert call.arguments == "{}"
        made = [
            event.item
            for event in user.all("response.output_item.done")
            if event.item.type == "function_call"
        ]
        assert made[0].name == "ring_chime"
        await user.connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": made[0].call_id, "output": "It rang."}
        )
        await user.connection.response.create(response={"tool_choice": "none"})
        done = await user.until("response.done", count=2)
        assert done.response.status in ("completed", "incomplete")


async def test_the_same_words_get_the_same_answer(gemma):
    """The seed is fixed, and nothing of one session reaches another."""
    answers = []
    for _ in range(2):
        async with connected(gemma, max_output_tokens=FEW_WORDS, output_modalities=["text"]) as user:
            await user.connection.conversation.item.create(
                item={
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Hello?"}],
                }
            )
            await user.connection.response.create()
            done = await user.until("response.done")
            answers.append(done.response.output[0].content[0].text)
    assert answers[0] == answers[1]
