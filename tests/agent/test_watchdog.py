"""An answer that gets nowhere is given up; one that takes its time is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest
from agent_driver import Driver, collect, kinds, words

from hearsight.agent.agent import AgentSettings
from hearsight.agent.models.script import Step
from hearsight.agent.models.scripted import ScriptedConversation, ScriptedEngine
from hearsight.agent.watchdog import Watchdog
from hearsight.streams.errors import EngineError
from hearsight.streams.events import AnswerFailed, AnswerFinished
from hearsight.virtual_loop import run_virtually


async def after(*pauses_s: float) -> AsyncGenerator[int]:
    for number, pause_s in enumerate(pauses_s):
        await asyncio.sleep(pause_s)
        yield number


def test_what_comes_in_time_is_passed_on() -> None:
    async def run() -> None:
        assert [number async for number in Watchdog(5).watch(after(4, 4, 0, 4))] == [0, 1, 2, 3]

    run_virtually(run())


def test_what_does_not_come_is_given_up_and_cancelled() -> None:
    stopped = []

    async def hangs() -> AsyncGenerator[int]:
        yield 1
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(asyncio.get_running_loop().time())

    async def run() -> None:
        seen = []
        with pytest.raises(EngineError, match="nothing came of it for 5 seconds") as raised:
            async for number in Watchdog(5).watch(hangs()):
                seen.append(number)
        assert raised.value.code == "engine_stalled"
        assert seen == [1] and stopped == [5]

    run_virtually(run())


def test_progress_that_is_no_event_counts() -> None:
    watchdog = Watchdog(5)

    async def writes_long() -> AsyncGenerator[str]:
        for _ in range(10):
            await asyncio.sleep(4)
            watchdog.progress()
        yield "a call"

    async def run() -> None:
        assert [text async for text in watchdog.watch(writes_long())] == ["a call"]

    run_virtually(run())


def test_what_has_a_limit_of_its_own_is_waited_for() -> None:
    watchdog = Watchdog(5)

    async def runs_a_tool(then_s: float) -> AsyncGenerator[str]:
        with watchdog.resting():
            yield "begun"
            await asyncio.sleep(60)
        await asyncio.sleep(then_s)
        yield "ended"

    async def run() -> None:
        assert [text async for text in watchdog.watch(runs_a_tool(4))] == ["begun", "ended"]
        with pytest.raises(EngineError):
            await collect(watchdog.watch(runs_a_tool(6)))  # type: ignore[arg-type]

    run_virtually(run())


def test_somebody_who_takes_long_to_take_it_is_no_stall() -> None:
    async def run() -> None:
        async for _ in Watchdog(5).watch(after(1, 1, 1)):
            await asyncio.sleep(600)

    run_virtually(run())


def test_without_patience_it_waits_for_ever() -> None:
    async def run() -> None:
        assert await collect(Watchdog(0).watch(after(1e6))) == [0]  # type: ignore[arg-type, comparison-overlap]

    run_virtually(run())


async def test_a_time_out_of_whatever_is_watched_stays_what_it_is() -> None:
    async def times_out() -> AsyncGenerator[int]:
        yield 0
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await collect(Watchdog(60).watch(times_out()))  # type: ignore[arg-type]


# --- in a session ----------------------------------------------------------------------------------------


def driver(*steps: Step, stall_s: float = 0.5) -> Driver:
    return Driver(steps, settings=AgentSettings(instructions="Be brief.", stall_s=stall_s))


@pytest.mark.parametrize("said", ["", "Let me see. I think that "])
async def test_an_engine_that_hangs_ends_its_answer_and_the_next_is_given(said: str) -> None:
    bench = driver(Step(hang=said), Step(say="Here I am again."))
    bench.user("Are you there?")
    *_, failed = await bench.respond()
    assert isinstance(failed, AnswerFailed) and failed.code == "engine_stalled"
    assert bench.conversation.active == 0, "the engine was told to stop"
    events = await bench.respond()
    assert words(events) == "Here I am again." and isinstance(events[-1], AnswerFinished)
    await bench.aclose()


@pytest.mark.parametrize(
    ("crash", "code", "told"),
    [("MemoryError", "out_of_memory", "not enough memory"), ("RuntimeError", "engine_failed", "went wrong")],
)
async def test_an_engine_that_breaks_ends_its_answer_and_the_next_is_given(
    crash: str, code: str, told: str
) -> None:
    bench = driver(Step(crash=crash), Step(say="Here I am again."))  # type: ignore[arg-type]
    bench.user("Are you there?")
    *_, failed = await bench.respond()
    assert isinstance(failed, AnswerFailed) and failed.code == code and told in failed.message
    assert words(await bench.respond()) == "Here I am again."
    await bench.aclose()


async def test_a_tool_may_take_longer_than_an_engine_may_be_silent() -> None:
    bench = driver(Step(call="slow", arguments={"name": "tea"}), Step(say="It is done."), stall_s=0.4)
    bench.user("Make tea.")
    answering = asyncio.create_task(bench.respond())
    await bench.bench.started.wait()
    await asyncio.sleep(0.8)
    assert not answering.done()
    bench.bench.gate.set()
    assert words(await answering).endswith("It is done.")
    await bench.aclose()


class Deaf(ScriptedEngine):
    """Never finds out what was said."""

    def open(self, session_id: str) -> ScriptedConversation:
        conversation = super().open(session_id)
        conversation.transcribe = lambda item_id: asyncio.Event().wait()  # type: ignore[method-assign, assignment, return-value]
        return conversation


async def test_an_ear_that_hangs_ends_the_answer_too() -> None:
    settings = AgentSettings(instructions="Be brief.", stall_s=0.5)
    bench = Driver(engine=Deaf([Step(say="Yes.")]), settings=settings)
    bench.session.hear("a", np.zeros(1600, np.int16))
    bench.commit("a")
    *_, failed = await bench.respond()
    assert isinstance(failed, AnswerFailed) and failed.code == "engine_stalled"
    assert "AnswerSpeech" not in kinds([failed])
    await bench.aclose()
