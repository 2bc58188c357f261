"""Threads write, one task reads; nothing is reordered, and what is lost is counted."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from hearsight.streams.local.feed import Heard, Played, SoundFeed


def heard(value: int, samples: int = 160) -> Heard:
    return Heard(np.full(samples, value, np.int16))


async def test_blocks_of_threads_arrive_in_order():
    feed = SoundFeed(asyncio.get_running_loop())

    def write() -> None:
        for value in range(200):
            feed.put(heard(value))

    thread = threading.Thread(target=write)
    thread.start()
    got: list[int] = []
    while len(got) < 200:
        got += [int(block.samples[0]) for block in await feed.take()]
    thread.join()
    assert got == list(range(200))
    assert feed.lost_s == 0


async def test_both_directions_keep_their_order():
    feed = SoundFeed(asyncio.get_running_loop())
    blocks = [heard(1), Played(np.zeros(480, np.int16)), heard(2)]
    for block in blocks:
        feed.put(block)
    assert await feed.take() == blocks


async def test_the_oldest_goes_first_and_what_was_heard_is_counted():
    feed = SoundFeed(asyncio.get_running_loop(), max_waiting=3)
    for block in (heard(1, 1_600), Played(np.zeros(480, np.int16)), heard(2), heard(3), heard(4)):
        feed.put(block)
    assert [int(block.samples[0]) for block in await feed.take()] == [2, 3, 4]
    assert feed.lost_s == pytest.approx(0.1)


async def test_a_closed_feed_takes_nothing():
    feed = SoundFeed(asyncio.get_running_loop())
    feed.close()
    feed.close()
    feed.put(heard(1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await feed.take()
