"""Where the time of a turn goes: proxies around the service's parts note when each begins and ends.

Times are of ``time.monotonic``, which all processes of a machine share.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from hearsight.agent.agent import HearsightAgent
from hearsight.agent.models.base import Delta, GenerateRequest, GenerationEnd, Transcription
from hearsight.agent.voice.base import SpeechChunk
from hearsight.streams.events import AudioDelta, Output, Samples, SpeechDismissed, SpeechStopped
from hearsight.streams.ports import EndOfTurn
from hearsight.streams.runtime import SessionRuntime
from hearsight.tools.calls import ToolCall, ToolOutcome
from hearsight.tools.context import ToolContext


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that has happened in a turn."""

    what: str
    """``end_of_turn``, ``speech_to_text``, ``first_token``, ``writing``, ``tool``, ``voice``: with a
    beginning and an end; ``stopped``, ``audio``, ``dismissed``: a moment."""
    began_s: float
    ended_s: float
    value: float = 0.0
    """The end-of-turn model's answer."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_s - self.began_s


@dataclass(slots=True)
class Notes:
    """The marks of the turn in progress; one session at a time."""

    marks: list[Mark] = field(default_factory=list)

    def add(self, what: str, began_s: float, value: float = 0.0) -> None:
        """Something that began then has ended now."""
        self.marks.append(Mark(what, began_s, time.monotonic(), value))

    def take(self) -> list[Mark]:
        """The marks since the last call."""
        marks, self.marks = self.marks, []
        return marks


class TimedEndOfTurn:
    """Notes each question to the end-of-turn model."""

    def __init__(self, inner: EndOfTurn, notes: Notes) -> None:
        self._inner = inner
        self._notes = notes

    async def probability(self, samples: Samples) -> float:
        began_s = time.monotonic()
        probability = await self._inner.probability(samples)
        self._notes.add("end_of_turn", began_s, probability)
        return probability


class _Proxy:
    """Stands for another object, all of whose other attributes are its own."""

    def __init__(self, inner: Any, notes: Notes) -> None:
        self._inner = inner
        self._notes = notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class TimedConversation(_Proxy):
    """Notes each transcript and each first token."""

    async def transcribe(self, item_id: str) -> Transcription:
        began_s = time.monotonic()
        said: Transcription = await self._inner.transcribe(item_id)
        self._notes.add("speech_to_text", began_s)
        return said

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        began_s = time.monotonic()
        waiting = True
        async with aclosing(self._inner.generate(request)) as deltas:
            async for delta in deltas:
                if waiting and not isinstance(delta, GenerationEnd):
                    waiting = False
                    self._notes.add("first_token", began_s)
                yield delta
        self._notes.add("writing", began_s)


class TimedEngine(_Proxy):
    """Opens conversations that are timed."""

    def open(self, session_id: str) -> TimedConversation:
        return TimedConversation(self._inner.open(session_id), self._notes)


class TimedVoice(_Proxy):
    """Notes each clause."""

    async def synthesize(self, clause: str, *, speed: float) -> SpeechChunk:
        began_s = time.monotonic()
        chunk: SpeechChunk = await self._inner.synthesize(clause, speed=speed)
        self._notes.add("voice", began_s)
        return chunk


class TimedRegistry(_Proxy):
    """Notes each call of a tool."""

    async def run(self, call: ToolCall, context: ToolContext) -> ToolOutcome:
        began_s = time.monotonic()
        outcome: ToolOutcome = await self._inner.run(call, context)
        self._notes.add("tool", began_s)
        return outcome


class TimedRuntime(_Proxy):
    """Notes when the session says that the turn is over, that it was not meant, and when audio leaves it."""

    @property
    def describe_wire(self) -> Any:
        return self._inner.describe_wire

    @describe_wire.setter
    def describe_wire(self, describe: Any) -> None:
        self._inner.describe_wire = describe

    async def outputs(self) -> AsyncIterator[Output]:
        async for output in self._inner.outputs():
            if isinstance(output, SpeechStopped):
                self._notes.add("stopped", time.monotonic())
            elif isinstance(output, AudioDelta):
                self._notes.add("audio", time.monotonic())
            elif isinstance(output, SpeechDismissed):
                self._notes.add("dismissed", time.monotonic())
            yield output


SUSPENDED_S = 0.5


def watch_for_suspension(notes: Notes) -> None:
    """Note, for ever and in a thread of its own, when the process was not run for half a second.

    Something outside of it has stopped it then (a debugger, a scheduler, a sleeping machine), and what was
    measured meanwhile says nothing.
    """
    at_s = time.monotonic()
    while True:
        time.sleep(0.02)
        before_s, at_s = at_s, time.monotonic()
        if at_s - before_s > SUSPENDED_S:
            notes.add("suspended", before_s)


def observe(agent: HearsightAgent, notes: Notes) -> None:
    """Put proxies around the parts of an agent, before its first session."""
    parts: Any = agent  # the proxies have the parts' methods, not their types
    parts.engine = TimedEngine(agent.engine, notes)
    parts.voice = TimedVoice(agent.voice, notes)
    parts.registry = TimedRegistry(agent.registry, notes)


def observed(runtime: SessionRuntime, notes: Notes) -> Any:
    """The same runtime, with notes taken of what leaves it."""
    return TimedRuntime(runtime, notes)
