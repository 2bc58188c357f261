"""Telling where a call begins and where it ends while its text is still coming.

Two questions, each answered character by character: may this text be the opening of a call
(``match_opening``), and was this character the last one of the call (an ``Extent``)?
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol

from hearsight.agent.call_syntax import ToolParameters

MAX_OPENING_CHARS = 256
"""An opening is decided within this many characters, most of which would be whitespace."""

TAGS = ("tool_call", "function_call", "tools")
_TOOL_LABELS = frozenset(("tool_code", "tool_call", "tool_calls", "tool", "function_call"))
_CODE_LABELS = frozenset(("", "python", "python3", "py", "json"))
_OBJECT_KEYS = ("name", "parameters", "arguments", "function", "type", "tool", "id")
_NAMESPACE = "default_api."
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_LABEL = re.compile(r"[A-Za-z_][\w+-]*")
_PAIRS = {")": "(", "]": "[", "}": "{"}


class Kind(Enum):
    """How a call is written."""

    TOOL_FENCE = auto()
    """A fenced block that is labelled as a call."""
    CODE_FENCE = auto()
    """A fenced block of code that begins like a call."""
    TAG = auto()
    """``<tool_call>…</tool_call>``."""
    LIST = auto()
    """``[f(…), g(…)]``, of tools that may not exist."""
    CALL = auto()
    """``f(…)`` or ``print(f(…))`` of a tool that exists, or ``default_api.f(…)`` of any."""
    OBJECT = auto()
    """``{"name": …}``, or a list of such objects."""

    @property
    def certain(self) -> bool:
        """Whether nothing else is ever written like this."""
        return self in (Kind.TOOL_FENCE, Kind.TAG, Kind.CALL)


@dataclass(frozen=True, slots=True)
class Opening:
    """The beginning of a call.

    Attributes:
        kind: How the call is written.
        body: Offset at which the call itself begins, after the label of a fence or the name of a tag.
        tag: The tag's name, else "".
    """

    kind: Kind
    body: int = 0
    tag: str = ""


class Verdict(Enum):
    """What can be said of a text that is not the whole opening of a call."""

    NO = auto()
    """No call begins so."""
    PENDING = auto()
    """It may be the start of an opening."""


def match_opening(
    text: str, tools: ToolParameters, *, at_statement: bool, in_code: bool
) -> Opening | Verdict:
    """Tell whether a text is the opening of a call, to the character at which that is decided.

    Args:
        text: From where the opening would begin to what has been written so far; not empty.
        tools: The tools that exist.
        at_statement: A sentence or a line may begin here: only then is a call without marks one.
        in_code: Inside a block of code that is not a call: only unmistakable marks count.
    """
    if len(text) > MAX_OPENING_CHARS:
        return Verdict.NO
    if text[0] == "`":
        return _match_fence(text, tools, in_code=in_code)
    if text[0] == "<":
        return _match_tag(text)
    return _match_body(text, tools) if at_statement and not in_code else Verdict.NO


def _match_fence(text: str, tools: ToolParameters, *, in_code: bool) -> Opening | Verdict:
    rest = text.lstrip("`")
    ticks = len(text) - len(rest)
    if not rest:
        return Verdict.PENDING if ticks <= 3 else Verdict.NO
    if ticks != 3:
        return Verdict.NO
    match = _LABEL.match(rest)
    label = match[0] if match else ""
    if label and len(label) == len(rest):
        return Verdict.PENDING
    if label.lower() in _TOOL_LABELS:
        return Opening(Kind.TOOL_FENCE, ticks + len(label))
    if in_code:
        return Verdict.NO
    if not rest[len(label)].isspace():
        label = ""  # ```f()```: no label but the call itself
    if label.lower() not in _CODE_LABELS:
        return Verdict.NO
    body = rest[len(label) :].lstrip()
    found = _match_body(body, tools) if body else Verdict.PENDING
    return Opening(Kind.CODE_FENCE, ticks + len(label)) if isinstance(found, Opening) else found


def _match_tag(text: str) -> Opening | Verdict:
    for tag in TAGS:
        if text == f"<{tag}>":
            return Opening(Kind.TAG, len(text), tag)
    return Verdict.PENDING if any(f"<{tag}>".startswith(text) for tag in TAGS) else Verdict.NO


def _match_body(text: str, tools: ToolParameters) -> Opening | Verdict:
    if text[0] == "[":
        return _match_list(text[1:].lstrip())
    if text[0] == "{":
        return _match_object(text[1:].lstrip())
    return _match_call(text, tools)


def _match_list(inside: str) -> Opening | Verdict:
    if not inside:
        return Verdict.PENDING
    if inside[0] == "{":
        return _match_object(inside[1:].lstrip())
    name = _NAME.match(inside)
    if name is None:
        return Verdict.NO
    if name.end() == len(inside):
        return Verdict.PENDING
    return Opening(Kind.LIST) if inside[name.end()] == "(" else Verdict.NO


def _match_object(inside: str) -> Opening | Verdict:
    if not inside:
        return Verdict.PENDING
    quote, key = inside[0], inside[1:]
    if quote not in "\"'":
        return Verdict.NO
    if any(key == known + quote for known in _OBJECT_KEYS):
        return Opening(Kind.OBJECT)
    return Verdict.PENDING if any(known.startswith(key) for known in _OBJECT_KEYS) else Verdict.NO


def _match_call(text: str, tools: ToolParameters) -> Opening | Verdict:
    name = _NAME.match(text)
    if name is None:
        return Verdict.NO
    written, rest = name[0], text[name.end() :]
    if not rest:
        targets = (*tools, "print", _NAMESPACE)
        may_be = any(target.startswith(written) for target in targets) or written.startswith(_NAMESPACE)
        return Verdict.PENDING if may_be else Verdict.NO
    if rest[0] != "(":
        return Verdict.NO
    if written in tools or (written.startswith(_NAMESPACE) and written != _NAMESPACE):
        return Opening(Kind.CALL)
    if written != "print":
        return Verdict.NO
    printed = rest[1:].lstrip()
    return _match_call(printed, tools) if printed else Verdict.PENDING


class Extent(Protocol):
    """Follows a call to its end."""

    def ends_with(self, char: str) -> bool:
        """Take the next character and tell whether it was the last one."""
        ...


def extent_of(opening: Opening) -> Extent:
    """What follows a call that begins like this, from the start of its body."""
    if opening.kind in (Kind.TOOL_FENCE, Kind.CODE_FENCE):
        return FenceExtent()
    return TagExtent(opening.tag) if opening.kind is Kind.TAG else BracketExtent()


class BracketExtent:
    """Ends with the bracket that closes the first one, or at a bracket that closes none."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._quote = ""
        self._escaped = False

    def ends_with(self, char: str) -> bool:
        """See ``Extent``."""
        if self._quote:
            if not self._escaped and char == self._quote:
                self._quote = ""
            self._escaped = char == "\\" and not self._escaped
        elif char in "\"'":
            self._quote, self._escaped = char, False
        elif char in "([{":
            self._open.append(char)
        elif char in _PAIRS:
            return not self._open or self._open.pop() != _PAIRS[char] or not self._open
        return False


class FenceExtent:
    """Ends with three backticks that do not stand inside a string, or that begin a line."""

    def __init__(self) -> None:
        self._ticks = 0
        self._quote = ""
        self._escaped = False
        self._line_start = True

    def ends_with(self, char: str) -> bool:
        """See ``Extent``."""
        if char == "`" and (not self._quote or self._line_start):
            self._ticks += 1
            return self._ticks == 3
        self._ticks = 0
        if char == "\n":
            # A string ends with its line: an apostrophe in a comment must not hide the end of the block.
            self._quote, self._line_start = "", True
            return False
        self._line_start = self._line_start and char.isspace()
        if self._quote:
            if not self._escaped and char == self._quote:
                self._quote = ""
            self._escaped = char == "\\" and not self._escaped
        elif char in "\"'":
            self._quote, self._escaped = char, False
        return False


class TagExtent:
    """Ends with the closing tag, wherever it stands."""

    def __init__(self, tag: str) -> None:
        self._closing = f"</{tag}>"
        self._recent = ""

    def ends_with(self, char: str) -> bool:
        """See ``Extent``."""
        self._recent = (self._recent + char)[-len(self._closing) :]
        return self._recent == self._closing
