"""Who holds which tokens of the context, and how room is made when there is too little.

Room is made in a written order, and only as far as needed: duplicate pictures go, old pictures become their
captions, old utterances their transcripts, and at last the oldest turns a summary. Instructions, tools and
the newest turn are pinned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from langchain_core.messages import BaseMessage, SystemMessage, ToolMessage

from hearsight.agent.ageing import (
    SUMMARY_LINES,
    summarize,
    turn_starts,
    with_captions,
    with_transcripts,
    without_duplicates,
)
from hearsight.agent.context import Context
from hearsight.agent.messages import Block, blocks, made_call
from hearsight.agent.models.base import TokenCounter
from hearsight.streams.errors import EngineError
from hearsight.streams.events import Usage
from hearsight.tools.calls import ToolSpec

CONTEXT_LIMIT = 32_768
"""Tokens that Gemma 3n was trained on."""
PICTURE_TOKENS = 256
"""Soft tokens that Gemma 3n makes of a picture, whatever its size."""
SLACK = 1 / 8
"""Share of the limit that is freed beyond need: a cache whose prefix changed has to be filled anew, which is
better done once in a while than at every turn."""


def audio_tokens(samples: int) -> int:
    """Soft tokens that Gemma 3n makes of an utterance, counted exactly: one per 16 frames begun.

    Args:
        samples: Length at 16 kHz. Frames are 513 samples long and start every 160.
    """
    frames = (samples - 513) // 160 + 1 if samples >= 513 else 0
    return -(-frames // 16)


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens by kind."""

    text: int = 0
    audio: int = 0
    image: int = 0
    tools: int = 0
    """Descriptions of tools, their calls and results."""
    system: int = 0

    @property
    def total(self) -> int:
        """Of all kinds."""
        return sum(getattr(self, kind.name) for kind in fields(self))

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(*(getattr(self, kind.name) + getattr(other, kind.name) for kind in fields(self)))

    def exactly(self, total: int) -> Tokens:
        """So many in all, as a model has read: the parts, counted by themselves, may make a few more.

        Args:
            total: 0 where the engine does not tell.
        """
        if not total:
            return self
        missing, parts = total - self.total, {}
        for kind in ("system", "text", "tools"):
            had = getattr(self, kind)
            parts[kind] = max(0, had + missing)
            missing -= parts[kind] - had
        return replace(self, **parts)

    def usage(self, *, cached: int = 0, output: int = 0, limit: int = CONTEXT_LIMIT) -> Usage:
        """As a response reports it. Later rounds find more in the cache than the input that is counted."""
        return Usage(
            input_text=self.text + self.tools + self.system,
            input_audio=self.audio,
            input_image=self.image,
            input_cached=min(cached, self.total),
            output_text=output,
            context_limit=limit,
        )


class Ledger:
    """Counts a conversation as its engine's own prompt would, and keeps it within the limit.

    Args:
        counter: The engine's way of counting.
        limit: Tokens of prompt and answer together.
        reserve: Tokens kept free for the answer.
    """

    def __init__(self, counter: TokenCounter, *, limit: int = CONTEXT_LIMIT, reserve: int = 1024) -> None:
        self._counter = counter
        self._limit = limit
        self._reserve = reserve
        self._counted: dict[str, tuple[BaseMessage, Tokens]] = {}

    @property
    def limit(self) -> int:
        """Tokens of prompt and answer together."""
        return self._limit

    @property
    def budget(self) -> int:
        """Tokens that a prompt may have."""
        return self._limit - self._reserve

    def room(self, head: Tokens, history: float = 1.0) -> int:
        """Tokens that a prompt may have of which the conversation gets a share of what is left for it.

        Args:
            head: Tokens of what stands before the conversation.
            history: That share.
        """
        return min(self.budget, head.total + int(max(0, self.budget - head.total) * history))

    def _summary_lines(self, history: float) -> int:
        """A line of a summary takes some 16 tokens, so that it fills an eighth of a large context."""
        return max(4, int(max(SUMMARY_LINES, self._limit // 128) * history))

    def head(self, instructions: str, tools: Sequence[ToolSpec]) -> Tokens:
        """Tokens of what stands before the conversation."""
        return Tokens(
            system=self._counter.system(instructions), tools=self._counter.tools(tools) if tools else 0
        )

    def message(self, message: BaseMessage) -> Tokens:
        """Tokens of one message, wrapper included."""
        known = self._counted.get(message.id or "")
        if known is not None and known[0] is message:
            return known[1]
        tokens = self._fresh(message)
        if message.id:
            self._counted[message.id] = (message, tokens)
        return tokens

    def count(self, messages: Sequence[BaseMessage]) -> Tokens:
        """Tokens of a conversation."""
        present = {message.id for message in messages}
        for gone in self._counted.keys() - present:
            del self._counted[gone]
        return sum((self.message(message) for message in messages), Tokens())

    def cut(self, text: str, tokens: int) -> str:
        """The beginning of a text that takes no more than so many tokens."""
        if self._counter.text(text) <= tokens:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self._counter.text(text[:middle]) <= tokens:
                low = middle
            else:
                high = middle - 1
        return text[:low]

    def make_room(self, context: Context, head: Tokens, *, spare: int = 0, history: float = 1.0) -> Tokens:
        """Reduce a conversation until it fits.

        Args:
            context: The conversation.
            head: Tokens of what stands before it.
            spare: It has to leave so many tokens free; fewer than `SLACK` of the limit.
            history: Share of the room that there is for it.

        Returns:
            Tokens of head and conversation as they are now.

        Raises:
            EngineError: What is pinned does not fit by itself.
        """
        used = head + self.count(context.for_model())
        room = self.room(head, history)
        if used.total <= room - spare:
            return used
        goal = room - int(self._limit * SLACK * history)
        excess = used.total - goal
        for reduced in (without_duplicates, with_captions, with_transcripts):
            for shorter in reduced(context.messages):
                excess -= self._rewrite(context, shorter)
                if excess <= 0:
                    return head + self.count(context.for_model())
        return self._drop_turns(context, head, goal, self._summary_lines(history))

    def _rewrite(self, context: Context, shorter: BaseMessage) -> int:
        """Put the shorter version in place, if it is one; returns the tokens gained."""
        original = context.get(shorter.id or "")
        gained = self._fresh(original).total - self._fresh(shorter).total if original is not None else 0
        if gained <= 0:
            return 0
        context.rewrite(shorter)
        return gained

    def _drop_turns(self, context: Context, head: Tokens, goal: int, lines: int) -> Tokens:
        used = head + self.count(context.for_model())
        starts = turn_starts(context.messages)
        while used.total > goal and len(starts) > 1:
            end = self._turns_worth(context.messages, starts, used.total - goal)
            context.condense(end, summarize(context.messages[:end], lines))
            used = head + self.count(context.for_model())
            starts = turn_starts(context.messages)
        if used.total > self.budget:
            raise EngineError(
                f"This is too much at once: with the instructions and tools it takes {used.total:,} tokens, "
                f"and {self.budget:,} fit. Send less text, audio or pictures in one turn.",
                code="context_length_exceeded",
            )
        return used

    def _turns_worth(self, messages: Sequence[BaseMessage], starts: Sequence[int], excess: int) -> int:
        """End of the fewest oldest turns that hold so many tokens; never reaches into the newest."""
        end = 0
        for start in starts[1:]:
            excess -= sum(self.message(message).total for message in messages[end:start])
            end = start
            if excess <= 0:
                break
        return end

    def _fresh(self, message: BaseMessage) -> Tokens:
        return sum((self._block(message, block) for block in blocks(message)), self._wrapper(message))

    def _wrapper(self, message: BaseMessage) -> Tokens:
        tokens = self._counter.wrapper(message)
        if isinstance(message, SystemMessage):
            return Tokens(system=tokens)
        if isinstance(message, ToolMessage) or made_call(message) is not None:
            return Tokens(tools=tokens)
        return Tokens(text=tokens)

    def _block(self, message: BaseMessage, block: Block) -> Tokens:
        if block["type"] == "audio":
            return Tokens(audio=self._counter.audio(block["samples"], block["transcript"]))
        if block["type"] == "image":
            return Tokens(image=self._counter.picture(block["caption"]))
        tokens = self._counter.text(block["text"])
        if isinstance(message, SystemMessage):
            return Tokens(system=tokens)
        return Tokens(tools=tokens) if isinstance(message, ToolMessage) else Tokens(text=tokens)
