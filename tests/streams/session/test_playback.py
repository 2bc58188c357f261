import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_driver import spoken

from hearsight.streams.events import AnswerSpeech
from hearsight.streams.session.playback import MAX_TRACKS, Playback, spread_words


def test_nothing_is_audible_before_anything_was_sent():
    assert not Playback().audible(0.0)


def test_words_are_heard_as_time_passes():
    playback = Playback()
    playback.add(spoken(1, "a", "one two three four"), now=10.0)
    assert playback.audible(10.79)
    assert not playback.audible(10.81)
    (heard,) = playback.interrupt(10.45)
    assert heard.text == "one two"
    assert heard.played_ms == pytest.approx(450)


def test_a_word_cut_in_its_middle_was_not_heard():
    playback = Playback()
    playback.add(spoken(1, "a", "one two"), now=0.0)
    (heard,) = playback.interrupt(0.399)
    assert heard.text == "one"


def test_clauses_of_one_item_play_one_after_the_other():
    playback = Playback()
    playback.add(spoken(1, "a", "one two "), now=0.0)
    playback.add(spoken(1, "a", "three four", start_ms=400), now=0.01)
    assert playback.ends_at_s == pytest.approx(0.8)
    (heard,) = playback.interrupt(0.61)
    assert heard.text == "one two three"


def test_a_gap_in_delivery_is_not_playing_time():
    playback = Playback()
    playback.add(spoken(1, "a", "one two "), now=0.0)
    playback.add(spoken(1, "a", "three four", start_ms=400), now=5.0)
    (heard,) = playback.interrupt(5.21)
    assert heard.text == "one two three"


def test_the_second_item_waits_for_the_first():
    playback = Playback()
    playback.add(spoken(1, "a", "one two"), now=0.0)
    playback.add(spoken(1, "b", "three four"), now=0.0)
    heard = playback.interrupt(0.61)
    assert [(part.item_id, part.text) for part in heard] == [("b", "three")]


def test_what_was_heard_to_its_end_is_not_reported_as_interrupted():
    playback = Playback()
    playback.add(spoken(1, "a", "one"), now=0.0)
    assert playback.interrupt(1.0) == []
    assert playback.heard("a") is None


def test_an_interruption_stops_playback():
    playback = Playback()
    playback.add(spoken(1, "a", "one two three"), now=0.0)
    playback.interrupt(0.3)
    assert not playback.audible(0.3)
    assert playback.interrupt(0.4) == []
    assert playback.heard("a").text == "one"


def test_the_client_knows_better():
    playback = Playback()
    playback.add(spoken(1, "a", "one two three four"), now=0.0)
    playback.report("a", 0.0, now=2.0)  # it had buffered for two seconds
    assert playback.audible(2.7)
    (heard,) = playback.interrupt(2.25)
    assert heard.text == "one"


def test_a_report_shifts_what_follows():
    playback = Playback()
    playback.add(spoken(1, "a", "one"), now=0.0)
    playback.add(spoken(1, "b", "two three"), now=0.0)
    playback.report("a", 0.0, now=1.0)
    (heard,) = playback.interrupt(1.41)
    assert (heard.item_id, heard.text) == ("b", "two")


def test_a_report_for_an_unknown_item_is_ignored():
    playback = Playback()
    playback.report("nobody", 100, now=0.0)
    assert not playback.audible(0.0)


def test_a_later_truncation_overrules_the_audio_clock():
    playback = Playback()
    playback.add(spoken(1, "a", "one two three four"), now=0.0)
    playback.interrupt(0.25)
    assert playback.cut("a", 600, now=0.3).text == "one two three"
    assert playback.cut("a", 0, now=0.3).text == ""


def test_an_item_without_audio_cannot_be_cut():
    assert Playback().cut("a", 10, now=0.0) is None
    assert Playback().sent_ms("a") is None


def test_old_tracks_are_forgotten():
    playback = Playback()
    for index in range(MAX_TRACKS + 5):
        playback.add(spoken(1, f"i{index}", "one"), now=0.0)
    assert playback.sent_ms("i0") is None
    assert playback.sent_ms(f"i{MAX_TRACKS + 4}") == pytest.approx(200)


def test_a_voice_without_timings_gets_them_by_letters():
    speech = AnswerSpeech(1, "a", "aa bbbb", np.zeros(24 * 600, np.int16))
    playback = Playback()
    playback.add(speech, now=0.0)
    assert playback.cut("a", 200, now=0.0).text == "aa"
    assert playback.cut("a", 199, now=0.0).text == ""


@given(st.text(alphabet="ab ,\n", min_size=1), st.floats(0, 1e4), st.floats(1, 1e5))
def test_spread_words_cover_the_audio_in_order(text, start_ms, duration_ms):
    words = spread_words(text, start_ms, duration_ms)
    assert [word.text for word in words] == text.split()
    at = start_ms
    for word in words:
        assert word.start_ms == pytest.approx(at)
        at = word.end_ms
    if words:
        assert at == pytest.approx(start_ms + duration_ms)


@given(
    st.lists(st.sampled_from(["one ", "two  three ", "four,\n", "five"]), min_size=1, max_size=6),
    st.floats(0, 4_000),
)
def test_heard_text_is_a_prefix_that_ends_with_a_word(clauses, played_ms):
    playback = Playback()
    whole = "".join(clauses)
    at = 0.0
    for clause in clauses:
        speech = spoken(1, "a", clause, start_ms=at)
        at += speech.samples.size / 24
        playback.add(speech, now=0.0)
    heard = playback.cut("a", played_ms, now=0.0)
    assert whole.startswith(heard.text)
    assert heard.text == heard.text.rstrip()
    assert len(heard.text.split()) <= len(whole.split())
