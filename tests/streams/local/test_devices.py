"""What PortAudio's callbacks bring and take, and that their heartbeat is minded."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.events import PlaybackPosition
from hearsight.streams.local.devices import FEW_GAPS, Microphone, Pulse, ResampledSource, Speaker
from hearsight.streams.local.feed import Heard, Played, SoundFeed
from hearsight.streams.local.playback_queue import PlaybackQueue
from hearsight.streams.local.sound import Sound
from hearsight.streams.local.system import DeviceError

FINE = SimpleNamespace(input_overflow=False, output_underflow=False)
LOST = SimpleNamespace(input_overflow=True, output_underflow=True)


def times(latency_s: float) -> SimpleNamespace:
    return SimpleNamespace(
        currentTime=10.0, inputBufferAdcTime=10.0 - latency_s, outputBufferDacTime=10.0 + latency_s
    )


def tone(samples: int, rate_hz: int) -> np.ndarray:
    return (8_000 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate_hz)).astype(np.int16)


async def test_a_microphone_at_our_rate_passes_its_blocks_on(machine):
    feed = SoundFeed(asyncio.get_running_loop())
    microphone = Microphone("headset", feed)
    microphone.start()
    (stream,) = machine.streams
    assert microphone.name == "Headset" and stream.options["device"] == 1
    block = tone(320, 16_000)
    stream.options["callback"](block[:, None], 320, times(0.03), FINE)
    (heard,) = await feed.take()
    assert isinstance(heard, Heard) and np.array_equal(heard.samples, block)
    assert heard.latency_s == pytest.approx(0.03) and not heard.overflowed
    microphone.stop()
    microphone.stop()
    assert stream.state == ["started", "aborted", "closed"]


async def test_a_microphone_of_another_rate_is_resampled(machine):
    machine.rates = {48_000}
    feed = SoundFeed(asyncio.get_running_loop())
    microphone = Microphone("default", feed)
    microphone.start()
    (stream,) = machine.streams
    assert (stream.options["samplerate"], stream.options["blocksize"]) == (48_000, 960)
    sound = tone(48_000, 48_000)
    for at in range(0, sound.size, 960):
        stream.options["callback"](sound[at : at + 960][:, None], 960, times(0), LOST)
    blocks = await feed.take()
    samples = np.concatenate([block.samples for block in blocks])
    assert 15_000 < samples.size <= 16_000
    assert blocks[0].overflowed and blocks[0].latency_s > 0, "a latency that is not told is taken as usual"
    peak = np.argmax(np.abs(np.fft.rfft(samples[2_000:10_000]))) * 16_000 / 8_000
    assert peak == pytest.approx(440, abs=3)


async def test_a_block_is_not_kept_in_memory_of_portaudios(machine):
    feed = SoundFeed(asyncio.get_running_loop())
    Microphone("default", feed).start()
    block = np.full((320, 1), 7, np.int16)
    machine.streams[0].options["callback"](block, 320, times(0.03), FINE)
    block[:] = 0
    assert (await feed.take())[0].samples.tolist() == [7] * 320


async def test_a_speaker_takes_from_the_queue_and_tells_of_it(machine):
    feed, queue = SoundFeed(asyncio.get_running_loop()), PlaybackQueue()
    speaker = Speaker("default", feed, queue)
    speaker.start()
    (stream,) = machine.streams
    queue.put("a", np.full(600, 5, np.int16))
    out = np.zeros((480, 1), np.int16)
    for expected in (480, 120):
        stream.options["callback"](out, 480, times(0.08), FINE)
        (played,) = await feed.take()
        assert isinstance(played, Played) and played.speech == expected
        assert out[:, 0].tolist() == [5] * expected + [0] * (480 - expected)
        assert played.latency_s == pytest.approx(0.08)
    assert queue.heard(0) == [PlaybackPosition("a", 25.0)]


async def test_a_device_that_is_not_there_is_told_when_it_is_started(machine):
    machine.devices = []
    feed = SoundFeed(asyncio.get_running_loop())
    with pytest.raises(DeviceError, match="This machine has no microphone"):
        Microphone("default", feed).start()
    with pytest.raises(DeviceError, match="This machine has no speaker"):
        Speaker("default", feed, PlaybackQueue()).start()


async def test_a_speaker_with_gaps_gets_more_time(machine):
    feed, queue = SoundFeed(asyncio.get_running_loop()), PlaybackQueue()
    speaker = Speaker("default", feed, queue)
    sound = Sound(None, speaker)
    sound.start()
    asked, told = [machine.streams[-1].options["latency"]], []
    for _ in range(3):
        for _ in range(FEW_GAPS + 1):
            assert sound.watch(0.0) is None
            machine.streams[-1].options["callback"](np.zeros((480, 1), np.int16), 480, times(0.08), LOST)
        told.append(sound.watch(0.0))
        asked.append(machine.streams[-1].options["latency"])
    assert asked == [0.1, 0.2, 0.4, 0.4], "but no more than is good for a conversation"
    assert told[0] is not None and told[1:] == [None, None], "and it is told once"


async def test_a_speaker_that_is_gone_while_it_gets_more_time_is_looked_for(machine):
    feed, queue = SoundFeed(asyncio.get_running_loop()), PlaybackQueue()
    speaker = Speaker("default", feed, queue)
    sound = Sound(None, speaker)
    sound.start()
    for _ in range(FEW_GAPS + 1):
        machine.streams[-1].options["callback"](np.zeros((480, 1), np.int16), 480, times(0.08), LOST)
    machine.busy = "Device unavailable"
    assert "cannot be opened" in (sound.watch(0.0) or "")
    assert sound.speaker_is_lost
    machine.busy = None
    assert sound.watch(10.0) == "Sound is back: speaker 'Headset'."


@given(st.lists(st.integers(1, 2_000), min_size=1, max_size=12), st.sampled_from([16_000, 44_100, 48_000]))
def test_a_speaker_of_any_rate_gets_as_many_samples_as_it_asks_for(asked, rate_hz):
    queue = PlaybackQueue()
    queue.put("a", tone(24_000, 24_000))
    source = ResampledSource(queue, rate_hz)
    taken_s = given_s = 0.0
    for frames in asked:
        out, taken = source.take(frames)
        assert out.size == frames
        given_s += frames / rate_hz
        taken_s += sum(samples.size for samples, _ in taken) / 24_000
        assert source.owed_s == pytest.approx(taken_s - given_s, abs=1e-9)
    assert 0 <= taken_s - given_s < 0.12


def test_the_end_of_a_word_does_not_wait_for_more_to_come():
    queue = PlaybackQueue()
    queue.put("a", tone(2_400, 24_000))
    source = ResampledSource(queue, 48_000)
    out = np.concatenate([source.take(960)[0] for _ in range(12)])
    loud = np.flatnonzero(np.abs(out.astype(int)) > 500)
    assert loud[-1] - loud[0] == pytest.approx(4_800, abs=120)


def test_a_device_that_does_not_call_is_lost():
    now = [0.0]
    pulse = Pulse(lambda: now[0])
    assert not pulse.is_lost, "it has not been started"
    pulse.beat()
    now[0] = 1.9
    assert not pulse.is_lost
    now[0] = 2.1
    assert pulse.is_lost
    pulse.beat()
    assert not pulse.is_lost
    pulse.stop()
    now[0] = 9.0
    assert not pulse.is_lost, "it was stopped on purpose"
