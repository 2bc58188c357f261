"""Wake phrases are found as speech recognition spells them, and other sentences do not wake anybody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.session.wake_words import asks_for, begins_with

PHRASES = ("hey computer", "okay jarvis")


@pytest.mark.parametrize(
    "text",
    [
        "hey computer",
        "Hey, Computer! What time is it?",
        "Hay computer, what time is it?",
        "Hi computer.",
        "Hey computers, what's up",
        "HeyComputer.",
        "Hey com puter, hello",
        "Um, hey computer, are you there?",
        "Oh, okay. Hey computer?",
        "Okay, Jarvis. Lights.",
        "OK Jarvis, go on.",
        "okay jervis",
        "Ok Jarvis, what do you see?",
        "Take computer.",
    ],
)
def test_a_phrase_is_found_however_it_is_spelt(text: str) -> None:
    assert begins_with(text, PHRASES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "…",
        "Hey.",
        "Computer says no.",
        "The computer is broken.",
        "My computer is slow.",
        "I said hey computer to it.",
        "What did you say? Hey computer.",
        "Hey Peter, come over here.",
        "Hey, come here.",
        "Okay, just this once.",
        "Hello there, how are you?",
    ],
)
def test_other_sentences_are_not_taken_for_one(text: str) -> None:
    assert not begins_with(text, PHRASES)


def test_an_article_counts_where_the_phrase_has_one() -> None:
    assert begins_with("The great oracle, speak!", ["the great oracle"])


@pytest.mark.parametrize(
    "text",
    [
        "Go to sleep.",
        "Please go to sleep now.",
        "Okay, go to sleep, thank you.",
        "Hey computer, go to sleep.",
        "Goto sleep",
    ],
)
def test_being_told_to_sleep(text: str) -> None:
    assert asks_for(text, ["go to sleep"], PHRASES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hey computer.",
        "I go to sleep at ten.",
        "When do cats go to sleep?",
        "Don't go to sleep.",
        "Sleep.",
    ],
)
def test_speaking_of_sleep(text: str) -> None:
    assert not asks_for(text, ["go to sleep"], PHRASES)


@given(st.text())
def test_any_text_can_be_asked_about(text: str) -> None:
    begins_with(text, PHRASES)
    asks_for(text, ["go to sleep"], PHRASES)


@given(st.text(), st.sampled_from(PHRASES))
def test_what_follows_the_phrase_does_not_matter(rest: str, phrase: str) -> None:
    assert begins_with(f"{phrase}, {rest}", PHRASES)
