"""A lock for which those in a hurry need not queue."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.turns import Turns


async def test_they_come_in_order_but_for_those_in_a_hurry():
    turns, order = Turns(), []

    async def use(name: str, *, first: bool = False) -> None:
        async with turns.turn(first=first):
            order.append(name)
            for _ in range(3):
                await asyncio.sleep(0)

    tasks = [asyncio.create_task(use(name)) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(use("hurried", first=True)))
    await asyncio.gather(*tasks)
    assert order == ["a", "hurried", "b", "c"]


async def test_it_is_free_again_after_an_error():
    turns = Turns()
    for _ in range(2):
        try:
            async with turns.turn():
                raise RuntimeError
        except RuntimeError:
            pass
    async with asyncio.timeout(1), turns.turn():
        pass


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.integers(0, 12)), max_size=8)
)
def test_never_two_at_once_and_nobody_is_forgotten_whoever_leaves(users):
    """Each user comes and works for so many turns of the loop, may hurry, and may be called away."""

    async def follow() -> None:
        turns, inside, done = Turns(), 0, 0

        async def use(comes: int, works: int, first: bool) -> None:
            nonlocal inside, done
            for _ in range(comes):
                await asyncio.sleep(0)
            async with turns.turn(first=first):
                inside += 1
                assert inside == 1
                try:
                    for _ in range(works):
                        await asyncio.sleep(0)
                finally:
                    inside -= 1
            done += 1

        tasks, leaving = [], []
        for comes, works, first, leaves in users:
            task = asyncio.create_task(use(comes, works, first))
            tasks.append(task)
            if leaves < 6:
                leaving.append(asyncio.create_task(leave(task, leaves)))
        async with asyncio.timeout(5):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*leaving)
            assert done == sum(outcome is None for outcome in outcomes)
            assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
            async with turns.turn():
                pass

    async def leave(task: asyncio.Task[None], after: int) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(follow())
