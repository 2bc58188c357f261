"""The utterances of one session on their way to text: written down in parts while they are being spoken.

Speech to text takes a quarter of a second for up to nine seconds of speech, and more for more. So that a long
utterance costs no more than a short one once it is over, what lies before a pause is written down in the
meantime, and only the rest is left to do at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hearsight.agent.models.base import Transcription
from hearsight.agent.models.embedded.speech_to_text import Transcript
from hearsight.streams.errors import EngineError
from hearsight.streams.events import INPUT_RATE_HZ, Samples

PART_S = 9
"""Speech that is worth writing down by itself: as much as fits the shortest window of speech to text."""
LOOK_BACK_S = 3
"""How far back from the newest sample a pause is looked for."""
PAUSE_MS = 300
"""Silence of this length lies between clauses, not between the parts of a word."""
QUIET = 0.15
"""A pause is quieter than this share of the part's loudness."""
MAX_HELD_S = 600
"""Speech held that is not written down yet, all utterances together; beyond it, the oldest go."""

_PAUSE = INPUT_RATE_HZ * PAUSE_MS // 1000
_STEP = INPUT_RATE_HZ // 100


class Ear(Protocol):
    """Writes speech down; `SpeechToText` does."""

    @property
    def idle(self) -> bool:
        """Whether nothing is being written down."""
        ...

    def transcribe(self, samples: Samples) -> Awaitable[Transcript]:
        """Write down what was said, from int16 samples at 16 kHz."""
        ...


@dataclass(slots=True)
class Utterance:
    """What was heard of one item: parts that are finished, and the rest."""

    parts: list[asyncio.Task[Transcript]] = field(default_factory=list)
    rest: list[Samples] = field(default_factory=list)
    rest_samples: int = 0
    looked_at: int = 0
    """Samples of the rest in which no pause was found."""
    total: int = 0


class Hearing:
    """Takes audio as it comes and gives the text when it is asked for."""

    def __init__(self, ear: Ear) -> None:
        self._ear = ear
        self._utterances: dict[str, Utterance] = {}
        self._held = 0

    def hear(self, item_id: str, samples: Samples) -> None:
        """More of an utterance, 16 kHz."""
        utterance = self._utterances.setdefault(item_id, Utterance())
        utterance.rest.append(samples)
        utterance.rest_samples += samples.size
        utterance.total += samples.size
        # Looked at every half second: a pause is not missed, and a frame costs nothing.
        if utterance.rest_samples - utterance.looked_at >= INPUT_RATE_HZ // 2:
            utterance.looked_at = utterance.rest_samples
            if utterance.rest_samples >= PART_S * INPUT_RATE_HZ:
                self._cut_at_pause(utterance)
        self._held += samples.size
        while self._held > MAX_HELD_S * INPUT_RATE_HZ and len(self._utterances) > 1:
            self.forget(next(other for other in self._utterances if other != item_id))

    async def transcribe(self, item_id: str) -> Transcription:
        """What was said in what was heard so far.

        Raises:
            EngineError: Nothing was heard under this id, or speech to text failed.
        """
        utterance = self._utterances.get(item_id)
        if utterance is None:
            raise EngineError("The audio of this message is no longer held, so it cannot be written down.")
        samples = utterance.total
        if utterance.rest_samples >= PART_S * INPUT_RATE_HZ:
            # Asked for at a pause: should the user go on, this much is done.
            self._finish_part(utterance, utterance.rest_samples)
        parts = list(utterance.parts)
        texts = [(await asyncio.shield(part)).text for part in parts]
        if utterance.rest_samples:
            texts.append((await self._ear.transcribe(_joined(utterance.rest))).text)
        return Transcription(" ".join(text for text in texts if text), samples / INPUT_RATE_HZ)

    async def overhear(self, item_id: str) -> str | None:
        """What was said so far in an utterance that goes on; None while the ear is wanted elsewhere.

        Raises:
            EngineError: Speech to text failed.
        """
        utterance = self._utterances.get(item_id)
        if utterance is None or not self._ear.idle or not all(part.done() for part in utterance.parts):
            return None
        texts = [(await part).text for part in utterance.parts]
        if 0 < utterance.rest_samples < PART_S * INPUT_RATE_HZ:
            texts.append((await self._ear.transcribe(_joined(utterance.rest))).text)
        return " ".join(text for text in texts if text)

    def forget(self, item_id: str) -> None:
        """Drop an utterance."""
        utterance = self._utterances.pop(item_id, None)
        if utterance is not None:
            self._held -= utterance.rest_samples
            for part in utterance.parts:
                part.cancel()

    async def aclose(self) -> None:
        """Drop everything; no task remains."""
        tasks = [part for utterance in self._utterances.values() for part in utterance.parts]
        for item_id in tuple(self._utterances):
            self.forget(item_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _cut_at_pause(self, utterance: Utterance) -> None:
        pause = find_pause(_joined(utterance.rest))
        if pause is not None:
            self._finish_part(utterance, pause)

    def _finish_part(self, utterance: Utterance, end: int) -> None:
        """Write down the rest up to ``end`` in the background."""
        rest = _joined(utterance.rest)
        part, rest = rest[:end], rest[end:]
        self._held -= part.size
        utterance.rest = [rest] if rest.size else []
        utterance.rest_samples = utterance.looked_at = rest.size
        utterance.parts.append(asyncio.ensure_future(self._write_down(part)))

    async def _write_down(self, part: Samples) -> Transcript:
        return await self._ear.transcribe(part)


def find_pause(samples: Samples) -> int | None:
    """Where the newest seconds of an utterance are silent.

    Args:
        samples: int16 at 16 kHz, shape (n,).

    Returns:
        The middle of the quietest pause as a sample position, or None when the user has not paused.
    """
    loudness = _rms(samples)
    tail_start = max(0, samples.size - LOOK_BACK_S * INPUT_RATE_HZ)
    tail = samples[tail_start:]
    if tail.size < _PAUSE or loudness == 0:
        return None
    steps = np.square(tail[: tail.size // _STEP * _STEP].astype(np.float64)).reshape(-1, _STEP).mean(axis=1)
    length = _PAUSE // _STEP
    windows = np.convolve(steps, np.ones(length) / length, mode="valid")
    quietest = int(np.argmin(windows))
    if np.sqrt(windows[quietest]) > QUIET * loudness:
        return None
    return tail_start + quietest * _STEP + _PAUSE // 2


def _joined(chunks: list[Samples]) -> Samples:
    if len(chunks) > 1:
        chunks[:] = [np.concatenate(chunks)]
    return chunks[0]


def _rms(samples: NDArray[np.int16]) -> float:
    return float(np.sqrt(np.mean(np.square(samples.astype(np.float64))))) if samples.size else 0.0
