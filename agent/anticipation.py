"""Reading ahead: what the user says reaches the model while they are still saying it.

When the turn ends, a model that reads text has three things to do before its first word: write down what
was said, read it, and begin to write. The first two are done here ahead of time. While the user speaks, their
words so far are read twice a second; and whenever they fall silent, be it only for a moment, what they said
is taken for all that they will say. Where that proves wrong, nothing is lost but idle computing: the model
keeps what it has read as far as the words agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import structlog
from langchain_core.messages import BaseMessage

from hearsight.agent.context import Context
from hearsight.agent.models.base import Conversation, GenerateRequest
from hearsight.agent.transcripts import Transcripts
from hearsight.streams.errors import EngineError, HearsightError
from hearsight.streams.events import INPUT_RATE_HZ
from hearsight.tools.errors import ToolError

LISTEN_EVERY = INPUT_RATE_HZ // 2
"""Samples after which the words so far are read again."""
AFTER_ANSWER_S = 0.3
"""An answer is read as it was spoken after so long: who had only one question is gone by then."""

_log = structlog.get_logger(__name__)
_Work = Callable[[], Awaitable[None]]


class Timer(Protocol):
    """Something that will be called, unless it is cancelled."""

    def cancel(self) -> None:
        """Let it be."""
        ...


CallLater = Callable[[float, Callable[[], None]], Timer]


class Anticipation:
    """What one session's model reads before it is asked.

    One thing is done at a time, and of what waits only the newest: the older has been overtaken.

    Args:
        conversation: The engine's side of the session.
        context: What was said before.
        transcripts: Those of the answers, which need not be made twice.
        request: What would be asked of the model with these messages. May raise.
        reads: Whether the model reads what was said; one that hears needs no words.
        tidy: Shortens the context where that is due; done after an answer, and cancelled by whatever comes.
        session_id: For the log.
        call_later: Calls back after so many seconds; the event loop does, unless given.
    """

    def __init__(
        self,
        conversation: Conversation,
        context: Context,
        transcripts: Transcripts,
        request: Callable[[Sequence[BaseMessage]], GenerateRequest],
        *,
        reads: bool,
        tidy: _Work | None = None,
        session_id: str = "",
        call_later: CallLater | None = None,
    ) -> None:
        self._conversation = conversation
        self._context = context
        self._transcripts = transcripts
        self._request = request
        self._reads = reads
        self._session_id = session_id
        self._unread = 0
        self._silent = False
        self._next: _Work | None = None
        self._task: asyncio.Task[None] | None = None
        self._call_later = call_later or asyncio.get_running_loop().call_later
        self._answers = 0
        self._tidy = tidy
        self._answered: Timer | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._free = asyncio.Event()
        self._free.set()
        self._closed = False

    def warm(self) -> None:
        """Read what was said before."""
        self._do(self._read_context)

    def hear(self, item_id: str, samples: int) -> None:
        """So many more samples of an utterance, already in the context; the first bring what came before."""
        if self._context.heard_samples(item_id) == samples:
            self._unread, self._silent = 0, False
            self._forget_answer()
            self.warm()
        self._unread += samples
        if self._reads and not self._silent and self._unread >= LISTEN_EVERY:
            self._unread = 0
            self._do(lambda: self._read_along(item_id))

    def lull(self, item_id: str) -> None:
        """The user has fallen silent: read what they said as if it were all."""
        if self._reads:
            self._silent = True
            self._transcripts.begin(item_id)
            self._do(lambda: self._read_utterance(item_id))

    def resumed(self, item_id: str) -> None:
        """It was not all."""
        self._silent = False
        self._unread = 0
        self._transcripts.revise(item_id)

    @property
    def answering(self) -> bool:
        """Whether an answer is being given."""
        return self._answers > 0

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """While an answer is given, which reads for itself: what is being read is finished, others wait."""
        if not self._answers:
            self._next = None
            self._forget_answer()
        self._answers += 1
        self._free.clear()
        try:
            yield
        finally:
            self._answers -= 1
            if not self._answers:
                self._free.set()
                if not self._closed:
                    self._answered = self._call_later(AFTER_ANSWER_S, self._after_answer)

    async def aclose(self) -> None:
        """Stop; no task remains."""
        self._closed = True
        self._next = None
        self._forget_answer()
        tasks = [task for task in (self._task, self._tidying) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _after_answer(self) -> None:
        """Nobody waits now: make room if it is getting scarce and nobody speaks, and read what was said."""
        self._tidying = asyncio.create_task(self._tidy_up())

    async def _tidy_up(self) -> None:
        if self._tidy is not None and not self._context.listening:
            await self._guarded(self._tidy)
        self.warm()

    def _forget_answer(self) -> None:
        """There is something better to do than to look back."""
        if self._answered is not None:
            self._answered.cancel()
            self._answered = None
        if self._tidying is not None:
            self._tidying.cancel()

    def _do(self, work: _Work) -> None:
        """Do something as soon as nothing else is being done, unless something newer comes up."""
        if self._closed:
            return
        self._next = work
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._next is not None:
            await self._free.wait()
            work, self._next = self._next, None
            if work is not None:
                await self._guarded(work)

    async def _guarded(self, work: _Work) -> None:
        try:
            await work()
        except (HearsightError, ToolError) as error:
            # Nothing is lost but time: the answer reports what is wrong, if it still is.
            _log.warning("reading ahead failed", session_id=self._session_id, reason=error.message)
        # The boundary at which a bug ends this reading and not the later ones; the log has the traceback.
        except Exception:
            _log.exception("reading ahead failed", session_id=self._session_id)

    async def _read_context(self) -> None:
        await self._conversation.prefill(self._request(self._context.for_model()))

    async def _read_along(self, item_id: str) -> None:
        words = await self._conversation.overhear(item_id)
        if words:
            await self._read(item_id, words, unfinished=True)

    async def _read_utterance(self, item_id: str) -> None:
        words = await self._transcripts.peek(item_id) if self._silent else None
        if words:
            await self._read(item_id, words)

    async def _read(self, item_id: str, words: str, *, unfinished: bool = False) -> None:
        captions = await self._captions(item_id)
        # The user may have gone on, or the turn be over and its answer be reading for itself.
        overtaken = self._next is not None or self._answers or self._silent is unfinished
        if not overtaken and self._context.is_being_heard(item_id):
            messages = self._context.upcoming(item_id, words, captions)
            await self._conversation.prefill(self._request(messages), unfinished=unfinished)

    async def _captions(self, item_id: str) -> dict[str, str]:
        """What the pictures show that belong to the utterance so far."""
        captions = {}
        for key in self._context.pictures_of(item_id):
            try:
                captions[key] = await self._conversation.caption(key)
            except EngineError:  # the answer deals with it
                continue
        return captions
