"""Utterances as clips: Gemma 3n hears at most 30 seconds at once, so longer ones are cut at a pause."""

from __future__ import annotations

from typing import Final

import numpy as np

from hearsight.agent.models.gemma3n.mel import Waveform

RATE_HZ: Final = 16_000
MAX_CLIP_SAMPLES: Final = 30 * RATE_HZ
"""What the reference processor keeps of a clip; it drops the rest without a word."""
SEARCH_SAMPLES: Final = 4 * RATE_HZ
"""A pause is looked for in so much of a clip's end."""
_WINDOW: Final = RATE_HZ // 20
"""Loudness is measured over 50 ms."""


class ClipCutter:
    """Cuts a stream of speech into clips of at most ``max_samples``.

    Samples flow through at once until a clip is nearly full. The last seconds are then held back until it is
    known where in them it is quietest: that is where the clip ends and the next one begins.

    Args:
        max_samples: The longest clip.
        search_samples: How much of its end may hold the cut.
    """

    def __init__(self, max_samples: int = MAX_CLIP_SAMPLES, search_samples: int = SEARCH_SAMPLES) -> None:
        if not _WINDOW <= search_samples < max_samples:
            raise ValueError("the search must be longer than 50 ms and shorter than the clip")
        self._free = max_samples - search_samples
        self._search = search_samples
        self._passed = 0
        """Samples of the current clip that have flowed through."""
        self._held: Waveform = np.empty(0, np.float32)

    def feed(self, samples: Waveform) -> list[tuple[Waveform, bool]]:
        """Take samples; return runs of them in order, each with whether a clip ends behind it."""
        runs: list[tuple[Waveform, bool]] = []
        self._held = np.concatenate([self._held, samples])
        while True:
            free = min(self._free - self._passed, self._held.size)
            if free > 0:
                runs.append((self._held[:free], False))
                self._passed += free
                self._held = self._held[free:]
            if self._held.size < self._search:
                return runs
            cut = quietest(self._held[: self._search])
            runs.append((self._held[:cut], True))
            self._held = self._held[cut:]
            self._passed = 0

    @property
    def held_back(self) -> Waveform:
        """The samples that belong to the last clip should the utterance end here."""
        return self._held


def quietest(samples: Waveform) -> int:
    """Where a cut does least harm: the middle of the quietest 50 ms, the latest of equals."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW)[:: _WINDOW // 2]
    energy = np.square(windows, dtype=np.float64).mean(axis=1)
    latest = energy.size - 1 - int(energy[::-1].argmin())
    middle: int = latest * (_WINDOW // 2) + _WINDOW // 2
    return middle
