"""Who gets the model next: one thread runs it, one step at a time, fairly between the sessions."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from functools import partial
from typing import Protocol, TypeVar

import structlog
import torch

from hearsight.agent.models.gemma3n.generation import Generation, decode_step
from hearsight.agent.models.memory import out_of_memory
from hearsight.streams.errors import EngineError

_log = structlog.get_logger(__name__)
_Result = TypeVar("_Result")
FAILED = "The model failed; please say it again."
BACKGROUND_EVERY = 4
"""While somebody waits for an answer, every fourth step still encodes and prefills for the others."""
MEASURE_EVERY = 16
"""Rounds after which the memory of all caches is added up."""
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

    def background(self, *, quick: bool) -> bool:
        """Do a step of encoding or prefilling ahead (worker's thread); False when there is nothing to do.

        Args:
            quick: An answer is being written, and waits for it: nothing that takes long.
        """
        ...

    def settled(self) -> None:
        """There is nothing left to do ahead."""
        ...

    def failed(self) -> None:
        """A step failed: what it worked on is not to be trusted."""
        ...

    @property
    def cache_bytes(self) -> int:
        """Memory that its cache takes."""
        ...

    def drop_cache(self) -> None:
        """Free it; it can be filled anew."""
        ...


class Scheduler:
    """Runs the steps of all sessions.

    Every round decodes one token of each answer being written, then does one step for one session: towards
    a first token where somebody waits for one, else ahead. So between two tokens of an answer there is one
    step at most, and no long one that could wait. Cancelling takes effect with the next round.

    Args:
        cache_limit: Memory that the caches of all sessions may take, in bytes. Beyond it those are dropped
            that were worked on the longest time ago, but for the newest and those being answered.
    """

    def __init__(self, *, cache_limit: int | None = None) -> None:
        self._cache_limit = cache_limit
        self._worked: dict[Work, int] = {}
        """In which round something was last done for a session."""
        self._helped: dict[Work, int] = {}
        """In which round a session was last helped towards a first token."""
        self._decoded: dict[Generation, int] = {}
        """When each of the answers being written last got a token."""
        self._turns = itertools.count(1)
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
            self._worked.pop(session, None)
            self._helped.pop(session, None)

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()
        if self._task is None or self._task.done():
            # In a context of its own: it works for all sessions, whichever has woken it.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=Context())

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
        if self._rounds % MEASURE_EVERY == 0:
            self._stay_within_limit()
        decoded = await self._decode()
        waiting = self._next_waiting()
        if waiting is not None and self._rounds % BACKGROUND_EVERY:
            session, generation = waiting
            self._helped[session] = self._rounds
            await self._guarded(session, [generation], lambda: session.prepare(generation))
            self._note(session)
            return True
        return await self._ahead(quick=decoded) or decoded or waiting is not None

    def _note(self, session: Work) -> None:
        """Something was done for a session, which may have ended meanwhile: then nothing holds on to it."""
        if session in self._sessions:
            self._worked[session] = self._rounds

    async def _decode(self) -> bool:
        ready = [(s, g) for s in self._sessions for g in s.generations if g.ready]
        if len(ready) > MAX_BATCH:
            ready.sort(key=lambda pair: self._decoded.get(pair[1], 0))
        batch = ready[:MAX_BATCH]
        if not batch:
            self._decoded.clear()
            return False
        generations = [generation for _, generation in batch]
        # Numbered within the round, too: who comes last in it would otherwise come last in the next one.
        self._decoded = {g: self._decoded.get(g, 0) for _, g in ready} | {
            g: next(self._turns) for g in generations
        }
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
        """The oldest answer of the session that was helped towards one the longest time ago."""
        waiting = [(s, g) for s in self._sessions for g in s.generations if not g.ready]
        return min(waiting, key=lambda pair: self._helped.get(pair[0], 0), default=None)

    async def _ahead(self, *, quick: bool) -> bool:
        """A step ahead for the first session that has one to do, beginning with another one each time."""
        for _ in range(len(self._sessions)):
            session = self._sessions.pop(0)
            self._sessions.append(session)
            if await self._guarded(session, [], partial(session.background, quick=quick)):
                self._note(session)
                return True
            session.settled()
        return False

    def _stay_within_limit(self) -> None:
        if self._cache_limit is None:
            return
        held = {session: session.cache_bytes for session in self._sessions}
        excess = sum(held.values()) - self._cache_limit
        oldest_first = sorted(held, key=lambda session: self._worked.get(session, 0))
        for session in oldest_first[:-1]:
            if excess <= 0:
                return
            if held[session] and not session.generations:
                session.drop_cache()
                excess -= held[session]
                _log.info("cache dropped", freed_bytes=held[session])

    async def _guarded(
        self, session: Work, generations: list[Generation], step: Callable[[], _Result]
    ) -> _Result | None:
        """Run a step on the thread; None when it failed, which its answers are told."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, step)
        except EngineError as error:
            self._fail(session, generations, error)
        # The boundary at which a failing model ends an answer and not the service; the log has the traceback.
        except Exception as error:
            _log.exception("model step failed")
            lacking = out_of_memory(error)
            if lacking is not None:
                self._free_memory()
            self._fail(session, generations, lacking or EngineError(FAILED))
        return None

    def _free_memory(self) -> None:
        """Drop what can be computed again: the caches of all sessions that are not being answered."""
        for session in self._sessions:
            if not session.generations:
                session.drop_cache()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _fail(self, session: Work, generations: list[Generation], error: EngineError) -> None:
        session.failed()
        for generation in generations:
            for other in self._sessions:
                if generation in other.generations:
                    other.generations.remove(generation)
            generation.output.put_nowait(error)
