"""Speaking an answer while it is being written: text deltas in, spoken clauses out, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

import numpy as np

from hearsight.agent.voice.base import SpeechChunk, Voice, samples_to_ms
from hearsight.agent.voice.clauses import ClauseSplitter
from hearsight.streams.errors import LimitExceeded
from hearsight.streams.events import Samples, WordTiming
from hearsight.streams.observing import stage

MAX_AHEAD = 3
"""Clauses that may be spoken ahead of the one being taken: about ten seconds of audio."""
MAX_PENDING_CHARS = 65_536
"""Text that may wait for the voice: more than the longest answer of any engine."""


@dataclass(frozen=True, slots=True)
class SpokenClause:
    """A clause with its audio.

    Attributes:
        text: The clause as written, whitespace included; the texts of all clauses joined are the text fed.
        samples: int16 mono PCM at 24 kHz, shape (n,); empty where there is nothing to say.
        words: Its words, timed from the first sample of the item.
    """

    text: str
    samples: Samples = field(repr=False)
    words: tuple[WordTiming, ...]


class SpeechStream:
    """The speech of one answer.

    Feed it text from one task and iterate over it in another; clause n + 1 is synthesised while clause n is
    being taken. Leaving the ``async with`` block, or ``aclose``, stops it at once, whatever it was doing::

        async with SpeechStream(voice, speed=1.0) as speech:
            speech.feed("Hello there, ")
            speech.feed("how are you?")
            speech.finish()
            async for clause in speech:
                ...
    """

    def __init__(self, voice: Voice, speed: float = 1.0) -> None:
        """Prepare to speak; nothing runs before the stream is entered or iterated.

        Args:
            voice: Who speaks.
            speed: 1.0 is the voice's own pace.
        """
        self._voice = voice
        self._speed = speed
        self._splitter = ClauseSplitter()
        self._pending: deque[str] = deque()
        self._pending_chars = 0
        self._spoken: deque[SpokenClause] = deque()
        self._position = 0  # samples spoken so far
        self._finished = False
        self._closed = False
        self._speaker: asyncio.Task[None] | None = None
        self._more = asyncio.Event()  # text, or its end
        self._room = asyncio.Event()  # a clause was taken
        self._ready = asyncio.Event()  # a clause was spoken, or the speaker stopped

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def feed(self, delta: str) -> None:
        """Take more of the answer's text; after ``aclose`` it goes nowhere.

        Raises:
            LimitExceeded: The text runs too far ahead of the voice.
            RuntimeError: After ``finish``.
        """
        if self._closed:
            return
        if self._finished:
            raise RuntimeError("the speech is finished; start another for more text")
        if self._pending_chars + len(delta) > MAX_PENDING_CHARS:
            raise LimitExceeded("The answer is longer than can be spoken.", code="answer_too_long")
        self._enqueue(self._splitter.feed(delta))

    def finish(self) -> None:
        """End the text; the iteration ends after its last clause. Idempotent."""
        if not self._finished:
            self._finished = True
            self._enqueue(self._splitter.flush())

    def __aiter__(self) -> AsyncIterator[SpokenClause]:
        self._start()
        return self

    async def __anext__(self) -> SpokenClause:
        """The next clause.

        Raises:
            EngineError: The voice failed; the clauses spoken before it were given first.
            StopAsyncIteration: After the last clause, and at once when the stream was closed.
        """
        while not self._spoken:
            if self._closed or self._speaker is None:
                raise StopAsyncIteration
            if self._speaker.done():
                self._speaker.result()
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        self._room.set()
        return self._spoken.popleft()

    async def aclose(self) -> None:
        """Stop speaking and drop what was not taken; idempotent."""
        self._closed = self._finished = True
        self._pending.clear()
        self._spoken.clear()
        self._ready.set()
        if self._speaker is not None:
            self._speaker.cancel()
            await asyncio.gather(self._speaker, return_exceptions=True)

    def _start(self) -> None:
        if self._speaker is None and not self._closed:
            self._speaker = asyncio.create_task(self._speak_all(), name="speech")
            self._speaker.add_done_callback(lambda _: self._ready.set())

    def _enqueue(self, clauses: list[str]) -> None:
        self._pending.extend(clauses)
        self._pending_chars += sum(map(len, clauses))
        self._more.set()

    async def _speak_all(self) -> None:
        while True:
            while not self._pending:
                if self._finished:
                    return
                self._more.clear()
                await self._more.wait()
            clause = await self._speak(self._pending.popleft())
            while len(self._spoken) >= MAX_AHEAD:
                self._room.clear()
                await self._room.wait()
            self._spoken.append(clause)
            self._ready.set()

    async def _speak(self, text: str) -> SpokenClause:
        self._pending_chars -= len(text)
        if text.isspace():
            chunk = SpeechChunk(np.zeros(0, dtype=np.int16), ())
        else:
            with stage("voice", first=self._position == 0) as spoken:
                chunk = await self._voice.synthesize(text, speed=self._speed)
                spoken.note(audio_s=round(samples_to_ms(len(chunk.samples)) / 1000, 2))
        start_ms = samples_to_ms(self._position)
        self._position += len(chunk.samples)
        words = tuple(
            replace(word, start_ms=start_ms + word.start_ms, end_ms=start_ms + word.end_ms)
            for word in chunk.words
        )
        return SpokenClause(text, chunk.samples, words)
