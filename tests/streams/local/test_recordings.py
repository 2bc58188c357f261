"""A recording is heard, and an answer played, as fast as in life."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np

from hearsight.streams.local.feed import Heard, Played, SoundFeed
from hearsight.streams.local.playback_queue import PlaybackQueue
from hearsight.streams.local.recordings import RecordedMicrophone, SilentSpeaker


async def collect(feed: SoundFeed, count: int) -> list:
    blocks: list = []
    while len(blocks) < count:
        blocks += await feed.take()
    return blocks


async def test_a_recording_is_heard_whole_and_then_silence():
    feed = SoundFeed(asyncio.get_running_loop())
    microphone = RecordedMicrophone(np.arange(1, 1_001, dtype=np.int16), "speech.wav", feed)
    microphone.start()
    blocks = await collect(feed, 5)
    microphone.stop()
    samples = np.concatenate([block.samples for block in blocks])
    assert all(isinstance(block, Heard) and block.samples.size == 320 for block in blocks)
    assert samples[:1_000].tolist() == list(range(1, 1_001))
    assert not samples[1_000:].any()
    assert microphone.ended.is_set() and not microphone.is_lost()


async def test_it_takes_as_long_as_it_lasts():
    feed = SoundFeed(asyncio.get_running_loop())
    microphone = RecordedMicrophone(np.zeros(4_800, np.int16), "speech.wav", feed)
    began_s = time.monotonic()
    microphone.start()
    await asyncio.to_thread(microphone.ended.wait)
    microphone.stop()
    assert time.monotonic() - began_s >= 0.27


async def test_a_speaker_that_nobody_hears_plays_what_waits():
    feed, queue = SoundFeed(asyncio.get_running_loop()), PlaybackQueue()
    queue.put("a", np.full(700, 9, np.int16))
    speaker = SilentSpeaker(feed, queue)
    speaker.start()
    blocks = await collect(feed, 3)
    speaker.stop()
    assert all(isinstance(block, Played) for block in blocks)
    assert [block.speech for block in blocks[:3]] == [480, 220, 0]
    assert [position.item_id for position in queue.heard(0)] == ["a"] and queue.idle


async def test_nothing_ticks_once_it_was_stopped():
    feed = SoundFeed(asyncio.get_running_loop())
    speaker = SilentSpeaker(feed, PlaybackQueue())
    speaker.start()
    speaker.stop()
    speaker.stop()
    assert "silent-speaker" not in [thread.name for thread in threading.enumerate()]


def test_what_was_never_started_can_be_stopped():
    loop = asyncio.new_event_loop()
    SilentSpeaker(SoundFeed(loop), PlaybackQueue()).stop()
    loop.close()
