"""Watches look only when something changed, within what they may spend, and speak up once it is so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.tools.errors import ToolError
from hearsight.tools.watch_book import (
    MAX_CONDITION_CHARS,
    MAX_WATCHES,
    CannotWatch,
    WatchBook,
    WatchLimits,
    clean_condition,
)
from hearsight.tools.watches import MOST_PUT_OFF

DOOR, LIGHT = "somebody is at the door", "the light goes off"


class TestBook:
    def book(self, **limits: float) -> WatchBook:
        return WatchBook(WatchLimits(**limits))  # type: ignore[arg-type]

    def test_it_is_told_once_and_the_watch_is_over(self) -> None:
        book = self.book()
        watch = book.start(DOOR, 0.0)
        assert book.saw(watch, False, 3.0) is None
        said = book.saw(watch, True, 6.0)
        assert said == "You wanted to know when somebody is at the door. It looks as if that's so now."
        assert book.running() == ()
        assert book.saw(watch, True, 9.0) is None, "it was looked at once more meanwhile"

    def test_what_was_so_from_the_start_is_told_the_next_time(self) -> None:
        book = self.book()
        watch = book.start(DOOR, 0.0)
        watch.met = True
        assert book.saw(watch, True, 3.0) is None
        assert book.saw(watch, False, 6.0) is None
        assert book.saw(watch, True, 9.0)

    def test_every_time_means_every_time_anew(self) -> None:
        book = self.book()
        watch = book.start(DOOR, 0.0, every_time=True)
        told = [bool(book.saw(watch, met, 30.0 * at)) for at, met in enumerate([1, 1, 0, 1, 0, 0, 1])]
        assert told == [True, False, False, True, False, False, True]

    def test_more_is_not_said_in_a_minute_than_may_be(self) -> None:
        book = self.book(reports_per_minute=2)
        watch = book.start(DOOR, 0.0, every_time=True)
        times = [at for at in range(0, 120, 2) if book.saw(watch, at % 4 == 0, float(at))]
        assert times == [0, 4, 60, 64]

    def test_what_could_not_be_said_is_looked_at_again_and_said_if_it_is_still_so(self) -> None:
        book = self.book(reports_per_minute=1)
        first, second = book.start(DOOR, 0.0), book.start(LIGHT, 0.0)
        assert book.saw(first, True, 1.0)
        assert book.saw(second, True, 2.0) is None and second.again
        assert book.saw(second, True, 62.0) and not second.again

    def test_it_ends_after_its_time_and_says_so(self) -> None:
        book = self.book(lasts_s=600.0)
        book.start(DOOR, 0.0)
        assert book.take_over(599.0) == ()
        assert book.take_over(600.0) == (
            "I've stopped watching after 10 minutes. You wanted to know when somebody is at the door, and I "
            "didn't see it.",
        )
        assert book.running() == ()

    def test_it_ends_after_its_looks_and_says_so(self) -> None:
        book = self.book(max_looks=2)
        watch = book.start(DOOR, 0.0, every_time=True)
        book.saw(watch, True, 1.0)
        book.saw(watch, False, 2.0)
        (said,) = book.take_over(3.0)
        assert said.startswith("I've stopped watching after 2 looks") and "didn't" not in said

    def test_there_are_only_so_many(self) -> None:
        book = self.book()
        for number in range(MAX_WATCHES):
            book.start(f"there are {number} birds", 0.0)
        with pytest.raises(CannotWatch, match="watching for 4 things already"):
            book.start("there are more", 0.0)

    @pytest.mark.parametrize("condition", ["", " ", "when ", "?"])
    def test_nothing_cannot_be_watched_for(self, condition: str) -> None:
        with pytest.raises(ToolError, match="Say what to watch for"):
            self.book().start(condition, 0.0)

    def test_which_one_is_meant(self) -> None:
        book = self.book()
        door, light = book.start(DOOR, 0.0), book.start(LIGHT, 0.0)
        assert book.matching("the door") == (door,)
        assert book.matching("light") == (light,)
        assert book.matching("") == (door, light)
        assert book.matching("pigeons") == ()

    def test_no_camera_ends_them_all_in_one_sentence(self) -> None:
        book = self.book()
        assert book.take_blind() is None
        book.start(DOOR, 0.0)
        book.start(LIGHT, 0.0)
        assert book.take_blind() == (
            "I can't see anything any more, so I've stopped watching. You wanted to know when somebody is at "
            "the door or when the light goes off."
        )
        assert book.running() == ()

    @pytest.mark.parametrize(
        ("condition", "spoken"),
        [
            ("When my wife comes home.", "your wife comes home"),
            ("someone stands behind the user", "someone stands behind you"),
            ("if the user's cup is empty", "your cup is empty"),
            ("I am asleep", "you are asleep"),
            ("the timer shows ten", "the timer shows ten"),
        ],
    )
    def test_it_is_said_to_whoever_asked(self, condition: str, spoken: str) -> None:
        assert self.book().start(condition, 0.0).spoken == spoken

    @given(st.text())
    def test_a_condition_is_a_bounded_clause_on_one_line(self, text: str) -> None:
        clean = clean_condition(text)
        assert len(clean) <= MAX_CONDITION_CHARS
        assert clean == " ".join(clean.split())

    @given(
        st.lists(st.tuples(st.floats(0.1, 30), st.booleans()), max_size=60),
        st.integers(1, 5),
        st.booleans(),
    )
    def test_whatever_is_seen_no_bound_is_passed(
        self, looks: list[tuple[float, bool]], per_minute: int, every_time: bool
    ) -> None:
        book = self.book(reports_per_minute=per_minute, max_looks=20, lasts_s=200.0)
        watch = book.start(DOOR, 0.0, every_time=every_time)
        now_s, said_at = 0.0, []
        for pause_s, met in looks:
            now_s += pause_s
            book.take_over(now_s)
            if watch in book.running() and book.saw(watch, met, now_s):
                said_at.append(now_s)
        assert all(sum(at - 60 < one <= at for one in said_at) <= per_minute for at in said_at)
        assert watch.looks <= 20
        assert every_time or len(said_at) <= 1


class TestWatches:
    async def test_it_looks_at_once_then_now_and_then_and_speaks_up(self, session) -> None:
        await session.watches.start(DOOR)
        await session.pass_time(10)
        assert session.lookout.looks == [DOOR] * 4, "every three seconds"
        session.lookout.true.add(DOOR)
        await session.pass_time(3)
        assert len(session.announced) == 1
        await session.pass_time(60)
        assert session.lookout.looks == [DOOR] * 5
        assert session.clock.pending == 0

    async def test_what_has_not_changed_is_not_looked_at(self, session) -> None:
        await session.watches.start(DOOR)
        session.lookout.moving = False
        await session.pass_time(30)
        assert session.lookout.looks == [DOOR]

    async def test_two_watches_share_their_looks(self, session) -> None:
        await session.watches.start(DOOR)
        session.lookout.true.add(DOOR)
        await session.watches.start(LIGHT)
        session.lookout.moving = False
        await session.pass_time(4)
        assert len(session.announced) == 1, (
            "the change was told to the second watch, and counts for the first"
        )

    async def test_it_waits_for_what_is_more_urgent_but_not_for_ever(self, session) -> None:
        await session.watches.start(DOOR)
        session.lookout.busy = True
        await session.pass_time(3 * MOST_PUT_OFF)
        assert session.lookout.looks == [DOOR]
        await session.pass_time(3)
        assert session.lookout.looks == [DOOR] * 2

    async def test_its_time_ends_even_where_nothing_happens(self, session) -> None:
        await session.watches.start(DOOR)
        session.lookout.moving = False
        await session.pass_time(1810)
        assert session.announced[0].startswith("I've stopped watching after 30 minutes")
        assert session.clock.pending == 0

    async def test_a_camera_that_is_switched_off_is_told(self, session) -> None:
        await session.watches.start(DOOR)
        session.lookout.live = False
        await session.pass_time(4)
        assert session.announced[0].startswith("I can't see anything any more")

    @pytest.mark.parametrize("error", [ToolError("The engine failed."), RuntimeError("a bug")])
    async def test_a_look_that_fails_is_one_look_less(self, session, error: Exception) -> None:
        await session.watches.start(DOOR)
        session.lookout.broken = error
        await session.pass_time(3)
        session.lookout.broken = None
        session.lookout.true.add(DOOR)
        await session.pass_time(3)
        assert len(session.announced) == 1

    async def test_a_first_look_that_fails_starts_nothing(self, session) -> None:
        session.lookout.broken = ToolError("The engine failed.")
        with pytest.raises(ToolError, match="failed"):
            await session.watches.start(DOOR)
        assert session.watches.running() == ()

    async def test_nothing_remains_of_a_session(self, session) -> None:
        await session.watches.start(DOOR)
        await session.watches.aclose()
        await session.watches.aclose()
        assert session.clock.pending == 0
        with pytest.raises(ToolError, match="session is over"):
            await session.watches.start(DOOR)


class TestTools:
    async def test_watching_is_promised(self, session) -> None:
        assert await session.said("watch", condition="somebody is at the door") == (
            "I'll tell you when somebody is at the door. I'm short-sighted."
        )

    async def test_the_caveat_is_told_once(self, session) -> None:
        await session.said("watch", condition=DOOR)
        said = await session.said("watch", condition=LIGHT, every_time=True)
        assert said == "I'll tell you every time the light goes off."

    async def test_what_is_so_already(self, session) -> None:
        session.lookout.true.add(DOOR)
        said = await session.said("watch", condition=DOOR)
        assert said and said.startswith("It looks as if that's so already.")

    async def test_without_a_camera_the_user_is_told(self, session) -> None:
        session.lookout.live = False
        said = await session.said("watch", condition=DOOR)
        assert said == "I can't watch for anything, because no camera is on. Turn it on, and ask me again."
        assert session.watches.running() == ()

    async def test_nothing_to_watch_for_is_the_models_mistake(self, session) -> None:
        outcome = await session.call("watch", condition="?")
        assert not outcome.ok and "Say what to watch for" in outcome.content

    async def test_stopping(self, session) -> None:
        assert await session.said("stop_watching") == "I'm not watching for anything."
        await session.said("watch", condition=DOOR)
        assert await session.said("stop_watching", condition="the window") == (
            "I've stopped watching. I won't tell you when somebody is at the door."
        )
        session.lookout.true.add(DOOR)
        await session.pass_time(60)
        assert session.announced == []

    async def test_stopping_one_of_two(self, session) -> None:
        await session.said("watch", condition=DOOR)
        await session.said("watch", condition=LIGHT)
        assert await session.said("stop_watching") == (
            "Which one should I stop watching for: when somebody is at the door or when the light goes off?"
        )
        await session.said("stop_watching", condition="the light")
        assert [watch.condition for watch in session.watches.running()] == [DOOR]

    async def test_stopping_all(self, session) -> None:
        await session.said("watch", condition=DOOR)
        await session.said("watch", condition=LIGHT)
        assert await session.said("stop_watching", condition="all") == "I've stopped watching."
        assert session.watches.running() == ()
