"""What the speaker still has to play, and how much of it has been heard."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from hearsight.streams.events import OUTPUT_RATE_HZ, PlaybackPosition, Samples

MAX_WAITING_S: Final = 600
"""Speech that may wait to be played. An answer is far shorter; what is beyond is dropped, and counted."""


@dataclass(slots=True)
class _Stretch:
    """Consecutive samples of one item."""

    item_id: str
    begins: int
    """Where they lie in the item."""
    samples: Samples


@dataclass(frozen=True, slots=True)
class _Given:
    """Samples of one item that the speaker has been given."""

    item_id: str
    begins: int
    """Where they lie in the item."""
    at: int
    """Where they lie on the speaker's clock, which counts silence as well."""
    count: int


class PlaybackQueue:
    """Speech of answers, from whoever writes it to the speaker's thread; 24 kHz mono.

    Args:
        max_waiting: Samples that may wait.
    """

    def __init__(self, max_waiting: int = MAX_WAITING_S * OUTPUT_RATE_HZ) -> None:
        self._lock = threading.Lock()
        self._max_waiting = max_waiting
        self._waiting: deque[_Stretch] = deque()
        self._waiting_samples = 0
        self._ends: dict[str, int] = {}
        """How much of each item has been put in, of those that are not played to their end."""
        self._given: deque[_Given] = deque()
        self._clock = 0
        self._sounding = 0

    @property
    def idle(self) -> bool:
        """Whether all that was put in has been heard, as far as was asked with `heard`."""
        return not self._waiting and not self._given

    def put(self, item_id: str, samples: Samples) -> int:
        """Add speech behind all that waits.

        Returns:
            How many samples were dropped because too much waits.
        """
        with self._lock:
            kept = samples[: max(0, self._max_waiting - self._waiting_samples)]
            begins = self._ends.get(item_id, 0)
            if kept.size:
                self._waiting.append(_Stretch(item_id, begins, kept))
                self._waiting_samples += kept.size
                self._ends[item_id] = begins + kept.size
            return samples.size - kept.size

    def take(self, count: int) -> tuple[Samples, int]:
        """Give the speaker its next samples, silence where there is no speech; called from its thread.

        Args:
            count: How many.

        Returns:
            The samples, and how many of them, from the first, are speech.
        """
        block = np.zeros(count, np.int16)
        with self._lock:
            filled = 0
            while filled < count and self._waiting:
                first = self._waiting[0]
                part = first.samples[: count - filled]
                block[filled : filled + part.size] = part
                self._given.append(_Given(first.item_id, first.begins, self._clock + filled, part.size))
                filled += part.size
                self._waiting_samples -= part.size
                if part.size == first.samples.size:
                    self._waiting.popleft()
                else:
                    first.samples = first.samples[part.size :]
                    first.begins += part.size
            self._clock += count
        return block, filled

    def heard(self, latency_s: float) -> list[PlaybackPosition]:
        """How much has been heard of the items that are being played.

        Args:
            latency_s: From the moment that the speaker is given a sample until it sounds.

        Returns:
            Their positions, in order; of an item that has been heard to its end, once.
        """
        positions: dict[str, int] = {}
        with self._lock:
            # A latency that is told anew may be longer, but nothing that was heard becomes unheard.
            sounding = max(self._sounding, self._clock - round(latency_s * OUTPUT_RATE_HZ))
            self._sounding = sounding
            while self._given and self._given[0].at < sounding:
                first = self._given[0]
                positions[first.item_id] = first.begins + min(first.count, sounding - first.at)
                if first.at + first.count > sounding:
                    break
                self._given.popleft()
            self._forget_what_ended()
        return [PlaybackPosition(item_id, _ms(end)) for item_id, end in positions.items()]

    def flush(self) -> list[PlaybackPosition]:
        """Drop what waits.

        Returns:
            How much will have been heard of each item that had not been heard to its end: all that the
            speaker was given, for it cannot be taken back.
        """
        with self._lock:
            unheard = [given.item_id for given in self._given] + [one.item_id for one in self._waiting]
            ends = {item_id: self._ends[item_id] for item_id in unheard}
            for one in reversed(self._waiting):
                ends[one.item_id] = one.begins
            self._waiting.clear()
            self._waiting_samples = 0
            self._ends |= ends
            self._forget_what_ended()
        return [PlaybackPosition(item_id, _ms(end)) for item_id, end in ends.items()]

    def _forget_what_ended(self) -> None:
        if len(self._ends) > 1:
            # The newest stays, whether it has ended or not: more of it may come.
            here = {given.item_id for given in self._given} | {one.item_id for one in self._waiting}
            here.add(next(reversed(self._ends)))
            self._ends = {item_id: end for item_id, end in self._ends.items() if item_id in here}


def _ms(samples: int) -> float:
    return samples * 1000 / OUTPUT_RATE_HZ
