from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsight.streams.audio.resample import StreamResampler
from hearsight.streams.events import Samples

RATES_HZ = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000, 192_000]


def tone(frequency_hz: float, rate_hz: int, duration_s: float = 1.0) -> Samples:
    time_s = np.arange(round(rate_hz * duration_s)) / rate_hz
    return (10_000 * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.int16)


def in_chunks(samples: Samples, size: int) -> list[Samples]:
    return [samples[at : at + size] for at in range(0, len(samples), size)]


def resample(samples: Samples, in_hz: int, out_hz: int, chunk_ms: int = 20) -> Samples:
    resampler = StreamResampler(in_hz, out_hz)
    out = [resampler.process(chunk) for chunk in in_chunks(samples, in_hz * chunk_ms // 1000)]
    return np.concatenate([*out, resampler.flush()])


def level_db(samples: Samples, frequency_hz: int, rate_hz: int) -> float:
    """Level of a frequency against the test tone, from the middle half of the samples."""
    middle = samples[len(samples) // 4 : len(samples) * 3 // 4].astype(float)
    window = np.hanning(len(middle))
    phase = np.exp(-2j * np.pi * frequency_hz * np.arange(len(middle)) / rate_hz)
    amplitude = 2 * np.abs((middle * window * phase).sum()) / window.sum()
    return float(20 * np.log10(amplitude / 10_000 + 1e-9))


def test_equal_rates_pass_through_untouched() -> None:
    samples = tone(440, 16_000)
    resampler = StreamResampler(16_000, 16_000)
    assert resampler.process(samples) is samples
    assert len(resampler.flush()) == 0


@pytest.mark.parametrize("in_hz", RATES_HZ)
def test_a_second_stays_a_second(in_hz: int) -> None:
    assert len(resample(tone(440, in_hz), in_hz, 16_000)) == pytest.approx(16_000, abs=1)


@pytest.mark.parametrize("in_hz", [rate for rate in RATES_HZ if rate != 16_000])
def test_speech_frequencies_pass_unchanged(in_hz: int) -> None:
    for frequency_hz in (200, 1_000, 3_000):
        out = resample(tone(frequency_hz, in_hz, 2), in_hz, 16_000)
        assert level_db(out, frequency_hz, 16_000) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize("in_hz", [24_000, 44_100, 48_000])
def test_fricatives_pass_and_aliases_do_not(in_hz: int) -> None:
    assert level_db(resample(tone(7_000, in_hz, 2), in_hz, 16_000), 7_000, 16_000) > -0.5
    folded = resample(tone(10_000, in_hz, 2), in_hz, 16_000)  # would appear at 6 kHz
    assert level_db(folded, 6_000, 16_000) < -80


@pytest.mark.parametrize(("in_hz", "limit_ms"), [(8_000, 31), (24_000, 11), (44_100, 14), (48_000, 13)])
def test_lag_is_small_and_steady(in_hz: int, limit_ms: float) -> None:
    resampler = StreamResampler(in_hz, 16_000)
    chunk = np.zeros(in_hz // 50, dtype=np.int16)
    lags_ms = []
    received = 0
    for fed in range(1, 101):
        received += len(resampler.process(chunk))
        lags_ms.append(fed * 20 - received / 16)
    assert max(lags_ms) <= limit_ms
    assert max(lags_ms[10:]) - min(lags_ms[10:]) < 1


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([8_000, 24_000, 44_100]), st.lists(st.integers(0, 5_000), max_size=6))
def test_cutting_does_not_change_the_result(in_hz: int, cuts: list[int]) -> None:
    samples = tone(700, in_hz, 0.1)
    edges = [0, *sorted(min(cut, len(samples)) for cut in cuts), len(samples)]
    resampler = StreamResampler(in_hz, 16_000)
    pieces = [resampler.process(samples[a:b]) for a, b in pairwise(edges)] + [resampler.flush()]
    whole = resample(samples, in_hz, 16_000, chunk_ms=1000)
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=2)  # soxr dithers by one step


def test_a_flushed_resampler_starts_afresh() -> None:
    resampler = StreamResampler(24_000, 16_000)
    loud, quiet = tone(500, 24_000), np.zeros(24_000, dtype=np.int16)
    first = np.concatenate((resampler.process(loud), resampler.flush()))
    second = np.concatenate((resampler.process(quiet), resampler.flush()))
    assert len(first) == len(second) == 16_000
    assert np.abs(second).max() <= 1


def test_there_and_back_keeps_speech(speech: Callable[[str], Samples]) -> None:
    original = speech("ten_of_clubs")
    back = resample(resample(original, 16_000, 24_000), 24_000, 16_000)
    assert len(back) == pytest.approx(len(original), abs=1)
    assert best_correlation(back, original) > 0.98


def best_correlation(samples: Samples, reference: Samples) -> float:
    """Likeness of two waves, whichever shift of up to half a millisecond suits them best."""
    length = min(len(samples), len(reference)) - 16
    return max(
        float(np.corrcoef(samples[shift : shift + length], reference[8 : 8 + length])[0, 1])
        for shift in range(17)
    )
