"""An engine that hangs, breaks or lacks memory, over a real socket: the answer ends, the session goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
import websockets


async def ask(
    socket: websockets.ClientConnection, text: str, modality: str = "audio"
) -> list[dict[str, Any]]:
    """Everything that comes of a question."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
    response = {"output_modalities": [modality]}
    await socket.send(json.dumps({"type": "response.create", "response": response}))
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] != "response.done":
        events.append(json.loads(await socket.recv()))
    return events


def spoken(events: list[dict[str, Any]]) -> str:
    return "".join(
        event["delta"]
        for event in events
        if event["type"] in ("response.output_audio_transcript.delta", "response.output_text.delta")
    )


@pytest.mark.models
@pytest.mark.parametrize(
    ("fault", "code", "told", "heard"),
    [
        ({"hang": ""}, "engine_stalled", "nothing came of it for 0.5 seconds", ""),
        ({"hang": "Let me see. I think "}, "engine_stalled", "Please try again", "Let me see."),
        ({"crash": "MemoryError"}, "out_of_memory", "not enough memory", ""),
        ({"crash": "RuntimeError"}, "engine_failed", "Something went wrong", ""),
        ({"error": "The model is broken."}, "engine_failed", "The model is broken.", ""),
    ],
)
async def test_the_answer_ends_with_its_reason_and_the_next_one_is_given(
    script, scripted, serving, fault, code, told, heard
):
    settings = scripted(script(fault, {"say": "Here I am again."}), engine__stall_s=0.5)
    async with serving(settings) as (_, url), websockets.connect(url) as socket:
        events = await ask(socket, "Are you there?")
        response = events[-1]["response"]
        assert response["status"] == "failed"
        error = response["status_details"]["error"]
        assert error["code"] == code and told in error["message"]
        assert spoken(events).strip() == heard
        events = await ask(socket, "And now?")
        assert events[-1]["response"]["status"] == "completed"
        assert spoken(events) == "Here I am again."


@pytest.mark.models
async def test_one_session_that_hangs_is_nothing_to_the_others(script, scripted, serving):
    settings = scripted(script({"hang": "Well"}, {"say": "I am well."}), engine__stall_s=30)
    async with (
        serving(settings) as (_, url),
        websockets.connect(url) as first,
        websockets.connect(url) as second,
    ):
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello?"}]}
        await first.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await first.send(json.dumps({"type": "response.create"}))
        while json.loads(await first.recv())["type"] != "response.created":
            pass
        assert spoken(await ask(second, "How are you?")) == "I am well."
        await first.send(json.dumps({"type": "response.cancel"}))
        while (event := json.loads(await first.recv()))["type"] != "response.done":
            pass
        assert event["response"]["status"] == "cancelled"
