"""Turns with a hesitation in mid-sentence: human recordings and spoken requests, paused between two words.

Nothing is drawn anew from run to run: the same words are paused at the same places.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray
from report import ROOT
from voices import (
    Recording,
    levelled,
    librivox_recordings,
    read_by_flite,
    read_by_pico,
    short_human_recordings,
)

from hearsight.agent.voice.hibari import HibariVoice
from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ, Samples

sys.path.insert(0, str(ROOT / "tests" / "data"))
from spoken_requests import DEV, load  # noqa: E402

PAUSES_S = (0.0, 0.3, 0.5, 0.7, 1.0)
"""Every place is tried with each of them; 0 is the same speech without a hesitation."""
REQUESTS = 24
REQUEST_WORDS = range(6, 15)
PLACES = 6
"""At most, in one human recording."""
WORDS_BEFORE = 2
"""Nobody is asked whether they are done after less."""
LEAD_S, TAIL_S = 0.4, 2.6
"""Quiet before the speech, and after it: longer than any rule waits."""
FADE_MS = 8
"""At a cut, so that it does not click."""
MICROPHONE_NOISE = 4.0
"""Root mean square, of 32,768: no model should meet digital zeros."""
_WINDOW = INPUT_RATE_HZ // 100
"""10 ms."""
_FLOOR = 0.01
"""Sound is what exceeds this share of the loudest window (-40 dB)."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Something said, in two parts: before the hesitation and after it."""

    words: str
    """With ``…`` where the hesitation comes."""
    before: Samples
    """16 kHz, like ``after``."""
    after: Samples


@dataclass(frozen=True, slots=True)
class Take:
    """One turn as a microphone hears it, quiet before and after."""

    words: str
    pause_s: float
    samples: Samples
    """16 kHz."""


def pause(phrase: Phrase, pause_s: float) -> Take:
    """Speak a phrase with a hesitation of this length, in the noise of its own recording."""
    rng = np.random.default_rng(0)
    level = noise_level(np.concatenate((phrase.before, phrase.after)))

    def quiet(duration_s: float) -> Samples:
        return np.rint(rng.standard_normal(round(duration_s * INPUT_RATE_HZ)) * level).astype(np.int16)

    if not pause_s:
        return Take(
            phrase.words, 0.0, np.concatenate((quiet(LEAD_S), phrase.before, phrase.after, quiet(TAIL_S)))
        )
    before, after = _faded(phrase.before, at_end=True), _faded(phrase.after, at_end=False)
    parts = (quiet(LEAD_S), before, quiet(pause_s), after, quiet(TAIL_S))
    return Take(phrase.words, pause_s, np.concatenate(parts))


def _faded(samples: Samples, *, at_end: bool) -> Samples:
    length = min(FADE_MS * INPUT_RATE_HZ // 1000, samples.size)
    ramp = np.ones(samples.size)
    edge = slice(samples.size - length, None) if at_end else slice(0, length)
    ramp[edge] = np.linspace(1.0, 0.0, length) if at_end else np.linspace(0.0, 1.0, length)
    return np.rint(samples * ramp).astype(np.int16)


def noise_level(samples: Samples) -> float:
    """Root mean square of the noise between the words, as far as there is a between.

    That of the quietest 10 ms; but at least a microphone's own, and at most 40 dB below the whole, for where
    nobody pauses the quietest moment is still speech.
    """
    whole = float(np.sqrt(np.mean(np.square(samples.astype(np.float64)))))
    return max(MICROPHONE_NOISE, min(float(_loudness(samples).min()), _FLOOR * whole))


def _loudness(samples: Samples) -> NDArray[np.float64]:
    windows = samples[: samples.size - samples.size % _WINDOW].astype(np.float64).reshape(-1, _WINDOW)
    loudness: NDArray[np.float64] = np.sqrt(np.mean(np.square(windows), axis=1))
    return loudness


def quietest(samples: Samples, at: int, within_ms: int) -> int:
    """The middle of the quietest 10 ms at most ``within_ms`` from ``at``: where a cut is heard least."""
    reach = within_ms * INPUT_RATE_HZ // 1000
    starts = range(max(at - reach, 0), min(at + reach, samples.size - _WINDOW) + 1, _WINDOW // 4)
    if not starts:
        return at
    squares = np.square(samples.astype(np.float64))
    return min(starts, key=lambda start: float(squares[start : start + _WINDOW].sum())) + _WINDOW // 2


def trimmed(samples: Samples) -> Samples:
    """Without the silence that a synthesiser puts around what it says."""
    loudness = _loudness(samples)
    loud = np.flatnonzero(loudness > _FLOOR * loudness.max(initial=0.0))
    return samples[loud[0] * _WINDOW : (loud[-1] + 1) * _WINDOW] if loud.size else samples[:0]


def spread(places: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of the places, evenly spread."""
    if len(places) <= count:
        return list(places)
    return [places[index * len(places) // count] for index in range(count)]


def human_phrases(whisper: Path, limit: int) -> list[Phrase]:
    """The human recordings, each once for every place at which it is paused.

    Args:
        whisper: Folder of the model that says where the words are.
        limit: Recordings.
    """
    recordings, seen = [], set()
    for recording in librivox_recordings() + short_human_recordings():
        # Some of the tests' recordings are of Debian's set.
        if (key := recording.samples.tobytes()) not in seen:
            seen.add(key)
            recordings.append(recording)
    model = WhisperModel(str(whisper), device="cpu", compute_type="int8", cpu_threads=1)
    phrases = []
    for recording in recordings[:limit]:
        segments, _ = model.transcribe(
            recording.samples.astype(np.float32) / 32_768, language="en", word_timestamps=True
        )
        words = [word for segment in segments for word in segment.words or ()]
        # What does not begin with a space is the second half of a word.
        places = [at for at in range(WORDS_BEFORE, len(words)) if words[at].word.startswith(" ")]
        for index in spread(places, PLACES):
            between_s = (words[index - 1].end + words[index].start) / 2
            at = quietest(recording.samples, round(between_s * INPUT_RATE_HZ), within_ms=80)
            text = _with_dots([word.word.strip() for word in words], index)
            phrases.append(Phrase(text, recording.samples[:at], recording.samples[at:]))
    return phrases


def _with_dots(words: Sequence[str], index: int) -> str:
    return f"{' '.join(words[:index])} … {' '.join(words[index:])}"


async def request_phrases(limit: int) -> dict[str, list[Phrase]]:
    """Requests of the development set by voice: hibari, and pico and flite where they are installed.

    Each voice is paused at places of its own.
    """
    texts = [request.text for request in load(DEV) if len(request.text.split()) in REQUEST_WORDS]
    chosen = [texts[index] for index in spread(range(len(texts)), REQUESTS)][:limit]
    phrases = {"hibari": await _cut_hibari(_places(chosen, seed=1))}
    if shutil.which("pico2wave"):
        phrases["pico"] = await asyncio.to_thread(_read_halves, read_by_pico, _places(chosen, seed=2))
    if shutil.which("flite"):
        phrases["flite slt"] = await asyncio.to_thread(_read_halves, read_by_flite, _places(chosen, seed=3))
    return phrases


def _places(texts: Sequence[str], seed: int) -> dict[str, int]:
    """For each text the number of words before its hesitation."""
    rng = np.random.default_rng(seed)
    return {text: int(rng.integers(WORDS_BEFORE, len(text.split()))) for text in texts}


async def _cut_hibari(places: Mapping[str, int]) -> list[Phrase]:
    """One synthesis cut between two words, so that its melody goes on."""
    voice = HibariVoice()
    try:
        phrases = []
        for text, index in places.items():
            chunk = await voice.synthesize(text, speed=1.0)
            samples = levelled(chunk.samples, OUTPUT_RATE_HZ)
            between_ms = (chunk.words[index - 1].end_ms + chunk.words[index].start_ms) / 2
            at = quietest(samples, round(between_ms * INPUT_RATE_HZ / 1000), within_ms=40)
            phrases.append(Phrase(_with_dots(text.split(), index), samples[:at], trimmed(samples[at:])))
        return phrases
    finally:
        await voice.aclose()


def _read_halves(read: Callable[[Sequence[str]], list[Recording]], places: Mapping[str, int]) -> list[Phrase]:
    """Two syntheses, the first with a comma at its end, which these voices raise or hold their tone for."""
    phrases = []
    for text, index in places.items():
        words = text.split()
        first = " ".join(words[:index]).rstrip(",;:.!?") + ","
        before, after = read([first, " ".join(words[index:])])
        phrases.append(Phrase(_with_dots(words, index), trimmed(before.samples), trimmed(after.samples)))
    return phrases
