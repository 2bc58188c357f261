"""What passes between the agent and its tools: specifications, calls, replies and outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model and a session need to know of a tool."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of an object, without what is injected."""
    client: bool = False
    """The client runs it and sends the result; the registry only checks the arguments."""
    return_direct: bool = False
    """Its reply is the whole answer: it is spoken as it is, without a second round of the model."""
    side_effects: bool = True
    """Never run it speculatively: it changes something that the user would notice."""
    idempotent: bool = False
    """Run again with the same arguments, it changes nothing more."""
    long_running: bool = False
    """The conversation goes on while it runs; no time limit."""
    confirm: bool = False
    """Ask the user before running it."""
    question: str = ""
    """How to ask, with arguments in braces ("Shall I delete {name}?"); empty: in general words."""

    @property
    def repeatable(self) -> bool:
        """Whether a call of which nobody knows how far it got may simply be made once more."""
        return self.idempotent or not self.side_effects


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to run a tool; ``id`` is unique in its session."""

    id: str
    name: str
    arguments: dict[str, Any]


class Reply(NamedTuple):
    """What a built-in tool returns.

    A pair, as LangChain's ``response_format="content_and_artifact"`` wants it, so that the same tools work
    under any LangChain agent.
    """

    content: str
    """What the model reads."""
    say: str | None = None
    """A sentence that answers the user by itself, or None when the model has to put it into words."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """How a call ended."""

    call_id: str
    name: str
    content: str
    """What the model reads: the result, or what to do about the failure."""
    say: str | None = None
    """Speak this instead of asking the model again; None when the model has to answer."""
    ok: bool = True
    duration_s: float = 0.0


MAX_CONTENT_BYTES = 8 * 1024
"""Most bytes of UTF-8 that one result may put into the context: some 2,000 tokens."""

MAX_SPOKEN_BYTES = 2 * 1024
"""Most bytes of a result that is spoken as it is: some two minutes."""


def bounded(content: str, limit_bytes: int = MAX_CONTENT_BYTES) -> str:
    """The content, cut at a character boundary where it is too long, and saying so."""
    encoded = content.encode("utf-8", errors="replace")
    if len(encoded) <= limit_bytes:
        return encoded.decode("utf-8")
    note = f"\n[Cut: {len(encoded)} bytes, of which this is the beginning.]"
    kept = encoded[: limit_bytes - len(note)].decode("utf-8", errors="ignore")
    return kept + note
