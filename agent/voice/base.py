"""What a voice is: text goes in clause by clause, speech with the time of every word comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hearsight.streams.events import OUTPUT_RATE_HZ, Samples, WordTiming

SLOWEST_SPEED = 0.5
FASTEST_SPEED = 2.0


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """The speech of one clause.

    Attributes:
        samples: int16 mono PCM at 24 kHz, shape (n,). Empty where nothing of the clause can be spoken.
        words: Every whitespace-separated word of the clause as it was written, in order, with its place in
            ``samples``. A word that is not heard (a bullet, an emoji) has no length.
    """

    samples: Samples = field(repr=False)
    words: tuple[WordTiming, ...]

    @property
    def duration_ms(self) -> float:
        """Length of the audio."""
        return samples_to_ms(len(self.samples))


class Voice(Protocol):
    """A speech synthesiser. One serves all sessions of a process."""

    @property
    def name(self) -> str:
        """What a client calls this voice."""
        ...

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the samples of every chunk: 24 kHz."""
        ...

    async def synthesize(self, clause: str, *, speed: float) -> SpeechChunk:
        """Speak a clause.

        Args:
            clause: Text as the model wrote it, markup included.
            speed: 1.0 is the voice's own pace; clamped to 0.5 … 2.0.

        Raises:
            EngineError: The voice failed.
        """
        ...

    async def aclose(self) -> None:
        """Release what the voice holds; idempotent."""
        ...


def samples_to_ms(samples: int) -> float:
    """Length in milliseconds of a number of samples at 24 kHz."""
    return samples * 1000.0 / OUTPUT_RATE_HZ


def ms_to_samples(duration_ms: float) -> int:
    """Number of samples at 24 kHz nearest to a length in milliseconds."""
    return round(duration_ms * OUTPUT_RATE_HZ / 1000.0)


def clamp_speed(speed: float) -> float:
    """The nearest speed that sounds like speech."""
    return min(max(speed, SLOWEST_SPEED), FASTEST_SPEED)


def silence(duration_ms: float) -> Samples:
    """Digital silence, shape (n,)."""
    return np.zeros(ms_to_samples(duration_ms), dtype=np.int16)
