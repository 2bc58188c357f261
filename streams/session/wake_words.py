"""Telling whether somebody speaks to the assistant, from the words that speech recognition wrote down.

It spells a phrase as it likes: "hey computer" comes as "Hey, computer.", "Hay computer" or "Hi, computer". So
letters are compared, not words, and a few may differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

ALIKE = 0.76
"""Share of the letters that must agree: "take computer" is "hey computer", and "hey Peter" (0.74) is not."""
MOST_LETTERS_MORE = 0.2
"""Share of a phrase's letters by which what is heard may be longer or shorter."""
FILLERS = frozenset({"ah", "and", "okay", "oh", "so", "uh", "um", "well"})
"""What people say before they say what they want to say."""
MAX_FILLERS = 2
POLITE = frozenset({"please", "now", "thanks", "thank", "you", "okay"})
"""What may stand around a request without being part of it."""
ARTICLES = frozenset({"a", "an", "the", "this", "that", "my", "our", "your", "his", "her", "their"})
"""Whoever says "the computer" speaks of it, not to it, though it is near to "hey computer"."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


def begins_with(text: str, phrases: Iterable[str]) -> bool:
    """Whether what was said begins with one of these phrases, a filler or two aside.

    Args:
        text: As speech recognition writes it.
        phrases: Such as "hey computer".
    """
    return _after(_words(text), phrases) is not None


def asks_for(text: str, requests: Iterable[str], phrases: Iterable[str]) -> bool:
    """Whether all that was said is one of these requests, the wake phrase and politeness aside.

    Args:
        text: As speech recognition writes it.
        requests: Such as "go to sleep".
        phrases: What may stand before it.
    """
    said = _words(text)
    rest = _after(said, phrases)
    asked = [word for word in (said if rest is None else rest) if word not in POLITE | FILLERS]
    return any(_likeness("".join(asked), "".join(_words(request))) >= ALIKE for request in requests)


def _after(said: Sequence[str], phrases: Iterable[str]) -> Sequence[str] | None:
    """The words behind the phrase that these begin with; None where they begin with none."""
    found = [rest for phrase in phrases if (rest := _after_phrase(said, _words(phrase))) is not None]
    return min(found, key=len, default=None)


def _after_phrase(said: Sequence[str], wanted: Sequence[str]) -> Sequence[str] | None:
    for skipped in range(min(MAX_FILLERS, len(said)) + 1):
        if any(word not in FILLERS for word in said[:skipped]):
            return None
        heard = said[skipped:]
        if heard and heard[0] in ARTICLES and wanted[0] not in ARTICLES:
            return None
        # Recognition may have run two words together, or split one.
        counts = range(1, min(len(wanted) + 1, len(heard)) + 1)
        likeness = {count: _likeness("".join(heard[:count]), "".join(wanted)) for count in counts}
        best = max(likeness, key=lambda count: likeness[count], default=0)
        if best and likeness[best] >= ALIKE:
            return heard[best:]
    return None


def _likeness(heard: str, wanted: str) -> float:
    """From 0 to 1."""
    if abs(len(heard) - len(wanted)) > max(1, MOST_LETTERS_MORE * len(wanted)):
        return 0.0  # "computer" is most of "hey computer", and not enough of it
    return SequenceMatcher(None, heard, wanted, autojunk=False).ratio()


def _words(text: str) -> list[str]:
    found = [re.sub("['’]", "", word) for word in _WORD.findall(text.casefold())]
    return ["okay" if word == "ok" else word for word in found]
