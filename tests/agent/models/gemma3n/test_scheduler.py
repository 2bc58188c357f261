"""Who gets the model next: without a model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import structlog.testing
import torch
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.base import GenerationEnd
from hearsight.agent.models.gemma3n import scheduler as module
from hearsight.agent.models.gemma3n.generation import Generation
from hearsight.agent.models.gemma3n.scheduler import BACKGROUND_EVERY, MAX_BATCH, MEASURE_EVERY, Scheduler
from hearsight.streams.errors import EngineError
from hearsight.streams.observing import Observers, Scope, current_scope, within


@dataclass(eq=False)
class Job:
    """Stands for a `Generation`: so many steps to its first token, then so many tokens."""

    steps: int = 0
    tokens: int = 3
    ready: bool = False
    written: int = 0
    output: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)

    @property
    def answer(self) -> Job:
        return self

    @property
    def ending(self) -> str | None:
        return "stop" if self.written >= self.tokens else None

    def end(self) -> GenerationEnd:
        return GenerationEnd("stop", output_tokens=self.written)


@dataclass(eq=False)
class Session:
    """Has something to do ahead, and answers to write; keeps a diary shared by all."""

    name: str
    diary: list[str]
    ahead: int = 0
    generations: list[Any] = field(default_factory=list)
    cache_bytes: int = 0
    fails: Exception | None = None
    threads: set[str] = field(default_factory=set)
    quick: list[bool] = field(default_factory=list)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0

    def prepare(self, generation: Job) -> None:
        if self.fails is not None:
            raise self.fails
        self.diary.append(f"{self.name} prepares")
        generation.steps -= 1
        generation.ready = generation.steps <= 0

    def background(self, *, quick: bool) -> bool:
        self.threads.add(threading.current_thread().name)
        self.quick.append(quick)
        if self.ahead <= 0:
            return False
        self.ahead -= 1
        self.diary.append(f"{self.name} ahead")
        return True

    def settled(self) -> None:
        self.quiet.set()

    def failed(self) -> None:
        self.failures += 1

    def drop_cache(self) -> None:
        self.diary.append(f"{self.name} dropped")
        self.cache_bytes = 0


class House:
    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.diary: list[str] = []

    def session(self, name: str, **changes: Any) -> Session:
        session = Session(name, self.diary, **changes)
        self.scheduler.add(session)
        return session

    async def done(self, job: Job) -> list[Any]:
        """What came of an answer."""
        got = []
        while not got or isinstance(got[-1], str):
            got.append(await job.output.get())
        return got


def decode(generations: list[Generation]) -> list[str]:
    for job in cast(list[Job], generations):
        job.written += 1
    return ["x"] * len(generations)


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    made = House(Scheduler())

    def noted(generations: list[Generation]) -> list[str]:
        made.diary.append(f"decodes {len(generations)}")
        return decode(generations)

    monkeypatch.setattr(module, "decode_step", noted)
    yield made
    await made.scheduler.aclose()


async def test_work_ahead_is_shared_fairly_and_done_on_one_thread(house: House) -> None:
    sessions = [house.session(name, ahead=3) for name in "abc"]
    for session in sessions:
        await session.quiet.wait()
    assert house.diary == ["a ahead", "b ahead", "c ahead"] * 3
    assert {thread for session in sessions for thread in session.threads} == {"gemma3n_0"}


async def test_an_answer_is_written_and_ends(house: House) -> None:
    session = house.session("a")
    job = Job(steps=2, tokens=3)
    session.generations.append(job)
    house.scheduler.wake()
    assert await house.done(job) == ["x", "x", "x", GenerationEnd("stop", output_tokens=3)]
    assert session.generations == []


async def test_a_running_answer_waits_for_one_step_of_another_at_most(house: House) -> None:
    listening, writing = house.session("a", ahead=20), house.session("b")
    job = Job(tokens=12, ready=True)
    writing.generations.append(job)
    house.scheduler.wake()
    await house.done(job)
    tokens = [at for at, entry in enumerate(house.diary) if entry.startswith("decodes")]
    assert max(later - earlier for earlier, later in zip(tokens, tokens[1:], strict=False)) <= 2
    assert listening.ahead < 20, "and the other one is read ahead meanwhile"
    await listening.quiet.wait()
    assert listening.quick[0] and not listening.quick[-1], "with what is quick, until the answer has ended"


async def test_who_waits_for_a_first_token_comes_before_work_ahead(house: House) -> None:
    house.session("a", ahead=100)
    waiting = house.session("b")
    job = Job(steps=12, tokens=1)
    waiting.generations.append(job)
    house.scheduler.wake()
    await house.done(job)
    until_ready = house.diary[: house.diary.index("decodes 1")]
    assert until_ready.count("b prepares") == 12
    assert until_ready.count("a ahead") <= 1 + 12 // (BACKGROUND_EVERY - 1)


async def test_answers_are_written_together_and_too_many_take_turns(house: House) -> None:
    sessions = [house.session(str(number)) for number in range(MAX_BATCH + 3)]
    jobs = [Job(tokens=4, ready=True) for _ in sessions]
    for session, job in zip(sessions, jobs, strict=True):
        session.generations.append(job)
    house.scheduler.wake()
    ends = [(await house.done(job))[-1] for job in jobs]
    assert all(end.output_tokens == 4 for end in ends)
    assert max(int(entry.split()[1]) for entry in house.diary if entry.startswith("decodes")) == MAX_BATCH


async def test_what_fails_ends_its_answer_and_no_other(house: House) -> None:
    broken, healthy = house.session("a", fails=RuntimeError("boom")), house.session("b")
    jobs = Job(steps=1), Job(steps=1, tokens=2)
    broken.generations.append(jobs[0])
    healthy.generations.append(jobs[1])
    with structlog.testing.capture_logs() as logs:
        house.scheduler.wake()
        [error] = await house.done(jobs[0])
        assert (await house.done(jobs[1]))[-1].output_tokens == 2
    assert isinstance(error, EngineError) and "say it again" in error.message
    assert broken.failures == 1 and broken.generations == []
    assert [entry["event"] for entry in logs] == ["model step failed"]


async def test_what_the_engine_says_is_passed_on(house: House) -> None:
    session = house.session("a", fails=EngineError("The picture is gone."))
    job = Job(steps=1)
    session.generations.append(job)
    house.scheduler.wake()
    [error] = await house.done(job)
    assert error.message == "The picture is gone."


async def test_a_batch_that_fails_fails_all_of_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(generations: object) -> list[str]:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(module, "decode_step", broken)
    sessions = [house.session(name) for name in "ab"]
    jobs = [Job(ready=True) for _ in sessions]
    for session, job in zip(sessions, jobs, strict=True):
        session.generations.append(job)
    house.scheduler.wake()
    for session, job in zip(sessions, jobs, strict=True):
        [error] = await house.done(job)
        assert isinstance(error, EngineError) and error.code == "out_of_memory"
        assert session.failures == 1


async def test_a_lack_of_memory_frees_what_can_be_computed_again(house: House) -> None:
    idle = house.session("idle", cache_bytes=1000)
    broken = house.session("a", fails=MemoryError(), cache_bytes=500)
    job = Job(steps=1)
    broken.generations.append(job)
    house.scheduler.wake()
    [error] = await house.done(job)
    assert "not enough memory" in error.message
    assert idle.cache_bytes == 0 and "idle dropped" in house.diary


async def test_a_session_that_asks_for_much_does_not_hold_up_the_others(house: House) -> None:
    """Such as for what twenty pictures show."""
    flood, other = house.session("flood"), house.session("other")
    flood.generations += [Job(steps=2, tokens=1) for _ in range(20)]
    await asyncio.sleep(0)
    job = Job(steps=4, tokens=1)
    other.generations.append(job)
    house.scheduler.wake()
    await house.done(job)
    until_ready = house.diary[: [n for n, entry in enumerate(house.diary) if entry == "other prepares"][3]]
    assert until_ready.count("flood prepares") <= 5


@pytest.mark.parametrize("number", range(1, 9))
async def test_whoever_waits_for_a_first_token_gets_there_however_many_wait(
    house: House, number: int
) -> None:
    """Nobody's turn falls on the rounds that are for others, over and over."""
    sessions = [house.session(str(name)) for name in range(number)]
    jobs = [Job(steps=40, tokens=1) for _ in sessions]
    for session, job in zip(sessions, jobs, strict=True):
        session.generations.append(job)
    house.scheduler.wake()
    for job in jobs:
        await house.done(job)
    first_ready = house.diary.index("decodes 1") if "decodes 1" in house.diary else len(house.diary)
    steps = [house.diary[:first_ready].count(f"{name} prepares") for name in range(number)]
    assert max(steps) - min(steps) <= 1


async def test_too_many_answers_are_all_written_at_the_same_pace(house: House) -> None:
    sessions = [house.session(str(number)) for number in range(2 * MAX_BATCH - 3)]
    jobs = [Job(tokens=12, ready=True) for _ in sessions]
    for session, job in zip(sessions, jobs, strict=True):
        session.generations.append(job)
    house.scheduler.wake()
    waiting = [asyncio.create_task(house.done(job)) for job in jobs]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert min(job.written for job in jobs) >= 10
    await asyncio.gather(*waiting)


async def test_a_session_that_is_gone_gets_nothing_more(house: House) -> None:
    session = house.session("a", ahead=10)
    house.scheduler.remove(session)
    house.scheduler.remove(session)
    other = house.session("b", ahead=1)
    await other.quiet.wait()
    assert "a ahead" not in house.diary


async def test_nothing_holds_on_to_a_session_that_ends_while_it_is_worked_on(house: House) -> None:
    """Its cache would stay in memory for ever."""
    going, begun, go_on = house.session("a"), threading.Event(), threading.Event()

    def prepare(generation: Job) -> None:
        begun.set()
        go_on.wait(10)
        generation.ready = True

    going.prepare = prepare  # type: ignore[method-assign]
    job = Job(steps=1)
    going.generations.append(job)
    house.scheduler.wake()
    await asyncio.to_thread(begun.wait, 10)
    house.scheduler.remove(going)
    going.generations.clear()
    go_on.set()
    await house.session("b", ahead=1).quiet.wait()
    scheduler = house.scheduler
    for held in (scheduler._worked, scheduler._helped, scheduler._decoded, scheduler._sessions):
        assert going not in held and job not in held  # type: ignore[operator]


async def test_beyond_the_limit_the_oldest_idle_caches_go() -> None:
    house = House(Scheduler(cache_limit=250))
    oldest = house.session("oldest", cache_bytes=100)
    busy = house.session("busy", cache_bytes=100, generations=[Job(steps=10_000)])
    house.session("newer", cache_bytes=100)
    newest = house.session("newest", cache_bytes=100, ahead=10 * MEASURE_EVERY)
    await newest.quiet.wait()
    dropped = [entry for entry in house.diary if entry.endswith("dropped")]
    assert dropped == ["oldest dropped", "newer dropped"]
    assert (oldest.cache_bytes, busy.cache_bytes, newest.cache_bytes) == (0, 100, 100)
    await house.scheduler.aclose()


@given(
    held=st.lists(st.integers(0, 100), min_size=1, max_size=6),
    worked=st.permutations(range(6)),
    limit=st.integers(0, 300),
)
def test_as_much_is_dropped_as_has_to_be_and_never_the_newest(
    held: list[int], worked: list[int], limit: int
) -> None:
    scheduler, diary = Scheduler(cache_limit=limit), []
    sessions = [Session(str(number), diary, cache_bytes=size) for number, size in enumerate(held)]
    scheduler._sessions = list(sessions)
    scheduler._worked = {session: worked[number] for number, session in enumerate(sessions)}
    scheduler._stay_within_limit()
    newest = max(sessions, key=lambda session: worked[int(session.name)])
    assert newest.cache_bytes == held[int(newest.name)]
    left = sum(session.cache_bytes for session in sessions)
    assert left <= limit or left == newest.cache_bytes
    order = [int(entry.split()[0]) for entry in diary]
    assert order == sorted(order, key=lambda number: worked[number])
    if order:
        assert left + held[order[-1]] > limit, "the last one had to go as well"
    scheduler._thread.shutdown()


async def test_it_works_for_all_sessions_whichever_has_woken_it(house: House) -> None:
    """What it logs of one session is not logged as another's."""
    seen = []
    with within(Scope("sess_1", Observers())):
        session = house.session("a", ahead=1)
        session.settled = lambda: (seen.append(current_scope()), session.quiet.set())  # type: ignore[method-assign]
        await session.quiet.wait()
        assert current_scope() is not None
    assert seen[0] is None
