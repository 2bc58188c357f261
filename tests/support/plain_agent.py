"""The smallest agent that keeps the promises of `streams.ports`: it says what it is given, and notes what it
is told. For tests of the streams, which know of no engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import numpy as np

from hearsight.streams.errors import EngineError
from hearsight.streams.events import AgentEvent, AnswerFinished, AnswerSpeech, ResponseRequest, WordTiming
from hearsight.streams.ports import Host


class PlainAgentSession:
    def __init__(self, agent: PlainAgent, host: Host) -> None:
        self.agent = agent
        self.host = host
        self.heard: dict[str, list[np.ndarray]] = {}
        self.notes: list[tuple] = []
        self.requests: list[ResponseRequest] = []
        self.running = 0
        self.closed = False

    def configure(self, config):
        self.notes.append(("configure", config))

    def hear(self, item_id, samples):
        self.heard.setdefault(item_id, []).append(samples)

    def lull(self, item_id):
        self.notes.append(("lull", item_id))

    def resumed(self, item_id):
        self.notes.append(("resumed", item_id))

    def see(self, item_id, picture, *, last_moment):
        self.notes.append(("see", item_id, picture.key))

    def foresee(self, pictures):
        self.notes.append(("foresee", *(picture.key for picture in pictures)))

    def forget(self, item_id):
        self.notes.append(("forget", item_id))

    def edit(self, edit):
        self.notes.append(("edit", edit))

    def confirm(self, generation):
        self.notes.append(("confirm", generation))

    def discard(self, generation):
        self.notes.append(("discard", generation))

    def limit_history(self, share):
        self.notes.append(("history", share))

    def state(self):
        return {"messages": [], "told": len(self.notes)}

    async def transcribe(self, item_id):
        if self.agent.transcript is None:
            raise EngineError("no words were found")
        samples = sum(part.size for part in self.heard.get(item_id, []))
        return self.agent.transcript, samples / 16_000

    async def overhear(self, samples):
        self.notes.append(("overhear", samples.size))
        if self.agent.deaf is not None:
            try:
                await self.agent.deaf.wait()
            except asyncio.CancelledError:
                self.notes.append(("gave up",))
                raise
        if self.agent.transcript is None:
            raise EngineError("no words were found")
        return self.agent.transcript

    async def respond(self, request: ResponseRequest) -> AsyncIterator[AgentEvent]:
        self.requests.append(request)
        self.running += 1
        try:
            start_ms = 0.0
            for clause in [request.say] if request.say else self.agent.clauses:
                if isinstance(clause, Exception):
                    raise clause
                if self.agent.gate is not None:
                    await self.agent.gate.wait()
                words = tuple(
                    WordTiming(word, start_ms + i * 200, start_ms + (i + 1) * 200)
                    for i, word in enumerate(clause.split())
                )
                samples = self.agent.audio
                if samples is None:
                    samples = np.full(24 * 200 * len(words), 1_000, np.int16)
                start_ms += 200 * len(words)
                yield AnswerSpeech(request.generation, request.item_id(0), clause, samples, words)
            yield AnswerFinished(request.generation)
        finally:
            self.running -= 1

    async def aclose(self):
        self.closed = True


class PlainAgent:
    """Says `clauses` in every response; waits for `gate` before each of them, if there is one.

    `audio` (24 kHz) is what every clause sounds like; nothing is overheard before `deaf`, if there is one, is
    set.
    """

    def __init__(
        self,
        clauses: Iterable[str | Exception] = ("Hello there. ", "How are you?"),
        transcript: str | None = "hello",
        gate: asyncio.Event | None = None,
        audio: np.ndarray | None = None,
        deaf: asyncio.Event | None = None,
    ) -> None:
        self.clauses = list(clauses)
        self.transcript = transcript
        self.gate = gate
        self.audio = audio
        self.deaf = deaf
        self.sessions: dict[str, PlainAgentSession] = {}

    def open(self, session_id: str, host: Host, state=None) -> PlainAgentSession:
        self.sessions[session_id] = session = PlainAgentSession(self, host)
        session.found = state
        return self.sessions[session_id]

    async def aclose(self) -> None:
        pass
