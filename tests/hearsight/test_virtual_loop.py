"""Time that is made up: exact, the same every time, and without waiting."""

from __future__ import annotations

import asyncio
import time

import pytest

from hearsight.virtual_loop import Deadlock, run_virtually, sleep_until


def test_an_hour_passes_at_once():
    async def wait():
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.perf_counter()
    assert run_virtually(wait(), start_s=10.0) == 3610.0
    assert time.perf_counter() - began < 5


def test_a_time_is_reached_to_the_bit():
    async def reach():
        times = []
        for number in range(1, 200):
            await sleep_until(1_000 + number * 0.1)
            times.append(asyncio.get_running_loop().time())
        return times

    assert run_virtually(reach(), start_s=1_000.0) == [1_000 + number * 0.1 for number in range(1, 200)]


def test_a_time_that_has_passed_is_not_waited_for():
    async def reach():
        await sleep_until(5.0)
        return asyncio.get_running_loop().time()

    assert run_virtually(reach(), start_s=9.0) == 9.0


def test_time_stands_still_while_there_is_something_to_do():
    async def work():
        loop = asyncio.get_running_loop()
        for _ in range(1_000):
            await asyncio.sleep(0)
        return loop.time()

    async def both():
        sleeper = asyncio.create_task(asyncio.sleep(1))
        time_s = await work()
        await sleeper
        return time_s, asyncio.get_running_loop().time()

    assert run_virtually(both()) == (0.0, 1.0)


def test_what_happens_has_an_order_that_never_changes():
    async def race():
        order = []

        async def runner(name, pauses):
            for pause in pauses:
                await asyncio.sleep(pause)
                order.append((name, asyncio.get_running_loop().time()))

        async with asyncio.TaskGroup() as tasks:
            for name, pauses in {"a": [0.3, 0.3], "b": [0.2, 0.2, 0.2], "c": [0.6]}.items():
                tasks.create_task(runner(name, pauses))
        return order

    first = run_virtually(race())
    assert [name for name, _ in first][:3] == ["b", "a", "b"]
    assert all(run_virtually(race()) == first for _ in range(5))


def test_work_for_a_thread_is_done_at_once():
    async def threads():
        assert await asyncio.to_thread(lambda: 7) == 7
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 / 0)
        return asyncio.get_running_loop().time()

    assert run_virtually(threads()) == 0.0


def test_a_timeout_comes_when_it_should():
    async def impatient():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_virtually(impatient()) == 2.5


def test_waiting_for_what_never_comes_is_an_error():
    with pytest.raises(Deadlock, match="nothing will ever happen"):
        run_virtually(asyncio.Event().wait())
