"""The assistant inside a program: everything but the model is real, and there is no socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from drawn_pictures import encoded, room

from hearsight import Assistant
from hearsight.agent.models.script import Reply, Script
from hearsight.agent.models.scripted import ScriptedEngine
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.config.errors import ConfigError
from hearsight.config.settings import load_settings
from hearsight.streams.errors import InvalidPicture, StateConflict
from hearsight.tools.errors import ToolError
from hearsight.user_events import (
    AnswerBegan,
    AnswerEnded,
    Problem,
    Speech,
    SpeechBegan,
    SpeechEnded,
    ToolBegan,
    ToolEnded,
    Transcript,
    Words,
)
from hearsight.wav import read_wav

SPEECH = read_wav(Path(__file__).parents[1] / "data" / "speech" / "ten_of_clubs.wav", 24_000)


@pytest.fixture
def settings(tmp_path):
    return load_settings(
        overrides={"tools.memory_path": tmp_path / "memory.sqlite", "conversations.store": "none"}
    ).settings


@pytest.fixture
def assistant(settings):
    """Makes an assistant with an engine of the test's own."""

    def make(*replies: Reply, transcripts=(), captions=(), **more) -> Assistant:
        script = Script(replies=replies, transcripts=transcripts, captions=captions)
        return Assistant(settings, engine=ScriptedEngine(script), voice=ScriptedVoice(), **more)

    return make


async def until(assistant: Assistant, kind: type, *, count: int = 1) -> list:
    """Events up to the one of that kind that makes the count full."""
    events: list = []
    async with asyncio.timeout(20):
        async for event in assistant:
            events.append(event)
            if sum(isinstance(one, kind) for one in events) == count:
                break
    return events


def words(events: list) -> str:
    return "".join(event.text for event in events if isinstance(event, Words))


def only(events: list, kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


async def test_a_typed_question_is_answered_aloud(assistant):
    async with assistant(Reply(to="hello", say="Good morning.")) as it:
        await it.send_text("Hello?")
        events = await until(it, AnswerEnded)
    assert words(events) == "Good morning."
    assert sum(event.samples.size for event in only(events, Speech)) > 24_000 / 4
    assert only(events, AnswerBegan)[0].response_id == events[-1].response_id
    assert events[-1].status == "completed" and events[-1].usage["output_tokens"] > 0


async def test_it_may_write(assistant):
    async with assistant(Reply(to="hello", say="Hi."), modality="text", instructions="Be brief.") as it:
        await it.send_text("Hello?")
        events = await until(it, AnswerEnded)
    assert words(events) == "Hi." and not only(events, Speech)


async def test_instructions_reach_the_model(assistant):
    it = assistant(Reply(to="hello", say="Hi."), instructions="Be brief.")
    async with it:
        await it.send_text("Hello?")
        await until(it, AnswerEnded)
        await it.respond("Be wordy.")
        await until(it, AnswerEnded)
    first, second = it._engine.conversations[0].requests
    assert (first.instructions, second.instructions) == ("Be brief.", "Be wordy.")


async def test_speech_is_heard_and_its_end(assistant):
    it = assistant(Reply(to="clubs", say="I see."), transcripts=["ten of clubs"] * 5)
    quiet = np.zeros(24_000, np.int16)
    async with it:
        await it.send_audio(np.concatenate([quiet, SPEECH, quiet]))
        events = await until(it, AnswerEnded)
    assert only(events, SpeechBegan) and only(events, SpeechEnded)
    assert only(events, Transcript)[0].text == "ten of clubs" and words(events) == "I see."


async def test_the_program_may_end_the_turns_and_show_its_camera(assistant):
    it = assistant(
        Reply(to="a room", say="A room."), transcripts=["what is this"], captions=["a room"], turns="client"
    )
    async with it:
        await it.send_frame(encoded(room(), ".jpg"), timestamp_ms=5)
        await it.send_audio(SPEECH)
        await it.commit()
        await it.respond()
        events = await until(it, AnswerEnded)
    assert words(events) == "A room." and not only(events, SpeechBegan)
    assert events[-1].usage["input_token_details"]["image_tokens"] > 0


async def test_pictures_come_with_what_is_typed(assistant):
    async with assistant(Reply(to="a room", say="Indoors."), captions=["a room"]) as it:
        with pytest.raises(InvalidPicture):
            await it.send_text("Where am I?", [b"no picture"])
        await it.send_text("Where am I?", [encoded(room(), ".png")])
        assert words(await until(it, AnswerEnded)) == "Indoors."


async def test_functions_of_the_program_are_tools(assistant):
    it = assistant(
        Reply(to="^the lamp is on", say="Let there be light."),
        Reply(to="light", call="lamp", arguments={"on": True}),
    )

    @it.tool
    def lamp(on: bool) -> str:
        """Switch the lamp on or off."""
        return f"The lamp is {'on' if on else 'off'}."

    async with it:
        await it.send_text("Light, please!")
        events = await until(it, AnswerEnded)
    (began,), (ended,) = only(events, ToolBegan), only(events, ToolEnded)
    assert (began.name, json.loads(began.arguments)) == ("lamp", {"on": True})
    assert (ended.output, ended.ok) == ("The lamp is on.", True)
    assert words(events) == "Let there be light."
    assert lamp(False) == "The lamp is off."


async def test_a_dangerous_one_is_asked_about_first(assistant):
    it = assistant(
        Reply(to="gone", say="It is gone."), Reply(to="erase", call="erase", arguments={"name": "draft"})
    )
    erased = []

    @it.tool(confirm="Shall I really erase {name}?")
    async def erase(name: str) -> str:
        """Erase a document."""
        erased.append(name)
        return "It is gone."

    async with it:
        await it.send_text("Erase my draft!")
        assert words(await until(it, AnswerEnded)) == "Shall I really erase draft?" and not erased
        await it.send_text("Yes.")
        assert words(await until(it, AnswerEnded)) == "It is gone."
    assert erased == ["draft"]


async def test_one_that_fails_is_told(assistant):
    it = assistant(Reply(to="stuck", say="It broke."), Reply(to="open", call="door"))

    @it.tool
    def door() -> str:
        """Open the door."""
        raise ToolError("The door is stuck.")

    async with it:
        await it.send_text("Open!")
        events = await until(it, AnswerEnded)
    assert [event.ok for event in only(events, ToolEnded)] == [False]
    assert words(events) == "It broke."


async def test_tools_come_before_the_conversation(assistant):
    async with assistant() as it:
        with pytest.raises(ConfigError, match="before the conversation begins"):

            @it.tool
            def late() -> str:
                """Be late."""
                return ""


async def test_what_was_not_played_was_not_said(assistant):
    it = assistant(Reply(to="count", say="One two three four five six."), Reply(to="what", say="That."))
    async with it:
        await it.send_text("Count!")
        item_id = only(await until(it, AnswerEnded), Speech)[0].item_id
        await it.played(item_id, 200)
        await it.truncate(item_id, 450)
        await it.send_text("What?")
        await until(it, AnswerEnded)
    messages = it._engine.conversations[0].requests[-1].messages
    assert [message.content for message in messages if message.type == "ai"] == ["One two"]


async def test_an_answer_is_cancelled_and_a_mistake_is_told(assistant):
    async with assistant(Reply(to="talk", say="word " * 400)) as it:
        await it.cancel()
        assert only(await until(it, Problem), Problem)[0].code == "response_cancel_not_active"
        await it.send_text("Talk!")
        await until(it, AnswerBegan)
        await it.cancel()
        (ended,) = only(await until(it, AnswerEnded), AnswerEnded)
    assert (ended.status, ended.reason) == ("cancelled", "client_cancelled")


async def test_outside_of_its_block_it_says_how_it_is_used(assistant):
    it = assistant()
    with pytest.raises(StateConflict, match="use it inside `async with`"):
        await it.send_text("Hello?")


async def test_everything_is_closed_at_the_end(assistant):
    it = assistant()
    before = asyncio.all_tasks()
    async with it:
        pass
    assert it._engine.closed and it._voice.closed and it._engine.conversations[0].closed
    assert asyncio.all_tasks() == before


def test_settings_and_the_name_of_an_engine_contradict_each_other(settings):
    with pytest.raises(ConfigError, match="Give either settings"):
        Assistant(settings, engine="embedded")


def test_the_name_of_an_engine_is_a_setting():
    assert Assistant(engine="gemma3n")._settings.engine.name == "gemma3n"
