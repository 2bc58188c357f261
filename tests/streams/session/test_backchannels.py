from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.streams.session.backchannels import BACKCHANNELS, MOST, is_backchannel


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "...", "Mhm.", "mm-hmm", "Mm hmm.", "Uh-huh.", "Yeah.", "Yeah, yeah.", "Okay."),
        "OK, cool.",
        *("Oh, I see.", "Got it.", "Right, right, right.", "Of course!", "Wow, really?", "No way!", "Hmm…"),
        *("Thank you.", "you", "Yes", "oh okay thanks", "Haha.", "Ha ha!", "Hahahaha, nice.", "Hehe.", "heh"),
    ],
)
def test_remarks(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize(
    "text",
    [
        *("Stop.", "Wait.", "No.", "No, three.", "Okay, stop.", "What?", "Yeah, but why?", "Hold on."),
        *("I see a dog.", "Right now?", "Is that true?", "Thank you, that is enough.", "Hey.", "Got"),
        *("yeah yeah yeah yeah yeah", "You said seven.", "nein", "待って", "He.", "Hey, ha!", "hat"),
    ],
)
def test_words_that_mean_something(text: str) -> None:
    assert not is_backchannel(text)


@given(st.lists(st.sampled_from(BACKCHANNELS), max_size=MOST), st.sampled_from([", ", " ", "… ", ". "]))
def test_any_few_remarks_are_remarks(remarks: list[str], between: str) -> None:
    assert is_backchannel(between.join(remarks).capitalize())


@given(st.lists(st.sampled_from(BACKCHANNELS), max_size=6), st.integers(0, 6))
def test_one_word_that_means_something_makes_it_more(remarks: list[str], at: int) -> None:
    assert not is_backchannel(" ".join([*remarks[:at], "stop", *remarks[at:]]))


@given(st.text(max_size=200))
def test_any_text_is_judged(text: str) -> None:
    assert is_backchannel(text) in (True, False)
