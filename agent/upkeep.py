"""Room made before it is needed: what an old conversation gives up, it gives up while nobody waits.

A cache whose beginning changed has to be filled anew. So when little room is left after an answer, words are
found for what old pictures showed and old speech said, as far as none are known, and the context is shortened
then; the model reads what remains before the user speaks again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from langchain_core.messages import BaseMessage

from hearsight.agent.ageing import newest_turn
from hearsight.agent.context import Context
from hearsight.agent.ledger import Ledger
from hearsight.agent.messages import Block, blocks
from hearsight.agent.models.base import GenerateRequest
from hearsight.streams.errors import EngineError

AHEAD = 1 / 16
"""Room is made ahead once no more than this share of the limit is free: some five minutes of speech."""
WORDS_AT_ONCE = 16
"""Pictures and utterances for which words are found at a time: as many as make the room that is wanted."""


class Upkeep:
    """Keeps one session's context short between its turns.

    Args:
        context: The conversation.
        ledger: Counts it.
        request: What would be asked of the model with these messages.
        caption: Finds out what a picture shows, by key.
        transcribe: Finds out what was said in an utterance, by file id.
    """

    def __init__(
        self,
        context: Context,
        ledger: Ledger,
        request: Callable[[Sequence[BaseMessage]], GenerateRequest],
        *,
        caption: Callable[[str], Awaitable[str]],
        transcribe: Callable[[str], Awaitable[str]],
    ) -> None:
        self._context = context
        self._ledger = ledger
        self._request = request
        self._caption = caption
        self._transcribe = transcribe
        self.history = 1.0
        """Share of the room for the conversation's past that is used; less under overload."""

    async def tidy(self) -> None:
        """Make room if little is left. May be cancelled at any moment; the next time goes on from there.

        Raises:
            EngineError: What may not be given up takes all the room.
        """
        request = self._request(self._context.for_model())
        head = self._ledger.head(request.instructions, request.tools)
        spare = int(self._ledger.limit * AHEAD * self.history)
        used = head + self._ledger.count(request.messages)
        if used.total <= self._ledger.room(head, self.history) - spare:
            return
        for block in list(_wordless(self._context.messages))[:WORDS_AT_ONCE]:
            await self._find_words(block)
        self._ledger.make_room(self._context, head, spare=spare, history=self.history)

    async def _find_words(self, block: Block) -> None:
        file_id = block["file_id"]
        try:
            if block["type"] == "image":
                self._context.set_caption(file_id, await self._caption(file_id))
            else:
                self._context.set_transcript(file_id, await self._transcribe(file_id))
        except EngineError:  # the picture or the speech is no longer held: it goes without words
            return


def _wordless(messages: Sequence[BaseMessage]) -> Iterator[Block]:
    """Pictures and then speech of earlier turns that nothing is written down of, each oldest first."""
    old = [block for message in messages[: newest_turn(messages)] for block in blocks(message)]
    for kind, words in (("image", "caption"), ("audio", "transcript")):
        yield from (block for block in old if block["type"] == kind and block[words] is None)
