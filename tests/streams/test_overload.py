"""When too much is too much, what is given up, and that it comes back: without a clock of its own."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.overload import (
    LAG_WINDOW_S,
    MAX_PATIENCE,
    MIN_TURNS,
    RELEASE,
    WINDOW_S,
    Ladder,
    Overload,
    OverloadOptions,
    RecentTurns,
    Relief,
    Rung,
    quantile,
)

RISE_S, CALM_S = 3.0, 20.0
LOOK_S = 0.25

pressures = st.sampled_from([0.0, 0.3, 0.69, 0.7, 0.9, 1.0, 1.5, 30.0])
loads = st.lists(st.tuples(pressures, st.floats(0.05, 60)), max_size=12)
"""A pressure, and for how long."""


def climb(ladder: Ladder, load: list[tuple[float, float]], start: float = 0.0) -> list[tuple[float, Rung]]:
    """The rung by time, looked at every quarter of a second."""
    now, course = start, [(start, ladder.rung)]
    for pressure, seconds in load:
        for _ in range(max(1, round(seconds / LOOK_S))):
            now += LOOK_S
            if ladder.step(pressure, now):
                course.append((now, ladder.rung))
    return course


@given(loads)
def test_it_is_climbed_and_left_one_rung_at_a_time(load: list[tuple[float, float]]) -> None:
    for (_, before), (_, after) in pairwise(climb(Ladder(RISE_S, CALM_S), load)):
        assert abs(after - before) == 1


@given(loads)
def test_every_change_takes_its_time(load: list[tuple[float, float]]) -> None:
    """So that a number that jumps up and down changes nothing."""
    course = climb(Ladder(RISE_S, CALM_S), load)
    for (then, before), (now, after) in pairwise(course):
        assert now - then >= (RISE_S if after > before else CALM_S)


@given(loads)
def test_it_recovers_whenever_the_load_goes_away(load: list[tuple[float, float]]) -> None:
    ladder = Ladder(RISE_S, CALM_S)
    climb(ladder, load)
    climb(ladder, [(0.0, Rung.REFUSING * CALM_S * MAX_PATIENCE + 1)], start=1e4)
    assert ladder.rung is Rung.NORMAL


@given(loads)
def test_load_that_stays_is_met_with_everything(load: list[tuple[float, float]]) -> None:
    ladder = Ladder(RISE_S, CALM_S)
    climb(ladder, [*load, (1.0, Rung.REFUSING * (RISE_S + 1))])
    assert ladder.rung is Rung.REFUSING


@given(st.lists(st.floats(RELEASE, 0.999), max_size=40))
def test_nothing_changes_between_too_much_and_little(values: list[float]) -> None:
    ladder = Ladder(RISE_S, CALM_S)
    climb(ladder, [(1.0, RISE_S + 1)])
    assert climb(ladder, [(value, 5.0) for value in values], start=10)[1:] == []


@given(st.lists(st.tuples(st.booleans(), st.floats(0.05, 2.5)), max_size=60))
def test_a_load_that_comes_and_goes_quickly_is_ridden_out(load: list[tuple[bool, float]]) -> None:
    """Bursts shorter than the time to rise leave everything as it is."""
    spikes = [part for high, seconds in load for part in ((1.2 if high else 0.0, seconds), (0.8, LOOK_S))]
    assert climb(Ladder(RISE_S, CALM_S), spikes)[1:] == []


def test_who_comes_back_too_early_waits_longer_the_next_time() -> None:
    """A load that returns as soon as the door is open does not make the door swing."""
    ladder = Ladder(RISE_S, CALM_S)
    climb(ladder, [(1.0, 4 * (RISE_S + 1))])
    course = []
    now = 1_000.0
    for _ in range(20_000):
        now += LOOK_S
        if ladder.step(1.0 if ladder.rung < Rung.REFUSING else 0.0, now):
            course.append((now, ladder.rung))
    shut = [now - then for (then, rung), (now, _) in pairwise(course) if rung is Rung.REFUSING]
    assert shut[:4] == pytest.approx([2 * CALM_S, 4 * CALM_S, 8 * CALM_S, 8 * CALM_S], abs=1)
    assert shut == sorted(shut)


def test_after_a_quiet_time_all_is_forgiven() -> None:
    ladder = Ladder(RISE_S, CALM_S)
    load = [(1.0, 4), (0.0, CALM_S + 1), (1.0, 4), (0.0, 5 * CALM_S)]
    climb(ladder, load)
    assert ladder.rung is Rung.NORMAL
    course = climb(ladder, [(1.0, 4), (0.0, CALM_S + 1)], start=1_000)
    assert [rung for _, rung in course[1:]] == [Rung.FEWER_FRAMES, Rung.NORMAL]


# --- what is measured ------------------------------------------------------------------------------------


def test_a_share_of_few_values_leaves_their_largest_out() -> None:
    assert quantile([], 0.9) == 0
    assert quantile([5.0], 0.9) == 5
    assert quantile([1, 1, 1, 99], 0.9) == 1
    assert quantile(range(101), 0.9) == 90


def answered(turns: RecentTurns, *waits: float, at: float = 0.0, sessions: int = 2) -> None:
    for number, wait in enumerate(waits):
        turns.began(f"s{number % sessions}", at)
        turns.answered(f"s{number % sessions}", at + wait)


def test_turns_are_timed_from_their_end_to_the_first_sound() -> None:
    turns = RecentTurns(limit_s=3)
    turns.began("a", 10)
    assert turns.answered("a", 11.5) == 1.5
    assert turns.answered("a", 12) is None, "the second sound says nothing"
    turns.began("a", 20)
    turns.over("a")
    assert turns.answered("a", 21) is None, "an answer that was given up was not waited for to its end"


def test_few_turns_and_those_of_one_session_alone_say_nothing() -> None:
    turns = RecentTurns(limit_s=3)
    answered(turns, *[9.0] * (MIN_TURNS - 1))
    assert turns.wait_s(9) == 0
    answered(turns, 9.0)
    assert turns.wait_s(9) == 9
    alone = RecentTurns(limit_s=3)
    answered(alone, *[9.0] * 20, sessions=1)
    assert alone.wait_s(9) == 0


def test_what_is_long_ago_says_nothing() -> None:
    turns = RecentTurns(limit_s=3)
    answered(turns, *[2.0] * 10)
    assert turns.wait_s(2 + WINDOW_S) == 2
    assert turns.wait_s(2.1 + WINDOW_S) == 0


def test_who_still_waits_counts_once_it_has_been_too_long() -> None:
    """An engine that answers nobody would otherwise look idle."""
    turns = RecentTurns(limit_s=3)
    for number in range(MIN_TURNS):
        turns.began(f"s{number}", 0)
    assert turns.wait_s(3) == 0
    assert turns.wait_s(7) == 7


@given(st.lists(st.floats(0, 10), min_size=MIN_TURNS, max_size=50))
def test_nobody_who_has_just_asked_makes_the_others_look_quick(waits: list[float]) -> None:
    turns = RecentTurns(limit_s=20)
    answered(turns, *waits)
    before = turns.wait_s(10)
    turns.began("new", 10)
    assert turns.wait_s(10) == before


class Bench:
    """An overload with a clock that is moved."""

    def __init__(self, **options: float) -> None:
        self.now = 100.0
        limits = {"turn_latency_s": 2.0, "lag_s": 0.2, "memory_bytes": 1000, **options}
        self.overload = Overload(OverloadOptions(rise_s=1, calm_s=10, **limits), lambda: self.now)  # type: ignore[arg-type]

    def go_on(self, seconds: float, *, wait_s: float = 0.0, lag_s: float = 0.0) -> list[Rung]:
        """Time passes, in which two sessions have to wait; the rungs that came of it."""
        rungs = []
        for _ in range(round(seconds / LOOK_S)):
            self.now += LOOK_S
            number = round(self.now / LOOK_S)
            if wait_s:
                self.overload.turns.began(f"s{number % 2}", self.now - wait_s)
                self.overload.turns.answered(f"s{number % 2}", self.now)
            self.overload.late(lag_s)
            if self.overload.look():
                rungs.append(self.overload.rung)
        return rungs


def test_what_is_given_up_is_given_up_in_order_and_taken_back_in_order() -> None:
    bench = Bench()
    assert bench.go_on(30, wait_s=2.5) == [1, 2, 3, 4]
    assert bench.overload.relief == Relief(1.0, 384, 0.25)
    assert bench.go_on(80) == [3, 2, 1, 0]
    assert bench.overload.relief == Relief()


def test_each_rung_gets_the_chance_to_help() -> None:
    """Turns that were measured before a change say nothing about it."""
    bench = Bench()
    while bench.overload.rung is Rung.NORMAL:
        bench.go_on(LOOK_S, wait_s=2.5)
    assert bench.go_on(9, wait_s=1.5) == [], "it has helped: neither further up nor down"


@pytest.mark.parametrize("kind", ["turns", "lag", "memory"])
def test_each_of_the_three_is_enough(kind: str) -> None:
    bench = Bench()
    bench.overload.holds(200)
    if kind == "memory":
        bench.overload.holds(1000)
    rungs = bench.go_on(5, wait_s=2.5 * (kind == "turns"), lag_s=0.3 * (kind == "lag"))
    assert rungs[0] is Rung.FEWER_FRAMES
    assert max(bench.overload.measured(), key=lambda name: bench.overload.measured()[name]) == kind


def test_what_is_set_to_nothing_does_not_count() -> None:
    bench = Bench(turn_latency_s=0, lag_s=0, memory_bytes=0)
    bench.overload.holds(10**12)
    assert bench.go_on(60, wait_s=99, lag_s=99) == []
    assert not bench.overload.enabled
    assert Bench().overload.enabled


def test_one_late_moment_is_none_of_overload() -> None:
    bench = Bench()
    bench.go_on(LAG_WINDOW_S)
    bench.overload.late(5.0)
    assert bench.go_on(10) == []


def test_memory_is_what_the_sessions_take_beyond_the_models() -> None:
    bench = Bench()
    bench.overload.holds(800)
    bench.overload.holds(900)
    assert bench.overload.measured()["memory"] == 0.5
    bench.overload.holds(700)
    assert bench.overload.measured()["memory"] == 0


def test_models_that_leave_no_room_give_up_nothing() -> None:
    bench = Bench()
    bench.overload.holds(1500)
    bench.overload.holds(1600)
    assert bench.go_on(30) == []


def test_when_to_come_back_is_said_only_when_nobody_is_let_in_and_grows_shorter() -> None:
    bench = Bench()
    assert bench.overload.retry_after_s is None
    bench.go_on(30, wait_s=2.5)
    assert bench.overload.rung is Rung.REFUSING
    under_load = bench.overload.retry_after_s
    assert under_load == 25, "ten seconds of calm, from when the slow turns of now are fifteen seconds ago"
    waits = []
    while (wait_s := bench.overload.retry_after_s) is not None:
        waits.append(wait_s)
        bench.go_on(LOOK_S)
    assert waits == sorted(waits, reverse=True) and waits[-1] == 1
