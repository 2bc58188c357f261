"""Times of what was said, brought back to what was written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.voice.alignment import SaidWord, align_words
from hearsight.agent.voice.speakable import SpokenWord, speakable


def said(*words: str) -> list[SaidWord]:
    """Words of 100 ms each, one after another."""
    return [SaidWord(word, 100.0 * i, 100.0 * (i + 1)) for i, word in enumerate(words)]


def spans(clause: str, *words: str) -> list[tuple[str, float, float]]:
    """Timings of a clause's words in hundreds of milliseconds."""
    return [(w.text, w.start_ms / 100, w.end_ms / 100) for w in align_words(speakable(clause), said(*words))]


def test_words_said_as_written_keep_their_times() -> None:
    assert spans("Hello there, you.", "Hello", "there,", "you.") == [
        ("Hello", 0, 1),
        ("there,", 1, 2),
        ("you.", 2, 3),
    ]


def test_one_written_word_said_as_several() -> None:
    assert spans("On 2024-05-03 we met", "On", "May", "third,", "2024", "we", "met") == [
        ("On", 0, 1),
        ("2024-05-03", 1, 4),
        ("we", 4, 5),
        ("met", 5, 6),
    ]


def test_several_written_words_said_as_several_others() -> None:
    assert spans("at 3:45 PM today", "at", "three", "forty-five", "P.M.", "today") == [
        ("at", 0, 1),
        ("3:45", 1, 3),
        ("PM", 3, 4),
        ("today", 4, 5),
    ]


def test_a_word_that_the_speakable_form_splits() -> None:
    assert spans("so e.g. this", "so", "for", "example", "this") == [
        ("so", 0, 1),
        ("e.g.", 1, 3),
        ("this", 3, 4),
    ]


def test_silent_words_have_no_length_and_stay_in_order() -> None:
    assert spans("- Hi 🙂 you 🙂", "Hi", "you") == [
        ("-", 0, 0),
        ("Hi", 0, 1),
        ("🙂", 1, 1),
        ("you", 1, 2),
        ("🙂", 2, 2),
    ]


def test_a_written_word_that_was_not_said() -> None:
    assert spans("one two three", "one", "three") == [("one", 0, 1), ("two", 1, 1), ("three", 1, 2)]


def test_a_said_word_that_was_not_written_belongs_to_the_one_before() -> None:
    assert spans("one two", "one", "extra", "two") == [("one", 0, 2), ("two", 2, 3)]


def test_nothing_said() -> None:
    assert spans("one two") == [("one", 0, 0), ("two", 0, 0)]
    assert align_words((), said("noise")) == ()


words = st.lists(st.sampled_from(["a", "b", "3", "forty", "—", "x y"]), max_size=12)


@given(words, words)
def test_timings_are_monotone_and_complete(written: list[str], spoken: list[str]) -> None:
    timings = align_words([SpokenWord(word.replace(" ", ""), word) for word in written], said(*spoken))
    assert [timing.text for timing in timings] == [word.replace(" ", "") for word in written]
    edges = [edge for timing in timings for edge in (timing.start_ms, timing.end_ms)]
    assert edges == sorted(edges)
    assert not edges or edges[-1] <= 100.0 * len(spoken)
