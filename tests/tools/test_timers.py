from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hearsight.tools.errors import ToolError
from hearsight.tools.timers import MAX_TIMERS, Timer, TimerBook, Timers, clean_label


def labels(timers: tuple[Timer, ...]) -> list[str]:
    return [timer.label for timer in timers]


class TestBook:
    def test_timers_come_due_in_order(self) -> None:
        book = TimerBook()
        book.set(600, "pasta", 0.0)
        book.set(60, "tea", 0.0)
        assert book.next_due_s() == 60.0
        assert book.pop_due(59.9) == ()
        assert labels(book.pop_due(60.0)) == ["tea"]
        assert labels(book.running()) == ["pasta"]
        assert labels(book.pop_due(10_000.0)) == ["pasta"]
        assert book.next_due_s() is None

    @pytest.mark.parametrize("duration_s", [0, -5, 86_401])
    def test_durations_are_bounded(self, duration_s: int) -> None:
        with pytest.raises(ToolError, match="24 hours"):
            TimerBook().set(duration_s, "", 0.0)

    def test_the_number_of_timers_is_bounded(self) -> None:
        book = TimerBook()
        for number in range(MAX_TIMERS):
            book.set(60, str(number), 0.0)
        with pytest.raises(ToolError, match="cancel one first"):
            book.set(60, "one more", 0.0)
        book.pop_due(60.0)
        book.set(60, "room again", 60.0)

    def test_cancelling_twice_finds_nothing(self) -> None:
        book = TimerBook()
        timer = book.set(60, "tea", 0.0)
        assert book.cancel(timer.id)
        assert not book.cancel(timer.id)
        assert book.pop_due(100.0) == ()

    @pytest.mark.parametrize(
        ("said", "meant"),
        [
            ("tea", ["green tea"]),
            ("Green Tea", ["green tea"]),
            ("the green tea timer", ["green tea"]),
            ("green tea for grandma", ["green tea"]),
            ("eggs", ["egg"]),
            ("ten minute", [""]),
            ("10 minutes", [""]),
            ("the ten-minute one", []),
            ("soup", []),
            ("", ["green tea", "egg", ""]),
            ("timer", ["green tea", "egg", ""]),
        ],
    )
    def test_matching(self, said: str, meant: list[str]) -> None:
        book = TimerBook()
        book.set(180, "green tea", 0.0)
        book.set(360, "egg", 0.0)
        book.set(600, "", 0.0)
        assert labels(book.matching(said)) == meant

    def test_an_exact_label_wins_over_part_of_another(self) -> None:
        book = TimerBook()
        book.set(60, "green tea", 0.0)
        book.set(90, "tea", 0.0)
        assert labels(book.matching("tea")) == ["tea"]


class BookMachine(RuleBasedStateMachine):
    """Whatever happens in whatever order, each timer ends once: fired in time, or cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.book = TimerBook()
        self.now_s = 0.0
        self.alive: dict[int, Timer] = {}

    @rule(duration_s=st.integers(1, 200), label=st.sampled_from(["", "tea", "egg"]))
    def start(self, duration_s: int, label: str) -> None:
        if len(self.alive) < MAX_TIMERS:
            timer = self.book.set(duration_s, label, self.now_s)
            assert timer.id not in self.alive
            self.alive[timer.id] = timer

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        for timer in self.book.pop_due(self.now_s):
            assert timer.due_s <= self.now_s
            del self.alive[timer.id]

    @rule(pick=st.integers(0, 40))
    def cancel(self, pick: int) -> None:
        assert self.book.cancel(pick) == (pick in self.alive)
        self.alive.pop(pick, None)

    @invariant()
    def only_the_living_run(self) -> None:
        assert {timer.id for timer in self.book.running()} == set(self.alive)
        assert all(timer.due_s > self.now_s for timer in self.book.running())


TestBookMachine = BookMachine.TestCase


@given(st.text(max_size=200))
def test_labels_are_short_and_tidy(text: str) -> None:
    label = clean_label(text)
    assert len(label) <= 60
    assert label == label.strip()
    assert clean_label(label) == label or len(label) > 50


def test_names_for_speech() -> None:
    book = TimerBook()
    assert book.set(600, "my tea timer", 0.0).announcement == "Your tea timer is done."
    assert book.set(5400, "", 0.0).announcement == "Your 1 hour 30 minute timer is done."


class Fired:
    """Collects what fires; a test waits for it instead of sleeping."""

    def __init__(self) -> None:
        self.labels: asyncio.Queue[str] = asyncio.Queue()

    async def __call__(self, timer: Timer) -> None:
        await self.labels.put(timer.label)


class TestShell:
    async def test_timers_speak_up_when_due(self, clock) -> None:
        fired = Fired()
        timers = Timers(fired, clock=clock)
        timers.set(60, "tea")
        timers.set(30, "egg")
        clock.advance(30)
        assert await fired.labels.get() == "egg"
        assert labels(timers.running()) == ["tea"]
        assert timers.remaining_s(timers.running()[0]) == 30
        clock.advance(30)
        assert await fired.labels.get() == "tea"
        assert timers.running() == ()
        assert clock.pending == 0
        await timers.aclose()

    async def test_a_cancelled_timer_stays_silent(self, clock) -> None:
        fired = Fired()
        timers = Timers(fired, clock=clock)
        tea = timers.set(60, "tea")
        timers.set(90, "egg")
        assert timers.cancel(tea)
        assert not timers.cancel(tea)
        clock.advance(90)
        assert await fired.labels.get() == "egg"
        assert fired.labels.empty()
        await timers.aclose()

    async def test_closing_leaves_no_task_and_no_call(self, clock) -> None:
        reached = asyncio.Event()

        async def never_done(timer: Timer) -> None:
            reached.set()
            await asyncio.Event().wait()

        before = asyncio.all_tasks()
        timers = Timers(never_done, clock=clock)
        timers.set(10, "first")
        timers.set(60, "second")
        clock.advance(10)
        await reached.wait()
        await timers.aclose()
        await timers.aclose()
        assert asyncio.all_tasks() == before
        assert clock.pending == 0
        assert timers.running() == ()
        with pytest.raises(ToolError, match="over"):
            timers.set(10)

    async def test_one_failed_announcement_does_not_silence_the_next(self, clock) -> None:
        told: asyncio.Queue[str] = asyncio.Queue()

        async def fails_once(timer: Timer) -> None:
            if timer.label == "bad":
                raise RuntimeError("voice is gone")
            await told.put(timer.label)

        timers = Timers(fails_once, clock=clock)
        timers.set(10, "bad")
        timers.set(10, "good")
        clock.advance(10)
        assert await told.get() == "good"
        await timers.aclose()

    async def test_the_event_loop_is_the_clock_where_none_is_given(self) -> None:
        timers = Timers(Fired())
        timer = timers.set(60)
        assert 59 < timers.remaining_s(timer) <= 60
        await timers.aclose()
