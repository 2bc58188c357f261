from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.models.gemma3n.clips import MAX_CLIP_SAMPLES, RATE_HZ, ClipCutter, quietest

SMALL = {"max_samples": 4000, "search_samples": 1000}


def clips_of(cutter: ClipCutter, samples: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    clips: list[list[np.ndarray]] = [[]]
    start = 0
    for size in [*sizes, samples.size]:
        for run, ends in cutter.feed(samples[start : start + size]):
            clips[-1].append(run)
            if ends:
                clips.append([])
        start += size
    clips[-1].append(cutter.held_back)
    return [np.concatenate(clip) for clip in clips]


@given(
    count=st.integers(0, 20_000), sizes=st.lists(st.integers(0, 3000), max_size=12), seed=st.integers(0, 9)
)
def test_clips_hold_every_sample_once_in_order_and_none_is_too_long(count, sizes, seed):
    samples = np.random.default_rng(seed).standard_normal(count).astype(np.float32)
    clips = clips_of(ClipCutter(**SMALL), samples, sizes)
    np.testing.assert_array_equal(np.concatenate(clips), samples)
    assert all(clip.size <= 4000 for clip in clips)
    assert all(clip.size > 3000 for clip in clips[:-1])


@given(sizes=st.lists(st.integers(0, 3000), max_size=12))
def test_the_cuts_do_not_depend_on_how_samples_arrive(sizes):
    samples = np.random.default_rng(1).standard_normal(15_000).astype(np.float32)
    whole = [clip.size for clip in clips_of(ClipCutter(**SMALL), samples, [])]
    assert [clip.size for clip in clips_of(ClipCutter(**SMALL), samples, sizes)] == whole


def test_speech_longer_than_30_s_is_cut_in_the_pause():
    samples = np.random.default_rng(0).standard_normal(40 * RATE_HZ).astype(np.float32)
    pause = slice(int(27.5 * RATE_HZ), int(27.9 * RATE_HZ))
    samples[pause] *= 0.01
    first, second = clips_of(ClipCutter(), samples, [320] * 2000)
    assert pause.start < first.size < pause.stop
    assert second.size == samples.size - first.size


def test_thirty_seconds_flow_through_but_for_the_end():
    cutter = ClipCutter()
    passed = sum(run.size for run, _ in cutter.feed(np.zeros(MAX_CLIP_SAMPLES - 1, np.float32)))
    assert passed == 26 * RATE_HZ


def test_short_speech_is_never_held_back():
    cutter = ClipCutter()
    samples = np.ones(10 * RATE_HZ, np.float32)
    assert sum(run.size for run, _ in cutter.feed(samples)) == samples.size
    assert cutter.held_back.size == 0


def test_the_quietest_place_is_found():
    samples = np.ones(16_000, np.float32)
    samples[9000:10_000] = 0
    assert 9000 < quietest(samples) < 10_000


def test_a_search_as_long_as_the_clip_is_refused():
    with pytest.raises(ValueError, match="search"):
        ClipCutter(1000, 1000)
