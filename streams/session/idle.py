"""The long silence after an answer, into which the service may say a word."""

from __future__ import annotations

from collections.abc import Callable

from hearsight.streams.events import CreateResponse, IdleTimedOut
from hearsight.streams.session.answering import Answering
from hearsight.streams.session.listening import Listening
from hearsight.streams.session.outbox import Outbox

CHECK_IN = CreateResponse(
    instructions="The user has been silent for a while. Check in with one short, friendly sentence."
)


class Idle:
    """Checks in with a user who has been silent for as long as the client has set.

    Args:
        listening: Whether somebody speaks, and the audio clock.
        answering: What is being said, and its configuration.
        out: Where the client is told.
        new_id: Makes an id from a prefix.
    """

    def __init__(
        self, listening: Listening, answering: Answering, out: Outbox, new_id: Callable[[str], str]
    ) -> None:
        self._listening = listening
        self._answering = answering
        self._out = out
        self._new_id = new_id
        self._quiet_since_s: float | None = None

    def begin(self, now: float) -> None:
        """An answer has been written: the silence begins when it has been heard."""
        self._quiet_since_s = now

    def end(self) -> None:
        """Somebody speaks, or is about to."""
        self._quiet_since_s = None

    @property
    def due_s(self) -> float | None:
        """When the silence has lasted for long enough, on the session's clock."""
        timeout_ms = self._timeout_ms
        if timeout_ms is None or self._quiet_since_s is None:
            return None
        if self._listening.utterance is not None or self._answering.active is not None:
            return None
        return max(self._quiet_since_s, self._answering.playback.ends_at_s) + timeout_ms / 1000

    def tick(self, now: float) -> None:
        """Time has passed."""
        due_s, timeout_ms = self.due_s, self._timeout_ms
        if due_s is None or timeout_ms is None or now < due_s:
            return
        self.end()
        end_ms = self._listening.clock_ms
        self._out.send(IdleTimedOut(self._new_id("item"), max(0, end_ms - timeout_ms), end_ms))
        self._answering.start(CHECK_IN)

    @property
    def _timeout_ms(self) -> int | None:
        detection = self._answering.config.turn_detection
        return None if detection is None else detection.idle_timeout_ms
