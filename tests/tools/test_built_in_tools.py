"""The built-in tools as a session uses them: through the registry."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hearsight.tools.calls import ToolCall
from hearsight.tools.memory import MemoryStore


class TestTime:
    async def test_here(self, session) -> None:
        outcome = await session.call("get_time")
        assert outcome.say == "It's 3:45 PM."
        assert outcome.content == "2026-06-12 15:45, a Friday"
        assert await session.said("get_time", place=" here ") == "It's 3:45 PM."

    async def test_elsewhere(self, session) -> None:
        assert await session.said("get_time", place="london") == "It's 2:45 PM in London."
        assert await session.said("get_time", place="the UK") == "It's 2:45 PM in the UK."
        assert await session.said("get_time", place="UTC") == "It's 1:45 PM UTC."

    async def test_the_day_is_said_where_it_differs(self, session) -> None:
        session.now += timedelta(hours=5)
        assert await session.said("get_time", place="Tokyo") == "It's 3:45 AM on Saturday in Tokyo."

    async def test_the_zone_is_told_to_the_model(self, session) -> None:
        outcome = await session.call("get_time", place="india")
        assert outcome.content == "2026-06-12 19:15, a Friday, in India (Asia/Kolkata)"

    async def test_an_unknown_place_is_said_to_be_unknown(self, session) -> None:
        outcome = await session.call("get_time", place="Narnia")
        assert not outcome.ok and outcome.say is None
        assert "'Narnia' is not known" in outcome.content


class TestDate:
    @pytest.mark.parametrize(
        ("days", "said"),
        [
            (0, "Today is Friday, June 12th, 2026."),
            (1, "Tomorrow is Saturday, June 13th."),
            (-1, "Yesterday was Thursday, June 11th."),
            (10, "In 10 days, it will be Monday, June 22nd."),
            (-30, "30 days ago, it was Wednesday, May 13th."),
            (365, "In 365 days, it will be Saturday, June 12th, 2027."),
            ("2", "In 2 days, it will be Sunday, June 14th."),
        ],
    )
    async def test_days(self, session, days: int, said: str) -> None:
        assert await session.said("get_date", days_from_today=days) == said

    async def test_without_arguments_it_is_today(self, session) -> None:
        assert (await session.call("get_date")).content == "2026-06-12, a Friday"

    async def test_beyond_a_century_is_refused(self, session) -> None:
        assert not (await session.call("get_date", days_from_today=10**9)).ok


class TestCalculator:
    @pytest.mark.parametrize(
        ("expression", "said", "content"),
        [
            ("17 * 23", "That's 391.", "391"),
            ("15% of 80", "That's 12.", "12"),
            ("10 / 3", "That's about 3.333.", "3.33333333333"),
            ("2 ** 100", "That's about 1.27 times 10 to the power of 30.", str(2**100)),
            ("seventeen times twenty three", "That's 391.", "391"),
            (42, "That's 42.", "42"),
        ],
    )
    async def test_results(self, session, expression: object, said: str, content: str) -> None:
        outcome = await session.call("calculate", expression=expression)
        assert (outcome.say, outcome.content) == (said, content)

    @pytest.mark.parametrize("expression", ["1 / 0", "the meaning of life", "9 ** 9 ** 9", "1+" * 300 + "1"])
    async def test_reasons(self, session, expression: str) -> None:
        outcome = await session.call("calculate", expression=expression)
        assert not outcome.ok and outcome.say is None and outcome.content.endswith(".")


class TestTimers:
    async def test_set_and_done(self, session) -> None:
        assert await session.said("set_timer", seconds=600, label="tea") == "Your 10 minute tea timer is set."
        assert await session.said("set_timer", seconds="90") == "Your 1 minute 30 second timer is set."
        session.clock.advance(600)
        await session.timers.aclose()
        assert session.timers.running() == ()

    @pytest.mark.parametrize("seconds", [0, -1, 86_401, "ten", 1.5])
    async def test_impossible_durations(self, session, seconds: object) -> None:
        outcome = await session.call("set_timer", seconds=seconds)
        assert not outcome.ok and "seconds" in outcome.content
        assert session.timers.running() == ()

    async def test_list(self, session) -> None:
        assert await session.said("list_timers") == "You have no timers running."
        await session.call("set_timer", seconds=240, label="tea")
        session.clock.advance(50)
        assert await session.said("list_timers") == "Your tea timer has 3 minutes and 10 seconds left."
        await session.call("set_timer", seconds=3600)
        assert await session.said("list_timers") == (
            "You have 2 timers: the tea timer with 3 minutes and 10 seconds left and "
            "the 1 hour timer with 1 hour left."
        )

    async def test_a_long_list_is_cut_short_in_speech_only(self, session) -> None:
        for number in range(8):
            await session.call("set_timer", seconds=60 + number, label=f"number {number}")
        outcome = await session.call("list_timers")
        assert outcome.say.endswith(", and 3 more.")
        assert len(outcome.content.splitlines()) == 8

    async def test_cancel(self, session) -> None:
        assert await session.said("cancel_timer") == "There's no timer running."
        await session.call("set_timer", seconds=60, label="tea")
        assert await session.said("cancel_timer") == "Your tea timer is cancelled."
        assert session.timers.running() == ()

    async def test_cancel_by_label_or_length(self, session) -> None:
        for seconds, label in ((60, "tea"), (600, "pasta"), (900, "")):
            await session.call("set_timer", seconds=seconds, label=label)
        assert await session.said("cancel_timer", label="the pasta timer") == "Your pasta timer is cancelled."
        assert (
            await session.said("cancel_timer", label="fifteen minutes")
            == "Your 15 minute timer is cancelled."
        )
        assert (
            await session.said("cancel_timer", label="soup")
            == "There's no soup timer. Running: the tea timer."
        )
        assert len(session.timers.running()) == 1

    async def test_an_ambiguous_cancel_asks_and_stops_nothing(self, session) -> None:
        await session.call("set_timer", seconds=60, label="tea")
        await session.call("set_timer", seconds=600, label="pasta")
        question = "Which one should I cancel: the tea timer or the pasta timer?"
        assert await session.said("cancel_timer") == question
        assert len(session.timers.running()) == 2

    @pytest.mark.parametrize("label", ["all", "All", "all timers", "both", "all of them"])
    async def test_cancel_all(self, session, label: str) -> None:
        await session.call("set_timer", seconds=60, label="tea")
        await session.call("set_timer", seconds=600)
        assert await session.said("cancel_timer", label=label) == "Both timers are cancelled."
        assert session.timers.running() == ()


class TestCamera:
    async def test_look_asks_the_engine(self, session) -> None:
        outcome = await session.call("look", question="what color is the cup")
        assert outcome.content == "a red cup on a desk" and outcome.say is None
        assert session.camera.questions == ["what color is the cup"]
        await session.call("look")
        assert session.camera.questions[-1] == ""

    async def test_read_text(self, session) -> None:
        assert (await session.call("read_text")).content == "The text reads:\nEXIT"
        session.camera.text = " "
        assert (await session.call("read_text")).content == "There is no readable text in the picture."

    async def test_nothing_to_be_seen(self, session) -> None:
        session.camera.view = ""
        assert (await session.call("look")).content == "Nothing could be made out in the picture."

    @pytest.mark.parametrize("name", ["look", "read_text"])
    async def test_without_a_camera(self, session, name: str) -> None:
        session.camera.live = False
        outcome = await session.call(name)
        assert not outcome.ok and outcome.content == "The camera is off."


class TestMemory:
    async def test_remember_and_recall(self, session) -> None:
        fact = "The user's locker code is 4182"
        assert await session.said("remember", fact=fact) == "Okay, I'll remember that."
        assert await session.said("remember", fact=fact) == "I already have that in mind."
        outcome = await session.call("recall", query="locker")
        assert outcome.content == f"Remembered:\n- {fact} (noted 2026-06-12)"
        assert outcome.say is None

    async def test_the_latest_notes_where_no_word_fits(self, session) -> None:
        await session.call("remember", fact="The user likes blue")
        outcome = await session.call("recall", query="favourite colour")
        assert outcome.content.startswith("Nothing remembered has these words.")
        assert "likes blue" in outcome.content

    async def test_nothing_yet(self, session) -> None:
        assert (await session.call("recall")).content == "Nothing has been remembered yet."
        assert (await session.call("recall", query="keys")).content == "Nothing has been remembered yet."

    async def test_letting_go_of_the_oldest_is_said(self, session) -> None:
        memory = MemoryStore(":memory:", max_facts=1)
        context = replace(session.context, memory=memory)
        for fact in ("The first", "The second"):
            outcome = await session.registry.run(ToolCall("call-1", "remember", {"fact": fact}), context)
        await memory.aclose()
        assert outcome.say == "I'll remember that, but I had to let go of the oldest thing you told me."
        assert "forgotten: The first" in outcome.content

    async def test_an_empty_fact_is_refused(self, session) -> None:
        assert not (await session.call("remember", fact=" ")).ok
