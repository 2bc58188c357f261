"""What was sent and is not known to have arrived: after a lost connection it is sent again, once.

A socket that dies may have taken a message with it. The server confirms what matters: an item is added, an
answer is announced. What it had confirmed before the connection was lost, it repeats when a session is
resumed, and only then answers what is new. So the answer to a question that is asked after the resumption
marks the end of what was missed: what is not confirmed by then has not arrived.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

Message = dict[str, Any]
"""One message of the protocol, either way."""

CONFIRMED_BY: Final[dict[str, tuple[str, Callable[[Message, Message], bool]]]] = {
    "session.update": ("session.updated", lambda sent, event: True),
    "input_audio_buffer.commit": ("input_audio_buffer.committed", lambda sent, event: True),
    "conversation.item.create": (
        "conversation.item.added",
        lambda sent, event: event["item"]["id"] == sent["item"]["id"],
    ),
    "response.create": (
        "response.created",
        lambda sent, event: event["response"]["metadata"] == sent["response"]["metadata"],
    ),
}
"""What confirms a message: an event of this type, if it belongs to it; or an error that names it."""


class Deliveries:
    """Keeps what waits for its confirmation, in order; see the module."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[str, Message] = {}
        self._marker: str | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def label(self, message: Message) -> Message:
        """A message with an id of its own, to be sent; it is kept if it is one that is confirmed."""
        event_id = f"client_{next(self._numbers)}"
        labelled = {**message, "event_id": event_id}
        if message["type"] in CONFIRMED_BY:
            self._waiting[event_id] = labelled
        return labelled

    def marker(self) -> Message:
        """A question to ask after a resumption; its answer comes behind all that was missed."""
        self._marker = f"client_{next(self._numbers)}"
        return {"type": "conversation.item.retrieve", "item_id": "item_none", "event_id": self._marker}

    def take(self, event: Message) -> tuple[bool, list[Message]]:
        """Take an event of the server's.

        Returns:
            Whether it concerns nobody else, and what is to be sent again.
        """
        if event["type"] == "error":
            named = event["error"].get("event_id")
            self._waiting.pop(named, None)
            if named is not None and named == self._marker:
                self._marker = None
                return True, list(self._waiting.values())
            return False, []
        for event_id, sent in self._waiting.items():
            kind, belongs = CONFIRMED_BY[sent["type"]]
            if event["type"] == kind and belongs(sent, event):
                del self._waiting[event_id]
                break
        return False, []
