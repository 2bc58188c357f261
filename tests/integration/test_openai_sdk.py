"""The openai SDK, unmodified, has its conversations with the real service over a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
import re

import numpy as np
import pytest
from realtime_user import connected

pytestmark = pytest.mark.models

LAMP = {
    "type": "function",
    "name": "set_lamp",
    "description": "Switch the lamp in the living room on or off.",
    "parameters": {
        "type": "object",
        "properties": {"on": {"type": "boolean", "description": "Whether the lamp shall be on."}},
        "required": ["on"],
    },
}


async def test_what_time_is_it(live, say, transcribe):
    async with connected(live) as user:
        await user.speak(await say("What time is it?"))
        done = await user.until("response.done")
        transcript = await user.until("conversation.item.input_audio_transcription.completed")

        assert done.response.status == "completed"
        assert "time" in transcript.transcript.lower()
        call = next(item for item in done.response.output if item.type == "mcp_call")
        assert call.name == "get_time"
        expected = re.search(r"\d{1,2}:\d{2}", user.words())
        assert expected, user.words()
        hour, minute = expected.group().split(":")
        heard = await transcribe(user.said())
        assert re.search(rf"\b{hour}\b", heard) or hour in heard, heard
        assert minute.lstrip("0") in heard or minute == "00", heard


async def test_a_spoken_turn_has_its_events_in_order(live, say):
    async with connected(live) as user:
        await user.speak(await say("What time is it?"))
        await user.until("response.done")
        await user.until("conversation.item.input_audio_transcription.completed")
        kinds = user.kinds()
        wanted = [
            "session.created",
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "response.created",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_audio.delta",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.done",
        ]
        places = [next(i for i, kind in enumerate(kinds) if kind == name) for name in wanted[:7]]
        assert places == sorted(places)
        spoken = [len(kinds) - 1 - kinds[::-1].index(name) for name in wanted[9:]]
        assert spoken == sorted(spoken)
        usage = user.all("response.done")[0].response.usage
        assert usage.input_token_details.audio_tokens > 0
        assert usage.total_tokens == usage.input_tokens + usage.output_tokens


async def test_the_client_runs_its_own_function(live, say):
    async with connected(live, tools=[LAMP], tool_choice="auto") as user:
        await user.speak(await say("Please switch on the lamp in the living room."))
        done = await user.until("response.done")
        (call,) = [item for item in done.response.output if item.type == "function_call"]
        assert call.name == "set_lamp"
        assert json.loads(call.arguments) == {"on": True}
        arguments = "".join(e.delta for e in user.all("response.function_call_arguments.delta"))
        assert json.loads(arguments) == {"on": True}

        await user.connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call.call_id, "output": '{"lamp": "on"}'}
        )
        await user.connection.response.create()
        answer = await user.until("response.done", count=2)
        assert answer.response.status == "completed"
        assert user.said(answer.response.id).size > 0
        assert "on" in user.words().lower()


async def test_a_function_can_be_forced(live):
    async with connected(live, tools=[LAMP], output_modalities=["text"]) as user:
        await user.connection.conversation.item.create(item=text("Good morning!"))
        await user.connection.response.create(
            response={"tool_choice": {"type": "function", "name": "set_lamp"}}
        )
        done = await user.until("response.done")
        assert [item.name for item in done.response.output if item.type == "function_call"] == ["set_lamp"]


def text(words: str) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}


async def test_what_does_the_sign_say(live, say, sign, transcribe):
    async with connected(live) as user:
        url = "data:image/jpeg;base64," + base64.b64encode(sign).decode()
        await user.connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": url}]}
        )
        await user.speak(await say("What does the sign say?"))
        await user.until("response.done")
        assert "wet floor" in user.words().lower()
        assert "wet" in (await transcribe(user.said())).lower()


async def test_a_live_camera_is_read(live, say, sign):
    async with connected(live) as user:
        await user.connection.send(
            {
                "type": "input_image_buffer.append",
                "image": base64.b64encode(sign).decode(),
                "mime_type": "image/jpeg",
            }
        )
        await user.speak(await say("Please read the text on the sign in front of the camera."))
        done = await user.until("response.done")
        assert done.response.status == "completed"
        assert "wet floor" in user.words().lower()


async def test_push_to_talk(live, say):
    async with connected(live, audio={"input": {"turn_detection": None}}) as user:
        await user.speak(await say("What is seventeen times twenty three?"), pace=50)
        assert "response.created" not in user.kinds()
        assert "input_audio_buffer.speech_started" not in user.kinds()
        await user.connection.input_audio_buffer.commit()
        await user.connection.response.create()
        await user.until("response.done")
        assert "391" in user.words()


async def test_text_only(live):
    async with connected(live, output_modalities=["text"]) as user:
        await user.connection.conversation.item.create(item=text("What is 12 plus 30?"))
        await user.connection.response.create()
        done = await user.until("response.done")
        written = "".join(event.delta for event in user.all("response.output_text.delta"))
        assert "42" in written
        assert user.all("response.output_audio.delta") == []
        assert done.response.output[-1].content[0].text == written


async def test_barge_in_in_mid_answer(live, say):
    async with connected(live) as user:
        await user.speak(
            await say("Please tell me a long story about a lighthouse keeper and his cat."), pace=2
        )
        first = await user.until("response.output_audio.delta")
        await user.until("response.output_audio.delta", count=3)
        await user.speak(await say("Stop, please. What time is it now?"), pace=1)
        cancelled = await user.until("response.done")
        assert cancelled.response.status == "cancelled" or user.said(cancelled.response.id).size > 0

        await user.connection.conversation.item.truncate(
            item_id=first.item_id, content_index=0, audio_end_ms=700
        )
        truncated = await user.until("conversation.item.truncated")
        assert truncated.audio_end_ms == 700
        await user.connection.conversation.item.retrieve(item_id=first.item_id)
        kept = (await user.until("conversation.item.retrieved")).item.content[0].transcript
        whole = "".join(
            e.delta for e in user.all("response.output_audio_transcript.delta") if e.item_id == first.item_id
        )
        assert whole.startswith(kept)
        assert 0 < len(kept.split()) <= 4

        answer = await user.until("response.done", count=2)
        assert answer.response.status == "completed"
        assert any(item.type == "mcp_call" for item in answer.response.output)


async def test_what_was_said_before_is_remembered(live):
    async with connected(live, output_modalities=["text"]) as user:
        for index, words in enumerate(("My cat is called Professor Whiskers.", "What is my cat called?")):
            await user.connection.conversation.item.create(item=text(words))
            await user.connection.response.create()
            await user.until("response.done", count=index + 1)
        written = user.all("response.output_text.done")[-1].text
        assert "whiskers" in written.lower()


async def test_two_people_at_once_do_not_hear_each_other(live):
    async def ask(question: str) -> str:
        async with connected(live, output_modalities=["text"]) as user:
            await user.connection.conversation.item.create(item=text(question))
            await user.connection.response.create()
            await user.until("response.done", timeout_s=120)
            return "".join(event.delta for event in user.all("response.output_text.delta"))

    first, second = await asyncio.gather(ask("What is 100 plus 11?"), ask("What is 200 plus 22?"))
    assert "111" in first
    assert "222" in second


async def test_silence_and_noise_are_not_answered(live):
    noise = (np.random.default_rng(7).normal(0, 300, 24_000 * 3)).astype(np.int16)
    async with connected(live) as user:
        await user.speak(noise, pace=20)
        await user.speak(np.zeros(24_000 * 3, np.int16), pace=20)
        await user.connection.input_audio_buffer.clear()
        await user.until("input_audio_buffer.cleared")
        assert "response.created" not in user.kinds()
