"""Bringing the times of the words that were said back to the words that were written.

A synthesiser says more or other words than the text holds: "3:45 PM" becomes "three forty-five P.M.". Times
are known for what was said; the transcript is cut by what was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from hearsight.agent.voice.speakable import SpokenWord
from hearsight.streams.events import WordTiming


@dataclass(frozen=True, slots=True)
class SaidWord:
    """A word as the synthesiser said it."""

    text: str
    start_ms: float
    end_ms: float


def align_words(written: Sequence[SpokenWord], said: Sequence[SaidWord]) -> tuple[WordTiming, ...]:
    """Time each written word by what was said for it.

    Words that were said as they are written anchor the alignment. Between two anchors the words that were
    said are dealt out in order, in proportion to the letters of what was to be said.

    Args:
        written: Words of the transcript with the text that was given to the synthesiser.
        said: Words that the synthesiser made of that text, in order, with times.

    Returns:
        One timing per written word, in order, starts never before the end of the word before. A word for
        which nothing was said has no length.
    """
    given = [(token, index) for index, word in enumerate(written) for token in word.spoken.split()]
    spans: dict[int, tuple[float, float]] = {}
    for said_index, given_index in _pairs([token for token, _ in given], [word.text for word in said]):
        owner, word = given[given_index][1], said[said_index]
        start, end = spans.get(owner, (word.start_ms, word.end_ms))
        spans[owner] = (min(start, word.start_ms), max(end, word.end_ms))
    return _in_order(written, spans)


def _pairs(given: Sequence[str], said: Sequence[str]) -> list[tuple[int, int]]:
    """(index said, index given) for every word said that has a written origin."""
    matcher = SequenceMatcher(
        None, [_key(word) for word in said], [_key(word) for word in given], autojunk=False
    )
    pairs: list[tuple[int, int]] = []
    for _, s_from, s_to, g_from, g_to in matcher.get_opcodes():
        if g_from == g_to:  # said without being written: part of the word before
            pairs += [(i, max(g_from - 1, 0)) for i in range(s_from, s_to) if given]
        elif s_to - s_from == g_to - g_from:
            pairs += zip(range(s_from, s_to), range(g_from, g_to), strict=True)
        else:
            pairs += _dealt(said[s_from:s_to], given[g_from:g_to], s_from, g_from)
    return pairs


def _dealt(said: Sequence[str], given: Sequence[str], s_from: int, g_from: int) -> list[tuple[int, int]]:
    """Deal a run of words said to a run of words given, each by where its middle falls among the letters."""
    total_said = sum(_weight(word) for word in said)
    total_given = sum(_weight(word) for word in given)
    pairs = []
    said_before, target, given_before = 0.0, 0, 0.0
    for index, word in enumerate(said):
        middle = (said_before + _weight(word) / 2) / total_said * total_given
        while target < len(given) - 1 and middle > given_before + _weight(given[target]):
            given_before += _weight(given[target])
            target += 1
        pairs.append((s_from + index, g_from + target))
        said_before += _weight(word)
    return pairs


def _in_order(written: Sequence[SpokenWord], spans: dict[int, tuple[float, float]]) -> tuple[WordTiming, ...]:
    timings: list[WordTiming] = []
    last = 0.0
    for index, word in enumerate(written):
        start, end = spans.get(index, (last, last))
        start = max(start, last)
        last = max(end, start)
        timings.append(WordTiming(word.text, start, last))
    return tuple(timings)


def _key(word: str) -> str:
    return "".join(c for c in word.casefold() if c.isalnum()) or word


def _weight(word: str) -> float:
    """How much of a phrase a word is: letters, where a digit stands for a spoken word of about four."""
    return sum(4.0 if c.isdigit() else 1.0 for c in word if c.isalnum()) or 1.0
