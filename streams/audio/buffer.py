"""A bounded buffer of samples, and the clock that counting them gives."""

from __future__ import annotations

from typing import Final

import numpy as np

from hearsight.streams.events import INPUT_RATE_HZ, Samples

_SAMPLES_PER_MS: Final = INPUT_RATE_HZ // 1000


def samples_to_ms(samples: int) -> float:
    """Return how long ``samples`` samples last at 16 kHz, in milliseconds."""
    return samples / _SAMPLES_PER_MS


def ms_to_samples(duration_ms: float) -> int:
    """Return how many samples ``duration_ms`` milliseconds hold at 16 kHz, rounded to the nearest one."""
    return round(duration_ms * _SAMPLES_PER_MS)


class SampleBuffer:
    """The newest samples of a stream, addressed by their position since the stream began.

    Positions are absolute: the first sample ever appended is number 0, whatever has been dropped since. The
    buffer is a ring allocated once, so that appending never moves what is already there.

    Args:
        capacity_samples: The most samples it holds; the oldest go first.
    """

    def __init__(self, capacity_samples: int) -> None:
        if capacity_samples < 1:
            raise ValueError(f"a buffer needs room for at least one sample, not {capacity_samples}")
        self._ring = np.empty(capacity_samples, dtype=np.int16)
        self._start = 0
        self._end = 0

    @property
    def start(self) -> int:
        """Position of the oldest sample held."""
        return self._start

    @property
    def end(self) -> int:
        """Position that the next sample will have: how many were ever appended."""
        return self._end

    def __len__(self) -> int:
        return self._end - self._start

    def append(self, samples: Samples) -> int:
        """Add samples at the end.

        Returns:
            How many samples had to be dropped to make room, counting those of ``samples`` itself when it
            alone is larger than the buffer.
        """
        capacity = len(self._ring)
        end = self._end + len(samples)
        kept = samples[-capacity:]  # the whole of it, unless it alone overfills the ring
        at = (end - len(kept)) % capacity
        head = min(len(kept), capacity - at)
        self._ring[at : at + head] = kept[:head]
        self._ring[: len(kept) - head] = kept[head:]
        self._end = end
        dropped = max(0, end - capacity - self._start)
        self._start += dropped
        return dropped

    def slice(self, start: int, end: int) -> Samples:
        """Return a copy of the samples at positions ``start`` to ``end``, as far as they are held.

        What lies before `start` is gone and what lies after `end` has not come; ask those properties where
        the difference matters.
        """
        start, end = max(start, self._start), min(end, self._end)
        if start >= end:
            return np.zeros(0, dtype=np.int16)
        capacity = len(self._ring)
        at, length = start % capacity, end - start
        head = self._ring[at : min(at + length, capacity)]
        return np.concatenate((head, self._ring[: length - len(head)]))

    def discard_before(self, position: int) -> int:
        """Forget the samples before ``position``, and return how many that were."""
        kept_from = min(max(position, self._start), self._end)
        discarded = kept_from - self._start
        self._start = kept_from
        return discarded
