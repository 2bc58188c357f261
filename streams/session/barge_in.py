"""Barge-in that listens: speech over an answer first holds it, and stops it once it is meant to.

Whoever says "mhm" wants to hear the rest, and whoever coughs did not say anything; whoever says "stop" has
been heard too late already. So the first sounds of speech hold the answer back, provisionally. It is stopped
when they go on for long enough, or when they fall silent and turn out to be words that mean something; else
it goes on where it was. Whichever it is, the audio has been heard from its beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hearsight.streams.audio.buffer import ms_to_samples
from hearsight.streams.events import Overheard, SpeechDismissed
from hearsight.streams.session.answering import Answering
from hearsight.streams.session.backchannels import is_backchannel
from hearsight.streams.session.listening import Listening
from hearsight.streams.session.outbox import Outbox
from hearsight.streams.session.settings import SessionLimits
from hearsight.streams.session.turns import Signal


@dataclass(slots=True)
class _Doubt:
    """An answer that is held because of somebody who may be interrupting it."""

    item_id: str
    began_at_s: float
    asked_at_s: float | None = None
    """When their words were last asked for."""


class BargeIn:
    """Decides about speech over an answer."""

    def __init__(
        self,
        listening: Listening,
        answering: Answering,
        limits: SessionLimits,
        out: Outbox,
        confirmed: Callable[[], None],
    ) -> None:
        self._listening = listening
        self._answering = answering
        self._limits = limits
        self._out = out
        self._confirmed = confirmed
        self._doubt: _Doubt | None = None

    @property
    def in_doubt(self) -> bool:
        """Whether an answer is held because of speech of which nothing more is known yet."""
        return self._doubt is not None

    @property
    def due_s(self) -> float | None:
        """When there must be an end to it, on the session's clock."""
        if self._doubt is None:
            return None
        due_s = self._doubt.began_at_s + self._limits.doubt_ms / 1000
        if self._doubt.asked_at_s is not None:
            due_s = min(due_s, self._doubt.asked_at_s + self._limits.words_ms / 1000)
        return due_s

    def begin(self, now: float) -> None:
        """Speech has begun over an answer: hold it, and listen."""
        self._answering.hold()
        self._doubt = _Doubt(self._listening.begin(tentative=True), now)
        self._go_by_length(now)

    def follow(self, signal: Signal | None, now: float) -> None:
        """Take what the next frame of audio has changed."""
        assert self._doubt is not None
        match signal:
            case Signal.PAUSE:
                self._doubt.asked_at_s = now
                self._listening.overhear()
            case Signal.END:
                self.give_up(now)
            case _:
                self._go_by_length(now)

    def words(self, event: Overheard, now: float) -> None:
        """Take what was said so far."""
        if self._doubt is None or self._doubt.item_id != event.item_id:
            return
        if event.text is None:
            self.give_up(now)
        elif not is_backchannel(event.text):
            self.confirm(now)
        elif not self._listening.in_silence:
            self._doubt.asked_at_s = None  # they go on; what comes may be more
        elif event.text and self._answering.unheard_ms(now) < self._limits.remark_before_ms:
            self.confirm(now)  # "yes", said into the end of a question, is an answer
        else:
            self.dismiss("remark" if event.text else "nothing_said", now)

    def tick(self, now: float) -> None:
        """Time has passed: the words may have been waited for long enough."""
        due_s = self.due_s
        if due_s is not None and now >= due_s:
            self.give_up(now)

    def give_up(self, now: float) -> None:
        """No words are to be had: whoever spoke for long enough to have said one meant to."""
        if self._doubt is None:
            return
        if self._listening.spoken >= ms_to_samples(self._limits.word_ms):
            self.confirm(now)
        else:
            self.dismiss("nothing_said", now)

    def confirm(self, now: float) -> None:
        """It is an interruption: stop the answer, and let the utterance be one."""
        if self._doubt is None:
            return
        self._doubt = None
        self._listening.announce()
        self._answering.interrupt("turn_detected", now)
        self._confirmed()

    def dismiss(self, reason: Literal["nothing_said", "remark", "cleared"], now: float) -> None:
        """It was nothing: let the answer go on where it was held."""
        if self._doubt is None:
            return
        self._doubt = None
        self._listening.drop(keep_audio=True)
        self._answering.resume(now)
        self._out.send(SpeechDismissed(reason))

    def _go_by_length(self, now: float) -> None:
        if self._listening.spoken >= ms_to_samples(self._limits.barge_in_ms):
            self.confirm(now)
