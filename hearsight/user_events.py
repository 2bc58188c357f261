"""What a conversation tells a program: the events of `hearsight.Client` and `hearsight.Assistant`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hearsight.streams.events import Samples, Status


@dataclass(frozen=True, slots=True)
class SpeechBegan:
    """The user speaks. What is being played is to fall silent."""

    item_id: str
    audio_start_ms: int
    """On the clock of the audio that was sent."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The user's turn is over."""

    item_id: str
    audio_end_ms: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the user said; it may come at any time, also after the answer."""

    item_id: str
    text: str
    """Empty where no word was understood."""


@dataclass(frozen=True, slots=True)
class AnswerBegan:
    """An answer is on its way."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Words:
    """More of an answer's words, whether they are heard or only read."""

    item_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Speech:
    """More of an answer's sound."""

    item_id: str
    samples: Samples = field(repr=False)
    """24 kHz, mono."""


@dataclass(frozen=True, slots=True)
class ToolBegan:
    """The assistant uses one of its own tools."""

    item_id: str
    name: str
    arguments: str
    """JSON object."""


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A tool has ended."""

    item_id: str
    name: str
    arguments: str
    """JSON object."""
    output: str
    """What it returned, or why it failed."""
    ok: bool


@dataclass(frozen=True, slots=True)
class FunctionCalled:
    """The model calls a function of the client's, which is run by itself."""

    call_id: str
    name: str
    arguments: str
    """JSON object."""


@dataclass(frozen=True, slots=True)
class AnswerEnded:
    """An answer is over."""

    response_id: str
    status: Status
    reason: str | None = None
    """``turn_detected`` where the user has interrupted it, ``client_cancelled``, …"""
    message: str | None = None
    """What went wrong, for a person to read."""
    usage: Mapping[str, Any] = field(default_factory=dict)
    """Tokens by kind, as the protocol counts them."""
    goes_on: bool = False
    """More follows by itself: the model waits for what functions of the client's return."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something was not followed, or not kept; the conversation goes on."""

    code: str
    message: str
    param: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Resumed:
    """The connection was lost, and the conversation goes on where it was."""


@dataclass(frozen=True, slots=True)
class Other:
    """Any other event of the protocol, as it came."""

    kind: str
    fields: Mapping[str, Any]


UserEvent: TypeAlias = (
    SpeechBegan
    | SpeechEnded
    | Transcript
    | AnswerBegan
    | Words
    | Speech
    | ToolBegan
    | ToolEnded
    | FunctionCalled
    | AnswerEnded
    | Problem
    | Resumed
    | Other
)
