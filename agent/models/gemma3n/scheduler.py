"""Who gets the model next: one thread runs it, one step at a time, fairly between the sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

import structlog

from hearsight.agent.models.gemma3n.generation import Generation, decode_step
from hearsight.streams.errors import EngineError

_log = structlog.get_logger(__name__)
_Result = TypeVar("_Result")
FAILED = "The model failed; please say it again."
BACKGROUND_EVERY = 4
"""While somebody waits for an answer, every fourth step still encodes and prefills for the others."""
MAX_BATCH = 8
"""Answers that are decoded together; more take turns."""


class Work(Protocol):
    """What a session wants done."""

    @property
    def generations(self) -> list[Generation]:
        """Answers that are to be written."""
        ...

    def prepare(self, generation: Generation) -> None:
        """Do a step towards an answer's first token (worker's thread)."""
        ...

    def background(self) -> bool:
        """Do a step of encoding or prefilling ahead (worker's thread); False when there is nothing to do."""
        ...

    def settled(self) -> None:
        """There is nothing left to do ahead."""
        ...

    def failed(self) -> None:
        """A step failed: what it worked on is not to be trusted."""
        ...


class Scheduler:
    """Runs the steps of all sessions.

    Every round decodes one token of each answer being written, then does one step for one session: towards
    a first token where somebody waits for one, else ahead. Cancelling takes effect with the next round.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gemma3n")
        self._sessions: list[Work] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._rounds = 0

    def add(self, session: Work) -> None:
        """A session begins."""
        self._sessions.append(session)
        self.wake()

    def remove(self, session: Work) -> None:
        """A session ends; nothing more is done for it."""
        if session in self._sessions:
            self._sessions.remove(session)

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def aclose(self) -> None:
        """Stop after the current step; idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._sessions.clear()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            while await self._round():
                pass
            await self._wake.wait()

    async def _round(self) -> bool:
        """One token of every answer, and one step for one session; False when there was nothing to do."""
        self._rounds += 1
        decoded = await self._decode()
        waiting = self._next_waiting()
        if waiting is not None and self._rounds % BACKGROUND_EVERY:
            session, generation = waiting
            await self._guarded(session, [generation], lambda: session.prepare(generation))
            return True
        return await self._ahead() or decoded or waiting is not None

    async def _decode(self) -> bool:
        ready = [(s, g) for s in self._sessions for g in s.generations if g.ready]
        batch = ready[self._rounds % len(ready) :][:MAX_BATCH] if len(ready) > MAX_BATCH else ready
        if not batch:
            return False
        generations = [generation for _, generation in batch]
        texts = await self._guarded(batch[0][0], generations, lambda: decode_step(generations))
        if texts is None:
            for session, _ in batch[1:]:
                session.failed()
            return True
        for (session, generation), text in zip(batch, texts, strict=True):
            if text:
                generation.output.put_nowait(text)
            if generation.answer.ending is not None:
                if generation in session.generations:
                    session.generations.remove(generation)
                generation.output.put_nowait(generation.end())
        return True

    def _next_waiting(self) -> tuple[Work, Generation] | None:
        waiting = [(s, g) for s in self._sessions for g in s.generations if not g.ready]
        return waiting[self._rounds % len(waiting)] if waiting else None

    async def _ahead(self) -> bool:
        """A step ahead for the first session that has one to do, beginning with another one each time."""
        for _ in range(len(self._sessions)):
            session = self._sessions.pop(0)
            self._sessions.append(session)
            if await self._guarded(session, [], session.background):
                return True
            session.settled()
        return False

    async def _guarded(
        self, session: Work, generations: list[Generation], step: Callable[[], _Result]
    ) -> _Result | None:
        """Run a step on the thread; None when it failed, which its answers are told."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        except EngineError as error:
            self._fail(session, generations, error)
        # The boundary at which a failing model ends an answer and not the service; the log has the traceback.
        except Exception:
            _log.exception("model step failed")
            self._fail(session, generations, EngineError(FAILED))
        return None

    def _fail(self, session: Work, generations: list[Generation], error: EngineError) -> None:
        session.failed()
        for generation in generations:
            for other in self._sessions:
                if generation in other.generations:
                    other.generations.remove(generation)
            generation.output.put_nowait(error)
