"""How loud it is, for a meter."""

from __future__ import annotations

from typing import Final

import numpy as np

from hearsight.streams.events import Samples

SILENCE_DB: Final = -60.0
"""The lowest level that is shown; dBFS."""
FALL_DB_PER_S: Final = 40.0
"""A meter rises at once and falls at this rate, so that an eye can follow it."""


class LevelMeter:
    """The level of one stream of audio.

    Attributes:
        level_db: In dBFS: 0 is as loud as can be written down.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self.level_db = SILENCE_DB

    def feed(self, samples: Samples) -> None:
        """Take the next audio."""
        if not samples.size:
            return
        power = float(np.mean(np.square(samples.astype(np.float32) / 32_768)))
        now_db = 10 * np.log10(power) if power > 0 else SILENCE_DB
        fallen_db = self.level_db - FALL_DB_PER_S * samples.size / self._rate_hz
        self.level_db = float(max(SILENCE_DB, now_db, fallen_db))
