"""A meter rises at once, falls slowly, and stays within its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.local.levels import SILENCE_DB, LevelMeter


def tone(amplitude: float, samples: int = 1_600) -> np.ndarray:
    return (amplitude * np.sin(np.arange(samples) * 0.3)).astype(np.int16)


def test_silence_is_the_lowest_level():
    meter = LevelMeter(16_000)
    meter.feed(np.zeros(320, np.int16))
    meter.feed(np.zeros(0, np.int16))
    assert meter.level_db == SILENCE_DB


def test_a_loud_tone_is_near_full_scale():
    meter = LevelMeter(16_000)
    meter.feed(tone(32_767))
    assert meter.level_db == pytest.approx(-3.0, abs=0.1)


def test_it_falls_by_time_and_not_by_blocks():
    meters = LevelMeter(16_000), LevelMeter(16_000)
    for meter, cuts in zip(meters, (1, 4), strict=True):
        meter.feed(tone(20_000))
        for _ in range(cuts):
            meter.feed(np.zeros(3_200 // cuts, np.int16))
    assert meters[0].level_db == pytest.approx(meters[1].level_db)
    assert -20 < meters[0].level_db < -12


@given(st.lists(st.integers(-32_768, 32_767), max_size=200))
def test_it_keeps_its_bounds(values):
    meter = LevelMeter(24_000)
    meter.feed(np.array(values, np.int16))
    assert SILENCE_DB <= meter.level_db <= 0.1
