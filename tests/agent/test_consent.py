from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent.consent import Consent, consent


@pytest.mark.parametrize(
    "text",
    [
        *("Yes.", "yes", "Yeah!", "Yes, please.", "Sure, go ahead.", "OK.", "Okay, do it.", "Of course."),
        *(
            "Please do.",
            "That's right.",
            "That’s right.",
            "Um, yes.",
            "Yes, do that, thank you.",
            "Go for it.",
        ),
        *("Absolutely!", "Well, alright then.", "Yep yep", "Mhm.", "Uh-huh.", "You may."),
    ],
)
def test_yes(text: str) -> None:
    assert consent(text) is Consent.YES


@pytest.mark.parametrize(
    "text",
    [
        *("No.", "no", "Nope.", "No, thank you.", "No, don't.", "Don't do it!", "Don’t.", "Please don't."),
        *("Stop!", "Cancel that, please.", "Never mind.", "Of course not.", "Oh no, wait no.", "No way."),
        *("Absolutely not.", "Leave it.", "I changed my mind."),
    ],
)
def test_no(text: str) -> None:
    assert consent(text) is Consent.NO


@pytest.mark.parametrize(
    "text",
    [
        *("", "...", "Please.", "Thank you.", "Well.", "No, the blue one.", "Yes, but the other one first."),
        *("Make it seven.", "What do you mean?", "Yes and no.", "Is that safe?", "Say yes to the dress."),
        *("Not yes.", "No, yes.", "Okay, stop.", "What time is it?", "Not sure.", "Right after lunch."),
    ],
)
def test_neither(text: str) -> None:
    assert consent(text) is Consent.OTHER


@given(st.text(max_size=100))
def test_any_text_is_understood_somehow(text: str) -> None:
    assert consent(text) in Consent


@given(
    st.lists(st.sampled_from(["yes", "sure", "please", "go ahead", "not", "no", "blue", "stop"]), min_size=1)
)
def test_nobody_takes_a_no_or_a_correction_for_a_yes(words: list[str]) -> None:
    if {"not", "no", "blue", "stop"} & set(words):
        assert consent(" ".join(words)) is not Consent.YES
