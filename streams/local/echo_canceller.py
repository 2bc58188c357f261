"""Takes out of the microphone what the speaker plays: WebRTC's echo canceller (AEC3), 10 ms at a time.

The canceller wants a frame of the speaker for each frame of the microphone, and that one stays as late
against the other as it was: each shift has to be learned anew, and until then the echo is heard. But the two
come from two devices, in blocks that are early or late by some hundredths of a second on a busy machine. So
what was played waits in a line; a frame that is not there in time is taken as silence, and left out when it
comes. Only a lasting change, for clocks differ, moves the line.
"""

from __future__ import annotations

import statistics
from collections import deque
from typing import Final

import numpy as np
from pywebrtc_audio import EchoCanceller as Aec3

from hearsight.streams.audio.resample import StreamResampler
from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ, Samples

FRAME: Final = INPUT_RATE_HZ // 100
USUAL: Final = 4
"""Frames that wait, as a rule: 40 ms, which is less than any speaker and microphone take together."""
TOLERATED: Final = 3
"""Frames by which the line may be longer or shorter, lastingly, before it is moved."""
WATCHED: Final = 200
"""Frames of the microphone after which the line is judged: 2 s."""
WATCHED_AT_FIRST: Final = 50
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
        self._missed = 0
        """Frames that were not there in time, and are left out when they come."""
        self._lengths: list[int] = []
        self._watched = WATCHED_AT_FIRST
        self._played.extend([_SILENCE] * USUAL)

    def play(self, samples: Samples, latency_s: float) -> None:
        """Take what the speaker was given, silence included.

        Args:
            samples: 24 kHz.
            latency_s: Until it sounds.
        """
        self._far = np.concatenate([self._far, self._resampler.process(samples)])
        self._latency_s[0] = latency_s
        while self._far.size >= FRAME:
            if self._missed:
                self._missed -= 1
            else:
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
        self._lengths.append(len(self._played) - self._missed)
        if len(self._lengths) == self._watched:
            length = statistics.median_low(self._lengths)
            if abs(length - USUAL) > TOLERATED:
                self._move(USUAL - length)
            self._lengths.clear()
            self._watched = WATCHED
        if self._played:
            return self._played.popleft()
        self._missed = min(self._missed + 1, MAX_WAITING)
        return _SILENCE

    def _move(self, frames: int) -> None:
        """Let what was played wait for so many frames more, or less."""
        for _ in range(frames):
            if self._missed:
                self._missed -= 1
            else:
                self._played.appendleft(_SILENCE)
        for _ in range(-frames):
            if self._played:
                self._played.popleft()
            else:
                self._missed += 1
