"""From what a model writes to what a voice should say, word by word.

Models write Markdown, emoji, links and symbols; a voice that reads them out sounds broken. Each written word
is paired with its spoken form, so that the time at which something was heard leads back to the exact place in
the transcript. What the synthesiser already reads well (numbers, times, dates, money, common units, titles)
is left to it: the rules here are those that its output, transcribed again, showed to be needed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hearsight.agent.voice import lexicon

MAX_SPOKEN_CHARS = 160
"""Longest spoken form of one word; the rest of a longer one (a hash, a data URL) is not read out."""

_IMAGE_OR_LINK_OPEN = re.compile(r"!?\[(?=[^\]\s])")
_LINK_TARGET = re.compile(r"\]\([^()\s]*\)?")
_HTML_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9]*\s*/?>")
_STRONG_MARK = re.compile(r"\*\*+|__+|~~|`+")
_EMPHASIS_MARK = re.compile(r"(?<![\w*])[*_]+(?=\w)|(?<=[\w.,;:!?…)])[*_]+(?!\w)")
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\ufe0e\ufe0f\u200d\u20e3\U000e0020-\U000e007f]"
)
_LINE_MARKER = re.compile(r"[-*+•‣▪]|#{1,6}|>+")
_RULE = re.compile(r"[-*_=~#|:+]{3,}|\|")
_FENCE_LINE = re.compile(r"\s*(```+|~~~+)[\w+-]*\s*")
_OPENERS = "(\"'“‘<{"
_CLOSERS = ")\"'”’>}.,;:!?…"

_URL = re.compile(
    r"(?:https?://|www\.)(?:www\.)?(?P<host>[\w.-]+)(?::\d+)?(?P<path>/[^?#]*)?.*", re.I | re.DOTALL
)
_EMAIL = re.compile(r"(?P<local>[\w.+-]+)@(?P<host>[\w-]+(?:\.[\w-]+)+)")
_DOTTED_NAME = re.compile(r"[\w/-]+(?:\.[\w-]+)*\.(?P<suffix>[A-Za-z]\w{1,4})")
_VERSION = re.compile(r"v?\d+(?:\.\d+){2,}|v\d+(?:\.\d+)*", re.I)
_PHONE = re.compile(r"(?:\+?1-)?(?:\(?\d{3}\)?-)?\d{3}-\d{4}")
_HEIGHT = re.compile(r"""(\d)['’′](\d{1,2})?(?:["”″])?""")
_NUMBER = r"[-−]?\d+(?:,\d{3})*(?:\.\d+)?"
_QUANTITY = re.compile(rf"(?P<number>{_NUMBER})(?P<unit>{'|'.join(map(re.escape, lexicon.UNITS))})")
_NUMERIC = re.compile(rf"\(?(?:{_NUMBER}|[a-z])\)?[²³]?", re.I)
_LONG_NUMBER = re.compile(r"\d[\d,]{14,}")
_SUPERSCRIPT = re.compile(r"[⁰¹⁴-⁹][⁰¹²³⁴-⁹]*|[²³][⁰¹²³⁴-⁹]+")


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word of the transcript and how it is said.

    Attributes:
        text: The word as written; holds no whitespace.
        spoken: What a voice should say for it: several words, one, or "" when it is silent.
    """

    text: str
    spoken: str


def speakable(clause: str) -> tuple[SpokenWord, ...]:
    """Pair each written word of a clause with what should be said for it.

    Args:
        clause: A piece of text as the model wrote it. It need not be balanced: a clause may hold the opening
            half of a bold passage or a link, and the next one the closing half.

    Returns:
        One entry per whitespace-separated word, in order: the texts joined by spaces are the clause with its
        whitespace normalised.
    """
    return tuple(word for line in clause.splitlines() for word in _speakable_line(line))


def _speakable_line(line: str) -> Iterator[SpokenWord]:
    words = line.split()
    if _FENCE_LINE.fullmatch(line):
        yield from (SpokenWord(word, "") for word in words)
        return
    for index, word in enumerate(words):
        if index == 0 and _LINE_MARKER.fullmatch(word):
            yield SpokenWord(word, "")
        else:
            yield SpokenWord(word, _spoken(words, index))


def _spoken(words: Sequence[str], index: int) -> str:
    operator = _operator(words, index)
    if operator:
        return operator
    if _RULE.fullmatch(words[index]):
        return ""
    plain = _without_markup(words[index])
    inner = plain.lstrip(_OPENERS)
    core = inner.rstrip(_CLOSERS)
    opening = plain[: len(plain) - len(inner)].replace("{", "")
    closing = inner[len(core) :].replace("}", "")
    if index == len(words) - 1 and (core + closing).lower() in lexicon.FALSE_ABBREVIATIONS:
        return f"{opening}{core} {closing}"  # a full stop set apart makes no abbreviation
    # An abbreviation owns its full stop: "e.g." is a word of its own, "e.g" is not.
    abbreviation = lexicon.ABBREVIATIONS.get(f"{core}.".lower()) if closing.startswith(".") else None
    if abbreviation is not None:
        core, closing = abbreviation, closing[1:]
    else:
        core = _reading(core, previous=words[index - 1] if index else "")
    spoken = " ".join(f"{opening}{core}{closing}".split())
    if not any(c.isalnum() for c in core):
        spoken = "".join(c for c in spoken if c in lexicon.SAYABLE_SYMBOLS)
    return spoken[:MAX_SPOKEN_CHARS]


def _without_markup(word: str) -> str:
    word = _LINK_TARGET.sub("", _IMAGE_OR_LINK_OPEN.sub("", word))
    word = _HTML_TAG.sub(" ", word)
    word = _EMPHASIS_MARK.sub("", _STRONG_MARK.sub("", word))
    word = _EMOJI.sub("", word)
    for old, new in lexicon.TYPOGRAPHY.items():
        word = word.replace(old, new)
    return word.strip()


def _operator(words: Sequence[str], index: int) -> str:
    """The name of an arithmetic sign that stands between two operands, else ""."""
    name = lexicon.OPERATORS.get(words[index])
    if name is None or not 0 < index < len(words) - 1:
        return ""
    left, right = words[index - 1].strip("*_`"), words[index + 1].strip("*_`.,;:!?")
    if not (_NUMERIC.fullmatch(left) and _NUMERIC.fullmatch(right)):
        return ""
    # "7 - 3 = 4" is a subtraction, "7 - 3 people" a range, which the synthesiser reads by itself.
    return "" if words[index] in "-–" and not any(word in ("=", "equals") for word in words) else name


def _reading(core: str, previous: str) -> str:
    """How the inside of a word, without the punctuation around it, is read."""
    known = lexicon.WORDS.get(core)
    if known is not None:
        return known
    for pattern, read in _READERS:
        match = pattern.fullmatch(core)
        if match is not None:
            return read(match)
    if core in lexicon.UNITS and re.fullmatch(_NUMBER, previous):
        return _unit(previous, core)
    return _symbols(core)


def _url(match: re.Match[str]) -> str:
    segments = [part for part in (match["path"] or "").split("/") if part]
    # A path that a person could take down is read; any other is noise.
    short = len(segments) <= 3 and all(re.fullmatch(r"[A-Za-z-]{1,20}", part) for part in segments)
    return " slash ".join([_dotted(match["host"]), *(segments if short else [])])


def _email(match: re.Match[str]) -> str:
    local = match["local"].replace("_", " underscore ").replace("-", " dash ").replace("+", " plus ")
    return f"{_dotted(local)} at {_dotted(match['host'])}"


def _dotted_name(match: re.Match[str]) -> str:
    name = match[0]
    return _dotted(name) if match["suffix"].lower() in lexicon.NAME_SUFFIXES else _symbols(name)


def _dotted(name: str) -> str:
    return " dot ".join(part for part in name.split(".") if part)


def _version(match: re.Match[str]) -> str:
    text = match[0]
    prefix = "version " if text[0] in "vV" else ""
    return prefix + text.lstrip("vV").replace(".", " point ")


def _phone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[0])
    return ", ".join(" ".join(group) for group in groups)


def _height(match: re.Match[str]) -> str:
    return f"{match[1]} foot {match[2] or ''}".strip()


def _quantity(match: re.Match[str]) -> str:
    return f"{_symbols(match['number'])} {_unit(match['number'], match['unit'])}"


def _unit(number: str, unit: str) -> str:
    singular, plural = lexicon.UNITS[unit]
    return singular if number in ("1", "-1", "−1") else plural


def _symbols(core: str) -> str:
    core = _SUPERSCRIPT.sub(lambda m: f" to the power of {unicodedata.normalize('NFKC', m[0])}", core)
    core = _LONG_NUMBER.sub(
        lambda m: " ".join(m[0].replace(",", "")), core
    )  # beyond trillions: digit by digit
    core = re.sub(r"(?<=\d)\*(?=\d)", " times ", core)
    core = re.sub(r"[−–](?=\d)", "-", core) if core[:1] in "−–" else core
    return "".join(lexicon.SYMBOLS.get(c, c) for c in core)


_READERS = (
    (_URL, _url),
    (_EMAIL, _email),
    (_VERSION, _version),
    (_PHONE, _phone),
    (_HEIGHT, _height),
    (_QUANTITY, _quantity),
    (_DOTTED_NAME, _dotted_name),
)
