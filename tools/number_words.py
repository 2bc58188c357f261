"""Numbers as people say them, turned into digits: "twenty three" → "23", "two point five" → "2.5"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

_UNITS = {
    word: value for value, word in enumerate("zero one two three four five six seven eight nine".split())
}
_TEENS = {
    word: value
    for value, word in enumerate(
        "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split(), start=10
    )
}
_TENS = {
    word: value * 10
    for value, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), start=2)
}
_SCALES = {"dozen": 12, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_DIGITS = re.compile(r"\d+(?:\.\d+)?")


def digits_for_words(words: Sequence[str]) -> list[str]:
    """Replace every run of number words by one numeral.

    Args:
        words: Lower-case tokens; those that are no number words pass unchanged, ``-`` and ``,`` included.

    Returns:
        The tokens, with numerals without separators. Words that do not form one number stay apart:
        "two three" gives ``["2", "3"]``.
    """
    result: list[str] = []
    at = 0
    while at < len(words):
        number = _Number(words, at)
        if number.end > at:
            result.append(number.numeral)
            at = number.end
        else:
            result.append(words[at])
            at += 1
    return result


class _Number:
    """The longest number that starts at a place; ``end`` equals the start where there is none."""

    def __init__(self, words: Sequence[str], start: int) -> None:
        self._words = words
        self.end = start
        total = Decimal(0)
        largest: int | None = None
        while True:
            before = self.end
            group = self._group()
            if group is None:
                break
            value, scale = group
            if largest is not None and scale >= largest:  # "five thousand, six thousand": another number.
                self.end = before
                break
            total += value * scale
            largest = scale
            if scale == 1:
                break
        self.numeral = format(total.normalize(), "f") if self.end > start else ""

    def _group(self) -> tuple[Decimal, int] | None:
        """A number below a thousand and the scale after it: "two hundred and five thousand"."""
        at = self.end
        if at > 0 and self._word(at) == "and" and self._is_start(at + 1):
            at += 1 if self._word(at - 1) in {*_SCALES, "hundred"} else 0
        value, at = self._below_thousand(at)
        if value is None:
            return None
        scale = _SCALES.get(self._word(at), 0)
        self.end = at + 1 if scale else at
        return value, scale or 1

    def _below_thousand(self, at: int) -> tuple[Decimal | None, int]:
        word = self._word(at)
        if _DIGITS.fullmatch(word):
            value, at = Decimal(word), at + 1
        elif word in ("a", "one") and self._word(at + 1) in {*_SCALES, "hundred"}:
            value, at = Decimal(1), at + 1
        else:
            small, at = self._below_hundred(at)
            if small is None:
                return None, at
            value = Decimal(small)
        if self._word(at) == "hundred":
            value, at = value * 100, at + 1
            after = at + 1 if self._word(at) == "and" else at
            rest, end = self._below_hundred(after)
            if rest:
                value, at = value + rest, end
        return self._with_decimals(value, at)

    def _below_hundred(self, at: int) -> tuple[int | None, int]:
        word = self._word(at)
        if word in _TENS:
            unit = _UNITS.get(self._word(at + 1), 0)
            return (_TENS[word] + unit, at + 2) if unit else (_TENS[word], at + 1)
        if word in _TEENS:
            return _TEENS[word], at + 1
        if word in _UNITS:
            return _UNITS[word], at + 1
        return None, at

    def _with_decimals(self, value: Decimal, at: int) -> tuple[Decimal, int]:
        if self._word(at) != "point":
            return value, at
        end = at + 1
        decimals = ""
        while self._word(end) in _UNITS or self._word(end).isdecimal():
            decimals += str(_UNITS.get(self._word(end), self._word(end)))
            end += 1
        return (value + Decimal(f"0.{decimals}"), end) if decimals else (value, at)

    def _is_start(self, at: int) -> bool:
        word = self._word(at)
        return word in _UNITS or word in _TEENS or word in _TENS or word == "a" or word.isdecimal()

    def _word(self, at: int) -> str:
        return self._words[at] if at < len(self._words) else ""
