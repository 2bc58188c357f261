"""What an answer still has to say, let go of piece by piece.

A voice speaks many times faster than anybody listens. Were all of its audio sent at once, it would be with
the client when the user says "mhm", and could be neither held back nor gone on with. So to a client whose
microphone is open, audio is sent no further ahead of its playback than a network needs, and none at all while
it is held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from hearsight.streams.events import OUTPUT_RATE_HZ, AgentEvent, AnswerFailed, AnswerFinished, AnswerSpeech
from hearsight.streams.session.playback import Playback, spread_words

PIECE_MS = 100
"""Audio is sent in pieces of this length; only a last one is shorter."""
_PIECE = OUTPUT_RATE_HZ * PIECE_MS // 1000


@dataclass(slots=True)
class Outlet:
    """The events of one response, in order, between the agent and the client.

    Attributes:
        playback: Tells how far ahead of the user's ear the audio is.
        lead_ms: As far as it may be, where it is paced.
        paced: Whether there is a reason not to send everything at once.
        held: Whether the user may be interrupting: no audio is sent until that is known.
        has_spoken: Whether any audio has been let go of.
        ended: Whether the agent has finished.
    """

    playback: Playback
    lead_ms: float
    paced: bool = False
    held: bool = False
    _events: deque[AgentEvent] = field(default_factory=deque)
    _audio_bytes: int = 0
    has_spoken: bool = False
    ended: bool = False

    @property
    def unsent_item(self) -> str | None:
        """The item of the audio that waits first."""
        for event in self._events:
            if isinstance(event, AnswerSpeech):
                return event.item_id
        return None

    @property
    def audio_bytes(self) -> int:
        """Size of the audio that waits."""
        return self._audio_bytes

    @property
    def audio_ms(self) -> float:
        """Length of the audio that waits."""
        return self._audio_bytes / 2 * 1000 / OUTPUT_RATE_HZ

    def put(self, event: AgentEvent) -> None:
        """Take what the agent produced; nothing can follow its end."""
        if self.ended:
            return
        self.ended = isinstance(event, AnswerFinished | AnswerFailed)
        self._events.append(event)
        if isinstance(event, AnswerSpeech):
            self._audio_bytes += event.samples.nbytes

    def take(self, now: float) -> Iterator[AgentEvent]:
        """What can be let go of now; clauses come in pieces, of which the first carries the words."""
        while self._events:
            event = self._events[0]
            if not isinstance(event, AnswerSpeech) or not event.samples.size:
                yield self._events.popleft()
            elif self._may_send(now):
                yield self._piece(event)
            else:
                return

    def due_s(self) -> float | None:
        """When the next piece may go, on the session's clock; None where nothing waits for time to pass."""
        if not self._events or self.held or not self.paced:
            return None
        return self.playback.ends_at_s - self.lead_ms / 1000

    def _may_send(self, now: float) -> bool:
        if self.held:
            return False
        # A tool call that stands behind the words is not made to wait for them.
        waits_behind = any(
            not isinstance(event, AnswerSpeech | AnswerFinished | AnswerFailed) for event in self._events
        )
        return not self.paced or waits_behind or self.playback.ahead_ms(now) < self.lead_ms + 1

    def _piece(self, clause: AnswerSpeech) -> AnswerSpeech:
        samples = clause.samples[:_PIECE] if self.paced else clause.samples
        words = clause.words
        if clause.text and not words:
            sent_ms = self.playback.sent_ms(clause.item_id) or 0.0
            duration_ms = clause.samples.size * 1000 / OUTPUT_RATE_HZ
            words = tuple(spread_words(clause.text, sent_ms, duration_ms))
        self._audio_bytes -= samples.nbytes
        self.has_spoken = True
        if samples.size == clause.samples.size:
            self._events.popleft()
        else:
            self._events[0] = replace(clause, text="", words=(), samples=clause.samples[samples.size :])
        return replace(clause, words=words, samples=samples)
