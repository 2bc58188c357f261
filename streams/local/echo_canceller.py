"""Takes out of the microphone what the speaker plays: WebRTC's echo canceller (AEC3), 10 ms at a time.

The canceller wants a frame of the speaker for each frame of the microphone. The two come from two devices
with clocks of their own, in blocks that are early or late by some milliseconds. So what was played waits in
line; where the line is empty, silence is taken, and where it has not been nearly empty for a second, it is
shortened, for what waits for too long would come after its own echo.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from pywebrtc_audio import EchoCanceller as Aec3

from hearsight.streams.audio.resample import StreamResampler
from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ, Samples

FRAME: Final = INPUT_RATE_HZ // 100
MARGIN: Final = 2
"""Frames that may always wait: 20 ms, which is less than any speaker and microphone take together."""
WATCHED: Final = 100
"""Frames of the microphone after which the line is judged."""
MAX_WAITING: Final = 100
"""Frames that may wait at all, for a microphone that has stopped."""
_SILENCE: Final = np.zeros(FRAME, np.int16)


class EchoCanceller:
    """Follows one speaker and one microphone."""

    def __init__(self) -> None:
        self._aec = Aec3(INPUT_RATE_HZ, 1, 0)
        self._resampler = StreamResampler(OUTPUT_RATE_HZ, INPUT_RATE_HZ)
        self._far = np.zeros(0, np.int16)
        self._near = np.zeros(0, np.int16)
        self._played: deque[Samples] = deque(maxlen=MAX_WAITING)
        self._latency_s = [0.0, 0.0]
        self._shortest = MAX_WAITING
        self._watched = 0

    def play(self, samples: Samples, latency_s: float) -> None:
        """Take what the speaker was given, silence included.

        Args:
            samples: 24 kHz.
            latency_s: Until it sounds.
        """
        self._far = np.concatenate([self._far, self._resampler.process(samples)])
        self._latency_s[0] = latency_s
        while self._far.size >= FRAME:
            self._played.append(self._far[:FRAME])
            self._far = self._far[FRAME:]

    def hear(self, samples: Samples, latency_s: float) -> Samples:
        """Take what the microphone has heard.

        Args:
            samples: 16 kHz.
            latency_s: Since it sounded.

        Returns:
            The same without the echo, as far as frames are complete.
        """
        self._near = np.concatenate([self._near, samples])
        self._latency_s[1] = latency_s
        # A hint to begin with; the canceller finds the delay by itself and follows it.
        self._aec.stream_delay_ms = round(1000 * sum(self._latency_s))
        frames = [np.zeros(0, np.int16)]
        while self._near.size >= FRAME:
            frames.append(self._aec.process(self._near[:FRAME], self._next_played()))
            self._near = self._near[FRAME:]
        return np.concatenate(frames)

    def _next_played(self) -> Samples:
        self._shortest = min(self._shortest, len(self._played))
        self._watched += 1
        if self._watched == WATCHED:
            for _ in range(self._shortest - MARGIN):
                self._played.popleft()
            self._shortest, self._watched = MAX_WAITING, 0
        return self._played.popleft() if self._played else _SILENCE
