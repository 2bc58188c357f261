"""Being asleep: hearing without listening, until somebody says the wake phrase.

Asleep, speech is cut into utterances as ever, but neither the client nor the engine is told of them. The
first seconds of each are written down and thrown away; if they begin with a wake phrase, the utterance
becomes one like any other, with its audio from the beginning. Nothing of the others is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hearsight.streams.audio.buffer import ms_to_samples
from hearsight.streams.events import Overheard, WakeChanged
from hearsight.streams.session.listening import Listening
from hearsight.streams.session.outbox import Outbox
from hearsight.streams.session.settings import WakeRules
from hearsight.streams.session.turns import Signal
from hearsight.streams.session.wake_words import asks_for, begins_with

FIRST_MS = 3_000
"""Of an utterance, in which the phrase must have been said."""
WORDS_MS = 5_000
"""Time that the words are waited for. With `FIRST_MS`, less than the session's audio buffer holds."""
GAP_MS = 300
"""Silence that parts two utterances while asleep: each may be the one that is meant for the service."""
_NEVER_MS = 3_600_000


@dataclass(slots=True)
class _Candidate:
    """An utterance that may begin with the phrase."""

    item_id: str
    asked_at_s: float | None = None
    """When its words were asked for; None while none are waited for."""
    complete: bool = False
    """All of it that counts has been asked about."""
    settled: bool = False
    """It was not meant for the service; only its end is waited for."""
    stalled: bool = False
    """No more of it will come."""


class Wake:
    """Decides when a session is awake. Without rules it always is.

    Args:
        rules: The phrases and the time to sleep; None where sleeping is off.
        listening: The utterances.
        out: Where the client is told.
        woken: Called when an utterance has turned out to be meant for the service.
    """

    def __init__(
        self,
        rules: WakeRules | None,
        listening: Listening,
        out: Outbox,
        woken: Callable[[float], None],
    ) -> None:
        self._rules = rules
        self._listening = listening
        self._out = out
        self._woken = woken
        self._asleep = rules is not None
        self._candidate: _Candidate | None = None
        self._active_at_s = 0.0
        self._newest_turn: str | None = None
        self._told_to_sleep = False

    @property
    def asleep(self) -> bool:
        """Whether what is heard is not listened to."""
        return self._asleep

    @property
    def ignoring(self) -> bool:
        """Whether whoever may be speaking does not speak to the service."""
        return self._asleep and (self._candidate is None or self._candidate.settled)

    @property
    def in_doubt(self) -> bool:
        """Whether the words of an utterance are waited for."""
        return self._candidate is not None and self._candidate.asked_at_s is not None

    @property
    def due_s(self) -> float | None:
        """When the words have been waited for long enough, on the session's clock."""
        if self._candidate is None or self._candidate.asked_at_s is None:
            return None
        return self._candidate.asked_at_s + WORDS_MS / 1000

    # --- asleep ------------------------------------------------------------------------------------------

    def follow(self, signal: Signal | None, now: float) -> None:
        """Take what a frame of audio has changed while asleep."""
        if signal is Signal.ONSET:
            self._candidate = _Candidate(self._listening.begin(tentative=True))
            self._listening.end_after(GAP_MS)
            return
        candidate = self._candidate
        if candidate is None:
            return
        if signal is Signal.END:
            self._drop()
        elif not candidate.complete and not candidate.settled:
            candidate.complete = self._listening.held_ms >= FIRST_MS
            if signal is Signal.PAUSE or (candidate.complete and not self._listening.in_silence):
                self._ask(now)

    def words(self, event: Overheard, now: float) -> None:
        """Take what was said in the utterance so far."""
        candidate = self._candidate
        if candidate is None or candidate.item_id != event.item_id or candidate.settled:
            return
        assert self._rules is not None
        if event.text is not None and begins_with(event.text, self._rules.phrases):
            self.wake("phrase", now)
        else:
            self._not_yet()

    def stall(self, now: float) -> None:
        """Audio has stopped coming in mid-utterance."""
        candidate = self._candidate
        if candidate is None or candidate.asked_at_s is not None:
            return
        if candidate.stalled or candidate.settled:
            self._drop()
        else:
            candidate.stalled = candidate.complete = True
            self._ask(now)

    def tick(self, now: float) -> None:
        """Time has passed: the words may have been waited for long enough."""
        due_s = self.due_s
        if due_s is not None and now >= due_s:
            self._not_yet()

    def forget(self) -> None:
        """The utterance is gone."""
        self._candidate = None

    def _ask(self, now: float) -> None:
        assert self._candidate is not None
        self._candidate.asked_at_s = now
        self._listening.end_after(_NEVER_MS)  # or "what time is it" would be cut from "hey computer"
        self._listening.overhear(ms_to_samples(FIRST_MS))

    def _not_yet(self) -> None:
        """There was no phrase in what is known; there may be one in what comes."""
        candidate = self._candidate
        assert candidate is not None
        candidate.asked_at_s = None
        candidate.settled = candidate.complete
        self._listening.end_after(GAP_MS)
        if candidate.stalled or self._listening.silence_is_enough:
            self._drop()

    def _drop(self) -> None:
        self._candidate = None
        self._listening.drop()

    # --- waking up and falling asleep --------------------------------------------------------------------

    def wake(self, reason: Literal["phrase", "client"], now: float) -> None:
        """Listen from now on; an utterance in progress counts from its beginning."""
        self._active_at_s = now
        if not self._asleep:
            return
        self._asleep = False
        self._out.send(WakeChanged(True, reason))
        candidate, self._candidate = self._candidate, None
        if candidate is not None:
            self._listening.announce()
            self._woken(now)

    def answered(self, now: float) -> None:
        """An answer has been written; how long it is heard, the session knows."""
        self._active_at_s = now

    def turn(self, item_id: str, now: float) -> None:
        """The user's newest turn is over; what it says may come later."""
        self._active_at_s = now
        self._newest_turn = item_id
        self._told_to_sleep = False

    def told(self, item_id: str, text: str) -> None:
        """Take what the user said in a turn."""
        rules = self._rules
        if rules is not None and not self._asleep and item_id == self._newest_turn:
            self._told_to_sleep = asks_for(text, rules.sleep_phrases, rules.phrases)

    def sleeps_at_s(self, played_s: float) -> float | None:
        """When to fall asleep if nothing happens; the session asks only while nobody speaks.

        Args:
            played_s: When the last answer has been played.
        """
        if self._rules is None or self._asleep:
            return None
        if self._told_to_sleep:
            return played_s
        return max(self._active_at_s, played_s) + self._rules.sleep_after_s

    def sleep(self) -> None:
        """Stop listening."""
        self._asleep = True
        self._out.send(WakeChanged(False, "told" if self._told_to_sleep else "quiet"))
        self._told_to_sleep = False
