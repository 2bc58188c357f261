"""Calls that wait for the user's yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hearsight.tools.calls import ToolCall, ToolSpec

DECLINED = "All right, I won't."
"""Said when the user does not want it."""


@dataclass(slots=True)
class _Asked:
    calls: tuple[ToolCall, ...]
    generation: int
    """Of the response that asked."""
    answered_by: int | None = None
    """Generation of the response that goes by the answer."""


class PendingCalls:
    """What one session has asked its user about, and not heard a yes or no to.

    Kept outside of the graph, whose runs may be speculative: what a discarded answer asked was never asked,
    and what it took for a yes is still to be answered.
    """

    def __init__(self) -> None:
        self._asked: _Asked | None = None

    @property
    def waiting(self) -> bool:
        """Whether there is a question that has not been answered."""
        return self._asked is not None and self._asked.answered_by is None

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """What the user has been asked about and has not answered."""
        return self._asked.calls if self._asked is not None and self._asked.answered_by is None else ()

    def ask(self, calls: Sequence[ToolCall], generation: int) -> None:
        """The user is being asked; an earlier question is forgotten."""
        self._asked = _Asked(tuple(calls), generation)

    def take(self, generation: int) -> tuple[ToolCall, ...]:
        """The user has answered, whatever it was: what they were asked about."""
        if self._asked is None or self._asked.answered_by is not None:
            return ()
        self._asked.answered_by = generation
        return self._asked.calls

    def discard(self, generation: int) -> None:
        """A response is undone as if it had never run."""
        if self._asked is None:
            return
        if self._asked.generation == generation:
            self._asked = None
        elif self._asked.answered_by == generation:
            self._asked.answered_by = None


def question(call: ToolCall, spec: ToolSpec) -> str:
    """What to ask before a call is made.

    Args:
        call: With checked arguments.
        spec: Its tool, whose own question may name the arguments in braces.
    """
    if spec.question:
        try:
            return spec.question.format(**call.arguments)
        except (LookupError, ValueError, AttributeError):
            pass  # an argument that was left out, say; the tool's name is always known
    name = spec.name.replace("_", " ").replace("-", " ")
    told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in call.arguments.items() if value)
    return f"Shall I {name}{f', with {told}' if told else ''}?"
