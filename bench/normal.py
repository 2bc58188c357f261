"""Transcripts brought to one spelling, so that only what was misheard counts as an error."""

from __future__ import annotations

import re

import jiwer

from hearsight.tools.number_words import digits_for_words

_SPELLINGS = (
    (re.compile(r"(?<=\d),(?=\d{3})"), ""),  # 1,000
    (re.compile(r"(\d)\s*:\s*(\d\d)"), r"\1 \2"),  # 7:30, said "seven thirty"
    (re.compile(r"\b([ap])\.\s?m\b\.?"), r"\1m"),
    (re.compile(r"(\d)([ap]m)\b"), r"\1 \2"),
    (re.compile(r"%"), " percent "),
    (re.compile(r"\bmr\b\.?"), "mister"),
    (re.compile(r"\bmrs\b\.?"), "missus"),
    (re.compile(r"\bdr\b\.?"), "doctor"),
    (re.compile(r"\bokay\b"), "ok"),
)
_CONTRACTIONS = jiwer.ExpandCommonEnglishContractions()
_NOT_A_WORD = re.compile(r"(?<!\d)\.|\.(?!\d)|[^\w\s.]")


def normal(text: str) -> str:
    """The words of a transcript: lower case, no punctuation, contractions apart, numbers as digits."""
    text = text.lower().replace("’", "'")
    for pattern, replacement in _SPELLINGS:
        text = pattern.sub(replacement, text)
    text = _NOT_A_WORD.sub(" ", _CONTRACTIONS(text))
    return " ".join(digits_for_words(text.split()))


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Word errors (substituted, deleted, inserted), and words in the reference."""
    counted = jiwer.process_words(normal(reference), normal(hypothesis))
    errors = counted.substitutions + counted.deletions + counted.insertions
    return errors, counted.hits + counted.substitutions + counted.deletions
