from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hearsight.streams.audio.buffer import SampleBuffer, ms_to_samples, samples_to_ms
from hearsight.streams.events import Samples

CAPACITY = 37


def counting(start: int, length: int) -> Samples:
    """Samples that each hold their own position, so that a test sees where they came from."""
    return np.arange(start, start + length).astype(np.int16)


class BufferAgainstList(RuleBasedStateMachine):
    """The buffer does what a plain list of everything ever appended would say."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = SampleBuffer(CAPACITY)
        self.everything: list[int] = []
        self.start = 0

    @rule(length=st.integers(0, 3 * CAPACITY))
    def append(self, length: int) -> None:
        dropped = self.buffer.append(counting(len(self.everything), length))
        self.everything += range(len(self.everything), len(self.everything) + length)
        start = max(self.start, len(self.everything) - CAPACITY)
        assert dropped == start - self.start
        self.start = start

    @rule(back=st.integers(-5, 2 * CAPACITY))
    def discard(self, back: int) -> None:
        position = len(self.everything) - back
        start = min(max(position, self.start), len(self.everything))
        assert self.buffer.discard_before(position) == start - self.start
        self.start = start

    @rule(back=st.integers(-5, 2 * CAPACITY), length=st.integers(-5, 2 * CAPACITY))
    def slice(self, back: int, length: int) -> None:
        start = len(self.everything) - back
        end = start + length
        expected = self.everything[max(start, self.start) : max(end, 0)]
        assert self.buffer.slice(start, end).tolist() == expected

    @invariant()
    def is_bounded_and_knows_its_ends(self) -> None:
        assert (self.buffer.start, self.buffer.end) == (self.start, len(self.everything))
        assert len(self.buffer) == self.buffer.end - self.buffer.start <= CAPACITY


TestBufferAgainstList = BufferAgainstList.TestCase


def test_keeps_the_newest_and_counts_the_rest() -> None:
    buffer = SampleBuffer(4)
    assert buffer.append(counting(0, 3)) == 0
    assert buffer.append(counting(3, 3)) == 2
    assert (buffer.start, buffer.end, len(buffer)) == (2, 6, 4)
    assert buffer.slice(0, 100).tolist() == [2, 3, 4, 5]


def test_more_than_it_holds_at_once_leaves_its_end() -> None:
    buffer = SampleBuffer(4)
    buffer.append(counting(0, 2))
    assert buffer.append(counting(2, 10)) == 8
    assert buffer.slice(8, 12).tolist() == [8, 9, 10, 11]


def test_a_slice_is_not_changed_by_later_samples() -> None:
    buffer = SampleBuffer(4)
    buffer.append(counting(0, 4))
    before = buffer.slice(0, 4)
    buffer.append(counting(4, 4))
    assert before.tolist() == [0, 1, 2, 3]


def test_discarded_room_is_free_again() -> None:
    buffer = SampleBuffer(4)
    buffer.append(counting(0, 4))
    assert buffer.discard_before(3) == 3
    assert buffer.append(counting(4, 3)) == 0
    assert buffer.slice(3, 7).tolist() == [3, 4, 5, 6]


def test_room_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        SampleBuffer(0)


@given(st.integers(0, 2**40))
def test_samples_survive_the_clock(samples: int) -> None:
    assert ms_to_samples(samples_to_ms(samples)) == samples


def test_the_clock_counts_sixteen_samples_a_millisecond() -> None:
    assert samples_to_ms(512) == 32.0
    assert ms_to_samples(32) == 512
    assert ms_to_samples(0.03) == 0
    assert ms_to_samples(0.04) == 1
