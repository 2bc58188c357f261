"""Cutting text into clauses while it is still being written.

The first clause leaves as early as it can be said at all, because the user waits for it; the later ones are
longer, because a synthesiser that sees a whole phrase gives it better prosody. Text is cut at whitespace, so
a number, a URL or an abbreviation stays whole whatever punctuation it holds, and a full stop counts only once
the character after it is known ("3." may become "3.5"). Only the comma at which the first clause ends is not
waited behind, where it follows a plain word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_CLAUSE_CHARS = 400
"""A clause is cut here even without whitespace, so that no text is held for ever."""

_CLOSERS = "\"'”’»)]}*_`~"
_SENTENCE_END = re.compile(r"[.!?…]$")
_CLAUSE_END = re.compile(r"(?:[,;:—–]|--|^-)$")
_LIST_NUMBER = re.compile(r"\(?(?:\d{1,3}|[A-Za-z])[.)]")
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+")

_NEVER_FINAL = frozenset(
    "adm approx ave capt cf cmdr col dr e.g fig ft gen gov hon i.e lt mr mrs ms mt pp "
    "prof rep rev sen sgt st vol vs".split()
)
"""Abbreviations that something always follows."""
_MAYBE_FINAL = frozenset(
    "a.m apr assn aug blvd bros co corp dec dept dr est etc feb fri govt inc jan jr jul jun ltd "
    "mar mon nov oct p.m rd sat sep sept sr sun thu thurs tue tues univ u.k u.s wed".split()
)
"""Abbreviations that end a sentence where a capital letter follows."""
_NUMBERING = frozenset(("ch", "no", "nos", "sec"))
"""Abbreviations before a number, and else words that end a sentence: "No. 5", "No. I can't."."""
_CONJUNCTIONS = frozenset(
    "after although and because before but if or since so then though unless until when where "
    "which while".split()
)
_LEANING = frozenset(
    "a about all am an and any are as at be because been being by can could did do does each every for from "
    "had has have her his how i if in into is it its just like many may might more most much must my no not "
    "of on one only or our over shall should so some such than that the their then there these they this "
    "those to too under up very was we were what when where which while who whose why will with would you "
    "your".split()
)
"""Words after which nobody pauses: they lean on the next one."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many words a clause has before it may end.

    Attributes:
        comma_words: At a comma, semicolon, colon or dash.
        conjunction_words: Before a conjunction, where no punctuation came.
        break_words: Anywhere but behind a word that belongs to the next one, such as an article.
        max_words: Anywhere.
    """

    comma_words: int
    conjunction_words: int
    break_words: int
    max_words: int


FIRST = Pace(comma_words=2, conjunction_words=4, break_words=5, max_words=9)
LATER = Pace(comma_words=8, conjunction_words=14, break_words=20, max_words=24)


class ClauseSplitter:
    """Cuts a growing text into clauses; the clauses joined are the text, to the character.

    Whitespace between two clauses starts the second one. Where the cuts lie depends on the text alone, not on
    the deltas in which it came.
    """

    def __init__(self, *, first: Pace = FIRST, later: Pace = LATER) -> None:
        self._pace = first
        self._later = later
        self._clause = ""  # finished words, with the whitespace before each
        self._words = 0
        self._space = ""  # whitespace since the last finished word
        self._word = ""  # the word being written
        self._undecided = ""  # a sentence may have ended at this word: what follows will tell

    def feed(self, delta: str) -> list[str]:
        """Take more text and return the clauses that are now complete."""
        done: list[str] = []
        for char in delta:
            if char.isspace():
                self._on_space(char, done)
            else:
                self._on_letter(char, done)
        return done

    def flush(self) -> list[str]:
        """End the text and return what is left of it; the splitter is then as new, but for its pace."""
        done: list[str] = []
        if self._word:
            self._end_word(done)
        rest = self._clause + self._space
        if rest:
            done.append(rest)
        self._clause, self._space, self._words, self._undecided = "", "", 0, ""
        return done

    def _on_letter(self, char: str, done: list[str]) -> None:
        if self._undecided and char.isalnum():
            ended = not char.isdigit() if self._undecided in _NUMBERING else char.isupper()
            self._undecided = ""
            if ended:
                self._cut(done)
        self._word += char
        if char == "," and self._is_plain_start():
            self._end_word(done)
        elif len(self._clause) + len(self._space) + len(self._word) >= MAX_CLAUSE_CHARS:
            self._cut_overlong(done)

    def _is_plain_start(self) -> bool:
        """Whether the first clause can end at this comma: behind "well", it is no part of a number."""
        first = self._pace is not self._later
        return first and self._words + 1 >= self._pace.comma_words and self._word[:-1].isalpha()

    def _on_space(self, char: str, done: list[str]) -> None:
        if self._word:
            self._end_word(done)
        if char in "\n\r\u2028\u2029" and self._words:
            self._cut(done)
        self._space += char
        if len(self._clause) + len(self._space) >= MAX_CLAUSE_CHARS:
            self._cut_overlong(done)

    def _end_word(self, done: list[str]) -> None:
        """Account for a word that is now known to be whole, and cut before or after it."""
        word = self._word
        starts_line = not self._words and (not self._clause or "\n" in self._space)
        if self._words >= self._pace.conjunction_words and word.lower() in _CONJUNCTIONS:
            self._cut(done)
        self._clause += self._space + word
        self._space, self._word = "", ""
        self._words += any(c.isalnum() for c in word)
        if self._ends_clause(word, starts_line=starts_line):
            self._cut(done)

    def _ends_clause(self, word: str, *, starts_line: bool) -> bool:
        if not self._words or (starts_line and _LIST_NUMBER.fullmatch(word)):
            return False
        bare = word.rstrip(_CLOSERS)
        if _SENTENCE_END.search(bare):
            return self._ends_sentence(bare)
        if _CLAUSE_END.search(bare):
            return self._words >= self._pace.comma_words
        longest = self._pace.max_words if word.lower() in _LEANING else self._pace.break_words
        return self._words >= longest

    def _ends_sentence(self, word: str) -> bool:
        if not word.endswith("."):
            return True
        stem = word.rstrip(".").lstrip("\"'“‘([*_").lower()
        if stem in _NEVER_FINAL or (len(stem) == 1 and stem.isalpha()):
            return False
        if stem in _MAYBE_FINAL | _NUMBERING or _INITIALS.fullmatch(word):
            self._undecided = stem
        return not self._undecided

    def _cut(self, done: list[str]) -> None:
        done.append(self._clause)
        self._clause, self._words, self._undecided = "", 0, ""
        self._pace = self._later

    def _cut_overlong(self, done: list[str]) -> None:
        if self._words:
            self._cut(done)
        else:  # one endless word, or nothing but whitespace
            done.append(self._clause + self._space + self._word)
            self._clause, self._space, self._word = "", "", ""
