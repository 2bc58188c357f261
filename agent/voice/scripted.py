"""A voice that hums: one tone per word, exact timings, nothing to load.

For tests and demonstrations: what it says is a pure function of the text, so the audio that was played can be
mapped back to words to the sample.
"""

from __future__ import annotations

import numpy as np

from hearsight.agent.voice.base import SpeechChunk, clamp_speed, ms_to_samples, samples_to_ms
from hearsight.agent.voice.speakable import speakable
from hearsight.streams.errors import EngineError
from hearsight.streams.events import OUTPUT_RATE_HZ, Samples, WordTiming

TONE_HZ = 220.0
AMPLITUDE = 8_000


class ScriptedVoice:
    """Says every letter or digit of a word as ``ms_per_letter`` of a tone, and pauses after each word.

    Attributes:
        requests: The clauses it was asked to speak, in order.
    """

    name = "scripted"
    sample_rate_hz = OUTPUT_RATE_HZ

    def __init__(
        self, *, ms_per_letter: float = 60.0, gap_ms: float = 60.0, fails_on: str | None = None
    ) -> None:
        """Make a voice.

        Args:
            ms_per_letter: Length of a letter at speed 1.
            gap_ms: Silence after each word that is heard, at speed 1.
            fails_on: A clause holding this text raises ``EngineError``.
        """
        self.requests: list[str] = []
        self.closed = False
        self._letter_ms = ms_per_letter
        self._gap_ms = gap_ms
        self._fails_on = fails_on

    async def synthesize(self, clause: str, *, speed: float) -> SpeechChunk:
        """Hum a clause; see ``Voice.synthesize``."""
        self.requests.append(clause)
        if self._fails_on is not None and self._fails_on in clause:
            raise EngineError("The voice could not speak the answer.")
        pace = clamp_speed(speed)
        pieces: list[Samples] = [np.zeros(0, dtype=np.int16)]
        words: list[WordTiming] = []
        position = 0
        for word in speakable(clause):
            letters = sum(c.isalnum() for c in word.spoken)
            tone = self._tone(ms_to_samples(letters * self._letter_ms / pace))
            end = position + len(tone)
            words.append(WordTiming(word.text, samples_to_ms(position), samples_to_ms(end)))
            gap = np.zeros(ms_to_samples(self._gap_ms / pace) if letters else 0, dtype=np.int16)
            pieces += [tone, gap]
            position = end + len(gap)
        return SpeechChunk(np.concatenate(pieces), tuple(words))

    async def aclose(self) -> None:
        """Note that the voice was closed."""
        self.closed = True

    @staticmethod
    def _tone(length: int) -> Samples:
        phase = 2.0 * np.pi * TONE_HZ / OUTPUT_RATE_HZ * np.arange(length)
        tone: Samples = (AMPLITUDE * np.sin(phase)).astype(np.int16)
        return tone
