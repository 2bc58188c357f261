"""Encodes an answer's speech as the client asked for it."""

from __future__ import annotations

import base64
from typing import Final

from hearsight.streams.audio.formats import AudioCodec
from hearsight.streams.audio.resample import StreamResampler
from hearsight.streams.events import OUTPUT_RATE_HZ, AudioFormat, Samples

PIECE_MS: Final = 200
"""Audio per message. A clause sent whole, seconds long, could not sound
before a slow line has carried all of it."""


class SpeechEncoder:
    """Resamples and encodes one item after another, each as one stream without seams.

    Args:
        audio_format: What the client wants; the input is always int16 at 24 kHz.
    """

    def __init__(self, audio_format: AudioFormat) -> None:
        self.audio_format: Final = audio_format
        self._codec = AudioCodec(audio_format)
        self._piece = audio_format.rate_hz * PIECE_MS // 1000
        self._resampler = StreamResampler(OUTPUT_RATE_HZ, audio_format.rate_hz)
        self._item_id: str | None = None

    def encode(self, item_id: str, samples: Samples) -> list[str]:
        """Return more speech of an item as base64 pieces of at most ``PIECE_MS``."""
        if item_id != self._item_id:
            # An item that broke off leaves its tail behind, which must not sound inside the next one.
            self._resampler.flush()
            self._item_id = item_id
        return self._pieces(self._resampler.process(samples))

    def finish(self, item_id: str) -> list[str]:
        """Return what the resampler still holds of an item that is complete."""
        if item_id != self._item_id:
            return []
        self._item_id = None
        return self._pieces(self._resampler.flush())

    def _pieces(self, samples: Samples) -> list[str]:
        return [
            base64.b64encode(self._codec.encode(samples[start : start + self._piece])).decode("ascii")
            for start in range(0, len(samples), self._piece)
        ]
