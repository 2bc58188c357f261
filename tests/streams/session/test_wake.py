"""Asleep, a session hears and does not listen; the wake phrase, or the client itself, wakes it."""

from __future__ import annotations

import numpy as np
import pytest
from session_driver import SessionDriver, is_contiguous

from hearsight.streams.events import (
    AddItem,
    Announce,
    AudioCommitted,
    AudioDelta,
    CameraFrame,
    ClearAudio,
    CommitAudio,
    ConfigureSession,
    CreateResponse,
    EstimateEndpoint,
    Foresee,
    Hear,
    IdleTimedOut,
    InsertItem,
    Item,
    Overhear,
    Overheard,
    Picture,
    ResponseEnded,
    ResponseStarted,
    See,
    SessionConfig,
    SpeechStarted,
    TextContent,
    Transcribed,
    TurnDetection,
    WakeChanged,
)
from hearsight.streams.session.settings import SessionLimits, WakeRules

LIMITS = SessionLimits(wake=WakeRules(("hey computer",), sleep_after_s=20.0))
TO_THE_SERVICE = "Hey, computer, what time is it?"
TO_OTHERS = "So I told him to sell."


VAD = TurnDetection()


def sleeper(detection: TurnDetection | None = VAD) -> SessionDriver:
    return SessionDriver(SessionConfig(turn_detection=detection), LIMITS)


def awake() -> SessionDriver:
    """A session that was woken by its phrase and has answered."""
    driver = sleeper()
    utterance(driver, TO_THE_SERVICE)
    driver.silence(900)
    driver.answer("Half past ten.")
    driver.silence(1_000)
    return driver


def utterance(driver: SessionDriver, text: str | None, duration_ms: float = 1_000) -> None:
    """Something is said, and written down at once."""
    driver.silence(400)
    driver.speech(duration_ms)
    driver.silence(96)
    driver.words(text)


def woken(driver: SessionDriver) -> list[bool]:
    return [changed.awake for changed in driver.all(WakeChanged)]


def picture(name: str) -> Picture:
    return Picture(b"x", "image/jpeg", 2, 2, name)


class TestAsleep:
    @pytest.mark.parametrize("text", [TO_OTHERS, "", None])
    def test_what_is_said_to_others_goes_nowhere(self, text: str | None) -> None:
        driver = sleeper()
        for _ in range(3):
            utterance(driver, text)
            driver.silence(800)
        assert driver.outputs == []
        assert {type(command).__name__ for command in driver.commands} == {"Configure", "Overhear"}

    def test_only_the_first_seconds_are_written_down(self) -> None:
        driver = sleeper()
        driver.speech(9_000)
        driver.words(TO_OTHERS)
        driver.speech(20_000)
        driver.silence(400)
        (asked,) = driver.all(Overhear)
        assert asked.samples.size == 3 * 16_000

    def test_a_phrase_in_the_middle_wakes_nobody(self) -> None:
        driver = sleeper()
        utterance(driver, f"I said: {TO_THE_SERVICE}")
        assert woken(driver) == []

    def test_what_comes_after_a_pause_may_be_meant(self) -> None:
        driver = sleeper()
        utterance(driver, TO_OTHERS)
        driver.silence(300)
        utterance(driver, TO_THE_SERVICE)
        assert woken(driver) == [True]

    def test_the_phrase_may_be_completed_after_a_hesitation(self) -> None:
        driver = sleeper()
        utterance(driver, "Hey.")
        driver.speech(640)
        driver.silence(96)
        driver.words("Hey, computer.")
        assert woken(driver) == [True]

    def test_nobody_checks_in(self) -> None:
        driver = sleeper(TurnDetection(idle_timeout_ms=2_000))
        driver.feed(Announce("Your tea timer is done."))
        driver.answer("Your tea timer is done.")
        driver.wait(60.0)
        assert driver.all(IdleTimedOut) == []

    def test_what_was_asked_for_earlier_still_speaks_up_and_wakes_nobody(self) -> None:
        driver = sleeper()
        driver.feed(Announce("Your tea timer is done."))
        driver.answer("Your tea timer is done.")
        assert driver.all(AudioDelta) and driver.session.asleep

    def test_it_speaks_up_even_where_others_never_stop_talking(self) -> None:
        driver = sleeper()
        driver.speech(3_100)
        driver.words(TO_OTHERS)
        driver.feed(Announce("Your tea timer is done."))
        driver.speech(320)
        assert driver.newest.say == "Your tea timer is done."

    def test_of_what_the_camera_sees_the_newest_waits_and_nothing_is_looked_at(self) -> None:
        driver = sleeper()
        for name in ("door", "cat", "cup"):
            driver.feed(CameraFrame(picture(name), "scene_change"))
        driver.feed(CameraFrame(picture("cup again"), "duplicate"))
        assert driver.all(Foresee) == driver.all(See) == []
        utterance(driver, TO_THE_SERVICE)
        assert [seen.picture.key for seen in driver.all(See)] == ["cup again"]

    def test_what_was_seen_awake_is_not_shown_after_a_sleep(self) -> None:
        driver = awake()
        driver.feed(CameraFrame(picture("before"), "scene_change"))
        driver.wait(30.0)
        driver.feed(CameraFrame(picture("after"), "similar"))
        utterance(driver, TO_THE_SERVICE)
        assert [seen.picture.key for seen in driver.all(See)] == ["after"]


class TestWaking:
    def test_the_phrase_makes_the_utterance_one_like_any_other(self) -> None:
        driver = sleeper()
        utterance(driver, TO_THE_SERVICE)
        assert driver.all(WakeChanged) == [WakeChanged(True, "phrase")]
        assert [type(output) for output in driver.outputs] == [WakeChanged, SpeechStarted]
        driver.estimate(0.95)
        driver.silence(300)
        (committed,) = driver.all(AudioCommitted)
        assert driver.all(ResponseStarted)
        assert is_contiguous(driver.heard_samples(committed.item_id))
        assert driver.heard_samples(committed.item_id).size >= 1_300 * 16, "from before its onset"

    def test_nothing_said_before_it_is_heard_with_it(self) -> None:
        driver = sleeper()
        utterance(driver, TO_OTHERS)
        said_before = 400 + 1_000 + 64  # in whole frames
        driver.silence(224)
        driver.speech(1_000)
        driver.silence(96)
        driver.words(TO_THE_SERVICE)
        first = int(driver.heard_samples(driver.last(Hear).item_id)[0])
        assert first >= said_before * 16

    def test_words_that_come_late_cut_nothing_off(self) -> None:
        driver = sleeper()
        driver.speech(1_000)
        driver.silence(1_500)
        driver.words(TO_THE_SERVICE)
        assert driver.all(EstimateEndpoint), "is that all?"
        driver.silence(32)
        (committed,) = driver.all(AudioCommitted)
        assert driver.heard_samples(committed.item_id).size >= 2_500 * 16

    def test_going_on_while_the_words_are_waited_for(self) -> None:
        driver = sleeper()
        driver.speech(700)
        driver.silence(600)
        driver.speech(1_000)
        driver.words(TO_THE_SERVICE)
        driver.silence(900)
        assert len(driver.all(AudioCommitted)) == 1

    def test_words_that_never_come_are_not_waited_for_for_ever(self) -> None:
        driver = sleeper()
        driver.speech(1_000)
        driver.silence(6_000)
        driver.wait(0.1)
        assert not driver.session.in_doubt
        driver.feed(Overheard(driver.last(Overhear).item_id, TO_THE_SERVICE))
        assert woken(driver) == []

    def test_a_microphone_that_is_closed_right_after_the_question(self) -> None:
        driver = sleeper()
        driver.speech(1_000)
        driver.wait(1.6)
        driver.words(TO_THE_SERVICE)
        driver.wait(0.1)
        assert len(driver.all(AudioCommitted)) == len(driver.all(ResponseStarted)) == 1

    def test_a_microphone_that_is_closed_after_something_else(self) -> None:
        driver = sleeper()
        driver.speech(1_000)
        driver.wait(1.6)
        driver.words(TO_OTHERS)
        assert driver.session.deadline() is None
        assert driver.outputs == []

    def test_it_interrupts_what_is_being_announced(self) -> None:
        driver = sleeper()
        driver.feed(Announce("Your tea timer is done."))
        driver.answer("word " * 40, finish=False)
        utterance(driver, TO_THE_SERVICE)
        assert driver.last(ResponseEnded).reason == "turn_detected"

    @pytest.mark.parametrize(
        "event",
        [
            CreateResponse(),
            AddItem(Item("i", "message", content=(TextContent("What time is it?"),))),
        ],
    )
    def test_what_the_client_asks_for_wakes(self, event: object) -> None:
        driver = sleeper()
        driver.feed(event)
        assert driver.all(WakeChanged) == [WakeChanged(True, "client")]

    def test_a_tools_result_does_not(self) -> None:
        driver = sleeper()
        driver.feed(AddItem(Item("s", "message", role="system", content=(TextContent("Be brief."),))))
        assert driver.session.asleep

    def test_push_to_talk_does(self) -> None:
        driver = sleeper(None)
        driver.speech(500)
        assert woken(driver) == [True]
        driver.feed(CommitAudio(), CreateResponse())
        assert driver.all(ResponseStarted)

    def test_a_commit_in_mid_sentence_takes_all_of_it(self) -> None:
        driver = sleeper()
        driver.speech(1_000)
        driver.feed(CommitAudio())
        (committed,) = driver.all(AudioCommitted)
        assert woken(driver) == [True]
        assert is_contiguous(driver.heard_samples(committed.item_id))

    def test_a_cleared_buffer_leaves_it_asleep(self) -> None:
        driver = sleeper()
        driver.speech(1_000)
        driver.silence(96)
        driver.feed(ClearAudio())
        driver.words(TO_THE_SERVICE)
        assert driver.session.asleep
        assert driver.all(Hear) == driver.all(InsertItem) == []

    def test_turning_detection_off_in_mid_sentence_loses_nothing(self) -> None:
        driver = sleeper()
        driver.speech(1_000)
        driver.feed(ConfigureSession(SessionConfig(turn_detection=None)))
        driver.speech(500)
        driver.feed(CommitAudio())
        (committed,) = driver.all(AudioCommitted)
        heard = driver.heard_samples(committed.item_id)
        assert is_contiguous(heard) and heard.size >= 1_500 * 16


class TestFallingAsleep:
    def test_after_the_last_turn_has_been_heard_for_long_enough(self) -> None:
        driver = awake()
        driver.wait(18.0)
        assert not driver.session.asleep
        driver.wait(3.0)
        assert driver.last(WakeChanged) == WakeChanged(False, "quiet")

    def test_not_while_somebody_speaks_or_an_answer_is_due(self) -> None:
        driver = awake()
        driver.speech(25_000)
        driver.silence(900)
        driver.wait(60.0)
        assert not driver.session.asleep
        driver.answer("word " * 200)
        driver.wait(45.0)
        assert not driver.session.asleep, "forty seconds of it have to be heard first"
        driver.wait(20.0)
        assert driver.session.asleep

    def test_awake_it_needs_no_phrase(self) -> None:
        driver = awake()
        driver.say_turn()
        assert len(driver.all(AudioCommitted)) == 2

    @pytest.mark.parametrize("text", ["Go to sleep.", "Hey computer, please go to sleep."])
    def test_being_told_to_once_that_has_been_answered(self, text: str) -> None:
        driver = awake()
        driver.say_turn()
        driver.feed(Transcribed(driver.last(AudioCommitted).item_id, text, 1.0))
        assert not driver.session.asleep
        driver.answer("Good night.")
        driver.wait(1.0)
        assert driver.last(WakeChanged) == WakeChanged(False, "told")

    def test_in_writing(self) -> None:
        driver = sleeper()
        driver.feed(AddItem(Item("i", "message", content=(TextContent("go to sleep"),))))
        driver.wait(0.1)
        assert driver.all(WakeChanged) == [WakeChanged(True, "client"), WakeChanged(False, "told")]

    def test_not_if_something_else_was_said_meanwhile(self) -> None:
        driver = awake()
        driver.say_turn()
        told = driver.last(AudioCommitted).item_id
        driver.answer("Good night.")
        driver.say_turn()
        driver.feed(Transcribed(told, "Go to sleep.", 1.0))
        driver.answer("Yes?")
        driver.wait(5.0)
        assert not driver.session.asleep

    def test_then_what_is_said_goes_nowhere_again(self) -> None:
        driver = awake()
        driver.wait(30.0)
        before = len(driver.all(Hear))
        utterance(driver, TO_OTHERS)
        driver.silence(800)
        assert len(driver.all(Hear)) == before


def test_without_a_phrase_a_session_never_sleeps() -> None:
    driver = SessionDriver()
    driver.say_turn()
    driver.answer("Hello.")
    driver.feed(Transcribed(driver.last(AudioCommitted).item_id, "Go to sleep.", 1.0))
    driver.wait(10_000.0)
    assert driver.all(WakeChanged) == [] and not driver.session.asleep


def test_samples_stay_countable() -> None:
    """The checks above rely on it: the driver's audio counts up."""
    driver = sleeper()
    driver.speech(320)
    utterance(driver, TO_THE_SERVICE)
    heard = driver.heard_samples(driver.last(Hear).item_id)
    assert np.all(np.diff(heard.astype(int)) == 1)
