"""An agent's session that ends with its process, and another that goes on with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from agent_driver import NOW, Driver, words
from langchain_core.messages import ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from hearsight.agent.keeping import NOT_RUN, UNKNOWN
from hearsight.agent.models.base import Capabilities
from hearsight.agent.models.script import Script, Step
from hearsight.agent.models.scripted import ScriptedEngine
from hearsight.streams.errors import NotKept, Superseded
from hearsight.streams.events import (
    AudioContent,
    FunctionTool,
    ImageContent,
    InsertItem,
    Item,
    KeepHeard,
    Picture,
)

SLOW = Step(call="slow", arguments={"name": "It"})
BACKUP = Step(call="backup", arguments={"disk": "sda"})
LIGHT = Step(call="light", arguments={"on": True})
WIPE = Step(call="wipe", arguments={"disk": "sda"})


def handed_over(driver: Driver) -> dict[str, Any]:
    """The state as it comes back from where it is kept."""
    serde = JsonPlusSerializer(allowed_msgpack_modules=None)
    return serde.loads_typed(serde.dumps_typed(driver.session.state()))


def drive(drivers: list[Driver], *steps: Step, state: Mapping[str, Any] | None = None, **more: Any) -> Driver:
    drivers.append(Driver(script=Script(steps=steps, **more), state=state))
    return drivers[-1]


async def say(driver: Driver, text: str, **changes: Any) -> str:
    driver.user(text)
    return words(await driver.respond(**changes))


def results(driver: Driver) -> list[str]:
    return [
        str(message.content)
        for message in driver.session.context.messages
        if isinstance(message, ToolMessage)
    ]


async def test_the_conversation_goes_on(drivers: list[Driver]) -> None:
    first = drive(drivers, Step(say="Hello. How are you?"))
    await say(first, "Hello.")
    first.session.edit(KeepHeard("item_1_0", "Hello."))
    second = drive(drivers, Step(say="Glad to hear it."), state=handed_over(first))
    assert second.session.context.messages == first.session.context.messages
    assert await say(second, "I am well.") == "Glad to hear it."
    asked = second.conversation.requests[-1].messages
    assert [message.content for message in asked[:2]] == [[{"type": "text", "text": "Hello."}], "Hello."]


async def test_what_was_only_guessed_is_not_in_it(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="Perhaps you mean this."))
    driver.session.hear("u1", np.zeros(16_000, np.int16))
    request = driver.request(speculative=True)
    async with aclosing(driver.session.respond(request)) as events:
        await anext(events)
        assert len(driver.session.context.messages) == 2
        assert driver.session.state()["messages"] == []
        driver.session.confirm(request.generation)
        assert len(driver.session.state()["messages"]) == 1, "the answer; the utterance is not committed yet"


async def test_a_tool_that_changes_something_begins_once_that_is_written_down(drivers: list[Driver]) -> None:
    driver = drive(drivers, LIGHT)
    driver.host.look = lambda: (list(driver.bench.runs), handed_over(driver))
    await say(driver, "Light, please.")
    (runs_before, before), (runs_after, after) = driver.host.kept_at
    assert runs_before == [] and [call["name"] for call in before["running"]] == ["light"]
    assert runs_after == ["light True"]
    assert [message.content for message in after["messages"] if isinstance(message, ToolMessage)] == ["done"]


async def test_a_tool_that_only_looks_waits_for_nothing(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(call="weather", arguments={"city": "Rome"}), Step(say="It rains."))
    await say(driver, "How is Rome?")
    assert driver.host.kept_at == []


async def test_a_look_that_was_cut_off_is_taken_again_before_the_answer(drivers: list[Driver]) -> None:
    first = drive(drivers, SLOW)
    first.user("Take a while.")
    answering = asyncio.create_task(first.respond())
    await first.bench.started.wait()
    second = drive(drivers, Step(say="There it is."), state=handed_over(first))
    answer = asyncio.create_task(second.respond())
    await second.bench.started.wait()
    assert second.bench.runs == ["slow It"] and not answer.done()
    second.bench.gate.set()
    assert words(await answer) == "There it is."
    assert results(second) == ["It is done."]
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)
    first.bench.gate.set()


async def test_what_may_have_been_done_is_not_done_again(drivers: list[Driver]) -> None:
    first = drive(drivers, BACKUP, Step(say="It is under way."))
    await say(first, "Back it up.")
    second = drive(drivers, Step(say="I do not know whether it worked."), state=handed_over(first))
    assert second.bench.runs == []
    assert results(second) == [UNKNOWN.format(name="backup")]
    assert await say(second, "Did it work?") == "I do not know whether it worked."
    first.bench.gate.set()


async def test_what_was_to_be_done_and_had_not_begun_is_left_to_the_user(drivers: list[Driver]) -> None:
    first = drive(drivers, LIGHT)
    await say(first, "Light, please.")
    state = handed_over(first)
    called = [message for message in state["messages"] if not isinstance(message, ToolMessage)]
    second = drive(drivers, state={**state, "messages": called})
    assert results(second) == [NOT_RUN.format(name="light")]
    assert second.bench.runs == []


async def test_a_call_of_the_clients_waits_for_the_client(drivers: list[Driver]) -> None:
    tools = (FunctionTool("open_door", "Open the door.", {"type": "object", "properties": {}}),)
    first = drive(drivers, Step(call="open_door"))
    await say(first, "Open up.", tools=tools)
    second = drive(drivers, state=handed_over(first))
    assert results(second) == []


async def test_a_question_is_still_open(drivers: list[Driver]) -> None:
    first = drive(drivers, WIPE)
    assert await say(first, "Wipe the disk.") == "Shall I really wipe sda?"
    second = drive(drivers, Step(say="It is empty now."), state=handed_over(first))
    assert await say(second, "Yes, please.") == "It is empty now."
    assert second.bench.runs == ["wipe sda"]


async def test_a_question_that_was_answered_is_not_asked_again(drivers: list[Driver]) -> None:
    first = drive(drivers, WIPE)
    await say(first, "Wipe the disk.")
    await say(first, "No.")
    second = drive(drivers, Step(say="What do you mean?"), state=handed_over(first))
    assert await say(second, "Yes.") == "What do you mean?"
    assert second.bench.runs == []


async def test_timers_go_on_and_speak_up(drivers: list[Driver]) -> None:
    first = drive(drivers, Step(call="set_tea_timer", arguments={"seconds": 600}), Step(say="Set."))
    await say(first, "Ten minutes for the tea.")
    state = handed_over(first)
    timer = state["timers"][0]
    left = timedelta(seconds=600)
    assert abs(datetime.fromisoformat(timer["due_at"]) - NOW - left) < timedelta(seconds=30)
    second = drive(drivers, state=state)
    assert second.session.state()["timers"][0]["label"] == "tea"
    overdue = {**timer, "due_at": (NOW - left).isoformat()}
    third = drive(drivers, state={**state, "timers": [overdue]})
    await third.host.spoken.wait()
    assert third.host.announced == ["Your tea timer is done."]


async def test_turns_that_a_summary_stands_for_are_known_to_be_gone(drivers: list[Driver]) -> None:
    first = drive(drivers, Step(say="Hello."))
    await say(first, "Hello.")
    first.session.context.condense(2, "They said hello.")
    second = drive(drivers, state=handed_over(first))
    assert second.session.context.condensed == ("item_1_0", "user_0")


async def test_what_a_tool_returned_is_noted_before_anybody_hears_of_it(drivers: list[Driver]) -> None:
    driver = drive(drivers, LIGHT)
    driver.host.look = lambda: (len(driver.host.noted), list(driver.bench.runs))
    await say(driver, "Light, please.")
    assert driver.host.kept_at == [(0, []), (1, ["light True"])]
    (noted,) = driver.host.noted.values()
    assert (noted["content"], noted["ok"], noted["say"]) == ("done", True, "The light is on.")


async def test_what_only_looks_is_not_noted(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(call="weather", arguments={"city": "Rome"}), Step(say="It rains."))
    await say(driver, "How is Rome?")
    assert driver.host.noted == {}


async def test_a_result_that_was_noted_is_no_riddle(drivers: list[Driver]) -> None:
    """The process was killed after the tool had returned, and before the conversation had it."""
    first = drive(drivers, LIGHT)
    states: list[dict[str, Any]] = []
    first.host.look = lambda: states.append(handed_over(first))
    await say(first, "Light, please.")
    killed = states[0] | {"results": first.host.noted}
    assert [call["name"] for call in killed["running"]] == ["light"]
    second = drive(drivers, state=killed)
    assert results(second) == ["done"]
    assert second.bench.runs == []


async def test_the_result_of_a_long_tool_that_was_noted_is_told(drivers: list[Driver]) -> None:
    first = drive(drivers, BACKUP, Step(say="It is under way."))
    await say(first, "Back it up.")
    state = handed_over(first)
    (call,) = state["running"]
    outcome = {"call_id": call["id"], "name": "backup", "content": "sda is saved.", "ok": True}
    second = drive(drivers, state=state | {"results": {call["id"]: outcome}})
    assert results(second) == ["sda is saved."]
    await asyncio.sleep(0)  # it has ended, and whoever waits for it is told at once
    await asyncio.sleep(0)
    assert "sda is saved." in second.host.reported[0]
    first.bench.gate.set()


async def test_a_store_that_fails_keeps_no_tool_from_running(drivers: list[Driver]) -> None:
    driver = drive(drivers, LIGHT)
    driver.host.refuses = NotKept("The disk is full.")
    assert await say(driver, "Light, please.") == "The light is on."


async def test_a_tool_does_not_run_for_a_conversation_that_goes_on_elsewhere(drivers: list[Driver]) -> None:
    driver = drive(drivers, LIGHT)
    driver.host.refuses = Superseded("It goes on elsewhere.")
    await say(driver, "Light, please.")
    assert driver.bench.runs == []


def a_picture(key: str, captured_ms: float = 0.0) -> Picture:
    return Picture(key.encode(), "image/jpeg", 64, 48, key, captured_ms)


def shown(driver: Driver, item_id: str, *pictures: Picture) -> None:
    content = tuple(ImageContent(picture) for picture in pictures)
    driver.session.edit(InsertItem(Item(item_id, "message", content=content)))


async def test_the_state_names_the_media_of_its_messages(drivers: list[Driver]) -> None:
    driver = drive(drivers)
    shown(driver, "u1", a_picture("k1"), a_picture("k2"))
    driver.session.hear("u2", np.zeros(1600, np.int16))
    driver.commit("u2")
    shown(driver, "u3", a_picture("k1"))
    assert driver.session.state()["media"] == ["k1", "k2", "u2"]


async def test_an_engine_that_reads_captions_sees_only_what_has_none_yet(drivers: list[Driver]) -> None:
    first = drive(drivers)
    shown(first, "u1", a_picture("k1"), a_picture("k2"))
    first.session.context.set_caption("k1", "a cat")
    pictures = {key: a_picture(key) for key in ("k1", "k2", "k3")}
    second = drive(drivers, state=handed_over(first) | {"pictures": pictures})
    assert second.conversation.seen == ["k2"]


async def test_an_engine_that_sees_and_hears_has_all_of_it_back(drivers: list[Driver]) -> None:
    first = drive(drivers)
    shown(first, "u1", a_picture("k1"), a_picture("gone"))
    first.session.context.set_caption("k1", "a cat")
    first.session.edit(InsertItem(Item("u2", "message", content=(AudioContent("Hello.", 100.0),))))
    samples = np.ones(1600, np.int16)
    state = handed_over(first) | {"pictures": {"k1": a_picture("k1")}, "speech": {"u2": samples}}
    engine = ScriptedEngine(capabilities=Capabilities(audio=True, pictures=True))
    drivers.append(Driver(engine=engine, state=state))
    assert drivers[-1].conversation.seen == ["k1"]
    assert drivers[-1].conversation.heard == {"u2": 1600}


async def test_an_engine_that_reads_transcripts_hears_only_what_was_not_written_down(
    drivers: list[Driver],
) -> None:
    first = drive(drivers)
    for item_id, transcript in (("u1", "Hello."), ("u2", None)):
        item = Item(item_id, "message", content=(AudioContent(transcript, 100.0),))
        first.session.edit(InsertItem(item))
    speech = {item_id: np.ones(1600, np.int16) for item_id in ("u1", "u2")}
    second = drive(drivers, state=handed_over(first) | {"speech": speech})
    assert second.conversation.heard == {"u2": 1600}
