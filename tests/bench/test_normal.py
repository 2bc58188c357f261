"""What counts as a word that was misheard."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

from normal import normal, word_errors  # noqa: E402


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Set a timer for twenty-five minutes.", "set a timer for 25 minutes"),
        ("What's 1,000 plus two?", "what is one thousand plus 2"),
        ("Wake me at 7:30 a.m.", "wake me at 7 30 am"),
        ("Ten percent of fifty", "10% of 50"),
        ("Mr. Dashwood", "mister Dashwood"),
        ("two point five", "2.5"),
    ],
)
def test_spelling_is_no_error(one: str, other: str) -> None:
    assert normal(one) == normal(other)
    assert word_errors(one, other)[0] == 0


@pytest.mark.parametrize(
    ("said", "heard", "errors", "words"),
    [
        ("ten of clubs", "ten of clubs", 0, 3),
        ("ten of clubs", "tin of clubs", 1, 3),
        ("ten of clubs", "ten clubs", 1, 3),
        ("ten of clubs", "ten of the clubs", 1, 3),
        ("ten of clubs", "", 3, 3),
    ],
)
def test_other_words_missing_words_and_words_too_many_are_errors(
    said: str, heard: str, errors: int, words: int
) -> None:
    assert word_errors(said, heard) == (errors, words)
