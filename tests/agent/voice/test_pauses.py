"""Silence around a clause: none before, after it what the punctuation asks for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hearsight.agent.voice.base import ms_to_samples
from hearsight.agent.voice.pauses import (
    CLAUSE_PAUSE_MS,
    LEAD_MS,
    NO_PAUSE_MS,
    SENTENCE_PAUSE_MS,
    pause_after_ms,
    shape_clause,
)
from hearsight.streams.events import WordTiming


def padded_tone(before_ms: float, tone_ms: float, after_ms: float) -> NDArray[np.float32]:
    """A tone between two silences."""
    tone = 0.3 * np.sin(np.arange(ms_to_samples(tone_ms)) * 0.1)
    pads = np.zeros(ms_to_samples(before_ms)), np.zeros(ms_to_samples(after_ms))
    return np.concatenate([pads[0], tone, pads[1]]).astype(np.float32)


@pytest.mark.parametrize(
    ("clause", "pause_ms"),
    [
        ("Done.", SENTENCE_PAUSE_MS),
        ('"Really?" ', SENTENCE_PAUSE_MS),
        ("**Done!**", SENTENCE_PAUSE_MS),
        ("Well,", CLAUSE_PAUSE_MS),
        ("First —", CLAUSE_PAUSE_MS),
        ("cut off", NO_PAUSE_MS),
        ("", NO_PAUSE_MS),
    ],
)
def test_punctuation_asks_for_a_pause(clause: str, pause_ms: float) -> None:
    assert pause_after_ms(clause) == pause_ms


@pytest.mark.parametrize("after_ms", [0.0, 40.0, 900.0])
@pytest.mark.parametrize("speed", [1.0, 2.0])
def test_the_pause_does_not_depend_on_the_padding(after_ms: float, speed: float) -> None:
    chunk = shape_clause(padded_tone(300.0, 500.0, after_ms), [], "Done.", speed=speed)
    assert chunk.duration_ms == pytest.approx(LEAD_MS + 500.0 + SENTENCE_PAUSE_MS / speed, abs=6.0)


def test_words_move_with_the_audio() -> None:
    words = [WordTiming("one", 290.0, 500.0), WordTiming("two.", 500.0, 900.0)]
    chunk = shape_clause(padded_tone(300.0, 500.0, 300.0), words, "one two.", speed=1.0)
    one, two = chunk.words
    assert (one.start_ms, one.end_ms) == pytest.approx((0.0, 210.0), abs=6.0)
    assert (two.start_ms, two.end_ms) == pytest.approx((210.0, 510.0), abs=6.0)


def test_the_edges_do_not_click() -> None:
    chunk = shape_clause(padded_tone(0.0, 500.0, 0.0), [], "on", speed=1.0)
    assert abs(int(chunk.samples[0])) < 10
    assert np.abs(chunk.samples).max() > 10_000


@pytest.mark.parametrize(
    "audio", [np.zeros(0, np.float32), np.zeros(24_000, np.float32), np.ones(3, np.float32)]
)
def test_nothing_to_hear(audio: NDArray[np.float32]) -> None:
    chunk = shape_clause(audio, [WordTiming("…", 10.0, 20.0)], "…", speed=1.0)
    assert len(chunk.samples) == 0
    assert chunk.words == (WordTiming("…", 0.0, 0.0),)


def test_a_loud_clause_does_not_wrap_around() -> None:
    audio = np.full(2400, 0.99, dtype=np.float32)
    assert shape_clause(audio, [], "ah", speed=1.0).samples.min() >= 0
