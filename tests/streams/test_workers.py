"""The tasks of a session: what they bring, what stops them, and what a failure of theirs costs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import numpy as np
import pytest

from hearsight.streams.errors import EngineError
from hearsight.streams.events import (
    AnswerFailed,
    AnswerFinished,
    AnswerText,
    EndpointEstimate,
    EstimateEndpoint,
    Overhear,
    Overheard,
    ResponseRequest,
    StartResponse,
    StopResponse,
    Transcribe,
    Transcribed,
    TranscriptionFailed,
)
from hearsight.streams.observing import Observers, Scope
from hearsight.streams.workers import Workers

SILENCE = np.zeros(512, np.int16)


class Agent:
    """Does as it is told; whatever is asked of it waits for `go`."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.error: Exception | None = None
        self.stopped: list[str] = []
        self.discarded: list[int] = []

    async def respond(self, request):
        try:
            await self._work("answer")
            yield AnswerText(request.generation, "item_1", "Hello.")
            yield AnswerFinished(request.generation)
        finally:
            self.stopped.append("closed")

    async def overhear(self, samples):
        await self._work("overhear")
        return "mhm"

    async def transcribe(self, item_id):
        await self._work("transcribe")
        return "what was said", 1.5

    def discard(self, generation):
        self.discarded.append(generation)

    async def _work(self, what):
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped.append(what)
            raise
        if self.error is not None:
            raise self.error


class Judge:
    def __init__(self) -> None:
        self.asked: list[int] = []

    async def probability(self, samples):
        self.asked.append(samples.size)
        await asyncio.sleep(0)
        return 0.75


class Desk:
    """The workers, and what came of their work."""

    def __init__(self, judge=None) -> None:
        self.agent = Agent()
        self.taken = []
        self.room = asyncio.Event()
        self.room.set()
        scope = Scope("sess_1", Observers())
        self.workers = Workers("sess_1", self.agent, judge, scope, self.taken.append, self.room.wait)

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


@asynccontextmanager
async def desk(judge=None):
    made = Desk(judge)
    try:
        yield made
    finally:
        await made.workers.aclose()


def start(generation: int = 1) -> StartResponse:
    return StartResponse(ResponseRequest(generation, f"resp_{generation}"))


async def test_an_answer_is_passed_on_as_it_comes():
    async with desk() as at:
        at.workers.follow(start())
        await at.settle()
        assert at.taken == []
        at.agent.go.set()
        await at.settle()
        assert [type(event) for event in at.taken] == [AnswerText, AnswerFinished]


async def test_an_answer_waits_for_a_client_that_has_no_room():
    async with desk() as at:
        at.agent.go.set()
        at.room.clear()
        at.workers.follow(start())
        await at.settle()
        assert len(at.taken) == 1
        at.room.set()
        await at.settle()
        assert len(at.taken) == 2


@pytest.mark.parametrize("discard", [False, True])
async def test_an_answer_that_is_stopped_brings_nothing_more(discard):
    async with desk() as at:
        at.workers.follow(start(1))
        at.workers.follow(start(2))
        await at.settle()
        at.workers.follow(StopResponse(1, discard=discard))
        at.agent.go.set()
        await at.settle()
        assert {event.generation for event in at.taken} == {2}
        assert at.agent.discarded == ([1] if discard else [])
        assert at.agent.stopped.count("answer") == 1


async def test_a_guess_that_has_ended_can_still_be_discarded():
    async with desk() as at:
        at.agent.go.set()
        at.workers.follow(start())
        await at.settle()
        at.workers.follow(StopResponse(1, discard=True))
        assert at.agent.discarded == [1]


@pytest.mark.parametrize(
    ("error", "code"),
    [(EngineError("Broken.", code="engine_failed"), "engine_failed"), (ZeroDivisionError(), "server_error")],
)
async def test_an_answer_that_fails_ends_with_words_and_the_next_one_comes(error, code):
    async with desk() as at:
        at.agent.go.set()
        at.agent.error = error
        at.workers.follow(start())
        await at.settle()
        (failed,) = at.taken
        assert isinstance(failed, AnswerFailed) and (failed.generation, failed.code) == (1, code)
        assert failed.message and "Zero" not in failed.message
        at.agent.error = None
        at.workers.follow(start(2))
        await at.settle()
        assert isinstance(at.taken[-1], AnswerFinished)


async def test_transcripts_come_or_do_not():
    async with desk() as at:
        at.agent.go.set()
        at.workers.follow(Transcribe("item_1"))
        await at.settle()
        at.agent.error = EngineError("Deaf.")
        at.workers.follow(Transcribe("item_2"))
        await at.settle()
        assert at.taken == [
            Transcribed("item_1", "what was said", 1.5),
            TranscriptionFailed("item_2", "Deaf."),
        ]


async def test_pauses_are_judged_and_only_the_newest_question_counts():
    judge = Judge()
    async with desk(judge) as at:
        at.workers.follow(EstimateEndpoint("item_1", 100, SILENCE))
        at.workers.follow(EstimateEndpoint("item_1", 900, SILENCE))
        await at.settle()
        assert at.taken == [EndpointEstimate("item_1", 900, 0.75)]


async def test_nobody_judges_where_there_is_no_judge():
    async with desk() as at:
        at.workers.follow(EstimateEndpoint("item_1", 100, SILENCE))
        await at.settle()
        assert at.taken == []


async def test_what_is_overheard_comes_without_words_where_it_cannot_be_understood():
    async with desk() as at:
        at.agent.go.set()
        at.workers.follow(Overhear("item_1", SILENCE))
        await at.settle()
        at.agent.error = EngineError("Deaf.")
        at.workers.follow(Overhear("item_2", SILENCE))
        await at.settle()
        assert at.taken == [Overheard("item_1", "mhm"), Overheard("item_2", None)]


async def test_words_that_nobody_waits_for_are_given_up():
    async with desk() as at:
        at.workers.follow(Overhear("item_1", SILENCE))
        await at.settle()
        at.workers.follow(Overhear("item_2", SILENCE))
        await at.settle()
        assert at.agent.stopped == ["overhear"]
        at.workers.stop_overhearing()
        at.workers.stop_overhearing()
        at.agent.go.set()
        await at.settle()
        assert at.taken == [] and at.agent.stopped == ["overhear", "overhear"]


async def test_closing_leaves_no_task():
    before = asyncio.all_tasks()
    async with desk(Judge()) as at:
        for command in (start(), Transcribe("item_1"), Overhear("item_1", SILENCE)):
            at.workers.follow(command)
        await at.settle()
    assert asyncio.all_tasks() == before and at.taken == []
    assert sorted(at.agent.stopped) == ["answer", "closed", "overhear", "transcribe"]
