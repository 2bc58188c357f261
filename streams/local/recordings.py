"""A microphone made of a recording, and a speaker that nobody hears; both in real time.

They run a thread that ticks as a sound card does, so that everything behind them is the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ, Samples
from hearsight.streams.local.feed import Heard, Played, SoundFeed
from hearsight.streams.local.playback_queue import PlaybackQueue
from hearsight.streams.local.portaudio import BLOCK_S

INPUT_BLOCK: Final = round(INPUT_RATE_HZ * BLOCK_S)
OUTPUT_BLOCK: Final = round(OUTPUT_RATE_HZ * BLOCK_S)


class Ticking:
    """Calls a function every 20 ms, from a thread of its own; late calls are made up for."""

    def __init__(self, tick: Callable[[], None], name: str) -> None:
        self._tick = tick
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it; idempotent."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._stopped.wait(max(0.0, due_s - time.monotonic())):
            self._tick()
            due_s += BLOCK_S


class RecordedMicrophone:
    """Hears a recording, and silence ever after.

    Args:
        samples: 16 kHz mono.
        name: For the screen.
        feed: Where it goes.
    """

    is_real = False

    def __init__(self, samples: Samples, name: str, feed: SoundFeed) -> None:
        self.name = name
        self.ended = threading.Event()
        """Set once all of it has been heard."""
        self._samples = samples
        self._at = 0
        self._feed = feed
        self._ticking = Ticking(self._on_tick, "recorded-microphone")

    def start(self) -> None:
        """Begin at the beginning."""
        self._ticking.start()

    def stop(self) -> None:
        """End."""
        self._ticking.stop()

    def is_lost(self) -> bool:
        """Never."""
        return False

    def _on_tick(self) -> None:
        block = np.zeros(INPUT_BLOCK, np.int16)
        part = self._samples[self._at : self._at + INPUT_BLOCK]
        block[: part.size] = part
        self._at += INPUT_BLOCK
        self._feed.put(Heard(block))
        if self._at >= self._samples.size:
            self.ended.set()


class SilentSpeaker:
    """Plays to nobody, as fast as a speaker does.

    Args:
        feed: Where what it plays is told.
        queue: What it plays.
    """

    name = "none"
    is_real = False

    def __init__(self, feed: SoundFeed, queue: PlaybackQueue) -> None:
        self._feed = feed
        self._queue = queue
        self._ticking = Ticking(self._on_tick, "silent-speaker")

    def start(self) -> None:
        """Begin."""
        self._ticking.start()

    def stop(self) -> None:
        """End."""
        self._ticking.stop()

    def is_lost(self) -> bool:
        """Never."""
        return False

    def _on_tick(self) -> None:
        self._feed.put(Played(*self._queue.take(OUTPUT_BLOCK)))
