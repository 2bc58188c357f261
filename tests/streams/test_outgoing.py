from __future__ import annotations

import asyncio

import numpy as np
import pytest

from hearsight.streams.events import AudioCleared, AudioDelta
from hearsight.streams.outgoing import MAX_WAITING_AUDIO_BYTES, Outgoing


def audio(size_bytes: int) -> AudioDelta:
    return AudioDelta("r", "i", 0, np.zeros(size_bytes // 2, np.int16))


async def test_everything_comes_out_in_order_and_it_ends_once_closed() -> None:
    outgoing = Outgoing()
    outputs = [AudioCleared(), audio(8), AudioCleared()]
    for output in outputs:
        outgoing.put(output)
    outgoing.close()
    assert [output async for output in outgoing.take()] == outputs
    assert outgoing.audio_bytes == 0


async def test_a_reader_waits_for_what_comes() -> None:
    outgoing = Outgoing()
    reading = asyncio.ensure_future(anext(outgoing.take()))
    await asyncio.sleep(0)
    assert not reading.done()
    outgoing.put(AudioCleared())
    assert await reading == AudioCleared()


@pytest.mark.parametrize("elsewhere", [0, MAX_WAITING_AUDIO_BYTES // 2])
async def test_the_voice_waits_until_half_of_it_is_read(elsewhere: int) -> None:
    outgoing = Outgoing()
    for _ in range(5):
        outgoing.put(audio(MAX_WAITING_AUDIO_BYTES // 4))
    outgoing.mind_room(elsewhere)
    waiting = asyncio.ensure_future(outgoing.room())
    taken = outgoing.take()
    for _ in range(3 if elsewhere == 0 else 5):
        await asyncio.sleep(0)
        assert not waiting.done()
        await anext(taken)
    await waiting


async def test_what_is_held_back_elsewhere_counts() -> None:
    outgoing = Outgoing()
    outgoing.mind_room(MAX_WAITING_AUDIO_BYTES + 2)
    waiting = asyncio.ensure_future(outgoing.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    outgoing.mind_room(0)
    await waiting


async def test_once_closed_nobody_waits() -> None:
    outgoing = Outgoing()
    outgoing.mind_room(MAX_WAITING_AUDIO_BYTES + 2)
    outgoing.close()
    await outgoing.room()
    outgoing.mind_room(MAX_WAITING_AUDIO_BYTES + 2)
    await outgoing.room()
