from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.tools.number_words import digits_for_words

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety".split()


def spelled(number: int, conjunction: bool) -> list[str]:
    """English number words, with or without the British "and"."""
    if number < 20:
        return [ONES[number]]
    if number < 100:
        return [TENS[number // 10], *([ONES[number % 10]] if number % 10 else [])]
    for scale, name in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand")):
        if number >= scale:
            rest = number % scale
            joint = ["and"] if conjunction and 0 < rest < 100 else []
            tail = joint + spelled(rest, conjunction) if rest else []
            return [*spelled(number // scale, conjunction), name, *tail]
    rest = number % 100
    tail = (["and"] if conjunction else []) + spelled(rest, conjunction) if rest else []
    return [ONES[number // 100], "hundred", *tail]


@given(st.integers(0, 10**15 - 1) | st.integers(0, 9999), st.booleans())
def test_every_whole_number_survives_being_spelled(number: int, conjunction: bool) -> None:
    assert digits_for_words(spelled(number, conjunction)) == [str(number)]


@given(st.integers(0, 999_999), st.integers(0, 999_999), st.sampled_from(["times", "+", "and then", "from"]))
def test_numbers_around_other_words_stay_apart(left: int, right: int, between: str) -> None:
    words = [*spelled(left, True), *between.split(), *spelled(right, True)]
    assert digits_for_words(words) == [str(left), *between.split(), str(right)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("two point five", "2.5"),
        ("three point one four one five", "3.1415"),
        ("two point five million", "2500000"),
        ("3.5 million", "3500000"),
        ("2 hundred", "200"),
        ("a hundred and five", "105"),
        ("a dozen eggs", "12 eggs"),
        ("two dozen", "24"),
        ("two three", "2 3"),
        ("nineteen eighty four", "19 84"),
        ("twenty twenty", "20 20"),
        ("five and six", "5 and 6"),
        ("seven hundred and", "700 and"),
        ("point", "point"),
        ("five point", "5 point"),
        ("five thousand six thousand", "5000 6000"),
        ("two thousand three million", "2000 3000000"),
        ("five thousand and six", "5006"),
        ("five and six thousand", "5 and 6000"),
        ("a cup", "a cup"),
        ("hundred", "hundred"),
        ("", ""),
    ],
)
def test_what_people_say(said: str, expected: str) -> None:
    assert " ".join(digits_for_words(said.split())) == expected


@given(st.lists(st.sampled_from([*ONES, *TENS, "hundred", "thousand", "and", "a", "point", "7", "x", ""])))
def test_no_sequence_of_words_fails_or_loses_other_words(words: list[str]) -> None:
    result = digits_for_words(words)
    assert result.count("x") == words.count("x")
    assert len(result) <= len(words)
