"""A limit on how often something may happen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.rate import TokenBucket


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate():
    clock = Clock()
    bucket = TokenBucket(2, 3, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s == 0.5
    clock.now = 0.5
    assert bucket.wait_s == 0 and bucket.take() and not bucket.take()


def test_many_at_once_or_none():
    bucket = TokenBucket(10, 100, Clock())
    assert not bucket.take(101)
    assert bucket.take(100) and not bucket.take(1)


@given(st.lists(st.floats(0, 10), max_size=40), st.floats(0.1, 50), st.integers(1, 20))
def test_no_more_than_the_burst_and_the_rate_come_through(waits, rate_per_s, burst):
    clock = Clock()
    bucket = TokenBucket(rate_per_s, burst, clock)
    taken = 0
    for wait_s in waits:
        clock.now += wait_s
        taken += bucket.take()
        assert bucket.wait_s >= 0
    assert taken <= burst + clock.now * rate_per_s + 1e-6
