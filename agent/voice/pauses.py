"""The silence around a clause: none before it, and after it what its punctuation asks for.

A synthesiser pads each piece of audio with up to a third of a second on both sides. Left in, an answer starts
late and hesitates between clauses; cut off entirely, sentences run into each other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hearsight.agent.voice.base import SpeechChunk, ms_to_samples, samples_to_ms
from hearsight.streams.events import WordTiming

SENTENCE_PAUSE_MS = 300.0
CLAUSE_PAUSE_MS = 130.0
NO_PAUSE_MS = 25.0
LEAD_MS = 10.0
"""Kept before the first sound, faded in."""
FADE_MS = 5.0
GAIN = 1.8
"""hibari peaks near a third of full scale; raised it is as loud as recorded speech and never clips."""

_WINDOW_MS = 5.0
_FLOOR = 0.01
"""Sound is what exceeds this share of the clause's loudest window (-40 dB)."""


def shape_clause(
    audio: NDArray[np.float32], words: Sequence[WordTiming], clause: str, *, speed: float
) -> SpeechChunk:
    """Trim the silence around a clause, add the pause that follows it, and move its words along.

    Args:
        audio: Synthesised speech in -1 … 1 at 24 kHz, shape (n,).
        words: The clause's words, timed from the start of ``audio``.
        clause: The text, for its final punctuation.
        speed: Pauses shrink with the pace.
    """
    sound = _sounding(audio)
    if sound is None:
        return SpeechChunk(np.zeros(0, dtype=np.int16), tuple(WordTiming(w.text, 0.0, 0.0) for w in words))
    first, last = sound
    begin = max(first - ms_to_samples(LEAD_MS), 0)
    end = min(last + ms_to_samples(NO_PAUSE_MS), len(audio))
    kept = audio[begin:end] * GAIN
    fade = min(ms_to_samples(FADE_MS), len(kept) // 2)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    kept[:fade] *= ramp
    kept[len(kept) - fade :] *= ramp[::-1]
    pause = max(ms_to_samples(pause_after_ms(clause) / speed) - (end - last), 0)
    samples = np.concatenate([np.clip(kept, -1.0, 1.0) * 32767.0, np.zeros(pause, dtype=np.float32)])
    shift, length = samples_to_ms(begin), samples_to_ms(last - begin)
    return SpeechChunk(samples.astype(np.int16), tuple(_moved(word, shift, length) for word in words))


def pause_after_ms(clause: str) -> float:
    """Length of the pause that a clause's last punctuation asks for, at speed 1."""
    bare = clause.rstrip().rstrip("\"'”’»)]}*_`~")
    if not bare:
        return NO_PAUSE_MS
    if bare[-1] in ".!?…":
        return SENTENCE_PAUSE_MS
    return CLAUSE_PAUSE_MS if bare[-1] in ",;:—–-" else NO_PAUSE_MS


def _sounding(audio: NDArray[np.float32]) -> tuple[int, int] | None:
    """First and one past the last sample of what can be heard, or None where nothing can."""
    window = ms_to_samples(_WINDOW_MS)
    whole = len(audio) // window * window
    if not whole:
        return None
    loudness = np.sqrt(np.mean(np.square(audio[:whole].reshape(-1, window)), axis=1))
    loud = np.flatnonzero(loudness > max(_FLOOR * float(loudness.max()), 1e-5))
    return (int(loud[0]) * window, int(loud[-1] + 1) * window) if len(loud) else None


def _moved(word: WordTiming, shift_ms: float, length_ms: float) -> WordTiming:
    start = min(max(word.start_ms - shift_ms, 0.0), length_ms)
    return WordTiming(word.text, start, min(max(word.end_ms - shift_ms, start), length_ms))
