"""What was seen in a picture, and how a language model that cannot see is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hearsight.agent.models.embedded.coco import counted
from hearsight.agent.models.embedded.objects import DetectedObject

SURE: Final = 0.6
"""What is recognised with less confidence is told as a possibility. Below it the network is right and wrong
alike: a portrait of an astronaut scored 0.55 as a person, and a page of text 0.56 as a refrigerator."""
MAX_TEXT_CHARS: Final = 600
"""Of the text, in the sentence: a page would push the conversation out of a small context."""
MAX_CODE_CHARS: Final = 300
MAX_CODES: Final = 4


@dataclass(frozen=True, slots=True)
class SceneDescription:
    """What a picture shows, as far as small models can tell."""

    objects: tuple[DetectedObject, ...]
    """The surest first."""
    colours: tuple[str, ...]
    """The most prominent first."""
    codes: tuple[str, ...]
    """What QR codes hold."""
    text_lines: tuple[str, ...]
    """In reading order; empty where text was not looked for."""
    width: int
    """Pixels of the picture."""
    height: int
    """Pixels of the picture."""
    compute_s: float
    """How long it took, without the wait for its turn."""

    def sentence(self) -> str:
        """All of it on one line, claiming no more than was recognised.

        Such as ``objects: a person, 2 cups, maybe a book; main colours: grey, brown; text: "EXIT"``. Text and
        codes are quoted, so that what is written in the picture does not pass for something else.
        """
        parts = []
        if self.objects:
            parts.append(f"objects: {', '.join(_named(self.objects))}")
        elif not self.codes and not self.text_lines:
            parts.append("nothing recognised")
        if self.colours:
            parts.append(f"main colours: {', '.join(self.colours)}")
        if self.text_lines:
            parts.append(f"text: {_quoted(' / '.join(self.text_lines), MAX_TEXT_CHARS)}")
        for code in self.codes[:MAX_CODES]:
            parts.append(f"QR code: {_quoted(code, MAX_CODE_CHARS)}")
        return "; ".join(parts)


def _named(objects: Sequence[DetectedObject]) -> list[str]:
    """Each kind with its number, in the order in which the kinds first appear."""
    sure = Counter(found.label for found in objects if found.score >= SURE)
    unsure = Counter(found.label for found in objects if found.score < SURE and found.label not in sure)
    return [
        *(counted(label, count) for label, count in sure.items()),
        *(f"maybe {counted(label, count)}" for label, count in unsure.items()),
    ]


def _quoted(text: str, max_chars: int) -> str:
    """A text as a quotation on one line, without anything that would end it early."""
    readable = "".join(char if char.isprintable() else " " for char in text)
    words = " ".join(readable.replace('"', "'").split())
    if len(words) > max_chars:
        words = words[: max_chars - 1].rstrip() + "…"
    return f'"{words}"'
