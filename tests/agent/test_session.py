"""The agent's side of a session: cutting off, guessing, running tools once, leaving nothing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

import numpy as np
from agent_driver import Driver, collect, kinds, words
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.agent.messages import OPEN_CALL_NOTE, blocks, is_interrupted
from hearsight.agent.models.script import Script, Step
from hearsight.streams.events import (
    AgentEvent,
    AnswerSpeech,
    AudioContent,
    ImageContent,
    InsertItem,
    Item,
    KeepHeard,
    Picture,
    RemoveItem,
    ResponseRequest,
    ServerCallStarted,
    SessionConfig,
)
from hearsight.streams.ports import Agent, AgentSession

LONG = Step(say="This is the first sentence of it. " + "Here comes another sentence after it. " * 20)
LIGHT = Step(call="light", arguments={"on": True})
SLOW = Step(call="slow", arguments={"name": "It"})
QUIET = np.zeros(1600, dtype=np.int16)


def other_tasks() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def drive(drivers: list[Driver], *steps: Step, **options: object) -> Driver:
    drivers.append(Driver(steps, **options))  # type: ignore[arg-type]
    return drivers[-1]


def picture(key: str = "p") -> Picture:
    return Picture(b"data", "image/jpeg", 4, 3, key)


class Running:
    """A response that runs in a task, as the session's shell runs it."""

    def __init__(self, driver: Driver, request: ResponseRequest) -> None:
        self.events: list[AgentEvent] = []
        self.generation = request.generation
        self._iterator = driver.session.respond(request)
        self.task = asyncio.create_task(self._consume())

    async def _consume(self) -> None:
        async with aclosing(self._iterator) as events:
            async for event in events:
                self.events.append(event)

    async def stop(self) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


async def settle(turns: int = 200) -> None:
    """Let everything run that can."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_it_fits_the_ports(drivers: list[Driver]) -> None:
    driver = drive(drivers)
    agent: Agent = driver.agent
    session: AgentSession = driver.session
    assert agent and session


async def test_closing_an_answer_stops_everything(drivers: list[Driver]) -> None:
    driver = drive(drivers, LONG)
    driver.user("Talk.")
    async with aclosing(driver.session.respond(driver.request())) as events:
        await anext(events)
        assert driver.conversation.active == 1
    assert driver.conversation.active == 0
    assert not other_tasks()


async def test_a_cancelled_answer_stands_as_far_as_it_was_taken_and_is_cut_to_what_was_heard(
    drivers: list[Driver],
) -> None:
    driver = drive(drivers, LONG, Step(say="Yes?"))
    driver.user("Talk.")
    taken: list[str] = []
    async with aclosing(driver.session.respond(driver.request())) as events:
        async for event in events:
            assert isinstance(event, AnswerSpeech)
            taken.append(event.text)
            if len(taken) == 3:
                break
    assert driver.session.context.messages[1].content == "".join(taken[:2]), "what the session never took"
    driver.session.edit(KeepHeard("item_1_0", "This is"))
    message = driver.session.context.messages[1]
    assert message.content == "This is" and is_interrupted(message)
    driver.user("Stop.")
    await driver.respond()
    told = driver.conversation.requests[1].messages
    assert [m.type for m in told] == ["human", "ai", "human"] and is_interrupted(told[1])


async def test_an_answer_of_which_nothing_was_taken_is_not_told_to_the_model(drivers: list[Driver]) -> None:
    driver = drive(drivers, LONG)
    driver.user("Talk.")
    running = Running(driver, driver.request())
    await asyncio.sleep(0)
    await running.stop()
    assert [message.type for message in driver.session.context.for_model()] == ["human"]


async def test_a_tool_outlives_the_answer_that_wanted_it(drivers: list[Driver]) -> None:
    driver = drive(drivers, SLOW, Step(say="It is done."))
    driver.user("Do it.")
    running = Running(driver, driver.request())
    await driver.bench.started.wait()
    await running.stop()
    assert [message.content for message in driver.session.context.for_model()][-1] == OPEN_CALL_NOTE
    driver.bench.gate.set()
    await settle()
    assert [message.content for message in driver.session.context.messages][-1] == "It is done."
    driver.user("And?")
    assert words(await driver.respond()) == "It is done."
    assert driver.bench.runs == ["slow It"]


async def test_tools_of_one_round_run_side_by_side(drivers: list[Driver]) -> None:
    both = Step(say="slow(name='It')\nweather(city='Oslo')")
    driver = drive(drivers, both, Step(say="Both."))
    driver.user("Do both.")
    running = Running(driver, driver.request())
    await driver.bench.started.wait()
    await settle()
    assert sum(isinstance(event, ServerCallStarted) for event in running.events) == 2
    assert driver.bench.runs == ["slow It", "weather Oslo"]
    driver.bench.gate.set()
    await running.task
    assert words(running.events) == "Both."


class TestGuesses:
    async def test_nothing_is_changed_before_the_turn_is_over(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, script=Script(steps=(LIGHT,), transcripts=("light please",)))
        driver.session.hear("u", QUIET)
        running = Running(driver, driver.request(speculative=True))
        await settle()
        assert driver.bench.runs == []
        driver.commit("u")
        driver.session.confirm(running.generation)
        await running.task
        assert driver.bench.runs == ["light True"]
        assert words(running.events) == "The light is on."

    async def test_what_changes_nothing_runs_at_once(self, drivers: list[Driver]) -> None:
        weather = Step(call="weather", arguments={"city": "Oslo"})
        driver = drive(
            drivers,
            script=Script(steps=(weather, Step(say="It rains.")), transcripts=("how is the weather",)),
        )
        driver.session.hear("u", QUIET)
        running = Running(driver, driver.request(speculative=True))
        await running.task
        assert words(running.events) == "It rains."
        driver.commit("u")
        driver.session.confirm(running.generation)
        assert [message.type for message in driver.session.context.messages] == ["human", "ai", "tool", "ai"]

    async def test_a_wrong_guess_leaves_no_trace(self, drivers: list[Driver]) -> None:
        script = Script(
            steps=(Step(say="Noon."), Step(say="In Oslo, one.")), transcripts=("what time", "in Oslo")
        )
        driver = drive(drivers, script=script)
        driver.session.hear("u", QUIET)
        running = Running(driver, driver.request(speculative=True))
        await running.task
        driver.session.discard(running.generation)
        assert driver.session.context.messages == ()
        driver.session.hear("u", QUIET)
        driver.commit("u")
        assert words(await driver.respond()) == "In Oslo, one."
        told = driver.conversation.requests[1].messages
        assert [block["transcript"] for block in blocks(told[0])] == ["in Oslo"] and len(told) == 1

    async def test_a_discarded_side_effect_never_happens(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, script=Script(steps=(LIGHT,), transcripts=("light please",)))
        driver.session.hear("u", QUIET)
        running = Running(driver, driver.request(speculative=True))
        await settle()
        await running.stop()
        driver.session.discard(running.generation)
        driver.session.confirm(running.generation)
        await settle()
        assert driver.bench.runs == []

    async def test_an_utterance_is_written_down_once(self, drivers: list[Driver]) -> None:
        driver = drive(
            drivers, script=Script(steps=(Step(say="Noon."),), transcripts=("what time is it", "never"))
        )
        driver.session.hear("u", QUIET)
        running = Running(driver, driver.request(speculative=True))
        await running.task
        driver.commit("u")
        driver.session.confirm(running.generation)
        assert await driver.session.transcribe("u") == ("what time is it", 0.1)


class TestPerception:
    async def test_speech_and_pictures_go_to_the_engine_as_they_come(self, drivers: list[Driver]) -> None:
        driver = drive(drivers)
        driver.session.hear("u", QUIET)
        driver.session.see("u", picture(), last_moment=False)
        driver.session.hear("u", QUIET)
        assert driver.conversation.heard == {"u": 3200} and driver.conversation.seen == ["p"]
        driver.session.forget("u")
        assert driver.conversation.heard == {}

    async def test_what_is_overheard_is_no_part_of_the_conversation(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, script=Script(steps=(Step(say="Hi."),), transcripts=("mhm", "yes, but")))
        assert await driver.session.overhear(QUIET) == "mhm"
        assert await driver.session.overhear(QUIET) == "yes, but"
        assert driver.conversation.heard == {} and driver.session.context.messages == ()

    async def test_what_a_turn_would_be_shown_goes_to_the_engine_and_into_no_context(
        self, drivers: list[Driver]
    ) -> None:
        driver = drive(drivers)
        driver.session.foresee((picture(),))
        assert driver.conversation.foreseen == ["p"]
        assert driver.conversation.seen == [] and driver.session.context.messages == ()

    async def test_pictures_are_described_for_a_model_that_cannot_see(self, drivers: list[Driver]) -> None:
        driver = drive(
            drivers,
            script=Script(steps=(Step(say="A cup."),), transcripts=("what is it",), captions=("a cup",)),
        )
        driver.session.hear("u", QUIET)
        driver.session.see("u", picture(), last_moment=False)
        item = Item("u", "message", content=(AudioContent(), ImageContent(picture())))
        driver.session.edit(InsertItem(item))
        await driver.respond()
        assert blocks(driver.conversation.requests[0].messages[0])[1]["caption"] == "a cup"

    async def test_audio_inside_an_item_is_heard(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, script=Script(steps=(Step(say="Hi."),), transcripts=("hello",)))
        item = Item("a", "message", content=(AudioContent(samples=QUIET),))
        driver.session.edit(InsertItem(item))
        assert await driver.session.transcribe("a") == ("hello", 0.1)
        assert words(await driver.respond()) == "Hi."

    async def test_the_model_reads_the_conversation_while_the_user_speaks(
        self, drivers: list[Driver]
    ) -> None:
        driver = drive(drivers)
        driver.session.configure(SessionConfig(instructions="Be kind."))
        await settle()
        driver.user("Hello.")
        driver.session.hear("u", QUIET)
        driver.session.hear("u", QUIET)
        await settle()
        first, second = driver.conversation.prefilled
        assert first.instructions == second.instructions == "Be kind."
        assert len(first.messages) == 0 and len(second.messages) == 1
        assert [tool.name for tool in second.tools][:2] == ["weather", "slow"]

    async def test_removed_speech_is_forgotten(self, drivers: list[Driver]) -> None:
        driver = drive(drivers)
        driver.session.hear("u", QUIET)
        driver.commit("u")
        driver.session.edit(RemoveItem("u"))
        assert driver.session.context.messages == () and driver.conversation.heard == {}

    async def test_an_edit_that_does_not_fit_changes_nothing(self, drivers: list[Driver]) -> None:
        driver = drive(drivers)
        driver.user("Hello.", "a")
        driver.user("Hello again.", "a")
        assert len(driver.session.context.messages) == 1


class TestTools:
    async def test_a_timer_speaks_up(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, Step(call="set_tea_timer", arguments={"seconds": 1}), Step(say="Set."))
        driver.user("Tea.")
        await driver.respond()
        loop = asyncio.get_running_loop()
        fired = loop.create_future()
        driver.host.announce = fired.set_result  # type: ignore[method-assign]
        assert await asyncio.wait_for(fired, 5) == "Your tea timer is done."

    async def test_instructions_of_a_response_replace_the_sessions(self, drivers: list[Driver]) -> None:
        driver = drive(drivers, Step(say="a"), Step(say="b"), Step(say="c"))
        driver.user("Hm.")
        await driver.respond()
        driver.session.configure(SessionConfig(instructions="Be kind."))
        await driver.respond()
        await driver.respond(instructions="Be rude.")
        told = [request.instructions for request in driver.conversation.requests]
        assert told == ["Be brief.", "Be kind.", "Be rude."]


async def test_the_model_can_be_warmed_before_the_first_session(drivers: list[Driver]) -> None:
    driver = drive(drivers)
    await driver.agent.warm_up()
    (warmed,) = driver.engine.warmed
    assert warmed.instructions == "Be brief."
    assert len(warmed.tools) == len(driver.bench.registry().specs())


async def test_closing_twice_leaves_nothing(drivers: list[Driver]) -> None:
    driver = drive(drivers, SLOW)
    driver.user("Do it.")
    running = Running(driver, driver.request())
    await driver.bench.started.wait()
    await running.stop()
    await driver.session.aclose()
    await driver.session.aclose()
    assert not other_tasks() and driver.conversation.closed


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["light", "slow", "weather", "say"]),
            st.booleans(),
            st.integers(0, 60),
            st.sampled_from(["confirm", "discard", "cancel", "finish"]),
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(0, 120),
)
def test_a_call_runs_at_most_once_whatever_happens(
    turns: list[tuple[str, bool, int, str]], gate_at: int
) -> None:
    asyncio.run(_interleave(turns, gate_at))


async def _interleave(turns: list[tuple[str, bool, int, str]], gate_at: int) -> None:
    arguments = {"light": {"on": True}, "slow": {"name": "It"}, "weather": {"city": "Oslo"}}
    steps = [
        step
        for kind, *_ in turns
        for step in (
            (LONG,) if kind == "say" else (Step(call=kind, arguments=arguments[kind]), Step(say="Done."))
        )
    ]
    driver = Driver(steps + [Step(say="More.")] * len(turns))
    opener = asyncio.create_task(_open_later(driver, gate_at))
    happened = 0
    for kind, speculative, delay, ending in turns:
        driver.user("Go on.")
        running = Running(driver, driver.request(speculative=speculative))
        await settle(delay)
        runs_before = len(driver.bench.runs)
        if ending == "finish":
            driver.session.confirm(running.generation)
            if kind == "slow":
                driver.bench.gate.set()
            await running.task
        elif ending == "confirm":
            driver.session.confirm(running.generation)
            await settle(20)
            await running.stop()
        else:
            await running.stop()
            if ending == "discard" and speculative:
                driver.session.discard(running.generation)
        started = [event for event in running.events if isinstance(event, ServerCallStarted)]
        ids = [event.call.id for event in started]
        assert len(ids) == len(set(ids))
        if speculative and ending in ("discard", "cancel") and kind == "light":
            assert len(driver.bench.runs) == runs_before == happened
        happened = len(driver.bench.runs)
    driver.bench.gate.set()
    await opener
    await settle()
    assert_every_result_kept(driver)
    await driver.aclose()
    assert not other_tasks()


async def _open_later(driver: Driver, turns: int) -> None:
    await settle(turns)
    driver.bench.gate.set()


def assert_every_result_kept(driver: Driver) -> None:
    """Each call in the context was run once and has its result."""
    messages = driver.session.context.messages
    calls = [message.tool_calls[0]["id"] for message in messages if getattr(message, "tool_calls", None)]
    results = [message.tool_call_id for message in messages if message.type == "tool"]  # type: ignore[union-attr]
    assert calls == results and len(calls) == len(set(calls))
    assert len(calls) <= len(driver.bench.runs)


async def test_collecting_a_response_ends_with_its_end(drivers: list[Driver]) -> None:
    driver = drive(drivers, Step(say="Hello."))
    driver.user("Hi.")
    events = await collect(driver.session.respond(driver.request()))
    assert kinds(events)[-1] == "AnswerFinished"
