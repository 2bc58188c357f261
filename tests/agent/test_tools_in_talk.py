"""Tools in a conversation: those that ask first, those that take long, and those that outlive the answer."""

from __future__ import annotations

import asyncio
import gc
from contextlib import aclosing

import pytest
from agent_driver import Driver, kinds, words

from hearsight.agent.agent import AgentSettings
from hearsight.agent.models.script import Step
from hearsight.agent.nodes.act import FILLERS
from hearsight.agent.pending import DECLINED
from hearsight.agent.turn import AnswerLimits
from hearsight.streams.events import AgentEvent, AnswerSpeech, ServerCallFinished, ServerCallStarted

WIPE = Step(call="wipe", arguments={"disk": "sda"})
BACKUP = Step(call="backup", arguments={"disk": "sda"})
SLOW = Step(call="slow", arguments={"name": "It"})
SOON = AgentSettings(instructions="Be brief.", answer=AnswerLimits(filler_after_s=0.01))


def drive(drivers: list[Driver], *steps: Step, settings: AgentSettings | None = None) -> Driver:
    drivers.append(Driver(steps, settings=settings))
    return drivers[-1]


async def say(driver: Driver, text: str, **changes: object) -> list[AgentEvent]:
    driver.user(text)
    return await driver.respond(**changes)


class TestConfirmation:
    async def test_it_is_asked_aloud_before_anything_happens(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, WIPE)
        events = await say(driver, "Wipe the disk.")
        assert words(events) == "Shall I really wipe sda?"
        assert kinds(events) == ["AnswerSpeech", "AnswerFinished"]
        assert driver.bench.runs == []

    async def test_yes_makes_the_call(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, WIPE, Step(say="It is empty now."))
        await say(driver, "Wipe the disk.")
        events = await say(driver, "Yes, please.")
        assert driver.bench.runs == ["wipe sda"]
        assert words(events) == "It is empty now."
        order = [message.type for message in driver.session.context.messages]
        assert order == ["human", "ai", "human", "ai", "tool", "ai"]

    @pytest.mark.parametrize("answer", ["No.", "No, thank you.", "Never mind."])
    async def test_no_does_not(self, drivers: list[Driver], answer: str) -> None:
        driver = drive(drivers, WIPE)
        await say(driver, "Wipe the disk.")
        assert words(await say(driver, answer)) == DECLINED
        assert driver.bench.runs == []

    async def test_a_correction_goes_to_the_model_which_asks_anew(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, WIPE, Step(call="wipe", arguments={"disk": "sdb"}), Step(say="Done."))
        await say(driver, "Wipe the disk.")
        assert words(await say(driver, "No, the other one.")) == "Shall I really wipe sdb?"
        await say(driver, "Yes.")
        assert driver.bench.runs == ["wipe sdb"]

    async def test_whoever_speaks_of_something_else_has_not_agreed(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, WIPE, Step(say="Half past twelve."), Step(say="Yes what?"))
        await say(driver, "Wipe the disk.")
        await say(driver, "What time is it?")
        assert words(await say(driver, "Yes.")) == "Yes what?"
        assert driver.bench.runs == []

    async def test_a_yes_that_was_taken_back_is_none(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, WIPE, Step(say="Gone."))
        await say(driver, "Wipe the disk.")
        driver.user("Yes.", "u1")
        guess = driver.request(speculative=True)
        answering = asyncio.ensure_future(collect_all(driver, guess))
        for _ in range(20):
            await asyncio.sleep(0)
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
        driver.session.discard(guess.generation)
        assert driver.bench.runs == [], "the user has not finished speaking"
        assert words(await driver.respond()) == "Gone."
        assert driver.bench.runs == ["wipe sda"]

    async def test_a_guess_that_asks_and_is_thrown_away_has_not_asked(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, WIPE, Step(say="Hello."))
        driver.user("Wipe the disk.")
        guess = driver.request(speculative=True)
        await collect_all(driver, guess)
        driver.session.discard(guess.generation)
        assert words(await say(driver, "Yes.")) == "Hello."
        assert driver.bench.runs == []

    async def test_an_answer_apart_from_the_conversation_answers_nothing(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, WIPE, Step(say="A title."), Step(say="Gone."))
        await say(driver, "Wipe the disk.")
        driver.user("Yes.")
        assert words(await driver.respond(detached=True)) == "A title."
        assert driver.bench.runs == []
        assert words(await driver.respond()) == "Gone."


async def collect_all(driver: Driver, request: object) -> list[AgentEvent]:
    async with aclosing(driver.session.respond(request)) as events:  # type: ignore[arg-type]
        return [event async for event in events]


class TestSlowTools:
    async def test_something_is_said_while_a_tool_takes_long(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, SLOW, Step(say="It is done."), settings=SOON)
        driver.user("Do it.")
        events: list[AgentEvent] = []
        async with aclosing(driver.session.respond(driver.request())) as answer:
            async for event in answer:
                events.append(event)
                if isinstance(event, AnswerSpeech):
                    driver.bench.gate.set()
        assert kinds(events) == [
            *("ServerCallStarted", "AnswerSpeech", "ServerCallFinished", "AnswerSpeech", "AnswerFinished")
        ]
        assert words(events) in [f"{filler}It is done." for filler in FILLERS]
        assert driver.bench.runs == ["slow It"]

    async def test_nothing_is_said_where_nobody_listens(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, SLOW, Step(say="It is done."), settings=SOON)
        driver.user("Do it.")
        answer = asyncio.ensure_future(driver.respond(modality="text"))
        await driver.bench.started.wait()
        await asyncio.sleep(0.05)  # longer than the filler waits
        driver.bench.gate.set()
        assert words(await answer) == "It is done."

    async def test_a_quick_tool_is_not_talked_over(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, Step(call="weather", arguments={"city": "Oslo"}), Step(say="Rain."))
        assert words(await say(driver, "How is the weather?")) == "Rain."

    async def test_an_answer_cancelled_in_mid_filler_leaves_the_tool_running(
        self, drivers: list[Driver]
    ) -> None:
        driver = drive(drivers, SLOW, Step(say="It was done."), settings=SOON)
        driver.user("Do it.")
        async with aclosing(driver.session.respond(driver.request())) as answer:
            async for event in answer:
                if isinstance(event, AnswerSpeech):
                    break
        driver.bench.gate.set()
        for _ in range(10):
            await asyncio.sleep(0)
        results = [m.content for m in driver.session.context.messages if m.type == "tool"]
        assert results == ["It is done."]
        assert words(await say(driver, "And?")) == "It was done."
        assert driver.bench.runs == ["slow It"]

    async def test_an_answer_cancelled_in_mid_tool_leaves_nothing_in_the_log(
        self, drivers: list[Driver]
    ) -> None:
        driver = drive(drivers, SLOW)
        complaints: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        driver.user("Do it.")
        answer = asyncio.ensure_future(driver.respond())
        await driver.bench.started.wait()
        answer.cancel()
        await asyncio.gather(answer, return_exceptions=True)
        await asyncio.sleep(0)
        gc.collect()  # what nobody asked for complains when it goes
        assert complaints == []
        driver.bench.gate.set()


class TestLongRunningTools:
    async def test_the_conversation_goes_on_and_the_result_is_told(self, drivers: list[Driver]) -> None:
        driver = drive(
            drivers, BACKUP, Step(say="I've started it."), Step(say="Noon."), Step(say="It is saved.")
        )
        events = await say(driver, "Back up the disk.")
        assert words(events) == "I've started it."
        assert [e.ok for e in events if isinstance(e, ServerCallFinished)] == [True]
        assert words(await say(driver, "What time is it?")) == "Noon."
        assert driver.host.reported == []
        driver.bench.gate.set()
        for _ in range(20):
            await asyncio.sleep(0)
        (instructions,) = driver.host.reported
        assert "backup" in instructions and "sda is saved." in instructions
        results = [m.content for m in driver.session.context.messages if m.type == "tool"]
        assert results == ["sda is saved."], "one call, one result"
        assert words(await driver.respond(instructions=instructions)) == "It is saved."
        assert driver.bench.runs == ["backup sda"]

    async def test_it_is_told_of_a_failure_as_well(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, Step(call="backup", arguments={"disk": "bad"}), Step(say="Started."))
        driver.bench.gate.set()
        await say(driver, "Back up the bad disk.")
        for _ in range(20):
            await asyncio.sleep(0)
        assert "It is broken." in driver.host.reported[0]
        assert driver.session.context.messages[2].status == "error"  # type: ignore[attr-defined]

    async def test_a_call_that_the_client_deleted_is_told_of_all_the_same(
        self, drivers: list[Driver]
    ) -> None:
        driver = drive(drivers, BACKUP, Step(say="Started."))
        events = await say(driver, "Back up the disk.")
        (started,) = [event for event in events if isinstance(event, ServerCallStarted)]
        driver.session.context.remove(started.item_id)
        driver.bench.gate.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(driver.host.reported) == 1

    async def test_the_end_of_the_session_is_its_end(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, BACKUP, Step(say="Started."))
        await say(driver, "Back up the disk.")
        await driver.session.aclose()
        assert driver.host.reported == []
