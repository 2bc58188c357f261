"""The functions that the model has called and the client runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hearsight.streams.errors import InvalidEvent
from hearsight.streams.events import ToolCall

MAX_CALLS = 4_096
"""Calls that are remembered, to tell a late result from a made-up one."""


@dataclass(slots=True)
class _Made:
    call: ToolCall
    blocking: bool
    state: Literal["open", "cancelled", "answered"] = "open"


@dataclass(slots=True)
class Calls:
    """Follows every call from its making to its result.

    A call blocks the turn that made it until its result is here, unless its function was declared
    ``NON_BLOCKING``. Whoever interrupts the turn cancels the calls that block it: their results are still
    taken, as the client may have been too late to stop, but nothing is said of them.
    """

    _made: dict[str, _Made] = field(default_factory=dict)

    def make(self, call: ToolCall, *, blocking: bool) -> None:
        """The client is asked to run a function."""
        self._made[call.id] = _Made(call, blocking)
        while len(self._made) > MAX_CALLS:
            del self._made[next(iter(self._made))]

    def state(self) -> list[dict[str, Any]]:
        """The calls as plain values, for another process to go on with."""
        return [asdict(made) for made in self._made.values()]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Take over the calls of another process."""
        for made in state:
            call = ToolCall(**made["call"])
            self._made[call.id] = _Made(call, made["blocking"], made["state"])

    @property
    def blocked(self) -> bool:
        """Whether a turn waits for a result."""
        return any(made.blocking and made.state == "open" for made in self._made.values())

    def cancel(self) -> list[str]:
        """The turn that waits is interrupted; returns the ids of its calls."""
        waiting = [made for made in self._made.values() if made.blocking and made.state == "open"]
        for made in waiting:
            made.state = "cancelled"
        return [made.call.id for made in waiting]

    def check(self, call_id: str, name: str | None, param: str) -> None:
        """Refuse a result that belongs to no call.

        Raises:
            InvalidEvent: There is no such call, it is of another function, or has its result already.
        """
        made = self._made.get(call_id)
        if made is None:
            raise InvalidEvent(f"No function call has the id {call_id!r}.", param=f"{param}.id")
        if name is not None and name != made.call.name:
            message = f"The call {call_id!r} is of {made.call.name!r}, not of {name!r}."
            raise InvalidEvent(message, param=f"{param}.name")
        if made.state == "answered":
            raise InvalidEvent(f"The call {call_id!r} has its response already.", param=f"{param}.id")

    def answer(self, call_id: str) -> Literal["blocking", "unblocking", "cancelled"]:
        """Take a result that was checked; returns what kind of call it belongs to."""
        made = self._made[call_id]
        cancelled, made.state = made.state == "cancelled", "answered"
        if cancelled:
            return "cancelled"
        return "blocking" if made.blocking else "unblocking"
