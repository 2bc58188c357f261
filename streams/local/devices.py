"""The microphone and the speaker: PortAudio's callbacks on one side, plain samples on the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from hearsight.streams.audio.resample import StreamResampler
from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ, Samples
from hearsight.streams.local import portaudio
from hearsight.streams.local.feed import Heard, Played, SoundFeed
from hearsight.streams.local.playback_queue import PlaybackQueue

SILENT_FOR_S: Final = 2.0
"""A device that has not called for so long is gone: it calls every 20 ms, whatever there is to hear."""


FEW_GAPS: Final = 3
"""Gaps in a speaker's sound that are put up with."""


class SoundDevice(Protocol):
    """A microphone or speaker, be it of this machine or made of a file."""

    name: str
    is_real: bool
    """Whether there is hardware behind it, which can be unplugged."""

    def start(self) -> None:
        """Begin.

        Raises:
            DeviceError: The device cannot be opened.
        """
        ...

    def stop(self) -> None:
        """End; idempotent."""
        ...

    def is_lost(self) -> bool:
        """Whether it has been started and has stopped by itself."""
        ...


class Pulse:
    """Tells by its heartbeat whether a device is still there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last_s: float | None = None

    def beat(self) -> None:
        """The device has called, or was started."""
        self._last_s = self._clock()

    def stop(self) -> None:
        """The device was stopped on purpose."""
        self._last_s = None

    @property
    def is_lost(self) -> bool:
        """Whether it should have called since."""
        return self._last_s is not None and self._clock() - self._last_s > SILENT_FOR_S


class Microphone:
    """A microphone of this machine.

    Args:
        wanted: Which: ``default``, its number, its name or a part of it.
        feed: Where its audio goes.
    """

    is_real = True

    def __init__(self, wanted: str, feed: SoundFeed) -> None:
        self.name = wanted
        self._wanted = wanted
        self._feed = feed
        self._pulse = Pulse()
        self._stream: Any = None
        self._resampler = StreamResampler(INPUT_RATE_HZ, INPUT_RATE_HZ)

    def start(self) -> None:
        """Find it and open it.

        Raises:
            DeviceError: There is none, or it cannot be opened.
        """
        device = portaudio.find_device(self._wanted, "microphone")
        self.name = device.name
        rate_hz = portaudio.usable_rate(device, "microphone", INPUT_RATE_HZ)
        self._resampler = StreamResampler(rate_hz, INPUT_RATE_HZ)
        self._stream = portaudio.open_stream(device, "microphone", rate_hz, self._on_block)
        self._pulse.beat()

    def stop(self) -> None:
        """Close it."""
        self._pulse.stop()
        if self._stream is not None:
            portaudio.close_stream(self._stream)
            self._stream = None

    def is_lost(self) -> bool:
        """Whether it has stopped by itself."""
        return self._pulse.is_lost

    def _on_block(self, samples: Samples, frames: int, times: Any, status: Any) -> None:
        self._pulse.beat()
        heard = self._resampler.process(samples[:, 0].copy())
        latency_s = times.currentTime - times.inputBufferAdcTime
        self._feed.put(Heard(heard, _likely(latency_s), bool(status.input_overflow)))


class Speaker:
    """A speaker of this machine.

    Args:
        wanted: Which: ``default``, its number, its name or a part of it.
        feed: Where what it plays is told.
        queue: What it plays.
    """

    is_real = True

    def __init__(self, wanted: str, feed: SoundFeed, queue: PlaybackQueue) -> None:
        self.name = wanted
        self._wanted = wanted
        self._feed = feed
        self._queue = queue
        self._pulse = Pulse()
        self._stream: Any = None
        self._source = ResampledSource(queue, OUTPUT_RATE_HZ)
        self._latency_s = portaudio.LATENCY_S
        self._gaps = 0

    def start(self) -> None:
        """Find it and open it.

        Raises:
            DeviceError: There is none, or it cannot be opened.
        """
        device = portaudio.find_device(self._wanted, "speaker")
        self.name = device.name
        rate_hz = portaudio.usable_rate(device, "speaker", OUTPUT_RATE_HZ)
        self._source = ResampledSource(self._queue, rate_hz)
        self._gaps = 0
        self._stream = portaudio.open_stream(device, "speaker", rate_hz, self._on_block, self._latency_s)
        self._pulse.beat()

    def stop(self) -> None:
        """Close it; what the system holds is not played."""
        self._pulse.stop()
        if self._stream is not None:
            portaudio.close_stream(self._stream)
            self._stream = None

    def is_lost(self) -> bool:
        """Whether it has stopped by itself."""
        return self._pulse.is_lost

    @property
    def is_starved(self) -> bool:
        """Whether its sound has gaps that more latency may mend."""
        return self._gaps > FEW_GAPS and self._latency_s < portaudio.MAX_LATENCY_S

    def relax(self) -> None:
        """Open it again with twice the latency.

        Raises:
            DeviceError: It cannot be opened.
        """
        self._latency_s = min(2 * self._latency_s, portaudio.MAX_LATENCY_S)
        self.stop()
        self.start()

    def _on_block(self, out: Samples, frames: int, times: Any, status: Any) -> None:
        self._pulse.beat()
        self._gaps += bool(status.output_underflow)
        latency_s = _likely(times.outputBufferDacTime - times.currentTime)
        out[:, 0], taken = self._source.take(frames)
        for samples, speech in taken:
            self._feed.put(Played(samples, speech, latency_s + self._source.owed_s))


class ResampledSource:
    """The queue at a device's own rate.

    Silence is resampled with the speech, so that no end of a word waits in the resampler for more to come.

    Args:
        queue: 24 kHz.
        rate_hz: The device's.
    """

    def __init__(self, queue: PlaybackQueue, rate_hz: int) -> None:
        self._queue = queue
        self._rate_hz = rate_hz
        self._resampler = StreamResampler(OUTPUT_RATE_HZ, rate_hz)
        self._ready = np.zeros(0, np.int16)
        self._balance_s = 0.0

    @property
    def owed_s(self) -> float:
        """How long ago a sample that is given out now was taken from the queue."""
        return max(0.0, self._balance_s)

    def take(self, frames: int) -> tuple[Samples, list[tuple[Samples, int]]]:
        """The next samples for the device.

        Returns:
            So many samples at the device's rate, and what was taken from the queue for them, at 24 kHz, with
            how many samples of it are speech.
        """
        taken: list[tuple[Samples, int]] = []
        while self._ready.size < frames:
            samples, speech = self._queue.take(round(OUTPUT_RATE_HZ * portaudio.BLOCK_S))
            taken.append((samples, speech))
            self._balance_s += portaudio.BLOCK_S
            self._ready = np.concatenate([self._ready, self._resampler.process(samples)])
        out, self._ready = self._ready[:frames], self._ready[frames:]
        self._balance_s -= frames / self._rate_hz
        return out, taken


def _likely(latency_s: float) -> float:
    """A latency as PortAudio reports it; some sound systems report none, or one of another clock."""
    return latency_s if 0 < latency_s < 1 else portaudio.LATENCY_S
