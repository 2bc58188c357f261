"""Whether the user said yes."""

from __future__ import annotations

import re
from enum import Enum


class Consent(Enum):
    """What an answer to "shall I?" means."""

    YES = "yes"
    NO = "no"
    OTHER = "other"
    """Neither: a correction, a question, something else altogether. Nobody may take it for a yes."""


_YES = (
    *("absolutely", "alright", "all right", "certainly", "confirm", "confirmed", "definitely", "do it"),
    *("do that", "exactly", "fine", "go ahead", "go for it", "i do", "it is", "mhm", "of course", "ok"),
    *("okay", "please do", "right", "sounds good", "sure", "that is right", "that's right", "uh huh"),
    *("yeah", "yep", "yes", "yes i am", "you may", "yup"),
)
_NO = (
    *("absolutely not", "better not", "cancel", "cancel it", "cancel that", "don't", "do not", "don't do it"),
    *("do not do it", "don't do that", "forget it", "i don't want that", "leave it", "nah", "never mind"),
    *("no", "no way", "nope", "not now", "of course not", "rather not", "stop", "stop it", "stop that"),
    *("wait no", "certainly not", "i changed my mind", "please don't"),
)
_POLITE = (
    *("ah", "hey", "hearsight", "just", "my friend", "now", "oh", "please", "so", "thank you", "thanks"),
    *("uh", "um", "well", "then", "i guess", "i think so", "you can", "it", "that"),
)
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def _phrases(*groups: tuple[str, ...]) -> re.Pattern[str]:
    # The longest first: "no way" is not "no" and something else.
    phrases = sorted((phrase for group in groups for phrase in group), key=len, reverse=True)
    return re.compile(rf"(?:(?:{'|'.join(map(re.escape, phrases))})(?: |$))+")


_ONLY_YES, _ONLY_NO = _phrases(_YES, _POLITE), _phrases(_NO, _POLITE)
_ONLY_POLITE = _phrases(_POLITE)


def consent(text: str) -> Consent:
    """What an answer to "shall I?" means; only what says nothing else is a yes or a no.

    Args:
        text: The answer, as speech recognition or a keyboard writes it, in English.
    """
    said = " ".join(_WORD.findall(text.lower().replace("’", "'")))
    if not said or _ONLY_POLITE.fullmatch(said):
        return Consent.OTHER
    if _ONLY_NO.fullmatch(said):
        return Consent.NO
    return Consent.YES if _ONLY_YES.fullmatch(said) else Consent.OTHER
