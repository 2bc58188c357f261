"""What of a session's prompt the server has not read yet, and whether it is worth a request to have it read.

A server that keeps prefixes reads of a prompt only what is new to it. Most of what is new can be known before
the user has finished: what became of an interrupted answer, results of tools, instructions, pictures. Where
it is little, a request costs more than it saves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from langchain_core.messages import HumanMessage

from hearsight.agent.messages import image_block
from hearsight.agent.models.base import GenerateRequest
from hearsight.agent.models.openai.prompt import ChatTurn, Part

WORTH_READING_TOKENS = 96
"""A picture, a result, instructions; not a sentence, which is read within the time of a token or two."""
FORGOTTEN_AFTER_S = 30.0
"""What was not asked about for so long may have had to make room for others; asked about what it still has, a
server is done at once."""


Render: TypeAlias = Callable[[GenerateRequest], Awaitable[list[ChatTurn]]]
"""A request as it is sent."""
HaveRead: TypeAlias = Callable[[GenerateRequest, list[ChatTurn]], Awaitable[None]]
"""Has the server read it."""


class ReadAhead:
    """Keeps account for one session.

    Args:
        tokens: How long a part of a message is.
        clock: Seconds.
    """

    def __init__(self, tokens: Callable[[Part], int], clock: Callable[[], float]) -> None:
        self._tokens = tokens
        self._clock = clock
        self._read: list[Part] = []
        self._at_s: float | None = None

    def unread(self, turns: Sequence[ChatTurn]) -> int:
        """Tokens of a prompt that the server has to read, as far as is known."""
        parts = _flat(turns)
        if self._at_s is None or self._clock() - self._at_s > FORGOTTEN_AFTER_S:
            return sum(map(self._tokens, parts))
        same = 0
        for known, part in zip(self._read, parts, strict=False):
            if known != part:
                break
            same += 1
        rest = parts[same:]
        if rest and same < len(self._read):
            rest[0] = _beyond(self._read[same], rest[0])
        return sum(map(self._tokens, rest))

    def worth(self, turns: Sequence[ChatTurn]) -> bool:
        """Whether so much is unread that a request pays which asks for nothing else."""
        return self.unread(turns) >= WORTH_READING_TOKENS

    def has_read(self, turns: Sequence[ChatTurn], answer: str = "") -> None:
        """The server has read a prompt, and written this behind it."""
        self._read = [*_flat(turns), *([answer] if answer else [])]
        self._at_s = self._clock()


class Reading:
    """Has the server read ahead for one session: one request at a time, and never beside an answer.

    Args:
        render: Puts a request into the form in which it is sent.
        have_read: Has the server read it.
        tokens: How long a part of a message is.
        clock: Seconds.
        wanted: Whether it is to be done at all.
    """

    def __init__(
        self,
        render: Render,
        have_read: HaveRead,
        tokens: Callable[[Part], int],
        clock: Callable[[], float],
        *,
        wanted: bool = True,
    ) -> None:
        self._render = render
        self._have_read = have_read
        self._account = ReadAhead(tokens, clock)
        self._wanted = wanted
        self._expected: GenerateRequest | None = None
        """What stands before what the user is saying."""
        self._shown: list[str] = []
        """Keys of the pictures that came since."""
        self._task: asyncio.Task[None] | None = None
        self._answers = 0

    async def read(self, request: GenerateRequest) -> None:
        """Have a conversation read as it is before the user's next words; an answer cuts it short.

        Raises:
            EngineError: The server failed.
        """
        self._expected, self._shown = request, []
        if not self._wanted or self._answers:
            return
        task = self._start(request)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error

    def show(self, key: str) -> None:
        """A picture came while the user speaks: have it looked at, behind what was read."""
        if key in self._shown:
            return
        self._shown.append(key)
        if self._expected is None or not self._wanted or self._answers:
            return
        shown = HumanMessage([image_block(key) for key in self._shown])
        self._start(replace(self._expected, messages=(*self._expected.messages, shown)))

    def has_read(self, turns: Sequence[ChatTurn], answer: str = "") -> None:
        """The server has read a prompt anyway, and written this behind it."""
        self._account.has_read(turns, answer)

    def stop(self) -> None:
        """Nobody waits for it any more; what the server has read of it, it keeps."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """While an answer is written, nothing is read ahead."""
        self.stop()
        self._answers += 1
        try:
            yield
        finally:
            self._answers -= 1

    async def aclose(self) -> None:
        """Stop; no task remains."""
        task = self._task
        self.stop()
        if task is not None:
            await asyncio.wait([task])

    def _start(self, request: GenerateRequest) -> asyncio.Task[None]:
        self.stop()
        self._task = asyncio.create_task(self._run(request), name="read ahead")
        self._task.add_done_callback(_retrieve)
        return self._task

    async def _run(self, request: GenerateRequest) -> None:
        turns = await self._render(request)
        if self._account.worth(turns):
            await self._have_read(request, turns)
            self._account.has_read(turns)


def _retrieve(task: asyncio.Task[None]) -> None:
    """Whoever waits for it is told of the error; nobody has to wait."""
    if not task.cancelled():
        task.exception()


def _flat(turns: Sequence[ChatTurn]) -> list[Part]:
    return [part for turn in turns for part in turn.parts]


def _beyond(known: Part, part: Part) -> Part:
    """What of a text is new, where it begins as the one that is known."""
    if not (isinstance(known, str) and isinstance(part, str)):
        return part
    same = next((at for at, (a, b) in enumerate(zip(known, part, strict=False)) if a != b), None)
    return part[min(len(known), len(part)) if same is None else same :]
