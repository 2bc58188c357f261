"""Sessions that share a model take turns."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.fair_queue import FairQueue
from hearsight.virtual_loop import run_virtually

JOB_S = 1.0


class Place:
    """A queue, and who was let in when."""

    def __init__(self, at_once: int = 1) -> None:
        self.queue = FairQueue(at_once)
        self.order: list[str] = []
        self.inside = 0
        self.most = 0

    async def job(self, who: str) -> None:
        async with self.queue.turn(who):
            self.order.append(who)
            self.inside += 1
            self.most = max(self.most, self.inside)
            try:
                await asyncio.sleep(JOB_S)
            finally:
                self.inside -= 1


def test_a_flood_of_one_session_delays_another_by_one_job() -> None:
    async def run() -> None:
        place = Place()
        flood = [asyncio.create_task(place.job("flood")) for _ in range(100)]
        await asyncio.sleep(JOB_S / 2)
        began = asyncio.get_running_loop().time()
        await place.job("other")
        assert asyncio.get_running_loop().time() - began <= 2.5 * JOB_S, "what runs, one more, its own"
        await asyncio.gather(*flood)
        assert place.order.count("flood") == 100

    run_virtually(run())


def test_who_asks_again_at_once_does_not_push_in() -> None:
    """What a condition variable would allow: the one that leaves is the first to come back."""

    async def run() -> None:
        place = Place()

        async def greedy() -> None:
            for _ in range(10):
                await place.job("greedy")

        async def modest() -> None:
            await asyncio.sleep(JOB_S / 2)
            await place.job("modest")

        await asyncio.gather(greedy(), modest())
        assert place.order.index("modest") == 1

    run_virtually(run())


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 5)), max_size=40),
    st.integers(1, 3),
    st.sets(st.integers(0, 39)),
)
def test_everybody_is_served_in_turn_never_too_many_at_once_whoever_gives_up(
    asked: list[tuple[str, float]], at_once: int, impatient: set[int]
) -> None:
    async def run() -> None:
        place = Place(at_once)

        async def ask(number: int, who: str, when_s: float) -> None:
            await asyncio.sleep(when_s)
            try:
                async with asyncio.timeout(1.5 if number in impatient else None):
                    await place.job(who)
            except TimeoutError:
                assert number in impatient

        await asyncio.gather(*(ask(number, *each) for number, each in enumerate(asked)))
        assert place.most <= at_once
        patient = sum(number not in impatient for number in range(len(asked)))
        assert len(place.order) >= patient
        assert place.queue.idle and not place.queue._waiting

    run_virtually(run())


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=30))
def test_of_those_that_wait_one_of_each_is_taken_in_turn(asked: str) -> None:
    async def run() -> None:
        place = Place()
        jobs = [asyncio.create_task(place.job(who)) for who in ["first", *asked]]
        await asyncio.gather(*jobs)
        for at, (one, next_one) in enumerate(pairwise(place.order)):
            if one == next_one:
                assert set(place.order[at:]) == {one}, "twice in a row only where nobody else waits"

    run_virtually(run())


async def test_one_that_is_cancelled_just_as_it_is_let_in_lets_the_next_in() -> None:
    place = Place()
    release = asyncio.Event()

    async def hold() -> None:
        async with place.queue.turn("a"):
            await release.wait()

    holding = asyncio.create_task(hold())
    waiting = asyncio.create_task(place.job("b"))
    await asyncio.sleep(0)
    release.set()
    await holding  # which has let b in, which has not run yet
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert place.queue.idle
