"""A line being typed, from the bytes of a terminal."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_CHARS: Final = 2_000
"""More of one line is not taken."""
_ESCAPED: Final = re.compile(r"\x1b(?:[\[O][0-?]*[ -/]*[@-~]?|.)?")
"""What cursor keys and the like send: an escape sequence."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A line was sent off with Enter."""

    text: str


@dataclass(frozen=True, slots=True)
class SpacePressed:
    """The space bar, where nothing else has been typed."""


@dataclass(frozen=True, slots=True)
class EndPressed:
    """Ctrl-D, where nothing has been typed."""


Action: TypeAlias = Typed | SpacePressed | EndPressed


class LineEditor:
    """Takes keys, keeps the line.

    Args:
        space_talks: Whether the space bar, pressed first, is a key of its own.

    Attributes:
        line: What has been typed so far.
    """

    def __init__(self, *, space_talks: bool = False) -> None:
        self.line = ""
        self._space_talks = space_talks
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")

    def feed(self, data: bytes) -> list[Action]:
        """Take what the terminal sent."""
        actions: list[Action] = []
        for key in _ESCAPED.sub("", self._decoder.decode(data)):
            action = self._press(key)
            if action is not None:
                actions.append(action)
        return actions

    def _press(self, key: str) -> Action | None:
        match key:
            case "\r" | "\n":
                text, self.line = self.line.strip(), ""
                return Typed(text) if text else None
            case "\x7f" | "\b":
                self.line = self.line[:-1]
            case "\x15":
                self.line = ""
            case "\x17":
                self.line = re.sub(r"\S+\s*$", "", self.line)
            case "\x04" if not self.line:
                return EndPressed()
            case " " if self._space_talks and not self.line:
                return SpacePressed()
            case _ if key.isprintable() and len(self.line) < MAX_CHARS:
                self.line += key
        return None
