"""Speech over an answer holds it at once, and stops it only once it is meant to."""

from __future__ import annotations

import pytest
from session_driver import SessionDriver, is_contiguous

from hearsight.streams.events import (
    Announce,
    AudioCommitted,
    AudioDelta,
    ClearAudio,
    Close,
    CommitAudio,
    ConfigureSession,
    EstimateEndpoint,
    Forget,
    Hear,
    KeepHeard,
    Overhear,
    Overheard,
    ResponseEnded,
    ResponseStarted,
    SessionConfig,
    SpeechDismissed,
    SpeechStarted,
    StartResponse,
    TurnDetection,
)

LONG = "word " * 50


def talking(text: str = LONG) -> SessionDriver:
    """A session whose answer is being heard by a user with an open microphone."""
    driver = SessionDriver()
    driver.say_turn()
    driver.answer(text)
    driver.silence(640)
    return driver


def remark(driver: SessionDriver, duration_ms: float = 320) -> None:
    """Something short, and the pause in which its words are asked for."""
    driver.speech(duration_ms)
    driver.silence(96)


def audio_since(driver: SessionDriver, before: int) -> float:
    """Audio sent since then, in milliseconds."""
    return sum(o.samples.size for o in driver.outputs[before:] if isinstance(o, AudioDelta)) / 24


def test_onset_holds_the_answer_and_tells_nobody() -> None:
    driver = talking()
    before = len(driver.outputs)
    driver.speech(96)
    held_from = len(driver.outputs)
    driver.speech(352)
    assert audio_since(driver, before) <= 200, "the last audio goes within 200 ms of the onset"
    assert driver.outputs[held_from:] == []
    assert driver.session.in_doubt


def test_what_waits_to_be_announced_calls_for_no_tick_while_somebody_speaks() -> None:
    driver = talking("Yes.")
    driver.speech(320)
    driver.feed(Announce("Your tea timer is done."))
    due = driver.session.deadline()
    assert due is not None and due > driver.now, "or the shell would do nothing but tick"


def test_a_remark_lets_it_go_on_where_it_was() -> None:
    driver = talking()
    remark(driver)
    before = len(driver.outputs)
    driver.words("Uh-huh.")
    assert audio_since(driver, before) > 0, "at once"
    assert driver.last(SpeechDismissed).reason == "remark"
    driver.silence(12_000)
    (ended,) = driver.all(ResponseEnded)
    assert ended.status == "completed"
    assert audio_since(driver, 0) == 10_000, "nothing is lost or said twice"
    assert len(driver.all(AudioCommitted)) == 1 and driver.all(Forget) == []


def test_a_cough_lets_it_go_on() -> None:
    driver = talking()
    remark(driver, 256)
    driver.words("")
    assert not driver.session.in_doubt
    assert driver.last(SpeechDismissed).reason == "nothing_said"


def test_a_word_that_means_something_stops_it() -> None:
    driver = talking()
    remark(driver)
    driver.words("Stop!")
    ended = driver.last(ResponseEnded)
    assert (ended.status, ended.reason) == ("cancelled", "turn_detected")
    assert driver.last(KeepHeard).text.split() == ["word"] * 5
    driver.silence(96)
    driver.estimate(0.9)
    driver.silence(300)
    item_id = driver.last(AudioCommitted).item_id
    heard = driver.heard_samples(item_id)
    assert is_contiguous(heard) and heard.size >= (300 + 320) * 16, "from before its beginning"
    assert len(driver.all(ResponseStarted)) == 2


def test_an_interruption_is_announced_with_its_true_beginning() -> None:
    driver = talking()
    at_ms = driver.session._perceiving.listening.clock_ms
    driver.speech(832)
    started = driver.last(SpeechStarted)
    assert at_ms - 320 <= started.audio_start_ms <= at_ms
    order = [type(o) for o in driver.outputs]
    assert order.index(ResponseEnded) > len(order) - 1 - order[::-1].index(SpeechStarted)


def test_whoever_goes_on_speaking_is_not_asked_for_words() -> None:
    driver = talking()
    driver.speech(768)
    assert driver.session.in_doubt
    driver.speech(64)
    assert not driver.session.in_doubt
    assert driver.last(ResponseEnded).status == "cancelled"
    assert driver.all(Overhear) == []


def test_a_remark_that_goes_on_is_asked_for_again() -> None:
    driver = talking()
    remark(driver, 256)
    driver.speech(160)
    driver.words("Yeah.")
    assert driver.session.in_doubt, "what comes may be more"
    driver.silence(96)
    assert len(driver.all(Overhear)) == 2
    assert driver.all(Overhear)[1].samples.size > driver.all(Overhear)[0].samples.size
    driver.words("Yeah, but why?")
    assert driver.last(ResponseEnded).status == "cancelled"


def test_whether_a_pause_is_the_end_is_asked_when_it_comes_not_when_the_words_are_known() -> None:
    driver = talking()
    remark(driver)
    (asked,) = [c for c in driver.all(EstimateEndpoint) if c.item_id == driver.last(Overhear).item_id]
    driver.estimate(0.95)
    assert driver.session.in_doubt, "it may still be a remark"
    driver.silence(128)
    driver.words("Stop, please.")
    assert driver.last(EstimateEndpoint) is asked, "after more silence any pause would sound like the end"
    assert len(driver.all(AudioCommitted)) == 1, "the first turn's"
    driver.silence(96)
    assert driver.last(AudioCommitted).item_id == asked.item_id, "the short silence has passed"


def test_an_interruption_that_does_not_sound_finished_gets_the_long_silence() -> None:
    driver = talking()
    remark(driver)
    driver.estimate(0.5)
    driver.silence(256)
    driver.words("Stop, please, and")
    driver.silence(256)
    assert len(driver.all(AudioCommitted)) == 1, "the first turn's"
    driver.speech(320)
    assert len(driver.all(SpeechStarted)) == 2, "it goes on"


def test_what_is_asked_about_is_the_audio_from_its_beginning() -> None:
    driver = talking()
    remark(driver, 320)
    asked = driver.last(Overhear)
    assert is_contiguous(asked.samples) and asked.samples.size >= (300 + 320 + 96) * 16
    assert not any(isinstance(c, Hear) and c.item_id == asked.item_id for c in driver.commands)


@pytest.mark.parametrize(("spoken_ms", "stopped"), [(160, False), (448, True)])
@pytest.mark.parametrize("late", [False, True])
def test_without_words_it_goes_by_length(spoken_ms: int, stopped: bool, late: bool) -> None:
    driver = talking()
    remark(driver, spoken_ms)
    if late:
        driver.wait(0.79)
        assert driver.session.in_doubt
        driver.wait(0.02)
    else:
        driver.words(None)
    assert not driver.session.in_doubt
    assert bool(driver.all(KeepHeard)) == stopped


def test_yes_into_the_end_of_a_question_is_an_answer() -> None:
    driver = talking("shall I do it")
    remark(driver, 256)
    driver.words("Yes.")
    driver.silence(1_000)
    assert len(driver.all(AudioCommitted)) == 2
    assert len(driver.all(StartResponse)) == 2


def test_a_cough_into_the_end_is_nothing() -> None:
    driver = talking("shall I do it")
    remark(driver, 256)
    driver.words("")
    driver.silence(1_000)
    assert len(driver.all(AudioCommitted)) == 1


def test_two_interruptions_in_a_second() -> None:
    driver = talking()
    remark(driver, 160)
    driver.words("Mhm.")
    remark(driver, 160)
    driver.words("No.")
    assert [ended.status for ended in driver.all(ResponseEnded)] == ["cancelled"]
    driver.silence(900)
    first, second = driver.all(AudioCommitted)
    assert is_contiguous(driver.heard_samples(second.item_id)) and first != second


def test_words_that_come_too_late_change_nothing() -> None:
    driver = talking()
    remark(driver, 256)
    stale = driver.last(Overhear).item_id
    driver.words("Mhm.")
    before = len(driver.outputs)
    driver.feed(Overheard(stale, "Stop!"))
    assert not [o for o in driver.outputs[before:] if not isinstance(o, AudioDelta)]


def test_what_the_agent_says_meanwhile_is_not_lost() -> None:
    driver = SessionDriver()
    driver.say_turn()
    driver.answer("one two three four five", finish=False)
    driver.silence(320)
    driver.speech(256)
    driver.answer("six seven", start_ms=1_000)
    driver.silence(96)
    driver.words("Okay.")
    driver.silence(3_000)
    assert driver.last(ResponseEnded).status == "completed"
    assert audio_since(driver, 0) == 7 * 200


def test_without_a_microphone_everything_goes_at_once() -> None:
    driver = SessionDriver()
    driver.say_turn()
    driver.wait(0.6)
    driver.answer(LONG)
    assert audio_since(driver, 0) == 10_000
    assert driver.last(ResponseEnded).status == "completed"


def test_a_microphone_that_closes_lets_go_of_the_rest() -> None:
    driver = talking()
    assert audio_since(driver, 0) < 2_000
    driver.wait(0.6)
    assert audio_since(driver, 0) == 10_000


def test_audio_that_stops_in_mid_doubt_ends_it() -> None:
    driver = talking()
    driver.speech(224)
    driver.wait(4)
    assert not driver.session.in_doubt and driver.session.deadline() is None


def test_the_client_commits_what_may_be_nothing() -> None:
    driver = talking()
    driver.speech(256)
    driver.feed(CommitAudio())
    assert driver.last(ResponseEnded).status == "cancelled"
    assert len(driver.all(AudioCommitted)) == 2


def test_the_client_clears_what_may_be_something() -> None:
    driver = talking()
    driver.speech(256)
    driver.feed(ClearAudio())
    assert not driver.session.in_doubt and driver.all(ResponseEnded) == []
    driver.silence(200)
    assert driver.last(AudioDelta)


@pytest.mark.parametrize("detection", [None, TurnDetection(interrupt_response=False)])
def test_a_new_configuration_settles_it(detection: TurnDetection | None) -> None:
    driver = talking()
    driver.speech(256)
    driver.feed(ConfigureSession(SessionConfig(turn_detection=detection)))
    assert not driver.session.in_doubt
    assert driver.last(ResponseEnded).status == "cancelled"


def test_the_end_of_the_session_is_the_end_of_it() -> None:
    driver = talking()
    driver.speech(256)
    driver.feed(Close())
    assert driver.last(ResponseEnded).reason == "session_closed"
    assert driver.session.deadline() is None


def test_a_remark_while_more_is_being_written_does_not_stop_it() -> None:
    driver = SessionDriver()
    driver.say_turn()
    driver.answer("one two", finish=False)
    driver.silence(1_000)
    remark(driver, 256)
    assert driver.session.in_doubt, "the answer is in a pause, not at its end"
    driver.words("Yes.")
    driver.answer("three four", start_ms=400)
    driver.silence(1_500)
    assert driver.last(ResponseEnded).status == "completed"
    assert audio_since(driver, 0) == 4 * 200
