"""The messages of a session: what waits to be sent, and what may be asked for again."""

from __future__ import annotations

import asyncio
from collections import deque


class EventLog:
    """Messages numbered from 1, kept from the oldest that a client may have missed to the newest.

    Bounded both ways: of the messages already sent it keeps the latest ``keep_events``, and in all at most
    ``max_bytes``. What no longer fits is the oldest; a client that comes back for it is told that it is gone.

    Args:
        keep_events: Sent messages to keep.
        max_bytes: Bytes (of UTF-8, counted as characters) to keep at most, one message excepted.
        start: Messages that were sent by an earlier process, of which none is held.
    """

    def __init__(self, keep_events: int, max_bytes: int, start: int = 0) -> None:
        self._keep_events = keep_events
        self._max_bytes = max_bytes
        self._messages: deque[str] = deque()
        self._bytes = 0
        self._unsent_bytes = 0
        self._last = start
        self._sent = start
        self._held_from: int | None = None
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def first(self) -> int:
        """Number of the oldest message held; one past ``last`` when none is."""
        return self._last - len(self._messages) + 1

    @property
    def last(self) -> int:
        """Number of the newest message, 0 before any."""
        return self._last

    @property
    def sent(self) -> int:
        """Number of the newest message that was sent."""
        return self._sent

    @property
    def held_bytes(self) -> int:
        """Size of everything held."""
        return self._bytes

    @property
    def unsent_bytes(self) -> int:
        """Size of what waits to be sent."""
        return self._unsent_bytes

    def append(self, message: str) -> None:
        """Add a message; after ``close`` it is dropped, as nobody will read it."""
        if self._closed:
            return
        self._messages.append(message)
        self._last += 1
        self._bytes += len(message)
        self._unsent_bytes += len(message)
        while self._bytes > self._max_bytes and len(self._messages) > 1:
            self._drop_oldest()
        self._changed.set()

    def hold(self) -> None:
        """Send nothing of what is added from now on, until it is let go of."""
        if self._held_from is None:
            self._held_from = self._last + 1

    def let_go(self, upto: int | None = None) -> None:
        """Messages up to this number may be sent; without one, all and whatever comes."""
        if self._held_from is not None:
            self._held_from = None if upto is None else max(self._held_from, upto + 1)
            self._changed.set()

    def drop_held(self) -> None:
        """Throw away what is held back: nobody is to be told."""
        while self._held_from is not None and self._messages and self._last >= self._held_from:
            size = len(self._messages.pop())
            self._last -= 1
            self._bytes -= size
            self._unsent_bytes -= size
        self._held_from = None

    @property
    def _sendable(self) -> int:
        """Number of the newest message that may be sent."""
        return self._last if self._held_from is None or self._closed else self._held_from - 1

    def rewind(self, position: int) -> int:
        """Go back (or forth) to just after message number ``position``.

        Returns:
            How many messages after it are no longer held.
        """
        lost = max(0, self.first - position - 1)
        self._sent = position + lost
        self._unsent_bytes = sum(len(self._messages[number - self.first]) for number in self._unsent())
        self._changed.set()
        return lost

    async def next(self) -> str | None:
        """Wait for the oldest message that was not sent; None once the log is closed and all were."""
        while self._sent >= self._sendable:
            if self._closed:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._messages[self._sent + 1 - self.first]

    def mark_sent(self) -> None:
        """The message that ``next`` returned has been sent."""
        self._unsent_bytes -= len(self._messages[self._sent + 1 - self.first])
        self._sent += 1
        while self._sent - self.first + 1 > self._keep_events:
            self._drop_oldest()

    def close(self) -> None:
        """Take no more messages."""
        self._closed = True
        self._changed.set()

    def _unsent(self) -> range:
        return range(self._sent + 1, self._last + 1)

    def _drop_oldest(self) -> None:
        number = self.first
        size = len(self._messages.popleft())
        self._bytes -= size
        if number > self._sent:
            self._unsent_bytes -= size
            self._sent = number
