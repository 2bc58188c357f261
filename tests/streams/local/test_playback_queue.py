"""What is put in comes out once and in order, and what was heard of it is known to the sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.events import PlaybackPosition
from hearsight.streams.local.playback_queue import PlaybackQueue

MS = 24


def speech(count: int, start: int = 1) -> np.ndarray:
    return np.arange(start, start + count, dtype=np.int16)


def test_speech_comes_out_in_order_and_then_silence():
    queue = PlaybackQueue()
    queue.put("a", speech(3))
    queue.put("b", speech(2, 10))
    samples, filled = queue.take(8)
    assert samples.tolist() == [1, 2, 3, 10, 11, 0, 0, 0] and filled == 5
    assert queue.take(2)[0].tolist() == [0, 0]


def test_an_empty_queue_is_idle_and_gives_silence():
    queue = PlaybackQueue()
    assert queue.idle
    assert queue.take(4)[1] == 0
    assert queue.heard(0) == []
    assert queue.flush() == []
    assert queue.idle


def test_what_was_given_is_heard_once_the_latency_has_passed():
    queue = PlaybackQueue()
    queue.put("a", speech(100 * MS))
    queue.take(60 * MS)
    assert queue.heard(0.05) == [PlaybackPosition("a", 10.0)]
    assert not queue.idle
    queue.take(60 * MS)
    assert queue.heard(0.05) == [PlaybackPosition("a", 70.0)]
    queue.take(60 * MS)
    assert queue.heard(0.05) == [PlaybackPosition("a", 100.0)]
    assert queue.idle
    assert queue.heard(0.05) == []


def test_silence_between_the_pieces_of_an_item_does_not_count():
    queue = PlaybackQueue()
    queue.put("a", speech(20 * MS))
    queue.take(50 * MS)
    queue.put("a", speech(20 * MS))
    queue.take(10 * MS)
    assert queue.heard(0) == [PlaybackPosition("a", 30.0)]


def test_two_items_in_one_block_have_a_position_each():
    queue = PlaybackQueue()
    queue.put("a", speech(10 * MS))
    queue.put("b", speech(30 * MS))
    queue.take(20 * MS)
    assert queue.heard(0) == [PlaybackPosition("a", 10.0), PlaybackPosition("b", 10.0)]


def test_a_flush_tells_what_the_speaker_was_given():
    queue = PlaybackQueue()
    queue.put("a", speech(20 * MS))
    queue.put("b", speech(40 * MS))
    queue.put("c", speech(40 * MS))
    queue.take(30 * MS)
    heard = [PlaybackPosition("a", 20.0), PlaybackPosition("b", 10.0), PlaybackPosition("c", 0.0)]
    assert queue.flush() == heard
    assert queue.take(5)[1] == 0


def test_what_was_heard_before_a_flush_is_not_told_again():
    queue = PlaybackQueue()
    queue.put("a", speech(20 * MS))
    queue.take(20 * MS)
    queue.heard(0)
    assert queue.flush() == []


def test_too_much_speech_is_dropped_and_counted():
    queue = PlaybackQueue(max_waiting=10)
    assert queue.put("a", speech(8)) == 0
    assert queue.put("a", speech(8)) == 6
    assert queue.put("a", speech(3)) == 3
    assert queue.take(20)[1] == 10


def test_items_that_have_ended_are_forgotten():
    queue = PlaybackQueue()
    for number in range(200):
        queue.put(f"item {number}", speech(5))
        queue.take(10)
        queue.heard(0)
    assert len(queue._ends) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abc"), st.integers(0, 700)),
        st.tuples(st.just("take"), st.just(""), st.integers(1, 700)),
        st.tuples(st.just("heard"), st.just(""), st.integers(0, 900)),
    ),
    max_size=40,
)


@given(STEPS)
def test_positions_never_fall_nor_pass_what_was_given(steps):
    """Against the simplest account of it: one list of every sample that was given out."""
    queue, given_out, put = PlaybackQueue(), [], dict.fromkeys("abc", 0)
    waiting: list[tuple[str, int]] = []
    order: list[str] = []
    heard = 0
    for step, item, count in steps:
        if step == "put":
            if item in order and order[-1] != item:
                continue  # an item that another has followed gets no more
            if item not in order:
                order.append(item)
            queue.put(item, np.ones(count, np.int16))
            waiting += [(item, put[item] + at) for at in range(count)]
            put[item] += count
        elif step == "take":
            samples, filled = queue.take(count)
            assert filled == min(count, len(waiting)) and int(samples.sum()) == filled
            given_out += waiting[:filled] + [("", 0)] * (count - filled)
            waiting = waiting[filled:]
        else:
            heard = max(heard, len(given_out) - count)
            sounding = given_out[:heard]
            for position in queue.heard(count / 24_000):
                expected = max(at for item_id, at in sounding if item_id == position.item_id) + 1
                assert position.played_ms == pytest.approx(expected / MS)
    for position in queue.flush():
        expected = max((at + 1 for item, at in given_out if item == position.item_id), default=0)
        assert position.played_ms == pytest.approx(expected / MS)
