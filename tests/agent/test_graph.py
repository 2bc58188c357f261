"""Every way through the graph, on a script."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing

import numpy as np
import pytest
from agent_driver import Driver, kinds, words

from hearsight.agent.agent import AgentSettings
from hearsight.agent.messages import blocks
from hearsight.agent.models.base import Capabilities, Transcription
from hearsight.agent.models.script import Script, Step
from hearsight.agent.models.scripted import ScriptedEngine
from hearsight.agent.nodes.perceive import INAUDIBLE, LOST, UNSEEN
from hearsight.agent.nodes.think import NOT_UNDERSTOOD, NOTHING_TO_SAY
from hearsight.agent.session import BROKEN
from hearsight.agent.turn import AnswerLimits
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.streams.errors import EngineError
from hearsight.streams.events import (
    AnswerFailed,
    AnswerFinished,
    AnswerSpeech,
    AnswerText,
    ClientCall,
    FunctionTool,
    ImageContent,
    InsertItem,
    Item,
    Picture,
    ServerCallFinished,
    ServerCallStarted,
    TextContent,
    ToolCall,
)

MAP = FunctionTool("show_map", "Show a map.", {"type": "object", "properties": {"place": {"type": "string"}}})
WEATHER = Step(call="weather", arguments={"city": "Oslo"})


def drive(drivers: list[Driver], *steps: Step, **options: object) -> Driver:
    drivers.append(Driver(steps, **options))  # type: ignore[arg-type]
    return drivers[-1]


async def test_an_answer_is_spoken(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="It is half past twelve."))
    driver.user("What time is it?")
    events = await driver.respond()
    assert kinds(events) == ["AnswerSpeech", "AnswerFinished"]
    assert words(events) == "It is half past twelve."
    spoken = [event for event in events if isinstance(event, AnswerSpeech)]
    assert all(event.item_id == "item_1_0" and event.samples.size for event in spoken)
    assert [message.content for message in driver.session.context.messages][1] == "It is half past twelve."


async def test_an_answer_is_written(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(chunks=("Half ", "past.")))
    driver.user("What time is it?")
    events = await driver.respond(modality="text")
    assert [event.text for event in events if isinstance(event, AnswerText)] == ["Half ", "past."]
    assert driver.voice.requests == []


async def test_the_model_is_told_all(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="Yes."))
    driver.user("Hello?")
    await driver.respond(tools=(MAP,), max_output_tokens=7)
    request = driver.conversation.requests[0]
    assert request.instructions == "Be brief." and request.max_tokens == 7
    assert [tool.name for tool in request.tools][-1] == "show_map"
    assert [message.type for message in request.messages] == ["human"]


async def test_the_first_clause_is_heard_while_the_second_is_written(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="The first sentence is done now. " + "And then another word " * 30))
    driver.user("Talk.")
    async with aclosing(driver.session.respond(driver.request())) as events:
        first = await anext(events)
        assert isinstance(first, AnswerSpeech)
        assert driver.conversation.active == 1, "the model has already finished"


async def test_a_tools_result_is_put_into_words(drivers: list[Driver]) -> None:
    driver = drive(drivers, WEATHER, Step(say="Take an umbrella."))
    driver.user("How is the weather?")
    events = await driver.respond()
    assert kinds(events) == ["ServerCallStarted", "ServerCallFinished", "AnswerSpeech", "AnswerFinished"]
    started, finished = events[0], events[1]
    assert isinstance(started, ServerCallStarted) and isinstance(finished, ServerCallFinished)
    assert started.call == ToolCall("call_1_0", "weather", '{"city": "Oslo"}')
    assert started.item_id == finished.item_id == "item_1_0"
    assert finished.output == "It rains in Oslo." and finished.ok
    second = driver.conversation.requests[1]
    assert [message.type for message in second.messages] == ["human", "ai", "tool"]
    assert [message.type for message in driver.session.context.messages] == ["human", "ai", "tool", "ai"]
    driver.engine.expect_used()


async def test_words_before_a_call_are_an_item_of_their_own(drivers: list[Driver]) -> None:
    driver = drive(
        drivers, Step(say="Let me check that for you.\nweather(city='Oslo')"), Step(say="It rains.")
    )
    driver.user("How is the weather?")
    events = await driver.respond()
    assert kinds(events)[:3] == ["AnswerSpeech", "ServerCallStarted", "ServerCallFinished"]
    assert [event.item_id for event in events if not isinstance(event, AnswerFinished)][-1] == "item_1_2"


async def test_a_ready_sentence_is_spoken_without_asking_the_model_again(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(call="light", arguments={"on": True}))
    driver.user("Light, please.")
    events = await driver.respond()
    assert words(events) == "The light is on."
    assert len(driver.conversation.requests) == 1


async def test_a_failed_tool_is_explained_by_the_model(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(call="broken"), Step(say="That is out of order."))
    driver.user("Do it.")
    events = await driver.respond()
    finished = events[1]
    assert isinstance(finished, ServerCallFinished) and not finished.ok
    assert finished.output == "It is out of order."
    assert words(events) == "That is out of order."


async def test_wrong_arguments_go_back_to_the_model(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(call="weather", arguments={"town": "Oslo"}), WEATHER, Step(say="It rains."))
    driver.user("How is the weather?")
    events = await driver.respond()
    assert driver.bench.runs == ["weather Oslo"]
    assert words(events) == "It rains."
    failed = [event for event in events if isinstance(event, ServerCallFinished)][0]
    assert not failed.ok and "Wrong arguments" in failed.output


async def test_a_client_makes_its_own_calls(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(call="show_map", arguments={"place": "Oslo"}), Step(say="There it is."))
    driver.user("Where is Oslo?")
    events = await driver.respond(tools=(MAP,))
    assert kinds(events) == ["ClientCall", "AnswerFinished"]
    made = events[0]
    assert isinstance(made, ClientCall) and made.call == ToolCall("call_1_0", "show_map", '{"place": "Oslo"}')
    result = Item("out", "function_call_output", call=ToolCall("call_1_0", "", ""), output="shown")
    driver.session.edit(InsertItem(result))
    assert words(await driver.respond(tools=(MAP,))) == "There it is."
    assert [message.type for message in driver.conversation.requests[1].messages] == ["human", "ai", "tool"]


async def test_rounds_of_tools_come_to_an_end(drivers: list[Driver]) -> None:
    settings = AgentSettings(answer=AnswerLimits(max_tool_rounds=2))
    driver = drive(drivers, WEATHER, WEATHER, Step(say="Enough."), settings=settings)
    driver.user("Loop.")
    events = await driver.respond()
    assert words(events) == "Enough."
    assert [request.tool_choice for request in driver.conversation.requests] == ["auto", "auto", "none"]


async def test_a_forced_call_is_forced_once(drivers: list[Driver]) -> None:
    driver = drive(drivers, WEATHER, Step(say="It rains."))
    driver.user("Hm.")
    await driver.respond(tool_choice="required")
    assert [request.tool_choice for request in driver.conversation.requests] == ["required", "auto"]


async def test_without_tools_the_model_knows_of_none(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="Hello."))
    driver.user("Hi.")
    await driver.respond(tool_choice="none")
    assert driver.conversation.requests[0].tools == ()


async def test_an_unreadable_call_may_be_written_again(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="weather(city="), WEATHER, Step(say="It rains."))
    driver.user("How is the weather?")
    events = await driver.respond()
    assert words(events) == "It rains."
    complaint = driver.conversation.requests[1].messages[-1]
    assert "could not be read" in str(complaint.content)
    assert not any("could not be read" in str(message.content) for message in driver.session.context.messages)


async def test_a_call_that_stays_unreadable_ends_with_an_apology(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="weather(city="), Step(say="weather(city="))
    driver.user("How is the weather?")
    assert words(await driver.respond()) == NOT_UNDERSTOOD


async def test_a_model_with_nothing_to_say_says_so(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="  "))
    driver.user("Hm.")
    assert words(await driver.respond()) == NOTHING_TO_SAY


async def test_an_announcement_needs_no_model(drivers: list[Driver]) -> None:
    driver = drive(drivers)
    events = await driver.respond(say="Your tea timer is done.")
    assert words(events) == "Your tea timer is done." and driver.conversation.requests == []
    assert driver.session.context.messages[0].content == "Your tea timer is done."


async def test_speech_is_written_down_for_a_model_that_cannot_hear(drivers: list[Driver]) -> None:
    driver = drive(drivers, script=Script(steps=(Step(say="Noon."),), transcripts=("what time is it",)))
    driver.session.hear("u", np.zeros(1600, dtype=np.int16))
    driver.commit("u")
    await driver.respond()
    block = driver.conversation.requests[0].messages[0].content[0]
    assert isinstance(block, dict) and block["transcript"] == "what time is it" and block["samples"] == 1600


async def test_speech_goes_as_it_is_to_a_model_that_hears(drivers: list[Driver]) -> None:
    engine = ScriptedEngine([Step(say="Noon.")], capabilities=Capabilities(audio=True, pictures=True))
    driver = drive(drivers, engine=engine)
    driver.session.hear("u", np.zeros(1600, dtype=np.int16))
    driver.commit("u")
    await driver.respond()
    block = driver.conversation.requests[0].messages[0].content[0]
    assert isinstance(block, dict) and block["transcript"] is None


async def test_speech_without_words_is_asked_about(drivers: list[Driver]) -> None:
    driver = drive(drivers)
    driver.session.hear("u", np.zeros(1600, dtype=np.int16))
    driver.commit("u")
    assert words(await driver.respond()) == INAUDIBLE


async def test_the_limit_on_output_is_reported(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(chunks=("one ", "two ", "three")))
    driver.user("Count.")
    events = await driver.respond(max_output_tokens=2)
    assert words(events) == "one two "
    finished = events[-1]
    assert isinstance(finished, AnswerFinished) and finished.incomplete_reason == "max_output_tokens"
    assert finished.usage.output_text == 2 and finished.usage.input_text > 0


async def test_a_failing_model_fails_the_answer_alone(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(error="The model is out of memory."), Step(say="Better now."))
    driver.user("Hm.")
    assert await driver.respond() == [AnswerFailed(1, "engine_failed", "The model is out of memory.")]
    assert words(await driver.respond()) == "Better now."


async def test_a_failing_voice_fails_the_answer(drivers: list[Driver]) -> None:
    driver = drive(
        drivers, Step(say="This is said. And this is poison for it."), voice=ScriptedVoice(fails_on="poison")
    )
    driver.user("Hm.")
    events = await driver.respond()
    assert isinstance(events[-1], AnswerFailed) and "voice" in events[-1].message


async def test_a_bug_reveals_nothing(drivers: list[Driver], monkeypatch: pytest.MonkeyPatch) -> None:
    driver = drive(drivers, Step(say="Hi."))
    driver.user("Hm.")
    monkeypatch.setattr(driver.voice, "synthesize", lambda *_, **__: 1 / 0)
    assert await driver.respond() == [AnswerFailed(1, "engine_failed", BROKEN)]


async def test_a_turn_that_is_too_long_is_refused(drivers: list[Driver]) -> None:
    driver = drive(drivers, script=Script(context_limit=300))
    driver.user("word " * 400)
    events = await driver.respond()
    assert isinstance(events[0], AnswerFailed) and events[0].code == "context_length_exceeded"


async def test_a_result_is_cut_to_the_room_that_is_left(drivers: list[Driver]) -> None:
    script = Script(steps=(Step(call="essay"), Step(say="Long.")), context_limit=1200)
    driver = drive(drivers, script=script)
    driver.user("Write.")
    assert words(await driver.respond()) == "Long."
    told = str(driver.conversation.requests[1].messages[-1].content)
    assert told and len(told) < 2_000 and driver.bench.runs == ["essay"]


async def test_what_was_lost_earlier_does_not_silence_the_answer(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="Hello."))
    driver.conversation.transcribe = deaf_for("lost")  # type: ignore[method-assign]
    driver.session._transcripts = type(driver.session._transcripts)(driver.conversation.transcribe)
    driver.commit("lost")
    driver.commit("heard")
    assert words(await driver.respond()) == "Hello."
    first, second = driver.conversation.requests[0].messages
    assert blocks(first)[0]["transcript"] == LOST and blocks(second)[0]["transcript"] == "words"


async def test_what_was_just_said_and_lost_fails_the_answer(drivers: list[Driver]) -> None:
    driver = drive(drivers)
    driver.session._transcripts = type(driver.session._transcripts)(deaf_for("lost"))
    driver.commit("lost")
    assert await driver.respond() == [AnswerFailed(1, "engine_failed", "No audio.")]


def deaf_for(lost: str) -> Callable[[str], Awaitable[Transcription]]:
    async def transcribe(item_id: str) -> Transcription:
        if item_id == lost:
            raise EngineError("No audio.")
        return Transcription("words", 1.0)

    return transcribe


async def test_a_picture_that_cannot_be_looked_at_is_told(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="I can't see it."))

    async def blind(file_id: str) -> str:
        raise EngineError("Blind.")

    driver.conversation.caption = blind  # type: ignore[method-assign]
    picture = Picture(b"", "image/jpeg", 1, 1, "p")
    item = Item("u", "message", content=(TextContent("What is it?"), ImageContent(picture)))
    driver.session.edit(InsertItem(item))
    assert words(await driver.respond()) == "I can't see it."
    assert blocks(driver.conversation.requests[0].messages[0])[1]["caption"] == UNSEEN


async def test_unusable_client_tools_are_refused(drivers: list[Driver]) -> None:
    driver = drive(drivers)
    events = await driver.respond(tools=(FunctionTool("no good", "", {}),))
    assert isinstance(events[0], AnswerFailed) and events[0].code == "invalid_tools"


async def test_an_answer_to_other_items_goes_into_the_conversation(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="Aha."))
    driver.user("Hello.")
    await driver.respond(input=(Item("x", "message", content=(TextContent("Other."),)),))
    assert [str(message.content) for message in driver.conversation.requests[0].messages] == [
        "[{'type': 'text', 'text': 'Other.'}]"
    ]
    assert [message.id for message in driver.session.context.messages] == ["user_0", "item_1_0"]


async def test_a_detached_answer_leaves_no_trace(drivers: list[Driver]) -> None:
    driver = drive(drivers, WEATHER, Step(say="Aha."))
    driver.user("Hello.")
    assert words(await driver.respond(detached=True)) == "Aha."
    assert len(driver.conversation.requests[0].messages) == 1
    assert [message.id for message in driver.session.context.messages] == ["user_0"]
