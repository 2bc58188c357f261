"""Turns with a pause put into them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

import hesitations  # noqa: E402

from hearsight.streams.events import INPUT_RATE_HZ, Samples  # noqa: E402

MS = INPUT_RATE_HZ // 1000


def tone(duration_ms: int, amplitude: int = 8_000) -> Samples:
    times = np.arange(duration_ms * MS) / INPUT_RATE_HZ
    return np.rint(amplitude * np.sin(2 * np.pi * 200 * times)).astype(np.int16)


def zeros(duration_ms: int) -> Samples:
    return np.zeros(duration_ms * MS, dtype=np.int16)


def loud(samples: Samples) -> tuple[int, int]:
    """First and last sample louder than any noise."""
    found = np.flatnonzero(np.abs(samples.astype(int)) > 1_000)
    return int(found[0]), int(found[-1])


PHRASE = hesitations.Phrase("one … two", tone(300), tone(500))


@pytest.mark.parametrize("pause_s", [0.3, 1.0])
def test_a_pause_is_as_long_as_asked_for_and_quiet(pause_s: float) -> None:
    take = hesitations.pause(PHRASE, pause_s)
    lead = round(hesitations.LEAD_S * INPUT_RATE_HZ)
    pause = take.samples[lead + 300 * MS :][: round(pause_s * INPUT_RATE_HZ)]
    assert np.abs(pause.astype(int)).max() < 1_000
    spoken = round((0.8 + pause_s + hesitations.LEAD_S + hesitations.TAIL_S) * INPUT_RATE_HZ)
    assert take.samples.size == spoken
    first, last = loud(take.samples)
    assert first - lead < 5 * MS
    assert take.samples.size - last - hesitations.TAIL_S * INPUT_RATE_HZ < 10 * MS


def test_no_pause_leaves_the_speech_as_it_was() -> None:
    take = hesitations.pause(PHRASE, 0.0)
    lead = round(hesitations.LEAD_S * INPUT_RATE_HZ)
    np.testing.assert_array_equal(take.samples[lead:][: 300 * MS], PHRASE.before)
    np.testing.assert_array_equal(take.samples[lead + 300 * MS :][: 500 * MS], PHRASE.after)


def test_a_cut_does_not_click() -> None:
    constant = np.full(300 * MS, 8_000, dtype=np.int16)
    take = hesitations.pause(hesitations.Phrase("one … two", constant, constant), 0.5)
    steps = np.abs(np.diff(take.samples.astype(int)))
    lead = round(hesitations.LEAD_S * INPUT_RATE_HZ)
    inside = steps[lead + 10 : lead + 1_100 * MS - 10]
    assert inside.max() < 500


def test_the_same_turn_sounds_the_same() -> None:
    np.testing.assert_array_equal(
        hesitations.pause(PHRASE, 0.5).samples, hesitations.pause(PHRASE, 0.5).samples
    )


def test_noise_is_a_microphones_at_least_and_forty_decibels_down_at_most() -> None:
    assert hesitations.noise_level(np.concatenate((tone(300), zeros(50)))) == hesitations.MICROPHONE_NOISE
    rms = 8_000 / np.sqrt(2)
    assert hesitations.noise_level(tone(300)) == pytest.approx(rms / 100, rel=0.01)
    room = np.full(50 * MS, 20, dtype=np.int16)
    assert hesitations.noise_level(np.concatenate((tone(300), room))) == pytest.approx(20)


def test_cuts_go_to_the_quietest_moment_nearby() -> None:
    samples = np.concatenate((tone(200), zeros(20), tone(200)))
    assert abs(hesitations.quietest(samples, 180 * MS, within_ms=80) - 210 * MS) <= 10 * MS
    far = hesitations.quietest(samples, 50 * MS, within_ms=40)
    assert abs(far - 50 * MS) <= 50 * MS
    assert hesitations.quietest(samples[:10], 5, within_ms=80) == 5


def test_silence_around_speech_is_trimmed() -> None:
    trimmed = hesitations.trimmed(np.concatenate((zeros(100), tone(200), zeros(300))))
    assert trimmed.size == 200 * MS
    assert hesitations.trimmed(zeros(100)).size == 0
    assert hesitations.trimmed(zeros(0)).size == 0


def test_places_are_spread_and_none_is_made_up() -> None:
    assert hesitations.spread(range(2, 5), 6) == [2, 3, 4]
    spread = hesitations.spread(range(2, 22), 6)
    assert len(set(spread)) == 6
    assert spread[0] == 2
    assert spread[-1] > 15
